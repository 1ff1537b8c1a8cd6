#!/usr/bin/env bash
# check_few_in_parts.sh BUILD: a convolution with one algorithm for few images and another for more, in a run of layers
# that threads take a few images at a time.  It chose by the images of such a part, whose number depends on the threads,
# and so did the bits of its results.
set -u
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
cat >parts.net <<END
network parts {
  input(64x64x3)
  conv2d(64, 3x3, same, relu)
  conv2d(64, 3x3, same, relu)
  maxpool(8x8)
  flatten()
  dense(3)
}
train parts { loss mse; optimizer sgd; epochs 1 }
END
cat >parts.tune <<END
netc-tune 1
network parts
processor any
isa portable
threads 2
batch 32
prediction convolution 64x64x64 to 64x64x64 window 3x3 pad 1x1 = winograd6 direct below 4
END
fail() {
  echo "FAILED: $1"
  cat log
  exit 1
}
"$build/netc" build parts.net -o parts --cflags -O1 >log 2>&1 || fail "build"
"$build/netc" emit parts.net --infer -o . >log 2>&1
grep -q "parts_in_parts(m, n, " parts.c && grep -q "if (m->images < 4)" parts.c || fail "no choice in micro-batches"
/usr/bin/python3 - <<END || exit 1
import h5py, numpy as np
draw = np.random.RandomState(1).uniform
with h5py.File("x.h5", "w") as f:
    f["x"] = draw(-1, 1, (19, 64, 64, 3)).astype(np.float32)
    f["y"] = draw(-1, 1, (19, 3)).astype(np.float32)
END
./parts train x.h5 --save w.h5 >log 2>&1 || fail "train"
for threads in 1 2 3 7; do
  ./parts predict x.h5 --weights w.h5 --out $threads.h5 --threads $threads >log 2>&1 || fail "predict with $threads threads"
done
/usr/bin/python3 - <<END || exit 1
import h5py
results = {h5py.File(f"{threads}.h5")["y"][()].tobytes() for threads in (1, 2, 3, 7)}
assert len(results) == 1, f"FAILED: {len(results)} results on 1, 2, 3 and 7 threads"
END
echo "few in parts: 1 passed, 0 failed"
