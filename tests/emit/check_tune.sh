#!/usr/bin/env bash
# check_tune.sh BUILD: `netc tune` measures and writes M.tune; build, emit, summary and dump follow it; edited by hand it
# forces algorithms, which give the same results within rounding; every mistake in it is named by file and line.
set -u
. "$(dirname "$0")/lib.sh"
cp "$here/probe.net" . && /usr/bin/python3 "$here/make_weights.py" probe.h5 || exit 1

# says NAME CODE TEXT COMMAND...: the command ends with the code and prints the text (empty: anything)
says() {
  local name=$1 code=$2 text=$3
  shift 3
  "$@" >log 2>&1
  local status=$?
  if [ "$status" != "$code" ]; then bad "$name: exit code $status instead of $code" log
  elif ! grep -qF -- "$text" log; then bad "$name: no \"$text\"" log
  else ok; fi
}
# silent_about NAME TEXT: the last command printed no such text
silent_about() { if grep -qF -- "$2" log; then bad "$1: \"$2\""; else ok; fi; }

# ---- measuring ----
cat >small.net <<'NET'
network small {
  input(20x20x16)
  conv2d(32, 3x3, same, relu, name = "a")
  maxpool(2x2)
  conv2d(32, 3x3, same, name = "b")
  flatten()
  dense(3, softmax)
}
train small { loss categorical_crossentropy; optimizer sgd(1e-2); batch 8; silence NT012 }
NET
says "measure" 0 "written to small.tune" "$netc" tune small.net --seconds 1 --threads 1 --cflags -O0
for text in "step, 8 images: model's choices" "prediction, 1 image: model's choices" "prediction, 8 images:"; do
  grep -q "$text" log && ok || bad "report: $text"
done
[ "$(grep -c ' = ' small.tune)" = 7 ] && ok || { cp small.tune log; bad "one line per piece of work"; }
grep -q '^threads 1$' small.tune && grep -q '^batch 8$' small.tune && grep -q '^network small$' small.tune && ok || bad "head of the file"
says "use it" 0 "netc: using small.tune (" "$netc" summary small.net
silent_about "nothing is stale" warning
says "prediction only" 0 "netc: using small.tune (" "$netc" emit small.net --infer -o infer
silent_about "steps are missing there for a reason" warning
says "batch and place" 0 "written to other.tune" "$netc" tune small.net --seconds 1 --batch 2 --threads 1 --cflags -O0 -o other.tune
grep -q '^batch 2$' other.tune && ok || bad "--batch"
cp small.tune before.tune
# The most candidates that a piece has: weights that are not packed, a pooling that is done on the way or apart.
sed 's/20x20x16/8x8x256/; s/conv2d(32/conv2d(512/' small.net >wide.net
says "many candidates" 0 "written to wide.tune" "$netc" tune wide.net --seconds 1 --batch 1 --threads 1 --cflags -O0
grep -q '^prediction .* pool = .*winograd6_raw' wide.tune && ok || { cp wide.tune log; bad "many candidates"; }
says "a compiler that fails" 1 "the C compiler failed" "$netc" tune small.net --cc false
says "a compiler that is none" 1 "cannot start the C compiler" "$netc" tune small.net --cc ./no-compiler
same "nothing was written" small.tune before.tune
printf 'network n { input(8)\ndense(3, softmax) }\n' >dense.net
says "nothing to tune" 0 "nothing to tune" "$netc" tune dense.net
says "--exact" 2 "--exact leaves" "$netc" tune small.net --exact
says "--isa" 2 "--isa wants" "$netc" tune small.net --isa mmx

# Interrupted while it compiles and while it measures: no file, no folder is left, and no program runs on.
mkdir here
sed 's/20x20x16/160x160x64/; s/conv2d(32/conv2d(256/' small.net >large.net
for at in "INT tune.c" "TERM tune"; do
  read -r signal moment <<<"$at"
  (
    set -m # else bash starts it with SIGINT ignored
    TMPDIR=$work/here "$netc" tune large.net --threads 1 --cflags -O0 >log 2>&1 &
    child=$!
    for ((i = 0; i < 300; i++)); do
      compgen -G "here/*/$moment" >/dev/null && break
      sleep 0.05
    done
    sleep 0.2
    kill -$signal $child
    wait $child
    echo $? >status
  ) 2>/dev/null
  [ "$(cat status)" = 130 ] && grep -q "nothing was written" log && ok || bad "$signal at $moment: $(cat status)"
