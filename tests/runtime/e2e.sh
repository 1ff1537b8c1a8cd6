#!/usr/bin/env bash
# The emitted program's command line, end to end, around the hand-written network of fake_model.h.
#   e2e.sh BUILD_DIR    with fake, fake_long (many epochs), fake_stop (early stopping), fake_binary, make_data in it
set -u
. "$(dirname "$0")/../lib.sh"
bin=$build

"$bin/make_data" data || { echo "make_data failed"; exit 1; }

# ---- training, evaluation, prediction
run "$bin/fake" train data/train --save a.h5 --log a.csv
check "train a folder" 0 "72 images to train, 18 to validate, 3 classes (ape, bee, cat)" "epoch 3/3" "val_accuracy" "saved a.h5"
[ "$(head -1 a.csv)" = "kind,epoch,step,loss,accuracy,learning_rate,val_loss,val_accuracy" ] && ok || bad "log header"
[ "$(grep -c '^step,' a.csv)" = 54 ] && ok || bad "a row per step"
[ "$(grep -c '^epoch,' a.csv)" = 6 ] && ok || bad "a row per epoch"
run "$bin/fake" eval data/test --weights a.h5
check "eval" 0 "30 images" "accuracy" "confusion matrix"
run "$bin/fake" eval data/test --weights a.h5 --json
check "eval as JSON" 0 '"images": 30' '"confusion": [['
run "$bin/fake" predict data/test/ape/500.png data/test/bee/501.jpg --weights a.h5
check "predict files" 0 "data/test/ape/500.png" "data/test/bee/501.jpg"
run "$bin/fake" predict data/test --weights a.h5 --json --top 3
check "predict a folder as JSON" 0 '"class": "ape"' '"class": "bee"' '"class": "cat"'
run "$bin/fake" predict data/bytes.h5 --weights a.h5 --out p.h5
check "predict into a file" 0
[ -s p.h5 ] && ok || bad "p.h5 is missing"
for table in bytes floats bigger; do
  run "$bin/fake" train data/$table.h5 --save t.h5 --epochs 1
  check "train on $table.h5" 0 "48 images to train, 12 to validate"
done
run "$bin/fake" train data/train --val data/test --save v.h5
check "validation data of their own" 0 "90 images to train, 30 to validate"
run "$bin/fake" info
check "info" 0 "phase 1 \`head\`" "523 parameters"
run "$bin/fake" info --json
check "info as JSON" 0 '"parameters": 523'
run "$bin/fake" bench
check "bench" 0 "prediction, batch 1" "images/s"
printf 'run 3\nquit\n' | "$bin/fake" bench --worker --train >output; status=$?
check "bench worker" 0 '"ready": true' '"load_ms"' '"first_ms"' '"ms": [' '"prefix_ms": [' '"head_ms": ['
run "$bin/fake_binary" train data/bad/two --save two.h5
check "one sigmoid unit, two classes" 0 "2 classes (ape, bee)"
run "$bin/fake_binary" predict data/bad/two --weights two.h5
check "predict with one sigmoid unit" 0 "ape" "bee"

# ---- the same bits
run "$bin/fake" train data/train --save b.h5 --log b.csv --threads 1
same "threads and runs: weights" a.h5 b.h5
same "threads and runs: log" a.csv b.csv
run "$bin/fake" train data/train --save b.h5 --log b.csv --threads 3 --cache off
same "cache off: weights" a.h5 b.h5
same "cache off: log" a.csv b.csv
run "$bin/fake" train data/train --save b.h5 --cache memory
same "cache in memory" a.h5 b.h5
run "$bin/fake" train data/train --save b.h5 --seed 2
different "another seed" a.h5 b.h5
run "$bin/fake" train data/train --save c.h5 --no-shuffle --log c.csv
different "order of the folder" a.h5 c.h5
run "$bin/fake" train data/train --save c.weights.h5
check "Keras 3 layout" 0
run "$bin/fake" eval data/test --weights c.weights.h5 --json
cp output c.txt
run "$bin/fake" eval data/test --weights a.h5 --json
same "both layouts hold the same" output c.txt

# ---- interrupted and resumed
run "$bin/fake_long" train data/train --save whole.h5 --log whole.csv --quiet
check "long run" 0
interrupted=0
for delay in 0.05 0.1 0.15 0.2 0.3; do
  rm -f part.h5
  "$bin/fake_long" train data/train --save part.h5 --log part.csv >output 2>&1 &
  pid=$!
  sleep $delay
  kill -INT $pid 2>/dev/null
  wait $pid
  status=$?
  [ $status = 0 ] && continue
  interrupted=$((interrupted + 1))
  check "Ctrl-C after $delay s" 130 "--resume"
  run "$bin/fake_long" train data/train --save part.h5 --log part.csv --resume --batch 4
  check "resume with another batch size" 1 "--batch was 8 there and is 4 now"
  run "$bin/fake_long" train data/train --save part.h5 --log part.csv --resume
  check "resume" 0 "resuming part.h5 after step" "saved part.h5"
  same "resumed after $delay s: weights" whole.h5 part.h5
  same "resumed after $delay s: log" whole.csv part.csv
done
[ $interrupted -gt 0 ] && ok || bad "no run could be interrupted"
run "$bin/fake_long" train data/train --save part.h5 --resume
check "resume a finished run" 0 "finished; nothing to resume"
run "$bin/fake" train data/train --save none.h5 --resume
check "resume nothing" 1 "none.h5: does not exist"

# ---- report
run "$bin/fake" train data/train --save r.h5 --report r.html
check "report" 0
grep -q "<svg" r.html && ok || bad "report without curves"

