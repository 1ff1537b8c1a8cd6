# The emitted file under every gcc and clang of Debian 12: minutes, so not in `make check`, which takes a part of it.
.PHONY: check-compilers
check-compilers: $(BUILD)/netc
	tools/packages.sh build check compilers
	tests/emit/check_compilers.sh $(BUILD) all
