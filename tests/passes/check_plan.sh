#!/usr/bin/env bash
# check_plan.sh BUILD: the arena of every network of the zoo, training and prediction, is within 5 % of the bytes that are
# alive at once; with a memory limit too, and the least that the message names is enough.
set -u
netc=$(cd "$1" && pwd)/netc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$work" || exit 1
passed=0 failed=0

# plans NAME: every line of the memory plan of the summary in `out`
plans() {
  local over
  if ! grep -q '`step` at batch' out; then failed=$((failed + 1)); echo "FAILED $1: no plan"; head -3 out; return; fi
  over=$(sed -nE 's/.*(`.*`) at batch.*packing adds ([0-9.]+) %/\1 \2/p' out | awk '$2 > 5')
  if [ -z "$over" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1: $over % above what is alive"; fi
}

for file in "$top"/examples/zoo/*.net; do
  name=$(basename "$file" .net)
  [ "$name" = resnet ] && continue # the blocks of the others
  for side in 128 224; do
    net() { printf 'import "zoo/%s.net"\nnetwork n {\n  input(%sx%sx3)\n  %s()\n}\ntrain n { loss categorical_crossentropy; optimizer adam; batch 32; silence NT001%s }\n' \
      "$name" $side $side "$name" "$1" >n.net; }
    net ""
    "$netc" summary n.net >out 2>&1
    plans "$name at $side"
    [ $side = 128 ] || continue
    net "; memory 1MB"
    least=$("$netc" summary n.net 2>&1 | sed -nE 's/help: `memory ([0-9]+[KM]B)` would do.*/\1/p')
    net "; memory $least"
    "$netc" summary n.net --verify-each >out 2>&1
    plans "$name in $least"
    if grep -q "^made again " out; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name: nothing is made again in $least"; fi
  done
done
echo "plan: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 30 ]
