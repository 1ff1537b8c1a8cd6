#!/usr/bin/env bash
# check_isa.sh BUILD: one C file for every processor. What it chooses when it runs gives the same bits as a file made
# for that instruction set alone; an emulated processor without the instructions gets a set it has.
set -u
. "$(dirname "$0")/lib.sh"
probe || exit 1

compile() { # NAME FOLDER COMPILER FLAGS...
  local name=$1 folder=$2
  shift 2
  try "compile $name" "$@" "-I$folder" "$here/predict_main.c" "$folder/probe.c" -o "$name" -lm
}
compile auto probe gcc -O1 -fopenmp
compile auto_clang probe clang -O0
widest=$(./auto probe/probe.weights.bin | head -n 1)
for set in $(printf '%s\n' "$widest" avx2 portable | sort -u); do
  try "emit --isa $set" "$netc" emit "$here/probe.net" --infer --isa "$set" -o "$set.d"
  compile "only_$set" "$set.d" gcc -O1
done
./auto probe/probe.weights.bin >auto.txt
./only_"$widest" probe/probe.weights.bin >only.txt
same "chosen and only $widest" auto.txt only.txt
./auto_clang probe/probe.weights.bin >clang.txt
near "gcc and clang" auto.txt clang.txt
./only_portable probe/probe.weights.bin >portable.txt
near "$widest and portable" auto.txt portable.txt
# Only the network's prefix is visible, and nothing that changes is global.
try "compile an object" gcc -O0 -fopenmp -c probe/probe.c -o auto.o
nm -g --defined-only auto.o | awk '{ print $3 }' | grep -v '^probe_' >log
[ ! -s log ] && ok || bad "names without the prefix"
size -A auto.o | awk '($1 == ".data" || $1 == ".bss") && $2 > 0' >log
[ ! -s log ] && ok || bad "memory that changes"
# Flags that name a set leave one copy of the kernels.
for level in x86-64-v3 x86-64-v4; do
  try "compile -march=$level" gcc -O0 -march=$level -c probe/probe.c -o $level.o
  nm $level.o >log
  grep -q probe_code log && ! grep -q probe_code_avx2 log && ok || bad "-march=$level holds several sets"
done
# Emulated processors: Westmere has no AVX, Haswell has AVX2 and FMA.
if command -v qemu-x86_64 >/dev/null; then
  qemu-x86_64 -cpu Westmere ./auto probe/probe.weights.bin >westmere.txt 2>log
  same "a processor without AVX" portable.txt westmere.txt
  qemu-x86_64 -cpu Haswell ./auto probe/probe.weights.bin >haswell.txt 2>log
  [ "$(head -n 1 haswell.txt)" = avx2 ] && ok || bad "a processor with AVX2 runs $(head -n 1 haswell.txt)"
  qemu-x86_64 -cpu Haswell ./only_avx2 probe/probe.weights.bin >haswell2.txt 2>log
  same "a processor with AVX2" haswell.txt haswell2.txt
  qemu-x86_64 -cpu Westmere ./only_avx2 probe/probe.weights.bin >log 2>&1
  grep -q "lacks the instruction set" log && ok || bad "AVX2 where there is none"
else
  echo "skipped: no qemu-x86_64 (Debian: qemu-user)"
fi
# Names and wrong names.
"$netc" emit "$here/probe.net" --isa sse9 -o no >log 2>&1
[ $? = 2 ] && grep -q "auto, avx512, avx2, neon or portable" log && ok || bad "--isa sse9"
try "emit --isa neon" "$netc" emit "$here/probe.net" --infer --isa neon -o neon.d
gcc -c -O0 neon.d/probe.c -o /dev/null >log 2>&1
grep -q "made for another processor" log && ok || bad "NEON on this processor"
try "NEON as plain C" gcc -c -O0 -DNETC_PORTABLE neon.d/probe.c -o /dev/null
# The model: products with vectors of 16 floats are so fast that one image pays for 2x2 tiles' fewer weights from memory.
echo 'network few { input(12x12x512); conv2d(512, 3x3, same); conv2d(512, 3x3, same) }' >few.net
for isa in avx512:2 auto:2 avx2:0; do
  "$netc" emit few.net --infer --isa ${isa%:*} -o few >log 2>&1
  packs=$(grep -c "winograd_pack(2, &" few/few.c)
  [ "$packs" = ${isa#*:} ] && ok || bad "--isa ${isa%:*}: $packs layers have 2x2 tiles for few images"
done
# Programs that are built for the processor at work, and what is said of them, follow its vectors.
[ "$widest" = avx512 ] && here_packs=2 || here_packs=0
packs=$("$netc" summary few.net | grep -c "winograd 2x2 below")
[ "$packs" = "$here_packs" ] && ok || bad "summary: $packs layers have 2x2 tiles for few images"
# A copy under another name says what it is called.
cp probe/probe.c other.c
try "another file name" gcc -O0 -c "-DPROBE_FILE=\"other.c\"" other.c -o /dev/null
finish
