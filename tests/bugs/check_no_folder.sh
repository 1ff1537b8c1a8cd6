#!/usr/bin/env bash
# check_no_folder.sh BUILD: an executable in a folder that is not there is refused in one line, before the C compiler runs
# (its linker said it at the end, and netc that the compiler failed on a file of its own).
set -u
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'network a { input(4); dense(2, softmax) }' >"$work/a.net"
"$build/netc" build "$work/a.net" --cc false -o "$work/none/a" 2>"$work/log"
status=$?
printf 'netc: cannot write `%s/none/a`: No such file or directory\n' "$work" >"$work/wanted"
if [ $status = 1 ] && cmp -s "$work/log" "$work/wanted" && [ ! -e "$work/none" ]; then
  echo "no folder: 1 passed, 0 failed"
else
  cat "$work/log"
  echo "no folder: 0 passed, 1 failed"
  exit 1
fi
