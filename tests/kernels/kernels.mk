# Kernels against plain references: three builds of one test program.
KERNEL_TESTS := $(wildcard tests/kernels/*.c)
KERNEL_HEADERS := $(wildcard runtime/kernels/*.h tests/kernels/*.h)
KERNEL_FLAGS := -std=c11 -D_GNU_SOURCE $(WARNINGS) -Wno-unused-function -Iruntime -Itests/kernels
KERNEL_NATIVE ?= -march=native

.PHONY: check-kernels
check-kernels: $(BUILD)/tests/kernels_native $(BUILD)/tests/kernels_portable $(BUILD)/tests/kernels_sanitize
	$(BUILD)/tests/kernels_native
	$(BUILD)/tests/kernels_portable
	ASAN_OPTIONS=detect_leaks=0 $(BUILD)/tests/kernels_sanitize

$(BUILD)/tests/kernels_native: $(KERNEL_TESTS) $(KERNEL_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(KERNEL_FLAGS) -O2 $(KERNEL_NATIVE) -fopenmp -o $@ $(KERNEL_TESTS) -lcriterion -lm

$(BUILD)/tests/kernels_portable: $(KERNEL_TESTS) $(KERNEL_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(KERNEL_FLAGS) -O2 -DNETC_PORTABLE -fopenmp -o $@ $(KERNEL_TESTS) -lcriterion -lm

$(BUILD)/tests/kernels_sanitize: $(KERNEL_TESTS) $(KERNEL_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(KERNEL_FLAGS) -O1 -g $(KERNEL_NATIVE) -fsanitize=address,undefined -fno-sanitize-recover=all \
	  -o $@ $(KERNEL_TESTS) -lcriterion -lm
