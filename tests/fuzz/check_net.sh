#!/bin/sh
# check_net.sh BUILD [ROUNDS [SEED]]: damaged .net files through the front end, linked from BUILD's objects.  For a long
# hunt build with sanitizers first: make BUILD=build-san CFLAGS="-O1 -g -fsanitize=address,undefined".
set -e
build=$1
rounds=${2:-60}
seed=${3:-1}
cd "$(dirname "$0")/../.."
flags=$(pkg-config --libs hdf5 2>/dev/null || echo -lhdf5)
sanitize=
nm "$build/compiler/ast.o" 2>/dev/null | grep -q __asan && sanitize=-fsanitize=address,undefined
# shellcheck disable=SC2046,SC2086
${CC:-cc} -std=c11 -D_GNU_SOURCE -g -O1 $sanitize -Icompiler -o "$build/net_fuzz" tests/fuzz/net_fuzz.c \
  $(find "$build/compiler" "$build/grammar" -name '*.o' ! -path '*/compiler/main.o') "$build"/*_files.o $flags -lz -lm
"$build/net_fuzz" 0 0 tests/fuzz/corpus/*.net
timeout 600 "$build/net_fuzz" "$rounds" "$seed" examples/*.net tests/grammar/accept/*.net tests/grammar/lints/*.net
echo "1 passed, 0 failed"
