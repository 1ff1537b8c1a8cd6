#!/usr/bin/env bash
# run.sh BUILD: every test, in the order in which a failure says most.  Ends with "N passed, N failed" over all suites.
set -u
build=$1
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
cd "$top" || exit 1
log=$build/tests
mkdir -p "$log"
passed=0 failed=0

# suite NAME COMMAND...: runs it, keeps its output, shows it where it fails.
suite() {
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$log/$name.log" 2>&1; then
    passed=$((passed + 1))
    printf '  ok      %-22s %4d s   %s\n' "$name" $((SECONDS - start)) "$(grep -aE '[0-9]+ passed|tests? pass|Tested: ' "$log/$name.log" | tail -n 1)"
  else
    failed=$((failed + 1))
    printf '  FAILED  %-22s %4d s\n' "$name" $((SECONDS - start))
    tail -n 40 "$log/$name.log" | sed 's/^/    /'
  fi
}

python=/usr/bin/python3
suite format make --no-print-directory format-check
# The compiler itself: no warning from either compiler, clean under the sanitizers over every accepted and rejected text.
for cc in gcc clang; do
  suite "warnings-$cc" make --no-print-directory -j2 BUILD="$build/$cc" CC=$cc EXTRA=-Werror "$build/$cc/netc"
done
suite sanitizer-build make --no-print-directory -j2 BUILD="$build/sanitized" \
  CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" "$build/sanitized/netc"
suite grammar env ASAN_OPTIONS=detect_leaks=0 tests/grammar/run.sh "$build/sanitized/netc"
suite kernels make --no-print-directory check-kernels
suite runtime make --no-print-directory check-runtime
for script in tests/*/check_*.sh; do
  [ -e "$script" ] && suite "$(basename "$(dirname "$script")")-$(basename "$script" .sh | sed 's/check_//')" "$script" "$build"
done
for script in tests/parity/*.py; do
  name=$(basename "$script" .py)
  [ "$name" = keras_net ] || suite "parity-$name" $python "$script" "$build/netc" tests/parity/golden
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
