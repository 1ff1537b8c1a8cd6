#!/usr/bin/env bash
# check_install.sh BUILD: `make install` below a DESTDIR, the Debian package, and the installed compiler at work where
# nothing of the source tree is.
set -u
. "$(dirname "$0")/../lib.sh"
wanted="bin/netc share/man/man1/netc.1 share/man/man5/net.5 share/bash-completion/completions/netc
  share/vim/vimfiles/syntax/net.vim share/vim/vimfiles/ftdetect/net.vim share/netc/vscode/syntaxes/net.tmLanguage.json
  share/doc/netc/copyright"
try install make --no-print-directory -C "$top" BUILD="$build" PREFIX=/opt/netc DESTDIR="$work/root" install
for file in $wanted; do try "$file" test -s "$work/root/opt/netc/$file"; done
try "only below DESTDIR/PREFIX" test -z "$(find "$work/root" -type f | grep -v "^$work/root/opt/netc/")"
mkdir "$work/elsewhere" && cd "$work/elsewhere" || exit 1
printf 'import "zoo/mobilenet.net"\nnetwork small {\n  input(32x32x3)\n  mobilenet(include_top = false, pooling = avg, alpha = 0.25)\n  dense(2, softmax)\n}\n' >small.net
installed=$work/root/opt/netc/bin/netc
try "check with the zoo inside" "$installed" check small.net
try "emit" "$installed" emit small.net --infer -o out
try "compile what it emitted" cc -O0 -DNETC_PORTABLE -c out/small.c -o small.o
try "no name of the source tree" sh -c "! grep -lF '$top' '$installed' out/small.c out/small.h"
if command -v dpkg-deb >/dev/null; then
  try "the Debian package" make --no-print-directory -C "$top" BUILD="$build" deb
  package=$(ls "$build"/netc_*.deb | head -n 1)
  dpkg-deb -c "$package" >"$work/list"
  for file in $wanted; do try "$file in the package" grep -q "./usr/$file\$" "$work/list"; done
  try "unpack it" dpkg-deb -x "$package" "$work/unpacked"
  try "and run it" "$work/unpacked/usr/bin/netc" check small.net
fi
if command -v man >/dev/null; then
  for page in netc.1 net.5; do
    LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$top/share/man/$page" 2>"$work/log" >/dev/null
    try "man page $page" test ! -s "$work/log"
  done
fi
bash -n "$top/share/completion/netc.bash" 2>"$work/log"
try "completion" test ! -s "$work/log"
finish install
