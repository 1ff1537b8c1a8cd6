#!/usr/bin/env bash
# check_variants.sh BUILD: augmented variants in the feature cache: the same bits whether they are kept in memory, in a
# file or not at all; what is computed again when an image, a weight, the preprocessing or the augmentation changes.
set -u
. "$(dirname "$0")/../lib.sh"

cc -std=c11 -D_GNU_SOURCE -O1 $(pkg-config --cflags hdf5) "$top/tests/runtime/make_data.c" -o make_data \
  $(pkg-config --libs hdf5) -ljpeg -lpng -lz -lpthread -lm >compile.log 2>&1 &&
  ./make_data data || { cat compile.log; echo "make_data failed"; exit 1; }

# net PREPROCESS ANGLE VARIANTS [TAIL]: random layers (a draw inside the frozen part too), a frozen part, a random head
net() {
  cat >variants.net <<NET
block pretrained() {
  conv2d(8, 3x3, same, relu, name = "base_1") -> batchnorm(name = "base_bn") -> dropout(0.1)
    -> conv2d(12, 3x3, strides = 2, relu, name = "base_2")
}
network variants {
  input(16x16x1, preprocess = $1)
  random_flip(horizontal)
  random_rotation($2)
  base = pretrained()
  weights base from "base.h5"
  freeze base
  flatten()
  dropout(0.25)
  dense(3, softmax)
}
train variants {
  loss categorical_crossentropy; optimizer adam(1e-2); metrics accuracy; batch 8; epochs 5
  validation split 0.2 stratified; cache auto variants $3
}
NET
}
build() { # NAME
  run "$netc" build variants.net -o "$1" --cflags -O0
  check "build $1" 0
}
train() { # EXE NAME ARGUMENTS...
  local exe=$1 name=$2
  shift 2
  run "./$exe" train data/train --save "$name.h5" --log "$name.csv" --seed 5 "$@"
}
/usr/bin/python3 - <<'PYTHON'
import h5py
import numpy as np
rng = np.random.RandomState(3)
with h5py.File("base.h5", "w") as f:
    shapes = {"base_1": {"kernel": (3, 3, 1, 8), "bias": (8,)},
              "base_bn": {n: (8,) for n in ("gamma", "beta", "moving_mean", "moving_variance")},
              "base_2": {"kernel": (3, 3, 8, 12), "bias": (12,)}}
    f.attrs["layer_names"] = [n.encode() for n in shapes]
    for layer, weights in shapes.items():
        g = f.create_group(layer)
        g.attrs["weight_names"] = [f"{layer}/{n}:0".encode() for n in weights]
        for name, shape in weights.items():
            g.create_dataset(f"{layer}/{name}:0", data=rng.uniform(.1, .5, shape).astype("f4") - (.3 if name == "kernel" else 0))
PYTHON

net unit 0.1 3
run "$netc" summary variants.net
check "summary" 0 "once per image" 'up to `flatten`' "of training images 3 variants"
run "$netc" check variants.net
check "no warning" 0
grep -q NT0 output && bad "a warning although variants are kept"
build prog

# ---- 72 images to train x 3 variants, 18 to validate
train prog off --cache off
check "nothing kept" 0 "72 images to train, 18 to validate"
train prog memory --cache memory
check "in memory" 0 "234 computed, 0 found, up to 3 variants of a training image, in memory"
same "memory: weights" off.h5 memory.h5
same "memory: log" off.csv memory.csv
train prog file --cache file --cache-file rows
check "in a file" 0 "234 computed, 0 found"
same "file: weights" off.h5 file.h5
train prog file --cache file --cache-file rows
check "the file again" 0 "0 computed, 234 found"
same "file again: weights" off.h5 file.h5
train prog threads --cache file --cache-file rows --threads 1
same "one thread" off.h5 threads.h5
cp rows whole

# ---- only what the epochs ahead need; more epochs compute the rest
train prog short --cache file --cache-file few --epochs 2
check "two epochs" 0 "162 computed, 0 found"
train prog short --cache file --cache-file few
check "all epochs" 0 "72 computed, 162 found"
same "variants made later" off.h5 short.h5

