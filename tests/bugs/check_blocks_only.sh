#!/usr/bin/env bash
# check_blocks_only.sh BUILD: `netc check` of a file that holds blocks for others once said that it has no network.
set -u
netc=$1/netc
for file in examples/zoo/vgg16.net examples/clothes/base.net; do
  "$netc" check "$file" >/dev/null 2>&1 || { echo "FAILED: check $file"; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'block broken() {\n  dense(\n}\n' >"$work/broken.net"
: >"$work/empty.net"
for file in broken empty; do
  "$netc" check "$work/$file.net" >/dev/null 2>&1 && { echo "FAILED: check accepts $file.net"; exit 1; }
done
"$netc" emit examples/zoo/vgg16.net -o "$work/out" >"$work/log" 2>&1 && { echo "FAILED: emit of blocks"; exit 1; }
grep -q "the file has no network" "$work/log" || { echo "FAILED: emit does not say why"; exit 1; }
echo "5 passed, 0 failed"