done
: >log
[ -z "$(ls here)" ] && ! ls large.tune* >/dev/null 2>&1 && ok || bad "something was left behind"
pgrep -f "$work/here" >/dev/null && bad "a program runs on" || ok

# ---- edited by hand ----
head_lines='netc-tune 1
network probe
processor a machine */ of "mine"
isa avx2
threads 3
batch 5
'
second="prediction convolution 24x24x16 to 24x24x64 window 3x3 pad 1x1"
third="prediction convolution 24x24x64 to 24x24x64 window 3x3 pad 1x1"
tune() { { printf '%s' "$head_lines"; printf '%s\n' "$@"; } >probe.tune; }
uses() { # NAME ALGORITHM OF SECOND, OF THIRD
  says "$1" 0 "netc: using probe.tune (a machine */ of \"mine\", avx2, 3 threads, batch 5)" "$netc" dump probe.net --after select
  grep -E "= conv2d\(.*; second" log | grep -qF "$2" && grep -E "= conv2d\(.*; third" log | grep -qF "$3" && ok || bad "$1: not $2, $3"
}
predict() { # NAME: emits and runs
  try "emit $1" "$netc" emit probe.net --infer --weights probe.h5 -o "$1.d"
  try "compile $1" gcc $strict -std=c11 -O1 -march=native "-I$1.d" "$here/predict_main.c" "$1.d/probe.c" -o "$1" -lm
  "./$1" "$1.d/probe.weights.bin" >"$1.txt"
}
rm -f probe.tune
predict plain
tune "$second = winograd4" "$third = direct # by hand"
uses "swapped" "groups 1, winograd4," "groups 1, direct,"
predict swapped
near "swapped algorithms" plain.txt swapped.txt
cmp -s plain.txt swapped.txt && bad "the same bits from other algorithms" || ok
: >log
head -n 6 swapped.d/probe.c | grep -qF 'fastest on a machine ?/ of "mine", avx2, 3 threads, batch 5' && ok || bad "head of the emitted file"
"$netc" emit probe.net --infer --weights probe.h5 -o again.d >log 2>&1
same "same .net, same .tune" swapped.d/probe.c again.d/probe.c
tune "$second = winograd6 direct below 7" "  $third	=winograd6   # tabs and blanks"
uses "by the number of images" "direct below 7 images" "groups 1, winograd6,"
grep -q "third.*direct below" log && bad "direct below where none was asked for" || ok
predict below
tune "$second = winograd4 winograd2  below 3" "$third = winograd2"
uses "2x2 tiles" "groups 1, winograd4, bias, act 1, winograd2 below 3 images" "groups 1, winograd2,"
predict tiles2
near "2x2 tiles" plain.txt tiles2.txt
cmp -s plain.txt tiles2.txt && bad "the same bits from 2x2 tiles" || ok
tune "$second = winograd6 direct below 7" "  $third	=winograd6   # tabs and blanks"
near "by the number of images" plain.txt below.txt
"$netc" build probe.net -o program --cflags -O0 >log 2>&1
grep -q "using probe.tune" log && [ -x program ] && ok || bad "build"

# Left aside.
"$netc" emit probe.net --infer --weights probe.h5 --no-tune -o none.d >log 2>&1
silent_about "--no-tune" tune
same "--no-tune" plain.d/probe.c none.d/probe.c
says "--exact" 0 "not using probe.tune: --exact" "$netc" dump probe.net --after select --exact
silent_about "--exact" "winograd"
says "--isa" 0 "not using probe.tune: it was measured with avx2" "$netc" emit probe.net --isa portable -o isa.d
mv probe.tune mine.tune
says "--tune FILE" 0 "netc: using mine.tune" "$netc" emit probe.net --isa portable --tune mine.tune -o isa.d
says "--tune without a file" 1 "cannot read \`missing.tune\`" "$netc" summary probe.net --tune missing.tune
says "--tune of another network" 1 "it is of network \`probe\`" "$netc" summary small.net --tune mine.tune
cp mine.tune small.tune
says "beside another network" 0 "not using small.tune: it is of network \`probe\`" "$netc" summary small.net

