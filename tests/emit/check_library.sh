#!/usr/bin/env bash
# check_library.sh BUILD: the emitted file as a library: error codes, threads, allocations, symbols, the header's
# example, the same bytes again.
set -u
. "$(dirname "$0")/lib.sh"
probe || exit 1
"$netc" emit "$here/learn.net" -o learn || exit 1

# ---- the same network, weights and version give the same bytes
mkdir -p elsewhere/deep && cp "$here/probe.net" probe.h5 elsewhere/deep && touch -d 2001-01-01 elsewhere/deep/*
(cd elsewhere/deep && LC_ALL=tr_TR.UTF-8 LANG=C TZ=Asia/Tokyo TMPDIR=/ "$netc" emit probe.net --infer --weights probe.h5 -o out) >log 2>&1
for file in probe.c probe.h probe.weights.bin; do same "emitted elsewhere" probe/$file elsewhere/deep/out/$file; done

# ---- prediction: mistakes, damage, in place, allocations, threads
wrap=-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc
# shellcheck disable=SC2086
try "compile" gcc -std=c11 -O1 $strict -march=native -c probe/probe.c -o probe.o
try "compile the caller" gcc -std=c11 -O1 -DCOUNT_ALLOCATIONS -Iprobe "$here/library_main.c" probe.o -pthread -lm $wrap -o library
try "codes, threads, allocations" ./library probe/probe.weights.bin
try "compile with the address sanitizer" gcc -std=c11 -O0 -march=native -DTHREADS=2 -fsanitize=address,undefined -fno-sanitize-recover=all -Iprobe "$here/library_main.c" probe/probe.c -pthread -lm -o sanitized
try "under the address sanitizer" ./sanitized probe/probe.weights.bin
try "compile with the thread sanitizer" gcc -std=c11 -O0 -g -march=native -DTHREADS=6 -fsanitize=thread -Iprobe "$here/library_main.c" probe/probe.c -pthread -lm -o threads
try "under the thread sanitizer" setarch -R ./threads probe/probe.weights.bin threads
try "callers that are parallel themselves" sh -c "gcc -std=c11 -O0 -march=native -fopenmp -fsanitize=address -Iprobe '$here/openmp_main.c' probe/probe.c -lm -o openmp && ASAN_OPTIONS=detect_leaks=0 ./openmp probe/probe.weights.bin"
sed 's/tanh/relu/' "$here/probe.net" | sed 's/32, 1x1/33, 1x1/; s/network probe/network probe/' >foreign.net
"$netc" emit foreign.net --infer -o foreign >log 2>&1
try "compile another network" gcc -O0 -DNETC_PORTABLE -Iforeign "$here/predict_main.c" foreign/probe.c -lm -o foreign_main
./foreign_main probe/probe.weights.bin >log 2>&1
grep -q "another network" log && ok || bad "weights of another network"
./foreign_main probe/probe.weights.bin place >log 2>&1
grep -q "another network" log && ok || bad "weights of another network in place"

# ---- symbols
nm -g --defined-only probe.o | awk '{ print $3 }' >log
! grep -v '^probe_' log >/dev/null && ok || bad "names without the prefix"
nm -u probe.o | awk '{ print $2 }' >log
! grep -E '^(exit|abort|_exit|printf|puts|putchar|fprintf|perror|__printf_chk|__fprintf_chk|__assert_fail|raise|signal|setlocale|getenv)$' log >/dev/null && ok || bad "what a library must not call"
size -A probe.o | awk '($1 == ".data" || $1 == ".bss") && $2 > 0' >log
[ ! -s log ] && ok || bad "memory that changes"
try "no files" gcc -std=c11 -O0 -DNETC_PORTABLE -DPROBE_NO_FILES -c probe/probe.c -o nofiles.o
nm -u nofiles.o | awk '{ print $2 }' >log
! grep -E '^(fopen|open|mmap|fread|fwrite|rename)$' log >/dev/null && ok || bad "files with PROBE_NO_FILES"

# ---- training
# shellcheck disable=SC2086
try "compile training" gcc -std=c11 -O1 $strict -DLEARN_NO_MAIN -march=native -c learn/learn.c -o learn.o
try "compile the trainer" gcc -std=c11 -O1 -DCOUNT_ALLOCATIONS -Ilearn "$here/learn_main.c" learn.o -pthread -lm -Wl,--wrap=malloc,--wrap=aligned_alloc -o learner
try "training in reserved memory" ./learner
nm -u learn.o | awk '{ print $2 }' >log
! grep -E '^(H5|jpeg|png|exit$|abort$|printf$|fprintf$)' log >/dev/null && ok || bad "training library: what it must not call"
nm -g --defined-only learn.o | awk '{ print $3 }' >log
! grep -v '^learn_' log >/dev/null && ok || bad "training library: names without the prefix"
try "two networks in one program" gcc -r -nostdlib probe.o learn.o -o both.o
try "training under the thread sanitizer" sh -c "gcc -std=c11 -O0 -g -march=native -DTHREADS=6 -DLEARN_NO_MAIN -fsanitize=thread -Ilearn '$here/learn_main.c' learn/learn.c -pthread -lm -o learn_threads && setarch -R ./learn_threads"

# ---- the headers' examples
for name in probe learn; do
  sed -n '/^ \*   #include/,/^ \*   }$/s/^ \* \{0,3\}//p' $name/$name.h >$name/example.c
  # shellcheck disable=SC2086
  try "$name.h: example" gcc -std=c11 $strict -I$name $name/example.c $name.o -lm -o $name/example
  (cd $name && ./example >../log 2>&1) && grep -qE '^[0-9.e-]+$' log && ok || bad "$name.h: running the example"
done
finish
