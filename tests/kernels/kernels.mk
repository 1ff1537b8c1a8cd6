# Kernels against plain references: builds of one test program, and one more: for AVX2 where the processor has
# AVX-512, with AVX-512's tiles in plain C where it has not.
KERNEL_TESTS := $(wildcard tests/kernels/*.c)
KERNEL_HEADERS := $(wildcard runtime/kernels/*.h tests/kernels/*.h)
KERNEL_FLAGS := -std=c11 -D_GNU_SOURCE $(WARNINGS) -Wno-unused-function -Iruntime -Itests/kernels
KERNEL_NATIVE ?= -march=native
KERNEL_FLAGS_native := -O2 $(KERNEL_NATIVE) -fopenmp
KERNEL_FLAGS_portable := -O2 -DNETC_PORTABLE -fopenmp
KERNEL_FLAGS_sanitize := -O1 -g1 $(KERNEL_NATIVE) -fsanitize=address,undefined -fno-sanitize-recover=all
# Optimized under sanitizers this file alone takes a minute more to compile than its tests gain by it.
$(BUILD)/tests/kernels_sanitize.objects/conv2d_test.o: KERNEL_FLAGS_sanitize += -O0
KERNEL_FLAGS_avx2 := -O2 -march=haswell -fopenmp
KERNEL_FLAGS_lanes16 := -O0 -DNETC_PORTABLE -DVEC_WIDTH=16 -fopenmp
KERNEL_BUILDS := native portable $(if $(shell grep -wm1 avx512f /proc/cpuinfo 2>/dev/null),avx2,lanes16) sanitize
# What stands on the tiles themselves: all tests would take two minutes without optimization, and more with it.
KERNEL_TESTS_lanes16 := @(conv2d/@(forward|mapped|gradient_by_@(input|weights))|dense/*)

.PHONY: check-kernels
check-kernels: $(KERNEL_BUILDS:%=$(BUILD)/tests/kernels_%)
	set -e; for test in $^; do \
	  case $$test in *lanes16) set -- --filter '$(KERNEL_TESTS_lanes16)' ;; *) set -- ;; esac; \
	  ASAN_OPTIONS=detect_leaks=0 $$test "$$@"; \
	done

define KERNEL_BUILD
$(BUILD)/tests/kernels_$(1).objects/%.o: tests/kernels/%.c $(KERNEL_HEADERS)
	@mkdir -p $$(@D)
	$$(CC) $$(KERNEL_FLAGS) $$(KERNEL_FLAGS_$(1)) -c -o $$@ $$<
$(BUILD)/tests/kernels_$(1): $(KERNEL_TESTS:tests/kernels/%.c=$(BUILD)/tests/kernels_$(1).objects/%.o)
	$$(CC) $$(KERNEL_FLAGS_$(1)) -o $$@ $$^ -lcriterion -lm
endef
$(foreach build,$(KERNEL_BUILDS),$(eval $(call KERNEL_BUILD,$(build))))

# The NEON build under an emulator, where a cross compiler and qemu-user are installed.
NEON_CC ?= aarch64-linux-gnu-gcc
NEON_RUN ?= qemu-aarch64
.PHONY: check-kernels-neon
check-kernels-neon: $(BUILD)/tests/kernels_neon
	$(NEON_RUN) $<
$(BUILD)/tests/kernels_neon: tests/kernels/neon/neon_check.c $(KERNEL_HEADERS)
	@mkdir -p $(@D)
	$(NEON_CC) $(KERNEL_FLAGS) -O2 -static -o $@ $< -lm
