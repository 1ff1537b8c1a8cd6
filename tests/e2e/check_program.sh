#!/usr/bin/env bash
# check_program.sh BUILD: a real network from its .net file to predictions: the emitted C under several compilers and
# sanitizers, the same bits whatever the threads, interruption and resumption, bad input, a full disk, Keras's files.
set -u
. "$(dirname "$0")/../lib.sh"

# near NAME A.h5 B.h5 TOLERANCE: the datasets y of two prediction files
near() {
  if /usr/bin/python3 - "$2" "$3" "$4" <<'PYTHON'
import sys
import h5py
import numpy as np
a, b = (h5py.File(p)["y"][()] for p in sys.argv[1:3])
sys.exit(not (a.shape == b.shape and np.max(np.abs(a - b)) <= float(sys.argv[3])))
PYTHON
  then ok; else bad "$1"; fi
}

hdf5_flags=$(pkg-config --cflags hdf5 2>/dev/null)
hdf5_libs=$(pkg-config --libs hdf5 2>/dev/null || echo -lhdf5)
strict="-std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror"
# compile COMPILER FLAGS SOURCE OUT
compile() {
  # shellcheck disable=SC2086
  "$1" $2 $hdf5_flags "$3" -o "$4" $hdf5_libs -ljpeg -lpng -lz -lpthread -lm >compile.log 2>&1
  status=$?
  if [ $status = 0 ]; then ok; else bad "$1 $2 $3"; head -20 compile.log; fi
}

compile cc "-std=c11 -D_GNU_SOURCE -O1" "$top/tests/runtime/make_data.c" make_data
./make_data data || { echo "make_data failed"; exit 1; }

cat >probe.net <<'NET'
network probe {
  input(16x16x1, preprocess = unit)
  conv2d(8, 3x3, same, relu)
  conv2d(16, 3x3, same, relu)
  maxpool(2x2)
  flatten()
  dense(12, relu)
  dropout(0.25)
  dense(3, softmax)
}

train probe {
  loss       categorical_crossentropy
  optimizer  adam
  metrics    accuracy
  batch      8
  epochs     3
  validation split 0.2 stratified
}
NET
run "$netc" emit probe.net -o c
check "emit" 0
cp c/probe.c first.c
run "$netc" emit probe.net -o c
check "emit again" 0
same "the same bytes of C" first.c c/probe.c

# ---- compilers
compile gcc "$strict -O1 -march=native -fopenmp" c/probe.c probe
compile gcc "$strict -O1 -DNETC_PORTABLE -Wno-unknown-pragmas" c/probe.c portable
compile gcc "-std=c11 -O0 -g -march=native -fopenmp -fsanitize=address,undefined -fno-sanitize-recover" c/probe.c sanitized
if command -v clang >/dev/null; then
  compile clang "$strict -O1 -march=native -fopenmp" c/probe.c with_clang
fi

# ---- the same numbers
run ./probe train data/train --save a.h5 --log a.csv
check "train" 0 "72 images to train, 18 to validate" "epoch 3/3" "confusion matrix" "saved a.h5"
run ./probe predict data/test --weights a.h5 --out a_pred.h5
check "predict" 0
for threads in 1 3; do
  run ./probe train data/train --save t.h5 --log t.csv --threads $threads
  check "$threads threads" 0
  same "$threads threads: weights" a.h5 t.h5
  same "$threads threads: log" a.csv t.csv
done
run ./sanitized train data/train --save s.h5 --log s.csv --report s.html
check "under sanitizers" 0 "saved s.h5"
grep -q "<svg" s.html && ok || bad "no curves in the report"
run ./sanitized eval data/test --weights s.h5 --json
check "eval under sanitizers" 0 '"confusion": [['
run ./probe train data/train --check-grad
check "gradients" 0 "conv2d/kernel" "dense_1/bias"
for other in portable with_clang; do
  [ -x $other ] || continue
  run ./$other predict data/test --weights a.h5 --out other.h5
  check "$other predicts" 0
  near "$other differs from the native program" a_pred.h5 other.h5 1e-5
  run ./$other train data/train --save other.h5 --epochs 1
  check "$other trains" 0 "saved other.h5"
