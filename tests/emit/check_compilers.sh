#!/usr/bin/env bash
# check_compilers.sh BUILD [all]: the emitted file and its header's example without a warning under strict flags. In
# `make check` with gcc, clang and g++; `make check-compilers` takes every gcc and clang of Debian 12, more standards,
# and runs what they make.
set -u
. "$(dirname "$0")/lib.sh"
probe || exit 1
"$netc" emit "$here/learn.net" -o learn || exit 1
for name in probe learn; do
  sed -n '/^ \*   #include/,/^ \*   }$/s/^ \* \{0,3\}//p' $name/$name.h >$name/example.c
done
more="-Wmissing-declarations -Wold-style-definition -Wredundant-decls -Wwrite-strings -Wformat=2 -Wvla -Wnested-externs"
plus="-Wall -Wextra -Wpedantic -Wshadow -Wundef -Wold-style-cast -Wconversion -Werror"

c() { # COMPILER STANDARD NETWORK FLAGS...
  local cc=$1 standard=$2 name=$3
  shift 3
  # shellcheck disable=SC2086
  try "$cc -std=$standard $* $name.c" "$cc" -std=$standard $strict $more "$@" -DLEARN_NO_MAIN -c $name/$name.c -o $name.o
  # shellcheck disable=SC2086
  try "$cc -std=$standard the example of $name.h" "$cc" -std=$standard $strict $more -Wconversion -I$name -c $name/example.c -o example.o
}
cxx() { # COMPILER STANDARD
  for name in probe learn; do
    printf '#include "%s.h"\n#include "%s.h"\nint main() { return static_cast<int>(%s_size(1, 1) == 0); }\n' $name $name $name >$name.cpp
    # shellcheck disable=SC2086
    try "$1 -std=$2 $name.h" "$1" -std=$2 $plus -I$name -c $name.cpp -o $name.cpp.o
  done
}
if [ "${2-}" != all ]; then
  c gcc c11 learn -O0 -march=native
  c gcc c17 probe -O0
  c clang c11 probe -O0 -march=native
  c clang c17 learn -O0 -fopenmp
  cxx g++ c++17
  cxx clang++ c++17
  finish
  exit
fi
for cc in gcc-11 gcc-12 clang-13 clang-14 clang-15 clang-16; do
  if ! command -v $cc >/dev/null; then
    bad "no $cc"
    continue
  fi
  for standard in c11 c17 gnu17; do
    c $cc $standard probe -O0
    c $cc $standard learn -O0
  done
  for flags in "-O3" "-O2 -march=native" "-Os -DNETC_PORTABLE" "-O3 -march=x86-64-v3 -ffast-math"; do
    for name in probe learn; do
      # shellcheck disable=SC2086
      c $cc c11 $name $flags
      try "$cc $flags: link $name" $cc -I$name $name/example.c $name.o -lm -o $name/example
      (cd $name && ./example >../log 2>&1) && ok || bad "$cc $flags: run $name"
    done
  done
  # shellcheck disable=SC2086
  if echo 'int main(void) { return 0; }' | $cc -fopenmp -x c - -o openmp 2>/dev/null; then
    c $cc c11 probe -O1 -fopenmp
    c $cc c11 probe -O1 -fopenmp -march=native
  else
    echo "skipped: $cc without its OpenMP library"
  fi
  cxx "$(echo $cc | sed 's/gcc/g++/; s/clang/clang++/')" c++11
  cxx "$(echo $cc | sed 's/gcc/g++/; s/clang/clang++/')" c++17
  cxx "$(echo $cc | sed 's/gcc/g++/; s/clang/clang++/')" c++20
done
finish
