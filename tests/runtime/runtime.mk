# Tests of the runtime around the model: unit tests (Criterion) and the command line end to end.

RUNTIME_TESTS := $(BUILD)/tests/runtime
RUNTIME_UNITS := $(patsubst tests/runtime/%.c,$(RUNTIME_TESTS)/%,$(wildcard tests/runtime/*_test.c))
RUNTIME_PROGRAMS := $(addprefix $(RUNTIME_TESTS)/,fake fake_long fake_stop fake_binary make_data)
RUNTIME_TEST_CFLAGS = -std=c11 -D_GNU_SOURCE -O1 -g $(WARNINGS) -Wno-unused-function -fopenmp $(HDF5_CFLAGS) $(RUNTIME_EXTRA)
RUNTIME_TEST_LIBS = $(HDF5_LIBS) -ljpeg -lpng -lz -lpthread -lm

$(RUNTIME_TESTS)/%: tests/runtime/%.c $(RUNTIME) $(wildcard tests/runtime/*.h)
	@mkdir -p $(@D)
	$(CC) $(RUNTIME_TEST_CFLAGS) -o $@ $< $(if $(findstring _test,$*),-lcriterion) $(RUNTIME_TEST_LIBS)
$(RUNTIME_TESTS)/fake: RUNTIME_MAIN = -DFAKE_EPOCHS=3
$(RUNTIME_TESTS)/fake_long: RUNTIME_MAIN = -DFAKE_EPOCHS=500
$(RUNTIME_TESTS)/fake_stop: RUNTIME_MAIN = -DFAKE_EPOCHS=200 -DFAKE_STOP
$(RUNTIME_TESTS)/fake_binary: RUNTIME_MAIN = -DFAKE_BINARY
$(addprefix $(RUNTIME_TESTS)/,fake fake_long fake_stop fake_binary): tests/runtime/fake_main.c $(RUNTIME) tests/runtime/fake_model.h
	@mkdir -p $(@D)
	$(CC) $(RUNTIME_TEST_CFLAGS) $(RUNTIME_MAIN) -o $@ $< $(RUNTIME_TEST_LIBS)

.PHONY: check-runtime check-runtime-sanitize
check-runtime: $(RUNTIME_UNITS) $(RUNTIME_PROGRAMS)
	@for test in $(RUNTIME_UNITS); do $$test || exit 1; done
	tests/runtime/e2e.sh $(RUNTIME_TESTS)

# The same under the address and undefined-behaviour sanitizers, in a folder of their own.
check-runtime-sanitize:
	$(MAKE) check-runtime RUNTIME_TESTS=$(BUILD)/tests/runtime_sanitize RUNTIME_EXTRA="-fsanitize=address,undefined -fno-sanitize-recover"
