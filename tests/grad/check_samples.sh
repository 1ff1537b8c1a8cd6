#!/bin/sh
# check_samples.sh BUILD: gradients of every operator's samples against finite differences, a few programs for all.
build=$(readlink -f "$1")
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
objects=$(find "$build/compiler" "$build/grammar" -name '*.o' ! -name main.o)
# shellcheck disable=SC2086,SC2046
${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -Icompiler -o "$work/samples" tests/grad/samples_net.c $objects \
  "$build/runtime_files.o" "$build/zoo_files.o" $(pkg-config --libs hdf5 2>/dev/null || echo -lhdf5) -lz -lm || exit 1
/usr/bin/python3 - "$work/data.h5" <<'EOF' || exit 1
import sys, h5py, numpy
random = numpy.random.default_rng(1)
with h5py.File(sys.argv[1], "w") as file:
    file["x"] = random.standard_normal((10, 6)).astype("float32")
    file["y"] = (numpy.arange(10) % 3).astype("int64")
EOF
parts=8
checked=0
for part in $(seq 0 $((parts - 1))); do
  "$work/samples" "$part" $parts >"$work/samples.net"
  "$build/netc" build "$work/samples.net" --cflags "${GRAD_CFLAGS:--O0}" -o "$work/program" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log"
    exit 1
  }
  "$work/program" train "$work/data.h5" --check-grad --threads 2 --batch 5 >"$work/out" 2>&1 || {
    cat "$work/samples.net"
    awk '$3 > 0.02' "$work/out"
    tail -n 3 "$work/out"
    exit 1
  }
  checked=$((checked + $(grep -c / "$work/out")))
done
echo "gradients of $checked weights: all tests pass"
