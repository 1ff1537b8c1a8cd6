# Sourced by the suites of this folder: counting, comparing, the probe network and its weights in $work.
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/emit
netc=$build/netc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1
strict="-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wcast-align -Wpointer-arith -Werror"
passed=0 failed=0

ok() { passed=$((passed + 1)); }
bad() {
  failed=$((failed + 1))
  echo "FAILED: $1"
  [ -s log ] && head -n 20 log
}
# try NAME COMMAND...: the command succeeds
try() {
  local name=$1
  shift
  if "$@" >log 2>&1; then ok; else bad "$name"; fi
}
# equal NAME A B: the same bytes
equal() {
  : >log
  if cmp "$2" "$3" >log 2>&1; then ok; else bad "$1: $2 and $3 differ"; fi
}
# near NAME A B: two outputs of predict_main, the numbers within 2e-5
near() {
  : >log
  if paste -d ' ' "$2" "$3" | awk 'NR > 1 { d = $1 - $3; if (d < 0) d = -d; if (NF != 4 || !(d <= 2e-5)) bad = 1 } END { exit bad || NR < 16 }'; then ok; else bad "$1: $2 and $3 differ"; fi
}
finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
probe() {
  /usr/bin/python3 "$here/make_weights.py" probe.h5 && "$netc" emit "$here/probe.net" --infer --weights probe.h5 -o probe
}