# ---- stopped and resumed
train prog whole_run --cache memory --epochs 200
check "a longer run" 0
for delay in 0.3 0.15 0.6; do
  rm -f part.h5
  ./prog train data/train --save part.h5 --log part.csv --seed 5 --cache memory --epochs 200 >output 2>&1 &
  pid=$!
  sleep $delay
  kill -INT $pid 2>/dev/null
  wait $pid
  [ $? = 130 ] && break
done
train prog part --cache memory --epochs 200 --resume
check "resumed" 0 "resuming part.h5"
same "resumed: weights" whole_run.h5 part.h5

# ---- a seed draws other variants, validation keeps its rows
cp whole rows
run ./prog train data/train --save seed.h5 --log seed.csv --seed 6 --cache file --cache-file rows
check "another seed" 0 "features of the frozen part"
grep -qE "features of the frozen part: (21[6-9]|22[0-9]|23[0-3]) computed" output && ok || { bad "another seed"; cat output; }
[ "$(stat -c %s rows)" -le $(($(stat -c %s whole) + 18 * 4096)) ] && ok || bad "rows of another seed were not written over"

# ---- one image
cp whole rows
cp data/train/ape/"$(ls data/train/ape | head -1)" saved.img
first=data/train/ape/$(ls data/train/ape | head -1)
/usr/bin/python3 - "$first" <<'PYTHON'
import sys
from PIL import Image
image = Image.open(sys.argv[1])
image.putpixel((3, 3), 255 - image.getpixel((3, 3)) if isinstance(image.getpixel((3, 3)), int) else (1, 2, 3))
image.save(sys.argv[1])
PYTHON
train prog image --cache file --cache-file rows
if grep -qE "features of the frozen part: (1|3) computed" output; then ok; else bad "one image: more or less than its rows"; grep features output; fi
cp saved.img "$first"

# ---- one weight: everything
/usr/bin/python3 - <<'PYTHON'
import h5py
with h5py.File("base.h5", "r+") as f:
    f["base_2/base_2/kernel:0"][0, 0, 0, 0] += 1e-3
PYTHON
cp whole rows
train prog weight --cache file --cache-file rows
check "one weight" 0 "234 computed, 0 found"
/usr/bin/python3 - <<'PYTHON'
import h5py
with h5py.File("base.h5", "r+") as f:
    f["base_2/base_2/kernel:0"][0, 0, 0, 0] -= 1e-3
PYTHON

# ---- torn: a truncated file, a flipped bit, a damaged head
cp whole rows
size=$(stat -c %s whole)
truncate -s $((size - 30)) rows
train prog torn --cache file --cache-file rows
check "truncated" 0 "1 computed, 233 found"
same "truncated: weights" off.h5 torn.h5
cp whole rows
printf 'x' | dd of=rows bs=1 seek=$((size / 2)) conv=notrunc status=none
train prog torn --cache file --cache-file rows
check "a bit flipped" 0 "1 computed, 233 found, damaged ones made anew"
same "flipped: weights" off.h5 torn.h5
same "flipped: the file is whole again" whole rows
printf 'xxxx' | dd of=rows bs=1 seek=20 conv=notrunc status=none
train prog torn --cache file --cache-file rows
check "a damaged head" 0 "234 computed, 0 found"

# ---- the program: preprocessing, augmentation, K
net tf 0.1 3
build preprocess
cp whole rows
train preprocess preprocess --cache file --cache-file rows
check "another preprocessing" 0 "234 computed, 0 found"
net unit 0.11 3
build angle
cp whole rows
train angle angle --cache file --cache-file rows
check "another angle: validation is kept" 0 "216 computed, 18 found"
train angle angle_off --cache off
same "another angle: the same bits" angle_off.h5 angle.h5
different "another angle" off.h5 angle.h5
net unit 0.1 4
build four
cp whole rows
train four four --cache file --cache-file rows
check "one variant more" 0 "72 computed, 234 found"
train four four_off --cache off
same "one variant more: the same bits" four_off.h5 four.h5

finish variants
