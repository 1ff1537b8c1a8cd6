# netc: `make help` lists what can be made.  Everything is built under build/.

CC ?= cc
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
BUILD ?= build
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes
EXTRA ?=
HDF5_CFLAGS := $(shell pkg-config --cflags hdf5 2>/dev/null)
HDF5_LIBS := $(shell pkg-config --libs hdf5 2>/dev/null || echo -lhdf5)
NETC_CFLAGS = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARNINGS) $(EXTRA) -Icompiler -I$(BUILD) -I$(BUILD)/grammar -Igrammar $(HDF5_CFLAGS) \
  -DNETC_HDF5_CFLAGS='"$(HDF5_CFLAGS)"' -DNETC_HDF5_LIBS='"$(HDF5_LIBS)"'

SOURCES := grammar/lines.c $(wildcard compiler/*.c compiler/ops/*.c compiler/passes/*.c compiler/emit/*.c compiler/weights/*.c compiler/vocab/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/grammar/net.tab.o $(BUILD)/grammar/net.lex.o \
  $(BUILD)/runtime_files.o $(BUILD)/zoo_files.o
RUNTIME := $(shell find runtime -name '*.h' 2>/dev/null)
ZOO := $(wildcard examples/zoo/*.net)

# `make V=1` shows every command.
quiet = $(if $(V),,@)
say = @$(if $(V),:,echo)

.PHONY: bench all help clean check demo format format-check packages install deb
all: $(BUILD)/netc

help:
	@echo "make            build/netc, the compiler"
	@echo "make demo       install what is missing, train on real images, predict"
	@echo "make check      install what is missing, run every test"
	@echo "make check-compilers   the emitted file under every gcc and clang of Debian 12"
	@echo "make bench      time kernels beside the processor and oneDNN, networks beside PyTorch and ONNX Runtime"
	@echo "make format     format the sources; format-check only looks"
	@echo "make install    to PREFIX ($(PREFIX)), below DESTDIR"
	@echo "make deb        a Debian package under build/"
	@echo "make clean      remove build/"

$(BUILD)/netc: $(OBJECTS)
	$(say) "  LINK    $@"
	$(quiet)$(CC) $(CFLAGS) $(EXTRA) -o $@ $(OBJECTS) $(HDF5_LIBS) -lz -lm

# These include kernels and other runtime parts of which they call some.
$(BUILD)/compiler/kernel_sizes.o $(BUILD)/compiler/weights/weights.o $(BUILD)/compiler/weights/prepare.o: WARNINGS += -Wno-unused-function

$(BUILD)/%.o: %.c $(BUILD)/grammar/net.tab.h
	@mkdir -p $(@D)
	$(say) "  CC      $<"
	$(quiet)$(CC) $(NETC_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/grammar/net.tab.c $(BUILD)/grammar/net.tab.h &: grammar/net.y
	@mkdir -p $(@D)
	bison -Werror -Wno-yacc --header=$(BUILD)/grammar/net.tab.h -o $(BUILD)/grammar/net.tab.c $<

$(BUILD)/grammar/net.lex.c $(BUILD)/grammar/net.lex.h &: grammar/net.l
	@mkdir -p $(@D)
	flex --header-file=$(BUILD)/grammar/net.lex.h -o $(BUILD)/grammar/net.lex.c $<

# Generated text: its warnings are not ours.
$(BUILD)/grammar/net.tab.o: $(BUILD)/grammar/net.tab.c $(BUILD)/grammar/net.lex.h
	$(quiet)$(CC) $(NETC_CFLAGS) -w -MMD -MP -c -o $@ $<
$(BUILD)/grammar/net.lex.o: $(BUILD)/grammar/net.lex.c $(BUILD)/grammar/net.tab.h
	$(quiet)$(CC) $(NETC_CFLAGS) -w -MMD -MP -c -o $@ $<

$(BUILD)/embed: tools/embed.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -O1 $(WARNINGS) -o $@ $<
# A file that comes or goes changes the list, whatever its date.
.PHONY: FORCE
$(BUILD)/runtime.list: FORCE
	@mkdir -p $(@D)
	@echo $(sort $(RUNTIME)) | cmp -s - $@ || echo $(sort $(RUNTIME)) > $@
$(BUILD)/zoo.list: FORCE
	@mkdir -p $(@D)
	@echo $(sort $(ZOO)) | cmp -s - $@ || echo $(sort $(ZOO)) > $@
$(BUILD)/runtime_files.c: $(BUILD)/embed $(BUILD)/runtime.list $(RUNTIME)
	$(quiet)$(BUILD)/embed runtime_files runtime $(sort $(RUNTIME)) > $@.$$$$.tmp && mv $@.$$$$.tmp $@
$(BUILD)/zoo_files.c: $(BUILD)/embed $(BUILD)/zoo.list $(ZOO)
	$(quiet)$(BUILD)/embed zoo_files examples $(sort $(ZOO)) > $@.$$$$.tmp && mv $@.$$$$.tmp $@
$(BUILD)/%_files.o: $(BUILD)/%_files.c
	$(CC) -std=c11 -O0 -Icompiler -c -o $@ $<

-include $(wildcard $(BUILD)/compiler/*.d $(BUILD)/compiler/*/*.d $(BUILD)/grammar/*.d)
-include $(wildcard tests/*/*.mk)

