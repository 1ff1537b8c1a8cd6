#!/bin/sh
# build.sh FOLDER OUT: FOLDER holds digits.c and digits.h.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck disable=SC2086
${CC:-cc} -std=c11 ${CFLAGS:--O3} -DDIGITS_NO_MAIN -I"$1" "$here/main.c" "$1/digits.c" -o "$2" -lm
