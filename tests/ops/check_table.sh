#!/bin/sh
# check_table.sh BUILD: the operator table, against the compiler's own objects.
build=$(readlink -f "$1")
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
objects=$(find "$build/compiler" "$build/grammar" -name '*.o' ! -name main.o)
mkdir -p "$build/tests"
# shellcheck disable=SC2086,SC2046
${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Icompiler -o "$build/tests/ops_table" tests/ops/table_test.c $objects \
  "$build/runtime_files.o" "$build/zoo_files.o" $(pkg-config --libs hdf5 2>/dev/null || echo -lhdf5) -lz -lm &&
  "$build/tests/ops_table"