done
run ./probe predict data/test/ape data/test/bee/501.jpg --weights a.h5 --json
check "predict as JSON" 0 '"probability"' '"y": ['

# ---- where the time goes
run ./sanitized bench --layers
check "bench --layers" 0 "prediction, batch 1" "operators" "conv2d_1 " "dense_1 " "softmax" "sum "
run ./sanitized bench --layers --train --batch 5
check "bench --layers --train" 0 "training step, batch 5" "conv2d_1, backward" "conv2d_bwd_w" "dense, backward" "loss"
run ./probe bench --layers --train --json
check "bench --layers --json" 0 '"layer": "conv2d_1", "pass": "backward"'
/usr/bin/python3 - output <<'PYTHON' && ok || bad "the layers do not add up to the step"
import json
import sys
report = json.load(open(sys.argv[1]))
layers = report["layers"]
total = sum(layer["ms"] for layer in layers)
flops = {(layer["layer"], layer["pass"]): layer["flops"] for layer in layers if "once more" != layer["pass"]}
backward = sum(layer["flops"] for layer in layers if (layer["layer"], layer["pass"]) == ("dense_1", "backward"))
# Batch 8; dense_1 takes 12 numbers to 3: its backward work is the gradients of input and weights.
sys.exit(not (0.3 < total / report["median_ms"] < 3 and flops["dense_1", "forward"] == 8 * 2 * 12 * 3 and
              backward == 2 * 8 * 2 * 12 * 3))
PYTHON
cat >frozen.net <<'NET'
network frozen {
  input(16x16x1)
  conv2d(8, 3x3, relu)
  flatten()
  dense(3, softmax)
  freeze "conv2d"
}
train frozen { loss categorical_crossentropy; optimizer adam; silence NT001, NT002, NT003 }
NET
run "$netc" build frozen.net --cflags -O0
check "a frozen layer" 0
run ./frozen bench --layers --train
awk '/^layer /{getline; print $1; exit}' output >first
echo conv2d >wanted
same "the frozen layer comes first" first wanted
for command in "bench --layers" "info --json" "predict data/test --weights a.h5" "eval data/test --weights a.h5" --help; do
  ./probe $command >/dev/full 2>output
  status=$?
  check "$command onto a full disk" 1 "error: cannot write to standard output"
done
run ./probe bench --layers --worker
check "--layers with --worker" 2 "--worker" "--layers"

# ---- interrupted and resumed
run ./probe train data/train --save whole.h5 --log whole.csv --epochs 60
check "a longer run" 0
stopped=0
for delay in 0.2 0.5; do
  rm -f part.h5
  ./probe train data/train --save part.h5 --log part.csv --epochs 60 >output 2>&1 &
  pid=$!
  sleep $delay
  kill -INT $pid 2>/dev/null
  wait $pid
  status=$?
  [ $status = 0 ] && continue
  stopped=$((stopped + 1))
  check "Ctrl-C after $delay s" 130 "--resume"
  run ./probe train data/train --save part.h5 --log part.csv --epochs 60 --resume
  check "resume after $delay s" 0 "resuming part.h5"
  same "resumed after $delay s: weights" whole.h5 part.h5
  same "resumed after $delay s: log" whole.csv part.csv
done
[ $stopped -gt 0 ] && ok || bad "the run could not be interrupted"

# ---- a full disk leaves the old file
cp a.h5 full.h5
(trap '' XFSZ; ulimit -f 8; exec ./probe train data/train --save full.h5 --epochs 1) >output 2>&1
status=$?
check "no room to save" 1 "full.h5"
same "no room to save" a.h5 full.h5

