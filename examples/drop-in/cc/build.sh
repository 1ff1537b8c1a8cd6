#!/bin/sh
# build.sh FOLDER OUT: FOLDER holds digits.c and digits.h.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
${CC:-cc} -std=c11 -O3 -DDIGITS_NO_MAIN -I"$1" "$here/main.c" "$1/digits.c" -o "$2" -lm
