#!/usr/bin/env bash
# run.sh BUILD: every test, as many suites at a time as there are processors (CHECK_JOBS: so many).  Ends with "N passed, N
# failed" over all suites.
set -u
build=$1
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
cd "$top" || exit 1
log=$build/tests
mkdir -p "$log"
rm -f "$log"/*.passed "$log"/*.failed
jobs=${CHECK_JOBS:-$(nproc)}
export OMP_WAIT_POLICY=passive # suites share the processors
# Suites in groups of their own: they are ended as a whole, and do not start with SIGINT ignored, which some of them test.
set -m
trap 'for group in $(jobs -p); do kill -- "-$group" 2>/dev/null; done; exit 130' INT TERM HUP

one() {
  local name=$1 start=$SECONDS text
  shift
  if "$@" >"$log/$name.log" 2>&1 </dev/null; then
    : >"$log/$name.passed"
    text=$(grep -aE '[0-9]+ passed|tests? pass|Tested: ' "$log/$name.log" | tail -n 1)
    printf '  ok      %-22s %4d s   %s\n' "$name" $((SECONDS - start)) "$text"
  else
    : >"$log/$name.failed"
    text=$(tail -n 40 "$log/$name.log" | sed 's/^/    /')
    printf '  FAILED  %-22s %4d s\n%s\n' "$name" $((SECONDS - start)) "$text"
  fi
}

# suite NAME COMMAND...: runs it beside others, keeps its output, shows it where it fails.
suite() {
  while (($(jobs -rp | wc -l) >= jobs)); do wait -n; done
  one "$@" &
}

# No warning from either compiler.  clang's build is the one under sanitizers, which stay silent over every accepted and
# rejected text.
warnings_gcc() {
  make --no-print-directory -j2 BUILD="$build/gcc" CC=gcc EXTRA=-Werror "$build/gcc/netc"
}
clang_and_grammar() {
  make --no-print-directory -j2 BUILD="$build/sanitized" CC=clang EXTRA=-Werror \
    CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" "$build/sanitized/netc" &&
    ASAN_OPTIONS=detect_leaks=0 tests/grammar/run.sh "$build/sanitized/netc"
}

python=/usr/bin/python3
suite format make --no-print-directory format-check
# The long ones first.
suite kernels make --no-print-directory -j2 check-kernels
suite clang-grammar clang_and_grammar
long_parity=(transfer training)
for name in "${long_parity[@]}"; do
  suite "parity-$name" $python "tests/parity/$name.py" "$build/netc" tests/parity/golden
done
suite warnings-gcc warnings_gcc
suite runtime make --no-print-directory check-runtime
long=(tests/passes/check_passes.sh tests/passes/check_memory.sh tests/emit/check_isa.sh)
for script in $(printf '%s\n' "${long[@]}" tests/*/check_*.sh | awk '!seen[$0]++'); do
  suite "$(basename "$(dirname "$script")")-$(basename "$script" .sh | sed 's/check_//')" "$script" "$build"
done
for script in tests/parity/*.py; do
  name=$(basename "$script" .py)
  [[ " keras_net ${long_parity[*]} " == *" $name "* ]] || suite "parity-$name" $python "$script" "$build/netc" tests/parity/golden
done
wait

count() { find "$log" -maxdepth 1 -name "*.$1" | wc -l; }
echo "$(count passed) passed, $(count failed) failed"
[ "$(count failed)" = 0 ]
