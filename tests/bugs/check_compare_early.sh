#!/usr/bin/env bash
# check_compare_early.sh BUILD: `netc compare` says what is wrong with a file or the data before it trains the first.
set -u
netc=$(cd "$1" && pwd)/netc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir data
cat >good.net <<'NET'
network good { input(8x8x1); flatten(); dense(2, softmax) }
train good { loss categorical_crossentropy; optimizer adam; epochs 1 }
NET
printf 'network plain { input(8x8x1); flatten(); dense(2, softmax) }\n' >plain.net
passed=0 failed=0
# early TEXT ARGUMENTS...
early() {
  local text=$1
  shift
  "$netc" compare "$@" >output 2>&1
  if [ $? = 1 ] && grep -qF -- "$text" output && ! grep -q "^==" output; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED compare $*"
    head -5 output
  fi
}
early "nosuch.net" good.net nosuch.net --data data
early "nowhere" good.net --data nowhere
early 'plain.net has no `train` section' good.net plain.net --data data
echo "compare: $passed passed, $failed failed"
[ $failed = 0 ]
