#!/bin/sh
# Tests of the language: run.sh NETC [--update]
#
# errors/X.net   must be refused (exit 1) with exactly the messages of X.expect
# lints/X.net    must be accepted with exactly the warnings of X.expect
# accept/X.net   must be accepted, and what `netc show` prints must show as itself
# zoo/X.layers   name and parameters of every layer of examples/zoo/X.net, in Keras's order
# LANGUAGE.md    every example compiles (those marked `error` do not); its reference is what the tables print
#
# --update writes the .expect files and the reference anew: look at the difference before it is committed.

netc=$(readlink -f "$1")
update=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

pass() {
  passed=$((passed + 1))
}

fail() {
  failed=$((failed + 1))
  echo "FAIL $1"
}

[ -x "$netc" ] || {
  echo "usage: run.sh NETC [--update]" >&2
  exit 2
}

# $1 folder, $2 exit status wanted: messages compared with the sibling file
messages() {
  cd "$here/$1" || exit 2
  for net in *.net; do
    case_name=${net%.net}
    timeout 20 "$netc" check "$net" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    [ "$update" = --update ] && cp "$work/err" "$case_name.expect"
    if [ $status -ne "$2" ]; then
      fail "$1/$case_name: exit status $status, wanted $2"
      cat "$work/err"
    elif ! diff -u "$case_name.expect" "$work/err"; then
      fail "$1/$case_name: other messages"
    else
      pass
    fi
  done
}

# $1 file: "name parameters" of each layer, in Keras's order
layers() {
  timeout 20 "$netc" summary "$1" 2>"$work/err" </dev/null | sed -nE '/^layer /,/^$/s/^([^ ]+) +\(.*\) +([0-9,]+) .*/\1 \2/p' | tr -d ,
}

# $1 name for messages, $2 file: accepted, and show(show(x)) = show(x)
round_trip() {
  file=$(readlink -f "$2")
  cd "$work" || exit 2
  if ! timeout 20 "$netc" show "$file" >once.net 2>"$work/err" </dev/null; then
    fail "$1: refused"
    cat "$work/err"
  elif ! timeout 20 "$netc" show once.net >twice.net 2>"$work/err" </dev/null; then
    fail "$1: what \`show\` prints is refused"
    cat "$work/err"
  elif ! diff "$work/once.net" "$work/twice.net" >"$work/err"; then
    fail "$1: what \`show\` prints shows as something else"
    head -20 "$work/err"
  else
    layers "$file" >first
    layers once.net >second
    if [ ! -s first ] || ! diff first second >err; then
      fail "$1: the shown network has other layers"
      head -20 err
    else
      pass
    fi
  fi
}

messages errors 1
messages lints 0

for net in "$here"/accept/*.net; do
  round_trip "accept/$(basename "$net")" "$net"
done
for net in "$root"/examples/*.net; do
  round_trip "examples/$(basename "$net")" "$net"
done

# Layers of the zoo: the file that the list is of in the first line, then "name parameters" of each layer.
for list in "$here"/zoo/*.layers; do
  name=$(basename "$list" .layers)
  sed -n '1s/^# //p' "$list" | tr ';' '\n' >"$work/zoo.net"
  layers "$work/zoo.net" >"$work/layers"
  if sed 1d "$list" | diff - "$work/layers" >"$work/diff"; then
    pass
  else
    fail "zoo/$name: other layers"
    head -5 "$work/err" "$work/diff"
  fi
done

# Parameter counts of the zoo.
while read -r block arguments total trained; do
  case $block in '#') continue ;; esac
  printf 'import "zoo/%s.net"\nnetwork zoo {\n  input(224x224x3)\n  %s(%s)\n}\n' "$block" "$block" "$arguments" >"$work/zoo.net"
  got=$(timeout 60 "$netc" summary "$work/zoo.net" 2>"$work/err" </dev/null |
    sed -nE 's/^parameters +([0-9,]+): ([0-9,]+) trained.*/\1 \2/p' | tr -d ,)
  if [ "$got" = "$total $trained" ]; then
    pass
  else
    fail "zoo/$block($arguments): $got parameters and trained, wanted $total $trained"
  fi
done <"$here/zoo/parameters"

# Examples of LANGUAGE.md: ```net is a file, ```net in SHAPE the inside of a network, ```net error must be refused.
awk -v dir="$work" '
  /^```net/ { n++; file = sprintf("%s/manual%02d.net", dir, n); kind = $2; shape = $3; inside = 1
              printf "%s", kind == "in" ? "network manual {\n  input(" shape ")\n" : "" > file
              print kind > (file ".kind"); next }
  /^```/ && inside { if (kind == "in") print "}" > file; close(file); inside = 0; next }
  inside { print > file }' "$root/grammar/LANGUAGE.md"
examples=0
for net in "$work"/manual*.net; do
  examples=$((examples + 1))
  if grep -q error "$net.kind"; then
    if "$netc" check "$net" >/dev/null 2>&1; then fail "LANGUAGE.md: $(head -2 "$net" | tail -1) is accepted"; else pass; fi
  else
    round_trip "LANGUAGE.md: $(grep -m1 network "$net")" "$net"
  fi
done
[ $examples -ge 8 ] || fail "LANGUAGE.md: only $examples examples found"

if [ "$update" = --update ]; then
  sed '/^from those that the compiler itself uses/q' "$root/grammar/LANGUAGE.md" >"$work/manual"
  echo >>"$work/manual"
  "$netc" help markdown >>"$work/manual" && cp "$work/manual" "$root/grammar/LANGUAGE.md"
fi
sed "1,/^from those that the compiler itself uses/d" "$root/grammar/LANGUAGE.md" | sed 1d >"$work/reference"
if "$netc" help markdown 2>"$work/err" | diff - "$work/reference" >"$work/diff"; then
  pass
else
  fail "LANGUAGE.md: the reference is not what \`netc help markdown\` prints"
  head -10 "$work/diff"
fi

# ---- netc help: an entry, a list under both its names, the settings with every callback, what was meant ----
help_says() { # NAME TEXT
  if "$netc" help "$1" 2>&1 | grep -qF -- "$2"; then pass; else fail "netc help $1: no \"$2\""; fi
}
help_says conv2d "two-dimensional convolution"
help_says losses "categorical_crossentropy"
help_says Loss "categorical_crossentropy"
help_says train "early_stopping(...)"
help_says train "reduce_on_plateau(...)"
help_says trian 'did you mean `train`?'
help_says optimzer 'did you mean `optimizer`?'

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