bench: bench-kernels bench-networks

# ---- installing: the binary needs nothing of the source tree ----

install: $(BUILD)/netc
	install -D -s -m 755 $(BUILD)/netc $(DESTDIR)$(PREFIX)/bin/netc
	install -D -m 644 share/man/netc.1 $(DESTDIR)$(PREFIX)/share/man/man1/netc.1
	install -D -m 644 share/man/net.5 $(DESTDIR)$(PREFIX)/share/man/man5/net.5
	install -D -m 644 share/completion/netc.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/netc
	install -D -m 644 share/vim/syntax/net.vim $(DESTDIR)$(PREFIX)/share/vim/vimfiles/syntax/net.vim
	install -D -m 644 share/vim/ftdetect/net.vim $(DESTDIR)$(PREFIX)/share/vim/vimfiles/ftdetect/net.vim
	install -D -m 644 share/vscode/package.json $(DESTDIR)$(PREFIX)/share/netc/vscode/package.json
	install -D -m 644 share/vscode/language-configuration.json $(DESTDIR)$(PREFIX)/share/netc/vscode/language-configuration.json
	install -D -m 644 share/vscode/syntaxes/net.tmLanguage.json $(DESTDIR)$(PREFIX)/share/netc/vscode/syntaxes/net.tmLanguage.json
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/netc/copyright

DEB_VERSION = $(shell sed -n 's/.*NETC_VERSION "\(.*\)"/\1/p' compiler/version.h)
DEB_ARCH = $(shell dpkg --print-architecture)
deb: $(BUILD)/netc
	rm -rf $(BUILD)/deb
	$(MAKE) --no-print-directory install PREFIX=/usr DESTDIR=$(BUILD)/deb
	@mkdir -p $(BUILD)/deb/DEBIAN
	@printf '%s\n' 'Package: netc' 'Version: $(DEB_VERSION)' 'Architecture: $(DEB_ARCH)' \
	  'Maintainer: the netc developers <developers@netc.invalid>' 'Section: devel' 'Priority: optional' \
	  'Depends: libc6, libhdf5-103-1, zlib1g' \
	  'Recommends: gcc, libhdf5-dev, libjpeg62-turbo-dev, libpng-dev, zlib1g-dev' \
	  'Description: compiles network descriptions to C programs that train and predict' \
	  ' A .net file (layers, pretrained weights, freeze ranges, loss, optimizer) becomes one' \
	  ' self-contained C program that trains and predicts image classifiers on the CPU.' \
	  > $(BUILD)/deb/DEBIAN/control
	dpkg-deb --root-owner-group --build $(BUILD)/deb $(BUILD)/netc_$(DEB_VERSION)_$(DEB_ARCH).deb

FORMATTED = $(filter-out %.tab.c,$(shell git ls-files '*.c' '*.h'))
format:
	clang-format -i $(FORMATTED)
format-check:
	clang-format --dry-run -Werror $(FORMATTED)

clean:
	rm -rf $(BUILD)

# ---- demo and check: each does all of its own set-up ----

packages:
	tools/packages.sh build

$(BUILD)/fashion: tools/fashion.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -O2 $(WARNINGS) -o $@ $< -ljpeg -lpng -lz -lm

demo:
	tools/packages.sh build demo
	$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/netc $(BUILD)/fashion
	tools/demo.sh $(BUILD) demo

check:
	tools/packages.sh build demo check
	$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/netc $(BUILD)/fashion
	tests/run.sh $(BUILD)
