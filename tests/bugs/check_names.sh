#!/usr/bin/env bash
# check_names.sh BUILD: networks that are called like something in the runtime (`act` collided with its type Act), and
# macros that an enumerator of the runtime takes its value from (`VEC_NATIVE` was taken for a name of the enumeration).
set -u
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
for name in act loss dense update; do
  cat >"$work/$name.net" <<EOF
network $name { input(4); dense(3, relu, activity_regularizer = l2(0.01)); dense(2, softmax) }
train $name { loss categorical_crossentropy; optimizer adam; metrics accuracy }
EOF
  if "$build/netc" emit "$work/$name.net" -o "$work" &&
    gcc -std=c11 -fsyntax-only -Wall -Wextra -Werror $(pkg-config --cflags hdf5) "$work/$name.c"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED network $name"
  fi
done
echo "names: $passed passed, $failed failed"
[ "$failed" = 0 ]