# ---- mistakes ----
stale="prediction convolution 9x9x64 to 9x9x64 window 3x3 pad 1x1 = direct"
tune "$stale"
says "stale" 0 "probe.tune:7:1: warning tune: \`probe\` has no such convolution any more; " "$netc" summary probe.net
tune "$third = direct" "$stale" "step $stale" "${stale/prediction/prediction input}" 
says "several stale" 0 "probe.tune:8:1: warning tune: \`probe\` has no such convolution any more, nor those of 1 more" "$netc" summary probe.net
mistake() { # PLACE AND MESSAGE, LINES...
  local text=$1
  shift
  tune "$@"
  says "$text" 1 "probe.tune:$text" "$netc" summary probe.net
}
mistake "7:66: error: there is no algorithm \`winogrd6\`; did you mean \`winograd6\`?" "$second = winogrd6"
mistake "8:1: error: this piece of work has a line already" "$second = direct" "$second = winograd4"
mistake "7:1: error: expected \`KEY = ALGORITHM\`" "prediction convolution 24x24x16 to"
mistake "7:1: error: the line ends before the algorithm" "$second ="
mistake "7:66: error: after the algorithm nothing or \`ALGORITHM below N\`" "$second = winograd4 direct below"
mistake "7:66: error: after the algorithm nothing or \`ALGORITHM below N\`" "$second = winograd4 below 4"
mistake "7:76: error: there is no algorithm \`winograd3\`; did you mean" "$second = winograd4 winograd3 below 4"
mistake "7:66: error: after the algorithm nothing or" "$second = winograd4 winograd2 below 4 5"
mistake "7:66: error: \`winograd4 winograd4_raw below 4\` cannot compute this: few images want packed" "$third = winograd4 winograd4_raw below 4"
mistake "7:66: error: \`winograd4 winograd4 below 4\` cannot compute this: \`below\` wants another" "$third = winograd4 winograd4 below 4"
mistake "7:1: error: work stands in" "predictions $second = direct"
mistake "7:1: error: \`threads\` is a whole number" "threads many"
mistake "7:1: error: \`network\` is given twice" "network probe"
mistake "7:1: error: \`date\` without what it is" "date"
mistake "7:65: error: \`winograd4\` cannot compute this: it wants 3x3 windows" "prediction convolution 24x24x3 to 24x24x16 window 3x3 pad 1x1 = winograd4"
mistake "7:66: error: \`winograd4_raw\` cannot compute this: weights are taken unpacked only" "$third = winograd4_raw"
mistake "7:66: error: \`direct direct below 3\` cannot compute this" "$third = direct direct below 3"
mistake "7:66: error: \`winograd4 direct below 17\` cannot compute this: predictions are computed in parts" "$third = winograd4 direct below 17"
printf 'netc-tune 1\n%s = direct\n' "$second" >probe.tune
says "no network" 1 "probe.tune:2:1: error: a line \`network NAME\` must come before" "$netc" summary probe.net
printf 'netc-tune 2\nwhatever\n' >probe.tune
says "another format" 0 "probe.tune:1:1: warning tune: format 2 is not the one of this netc" "$netc" summary probe.net
silent_about "another format" using
printf '# nothing\n' >probe.tune
says "empty" 1 "the file is empty" "$netc" summary probe.net
printf 'network probe\n' >probe.tune
says "no version" 1 "probe.tune:1:1: error: not a file of \`netc tune\`" "$netc" summary probe.net
printf 'netc-tune 1\n\0' >probe.tune
says "zero bytes" 1 "zero bytes" "$netc" summary probe.net
finish
