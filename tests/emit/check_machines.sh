#!/usr/bin/env bash
# check_machines.sh BUILD: the emitted file on other processors, cross-compiled and run under an emulator: 64-bit ARM
# with NEON, a big-endian machine, a 32-bit machine. Weights written here are read there.
set -u
. "$(dirname "$0")/lib.sh"
probe || exit 1
"$netc" emit "$here/probe.net" --infer --weights probe.h5 --half -o half >/dev/null
"$netc" emit "$here/probe.net" --infer --weights probe.h5 --embed -o embed
try "compile here" gcc -O1 -DNETC_PORTABLE -Iprobe "$here/predict_main.c" probe/probe.c -o here -lm
./here probe/probe.weights.bin >here.txt
./here half/probe.weights.bin >here_half.txt
near "in place and loaded" <(./here probe/probe.weights.bin place) here.txt

machine() { # NAME COMPILER EMULATOR SET
  local name=$1 cc=$2 run=$3 set=$4
  if ! command -v "$cc" >/dev/null || ! command -v "$run" >/dev/null; then
    echo "skipped: $name ($cc and $run are not both here)"
    return
  fi
  # shellcheck disable=SC2086
  try "$name: compile" "$cc" -std=c11 -O1 $strict -static -Iprobe "$here/predict_main.c" probe/probe.c -o "$name" -lm
  try "$name: run" "$run" "./$name" probe/probe.weights.bin
  cp log "$name.txt"
  [ "$(head -n 1 "$name.txt")" = "$set" ] && ok || bad "$name: runs $(head -n 1 "$name.txt"), not $set"
  near "$name: outputs" here.txt "$name.txt"
  if [ "$name" = s390x ]; then
    "$run" "./$name" half/probe.weights.bin >"$name.half.txt" 2>log
    near "$name: 16-bit weights" here_half.txt "$name.half.txt"
  fi
  "$run" "./$name" probe/probe.weights.bin place >"$name.place.txt" 2>log
  if [ "$name" = s390x ]; then # its floats lie the other way round
    grep -q "another version" log && ok || bad "$name: weights in place"
  else
    near "$name: weights in place" here.txt "$name.place.txt"
  fi
}
machine aarch64 aarch64-linux-gnu-gcc qemu-aarch64 neon
machine s390x s390x-linux-gnu-gcc qemu-s390x portable
machine armhf arm-linux-gnueabihf-gcc qemu-arm portable
# The vector layer and the register tile with NEON.
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
  make --no-print-directory -C "$top" BUILD="$work/b" check-kernels-neon >log 2>&1 && ok || bad "NEON kernels"
fi
# Weights inside the program, on the machine with the other byte order.
if command -v s390x-linux-gnu-gcc >/dev/null && command -v qemu-s390x >/dev/null; then
  try "s390x: weights inside" s390x-linux-gnu-gcc -O0 -static -Iembed "$here/predict_main.c" embed/probe.c -o inside -lm
  qemu-s390x ./inside inside >inside.txt 2>log
  near "s390x: weights inside" here.txt inside.txt
fi
finish
