#!/bin/sh
# demo.sh BUILD OUT: the main job on real images.  A small CNN learns three kinds of clothes from 855 images, then
# predicts; what it makes stays in OUT.
set -eu
build=$1 out=$2
netc=$build/netc
mkdir -p "$out"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

say "1. 855 images of three classes to train, 300 to test"
rm -rf "$out/clothes"
"$build/fashion" --classes pullover,dress,coat --train 855 --test 300 --size 100 --channels 1 "$out/clothes"
ls "$out/clothes/train"

say "2. what the network will do and need, before anything runs"
"$netc" summary examples/naive_cnn.net --silence NT012

say "3. compile: .net to C to an executable"
"$netc" emit examples/naive_cnn.net -o "$out" --silence NT012
"$netc" build examples/naive_cnn.net -o "$out/naive_cnn" --silence NT012

say "4. train"
"$out/naive_cnn" train "$out/clothes/train" --epochs 6 --save "$out/naive_cnn.h5" --log "$out/naive_cnn.csv" \
  --report "$out/naive_cnn.html"

say "5. accuracy on images it has never seen"
"$out/naive_cnn" eval "$out/clothes/test" --weights "$out/naive_cnn.h5"

say "6. predict three files"
set -- "$(ls "$out"/clothes/test/coat/* | head -n 1)" "$(ls "$out"/clothes/test/dress/* | head -n 1)" \
  "$(ls "$out"/clothes/test/pullover/* | head -n 1)"
"$out/naive_cnn" predict "$@" --weights "$out/naive_cnn.h5"

say "7. can a small CNN trained from scratch do better than a pretrained one?"
rm -rf "$out/other" "$out/small"
"$build/fashion" --classes tshirt,trouser,sandal,shirt,sneaker,bag,boot --train 2100 --test 70 --size 64 --channels 1 \
  "$out/other"
"$build/fashion" --classes pullover,dress,coat --train 855 --test 30 --size 64 --channels 1 "$out/small"
mkdir -p "$out/question"
cp examples/clothes/*.net "$out/question"
"$netc" build "$out/question/pretrain.net" -o "$out/question/pretrain"
"$out/question/pretrain" train "$out/other/train" --save "$out/question/pretrained.h5"
"$netc" compare "$out/question/scratch.net" "$out/question/frozen.net" "$out/question/tuned.net" \
  --data "$out/small/train" --html "$out/compare.html"

say "what is left in $out/"
cat <<EOF
  naive_cnn.c     the emitted C: the whole program in one file
  naive_cnn       the executable
  naive_cnn.h5    the trained weights, as Keras's load_weights reads them
  naive_cnn.csv   loss and accuracy of every step
  naive_cnn.html  curves and confusion matrix
  compare.html    from scratch, frozen and fine-tuned, side by side
EOF
