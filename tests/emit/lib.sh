# Sourced by the suites of this folder: counting, comparing, the probe network and its weights in $work.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
here=$top/tests/emit
export OMP_NUM_THREADS=1
strict="-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wcast-align -Wpointer-arith -Werror"
# near NAME A B: two outputs of predict_main, the numbers within 2e-5
near() {
  if paste -d ' ' "$2" "$3" | awk 'NR > 1 { d = $1 - $3; if (d < 0) d = -d; if (NF != 4 || !(d <= 2e-5)) bad = 1 } END { exit bad || NR < 16 }'; then ok; else bad "$1: $2 and $3 differ"; fi
}
probe() {
  /usr/bin/python3 "$here/make_weights.py" probe.h5 && "$netc" emit "$here/probe.net" --infer --weights probe.h5 -o probe
}
