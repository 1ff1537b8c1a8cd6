#!/usr/bin/env bash
# check_drop_in.sh BUILD: every example of examples/drop-in, built and run in a folder of its own.
set -u
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=2
passed=0 failed=0

try() {
  local name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED $name"
    tail -n 20 "$work/log"
  fi
}

"$build/netc" emit "$top/examples/drop-in/digits.net" -o "$work/model" || exit 1
cp -r "$top/examples/drop-in" "$work/src"
ln -s "$work/model" "$work/src/meson/model"
cp "$work/src/main.c" "$work/src/meson/main.c"

strict="-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror"
for cc in gcc clang; do
  try "cc with $cc" sh -c "CC='$cc $strict' '$work/src/cc/build.sh' '$work/model' '$work/cc' && '$work/cc'"
done
try make sh -c "make -s -C '$work/src/make' MODEL='$work/model' OUT='$work/made' && '$work/made'"
try cmake sh -c "cmake -S '$work/src/cmake' -B '$work/cmake' -DMODEL='$work/model' -DCMAKE_BUILD_TYPE=Release && cmake --build '$work/cmake' && '$work/cmake/app'"
try meson sh -c "meson setup '$work/meson' '$work/src/meson' && ninja -C '$work/meson' && '$work/meson/app'"
try c++ sh -c "gcc -std=c11 -O2 -DDIGITS_NO_MAIN -c '$work/model/digits.c' -o '$work/digits.o' && g++ -std=c++17 -Wall -Wextra -Werror -I'$work/model' '$work/src/cpp/main.cpp' '$work/digits.o' -o '$work/cpp' -lm && '$work/cpp'"
try python sh -c "gcc -std=c11 -O3 -shared -fPIC -DDIGITS_NO_MAIN '$work/model/digits.c' -o '$work/libdigits.so' -lm && /usr/bin/python3 '$work/src/python/digits.py' '$work/libdigits.so'"
# Only the network's own prefix is visible.
try symbols sh -c "! nm -g --defined-only '$work/digits.o' | awk '{print \$3}' | grep -v '^digits_'"
echo "drop-in: $passed passed, $failed failed"
[ "$failed" = 0 ]
