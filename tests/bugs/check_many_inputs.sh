#!/bin/bash
# check_many_inputs.sh BUILD: layers of many inputs.  Their places were counted to 256, and a
# wider merge ended netc; and a call with more than 4096 letters was cut off in the emitted text.
netc=$(readlink -f "$1")/netc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
{
  echo 'network many {'
  echo '  x = input(4) -> dense(4)'
  list=
  for i in $(seq 700); do
    echo "  v$i = x -> relu()"
    list="$list${list:+, }v$i"
  done
  echo "  wide = concat($list)"
  echo "  sum = add($list)"
  few=$(echo "$list" | cut -d, -f1-260)
  echo "  most = maximum($few)"
  echo "  product = multiply($few)"
  echo '  concat(wide, sum, most, product)'
  echo '  dense(2, softmax)'
  echo '}'
  echo 'train many { loss categorical_crossentropy; optimizer sgd() }'
} >many.net
if "$netc" emit many.net -o out >log 2>&1 && ${CC:-cc} -std=c11 -fsyntax-only -DMANY_NO_MAIN out/many.c >>log 2>&1; then
  echo "many inputs: 1 passed, 0 failed"
else
  tail -n 20 log
  echo "many inputs: 0 passed, 1 failed"
  exit 1
fi
