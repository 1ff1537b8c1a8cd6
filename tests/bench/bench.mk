# Kernel benchmarks: `make bench-kernels`; KERNEL_BENCH takes arguments, e.g. KERNEL_BENCH="-t 1 -n 8 vgg dense".
KERNEL_BENCH ?=
PYTHON ?= python3
BENCH_FLAGS ?= -O3 -march=native

$(BUILD)/tests/bench_kernels: tests/bench/bench_kernels.c tests/bench/bench.h $(wildcard runtime/kernels/*.h)
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(BENCH_FLAGS) -fopenmp $(WARNINGS) -Wno-unused-function -o $@ $< -lm

.PHONY: bench-kernels
bench-kernels: $(BUILD)/tests/bench_kernels
	$(BUILD)/tests/bench_kernels $(KERNEL_BENCH)

# Whole networks beside PyTorch, where it is installed (apt-get install python3-torch); BENCH_JOBS chooses some.
.PHONY: bench-networks
bench-networks: $(BUILD)/netc
	$(PYTHON) tests/bench/networks.py $(BUILD)/netc $(BUILD)/bench $(BENCH_JOBS)