# ---- bad input: one message, nothing written
refuse() {
  local name=$1 data=$2 text=$3
  rm -f refused.h5
  run ./probe train "$data" --save refused.h5
  check "$name" 1 "error: " "$text"
  absent "$name" refused.h5
}
refuse "no such data" nowhere "nowhere: No such file"
refuse "empty class folder" data/bad/empty_class "class folder holds no images"
refuse "one class for three units" data/bad/one_class "has 1 class folder, the network's head tells 3 classes apart"
refuse "no y" data/bad/no_y.h5 "has no dataset y"
refuse "short y" data/bad/short_y.h5 "dataset y has shape"
refuse "floats of another size" data/bad/wrong_floats.h5 "dataset x has shape"
refuse "x of another type" data/bad/wrong_type.h5 "must be uint8 (pixels) or float32"
refuse "text instead of HDF5" data/bad/text.h5 "is neither a folder nor an HDF5 file"
run ./probe train data/bad/some_bad --save some.h5 --epochs 1
check "bad images are skipped" 0 "is text, not an image" "is a truncated JPEG" "5 unreadable images skipped, 24 left"
run ./probe train data/bad/some_bad --save strict.h5 --strict
check "bad images with --strict" 1
absent "bad images with --strict" strict.h5
run ./probe eval data/test --weights "$top/tests/runtime/layouts/tiny.keras"
check "weights of another network" 1 "does not fit" "nothing was loaded"
run ./probe train data/train --epohcs 3
check "wrong option" 2 "did you mean \`--epochs\`?"

# ---- Keras's files, every layout
cat >tiny.net <<'NET'
network tiny {
  input(8x8x3)
  conv2d(4, 3x3, same, relu, name = "block1_conv1")
  maxpool(2x2, name = "block1_pool")
  depthwise_conv2d(3x3, padding = same, use_bias = false, name = "block2_dw")
  batchnorm(name = "block2_bn")
  relu(max_value = 6, name = "block2_relu")
  flatten(name = "flatten")
  dense(5, relu, name = "dense")
  dropout(0.25, name = "dropout")
  dense(3, softmax, name = "dense_1")
  weights from "published.keras"
}

train tiny {
  loss      categorical_crossentropy
  optimizer adam
}
NET
run "$netc" emit tiny.net -o c
check "emit tiny" 0
compile gcc "-std=c11 -O0 -march=native -fopenmp" c/tiny.c tiny
layouts=$top/tests/runtime/layouts
for kind in weights_legacy.h5 full_legacy.h5 weights.h5 keras tfkeras2.h5 tfkeras2_full.h5 keras1.h5; do
  run ./tiny predict "$layouts/tiny.io.h5" --weights "$layouts/tiny.$kind" --out tiny_pred.h5
  check "predict with tiny.$kind" 0
  near "outputs with tiny.$kind" "$layouts/tiny.io.h5" tiny_pred.h5 2e-6
done
for saved in again.h5 again.weights.h5; do
  run ./tiny train "$layouts/tiny.io.h5" --weights "$layouts/tiny.keras" --epochs 0 --save $saved
  check "save as $saved" 0
  run ./tiny predict "$layouts/tiny.io.h5" --weights $saved --out tiny_pred.h5
  check "predict with $saved" 0
  near "outputs with $saved" "$layouts/tiny.io.h5" tiny_pred.h5 2e-6
done
# Weights that Keras has fetched.
mkdir -p home/.keras/models keras/models
cp "$layouts/tiny.keras" home/.keras/models/published.keras
cp "$layouts/tiny.keras" keras/models/published.keras
for place in HOME="$PWD/home" KERAS_HOME="$PWD/keras"; do
  run env HOME="$PWD" "$place" ./tiny train "$layouts/tiny.io.h5" --epochs 0 --save fetched.h5
  check "weights in ${place%%=*}" 0
  run ./tiny predict "$layouts/tiny.io.h5" --weights fetched.h5 --out tiny_pred.h5
  near "outputs with weights in ${place%%=*}" "$layouts/tiny.io.h5" tiny_pred.h5 2e-6
  rm -f fetched.h5
done
run env -u KERAS_HOME HOME="$PWD" ./tiny train "$layouts/tiny.io.h5" --epochs 0 --save fetched.h5
check "weights nowhere" 1 "published.keras: no such file, here"

finish program
