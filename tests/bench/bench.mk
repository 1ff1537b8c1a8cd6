# Kernel benchmarks: `make bench-kernels`; KERNEL_BENCH takes arguments, e.g. KERNEL_BENCH="-t 1 -n 8 vgg dense".
# Beside oneDNN where it is installed (apt-get install libdnnl-dev).
KERNEL_BENCH ?=
PYTHON ?= python3
BENCH_FLAGS ?= -O3 -march=native
BENCH_SOURCES := $(wildcard tests/bench/*.c)
# Flags for oneDNN 2; empty: without.
BENCH_ONEDNN = $(shell printf '\043include <oneapi/dnnl/dnnl.h>\nint main(void) { return DNNL_VERSION_MAJOR != 2; }\n' | \
  $(CC) -x c -o $(BUILD)/onednn.probe - -ldnnl 2>/dev/null && $(BUILD)/onednn.probe && echo -DBENCH_ONEDNN -ldnnl)

$(BUILD)/tests/bench.objects/%.o: tests/bench/%.c $(wildcard tests/bench/*.h runtime/kernels/*.h)
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(BENCH_FLAGS) -fopenmp $(WARNINGS) -Wno-unused-function $(EXTRA) \
	  $(filter -D%,$(BENCH_ONEDNN)) -c -o $@ $<
$(BUILD)/tests/bench_kernels: $(BENCH_SOURCES:tests/bench/%.c=$(BUILD)/tests/bench.objects/%.o)
	$(CC) -fopenmp -o $@ $^ $(filter -l%,$(BENCH_ONEDNN)) -lm

.PHONY: bench-kernels
bench-kernels: $(BUILD)/tests/bench_kernels
	$(BUILD)/tests/bench_kernels $(KERNEL_BENCH)

# Whole networks beside PyTorch and ONNX Runtime, where they are installed: tests/bench/networks.py.  BENCH_JOBS
# chooses some: steps, predictions, names of networks.
.PHONY: bench-networks
bench-networks: $(BUILD)/netc
	$(PYTHON) tests/bench/networks.py $(BUILD)/netc $(BUILD)/bench $(BENCH_JOBS)