# ---- callbacks
run "$bin/fake_stop" train data/train --save stop.h5 --log stop.csv --no-shuffle
check "early stopping" 0 "early stopping: no better val_loss" "best weights restored"

# ---- the feature cache
run "$bin/fake" train data/train --save f.h5
check "features are computed" 0 "90 computed, 0 found, in f.h5.features"
run "$bin/fake" train data/train --save f.h5
check "features are found" 0 "0 computed, 90 found"
same "found features" a.h5 f.h5
cp data/train/bee/003.jpg data/train/bee/004.png.bak
cp data/test/cat/501.jpg data/train/cat/001.jpg
run "$bin/fake" train data/train --save f.h5
check "one image changed" 0 "1 computed, 89 found"
run "$bin/fake" train data/train --save f.h5 --weights b.h5
check "weights changed" 0 "90 computed, 0 found"
size=$(stat -c %s f.h5.features)
truncate -s $((size - 30)) f.h5.features
run "$bin/fake" train data/train --save f.h5 --weights b.h5
check "truncated cache" 0 "1 computed, 89 found"
printf 'x' | dd of=f.h5.features bs=1 seek=$((size / 2)) conv=notrunc status=none
cp f.h5 before.h5
run "$bin/fake" train data/train --save f.h5 --weights b.h5
check "flipped bits in the cache" 0 "1 computed, 89 found, damaged ones made anew"
same "after the repair" f.h5 before.h5
printf 'xxxx' | dd of=f.h5.features bs=1 seek=20 conv=notrunc status=none
run "$bin/fake" train data/train --save f.h5 --weights b.h5
check "damaged head of the cache" 0 "90 computed, 0 found"
mkdir folder.h5.features
run "$bin/fake" train data/train --save folder.h5 --weights b.h5
check "cache that cannot be written" 0 "90 computed, 0 found, in memory"
run "$bin/fake" train data/train --save folder.h5 --cache file
check "cache wanted in a file that cannot be written" 1 "folder.h5.features"

# ---- bad input: one message, nothing written
refuse() {
  local name=$1 data=$2 text=$3
  rm -f refused.h5
  run "$bin/fake" train "$data" --save refused.h5
  check "$name" 1 "$text"
  absent "$name" refused.h5
}
refuse "no such data" nowhere "nowhere: No such file"
refuse "empty class folder" data/bad/empty_class "data/bad/empty_class/dog: class folder holds no images"
refuse "one class for three units" data/bad/one_class "has 1 class folder, the network's head tells 3 classes apart"
refuse "no class folders" data/bad/no_class "holds no class folders"
refuse "no y" data/bad/no_y.h5 "has no dataset y"
refuse "short y" data/bad/short_y.h5 "dataset y has shape (20)"
refuse "wide y" data/bad/wide_y.h5 "5 floats per image, the network's loss takes 3"
refuse "floats of another size" data/bad/wrong_floats.h5 "dataset x has shape (30, 7, 6, 1)"
refuse "x of another type" data/bad/wrong_type.h5 "must be uint8 (pixels) or float32"
refuse "text instead of HDF5" data/bad/text.h5 "is neither a folder nor an HDF5 file"
refuse "a loss that is no number" data/bad/not_finite.h5 "the loss became"
run "$bin/fake" train data/bad/some_bad --save some.h5
check "bad images are skipped" 0 "text.png: is text, not an image" "truncated.jpg: is a truncated JPEG" "truncated.png: is a truncated PNG" \
  "nothing.png" "5 unreadable images skipped, 24 left"
run "$bin/fake" train data/bad/some_bad --save strict.h5 --strict
check "bad images with --strict" 1 "data/bad/some_bad/ape/empty.jpg"
absent "bad images with --strict" strict.h5
run "$bin/fake" eval data/test --weights data/bad/text.h5
check "weights that are no HDF5" 1 "data/bad/text.h5"
run "$bin/fake" eval data/test --weights two.h5
check "weights of another network" 1 "two.h5: does not fit" "head"
run "$bin/fake" train data/train --weights two.h5 --save w.h5
check "training from weights of another network" 1 "nothing was loaded"
absent "training from weights of another network" w.h5
run "$bin/fake" train data/train --save nowhere/x.h5
check "a folder that is not there" 1 "nowhere/x.h5"

# ---- a write that fails leaves the old file (the limit stands in for a full disk)
cp a.h5 full.h5
(trap '' XFSZ; ulimit -f 4; exec "$bin/fake" train data/train --save full.h5 --cache off) >output 2>&1
status=$?
check "no room to save" 1 "full.h5"
same "no room to save" a.h5 full.h5
[ -z "$(ls | grep part$)" ] && ok || bad "unfinished files are left: $(ls | grep part$)"

# ---- the command line
run "$bin/fake" train data/train --epohcs 3
check "wrong option" 2 "unknown option \`--epohcs\` (did you mean \`--epochs\`?)"
run "$bin/fake" train data/train --epochs three
check "wrong number" 2 "--epochs wants a whole number"
run "$bin/fake" trian data/train
check "wrong command" 2 "did you mean \`train\`?"
run "$bin/fake" train
check "no data" 2 "DATA is missing"
run "$bin/fake" predict x.png
check "no weights" 2 "--weights"
run "$bin/fake" train data/train --cache disk
check "wrong cache mode" 2 "auto, off, memory or file"
run "$bin/fake" --help
check "help" 0 "train" "eval" "predict" "bench" "info"
run "$bin/fake" predict --help
check "help of a command" 0 "--top K"
run "$bin/fake" --version
check "version" 0 "fake"

finish "runtime e2e"
