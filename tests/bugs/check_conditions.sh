#!/bin/sh
# check_conditions.sh BUILD: emitted files define every macro that their conditionals ask.  A missing one counts as 0,
# silently: the stitcher once dropped VEC_NATIVE, and loops that hold sums in registers were not unrolled, at a third
# of the speed.
set -u
netc=$1/netc
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0
"$netc" emit examples/naive_cnn.net -o "$out" --silence NT012 || exit 1
for flags in "" "-march=x86-64-v3" "-march=x86-64-v4" "-DNETC_PORTABLE"; do
  # shellcheck disable=SC2086
  if ${CC:-gcc} -std=c11 -fsyntax-only -DNAIVE_CNN_NO_MAIN -Wundef -Werror=undef $flags "$out/naive_cnn.c" 2>"$out/log"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "flags '$flags':"
    head -n 5 "$out/log"
  fi
done
echo "conditions: $passed passed, $failed failed"
[ "$failed" = 0 ]
