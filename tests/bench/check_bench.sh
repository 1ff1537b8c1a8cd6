#!/usr/bin/env bash
# check_bench.sh BUILD: the benchmarks run, as short as can be and without peers, and name what they do not know.
set -u
. "$(dirname "$0")/../lib.sh"

try "bench_kernels is built" make --no-print-directory -s -j2 -C "$top" BUILD="$work" BENCH_FLAGS="-O0 -march=native" \
  BENCH_ONEDNN= EXTRA=-Werror "$work/tests/bench_kernels"
kernels=$work/tests/bench_kernels
run "$kernels" -t 2 -n 1 -b 0.001 naive depthwise streams
check "kernels" 0 "% are of such rates" "naive" "bwd_w" "1x1+fwd+1x1" "softmax+ce" "adamw"
run "$kernels" -t 1 -n 1 -b 0.001 -k fwd naive
check "one kernel of one set" 0 "conv1"
if grep -q bwd_w output; then bad "-k fwd: another kernel ran" output; else ok; fi
run "$kernels" nosuch
check "unknown set" 2 "usage: bench_kernels"
run "$kernels" -t 1 -b 0.001 -k nosuch naive
check "unknown kernel" 2 'no kernel `nosuch`'
run "$kernels" -t 0
check "no threads" 2 "usage: bench_kernels"

networks() {
  PEERS="" ROUNDS=1 SECONDS=0.001 BATCHES="1 2" run /usr/bin/python3 "$top/tests/bench/networks.py" "$netc" bench "$@"
}
networks predict:naive_cnn
check "networks" 0 "| prediction | batch |" "| naive_cnn | 1 |" "| naive_cnn | 2 |"
networks predict:lenet
check "unknown network" 1 'no job `predict:lenet`' "inception_v3"
networks step:inception_v3
check "a prediction's name as a step" 1 'no job `step:inception_v3`'
netc=$work/nosuch networks predict:naive_cnn
check "no compiler" 1 "cannot run" "No such file"
finish bench
