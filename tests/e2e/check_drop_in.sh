#!/usr/bin/env bash
# check_drop_in.sh BUILD: every example of examples/drop-in, built and run in a folder of its own. One of them compiles
# the kernels for every instruction set, the others for this processor: that is faster.
set -u
. "$(dirname "$0")/../lib.sh"
export OMP_NUM_THREADS=2

"$build/netc" emit "$top/examples/drop-in/digits.net" -o "$work/model" || exit 1
cp -r "$top/examples/drop-in" "$work/src"
ln -s "$work/model" "$work/src/meson/model"
cp "$work/src/main.c" "$work/src/meson/main.c"

fast="-O1 -march=native"
strict="-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror"
try "cc with gcc" sh -c "CC='gcc $strict' CFLAGS=-O1 '$work/src/cc/build.sh' '$work/model' '$work/cc' && '$work/cc'"
try "cc with clang" sh -c "CC='clang $strict' CFLAGS='$fast' '$work/src/cc/build.sh' '$work/model' '$work/cc' && '$work/cc'"
try make sh -c "make -s -C '$work/src/make' MODEL='$work/model' OUT='$work/made' CFLAGS='$fast' && '$work/made'"
try cmake sh -c "cmake -S '$work/src/cmake' -B '$work/cmake' -DMODEL='$work/model' -DCMAKE_C_FLAGS='$fast' -DCMAKE_INSTALL_PREFIX='$work/installed' && cmake --build '$work/cmake' && '$work/cmake/app'"
try "cmake, find_package" sh -c "cmake --install '$work/cmake' && cmake -S '$work/src/cmake-find' -B '$work/find' -DCMAKE_PREFIX_PATH='$work/installed' && cmake --build '$work/find' && '$work/find/app'"
try "cmake, FetchContent" sh -c "cmake -S '$work/src/cmake-fetch' -B '$work/fetch' -DMODEL='$work/model' -DCMAKE_C_FLAGS='$fast' && cmake --build '$work/fetch' && '$work/fetch/app'"
try meson sh -c "CFLAGS='-march=native' meson setup -Doptimization=1 '$work/meson' '$work/src/meson' && ninja -C '$work/meson' && '$work/meson/app'"
try c++ sh -c "gcc -std=c11 $fast -DDIGITS_NO_MAIN -c '$work/model/digits.c' -o '$work/digits.o' && g++ -std=c++17 -Wall -Wextra -Werror -I'$work/model' '$work/src/cpp/main.cpp' '$work/digits.o' -o '$work/cpp' -lm && '$work/cpp'"
try python sh -c "gcc -std=c11 $fast -shared -fPIC -DDIGITS_NO_MAIN '$work/model/digits.c' -o '$work/libdigits.so' -lm && /usr/bin/python3 '$work/src/python/digits.py' '$work/libdigits.so'"
# Only the network's own prefix is visible.
try symbols sh -c "! nm -g --defined-only '$work/digits.o' | awk '{print \$3}' | grep -v '^digits_'"
finish drop-in
