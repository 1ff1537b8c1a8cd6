# Sourced by suites whose first argument is BUILD: folders, counting, running, comparing.  They work in $work, a folder that
# goes when they end.
# shellcheck shell=bash disable=SC2034
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
netc=$build/netc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMP_WAIT_POLICY=passive
passed=0 failed=0

ok() { passed=$((passed + 1)); }
# bad TEXT [FILE]: a failure, with the end of the file that tells more
bad() {
  failed=$((failed + 1))
  echo "FAILED: $1"
  [ $# -lt 2 ] || tail -n 20 "$2" | sed 's/^/    /'
}
# try NAME COMMAND...: the command succeeds
try() {
  local name=$1
  shift
  if "$@" >log 2>&1; then ok; else bad "$name" log; fi
}
# run COMMAND...: for check
run() { "$@" >output 2>&1; status=$?; }
# check NAME CODE [TEXT...]: the last run's exit code, and texts that its output must hold
check() {
  local name=$1 code=$2 text
  shift 2
  if [ "$status" != "$code" ]; then bad "$name: exit code $status instead of $code" output; return; fi
  for text in "$@"; do
    if ! grep -qF -- "$text" output; then bad "$name: no \"$text\" in its output" output; return; fi
  done
  ok
}
# same, different NAME A B: the bytes of two files; absent NAME FILE
same() { if cmp -s "$2" "$3"; then ok; else bad "$1: $2 and $3 differ"; fi; }
different() { if cmp -s "$2" "$3"; then bad "$1: $2 and $3 are the same"; else ok; fi; }
absent() { if [ -e "$2" ]; then bad "$1: $2 was written"; else ok; fi; }
# finish [NAME]: the closing line and the exit code
finish() {
  echo "${1:+$1: }$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
