# plens: `make` builds build/libplens.a and build/plens; `make demo` shows it; `make test` tests it.
#   make CC=clang      another compiler            make OPENMP=0     without threads
#   make BUILD=DIR     another output folder       make CFLAGS=-O3   other optimisation
CC ?= cc
CFLAGS ?= -O2
BUILD ?= build
PREFIX ?= /usr/local
AR ?= ar

# OpenMP where the compiler has it and its runtime links. (No "#include" in the program: versions of
# make differ in how they read a "#" here.)
ifndef OPENMP
OPENMP := $(shell file=$$(mktemp) && echo 'int main(void) { return omp_get_num_procs() < 1; }' | \
	$(CC) -fopenmp -include omp.h -x c -o $$file - 2>/dev/null && echo 1 || echo 0; rm -f $$file)
endif
ifeq ($(OPENMP),1)
OPENMP_FLAGS := -fopenmp
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wstrict-prototypes \
	-Wmissing-prototypes
PLENS_CFLAGS := -std=c99 $(WARNINGS) -ffp-contract=off -I. $(OPENMP_FLAGS)
LDLIBS := -lm -pthread

LIBRARY := plens.c $(wildcard loaders/*.c runtime/*.c runtime/kernels/*.c)
HARNESS := $(wildcard tests/harness/*.c)
UNIT := $(wildcard tests/unit/*.c)
FUZZ := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
EXAMPLES := $(wildcard tests/examples/*.c)
# The examples are compiled as C++ too, where the compiler has it.
CXX_WORKS := $(shell echo 'int main(){}' | $(CC) -x c++ -fsyntax-only - 2>/dev/null && echo 1)
EXAMPLES_CXX := $(if $(CXX_WORKS),$(EXAMPLES:tests/examples/%.c=$(BUILD)/tests/examples-cxx/%))

objects = $(patsubst %.c,$(BUILD)/objects/%.o,$(1))
programs = $(patsubst tests/%.c,$(BUILD)/tests/%,$(1))

.PHONY: all test test-full demo bench san fuzz install uninstall clean tests
all: $(BUILD)/libplens.a $(BUILD)/plens

$(BUILD)/libplens.a: $(call objects,$(LIBRARY))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/plens: $(call objects,$(HARNESS)) $(BUILD)/libplens.a
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/%: $(BUILD)/objects/tests/%.o $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The command, which a test can do something to at a checkpoint.
$(BUILD)/tests/plens: $(call objects,$(HARNESS) tests/after_checkpoint.c) $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# A fuzz target that replays its corpus.
$(BUILD)/tests/fuzz/%: $(BUILD)/objects/tests/fuzz/%.o $(BUILD)/objects/tests/fuzz/replay.o $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/objects/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(PLENS_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/objects/cxx/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -x c++ -std=c++11 -fno-exceptions -Wall -Wextra -Wpedantic -I. $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/examples-cxx/%: $(BUILD)/objects/cxx/tests/examples/%.o $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Objects are kept: make would delete those of tests as intermediate, after the tests' last line.
.SECONDARY:

# Rebuild when the compiler or its flags change.
FLAGS := $(CC) $(PLENS_CFLAGS) $(CFLAGS) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@
.PHONY: FORCE
FORCE:

tests: all $(call programs,$(UNIT) $(FUZZ) $(EXAMPLES)) $(EXAMPLES_CXX) $(BUILD)/tests/plens

test: tests
	@BUILD=$(BUILD) CC='$(CC)' sh tests/run.sh

# Beyond `make test`, for an hour of an idle machine: the bits of SmolLM2 in every precision over all
# sets and threads, kills at random moments and at every call that changes a file, the benchmarks on
# tiny jobs, AMX in an emulator. SmolLM2's folder is $$PLENS_SMOLLM2; the emulator is $$BOCHS.
test-full: tests
	@BUILD=$(BUILD) CC='$(CC)' sh tests/full/run.sh

demo: all
	@BUILD=$(BUILD) sh tests/demo.sh

# The kernels against the machine's measured peak.
$(BUILD)/bench/kernels: $(call objects,bench/kernels.c bench/peak.c) $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bench/attention: $(call objects,bench/attention.c bench/peak.c) $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Tokenizers: $(BUILD)/bench/tokenizer DIR
$(BUILD)/bench/tokenizer: $(call objects,bench/tokenizer.c) $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Hooks: bench/hooks.sh. The linker puts the program between the library's files.
$(BUILD)/bench/hooks: $(call objects,bench/hooks.c bench/peak.c) $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OPENMP_FLAGS) $(LDFLAGS) -Wl,--wrap=plens__pass_hooks \
		-Wl,--wrap=plens__pass_wants -o $@ $^ $(LDLIBS)

# Synthetic checkpoints: $(BUILD)/bench/make_checkpoint OUT --like qwen2.5-14b
$(BUILD)/bench/make_checkpoint: $(call objects,bench/make_checkpoint.c)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# What a command takes, as the kernel counts it: $(BUILD)/bench/measure OUT COMMAND...
$(BUILD)/bench/measure: $(call objects,bench/measure.c)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

bench: $(BUILD)/bench/kernels $(BUILD)/bench/attention $(BUILD)/bench/tokenizer $(BUILD)/bench/make_checkpoint
	@BUILD=$(BUILD) sh bench/kernels.sh

# Everything under AddressSanitizer and UndefinedBehaviorSanitizer. With -O1 fma and what is built on
# it are calls: kernels and the audit then take twenty times as long.
san:
	ASAN_OPTIONS=allocator_may_return_null=1:$$ASAN_OPTIONS UBSAN_OPTIONS=print_stacktrace=1 \
	$(MAKE) --no-print-directory BUILD=$(BUILD)/san CFLAGS="-O2 -g1 -fsanitize=address,undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer" test

# clang's libFuzzer on every target (or FUZZ_TARGETS="json config") for FUZZ_SECONDS each, as many at a
# time as -j says. What it finds, and what is new to the corpus, lies in $(BUILD)/fuzz/corpus.
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 30
FUZZ_TARGETS ?= $(FUZZ:tests/fuzz/%.c=%)
FUZZ_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
fuzz:
	$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=$(FUZZ_CC) OPENMP=0 \
		CFLAGS="$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link" fuzz-programs
	@$(MAKE) --no-print-directory $(FUZZ_TARGETS:%=fuzz-with/%)

# One of them; what it says is shown in one piece.
.PHONY: $(FUZZ_TARGETS:%=fuzz-with/%)
$(FUZZ_TARGETS:%=fuzz-with/%): fuzz-with/%:
	@mkdir -p $(BUILD)/fuzz/corpus/$*
	@$(BUILD)/fuzz/fuzzers/$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 -verbosity=0 \
		-print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/corpus/$*. $(BUILD)/fuzz/corpus/$* \
		tests/fuzz/corpus/$* >$(BUILD)/fuzz/$*.log 2>&1; code=$$?; \
		echo "fuzzed $* for $(FUZZ_SECONDS) s"; cat $(BUILD)/fuzz/$*.log; exit $$code

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ:tests/fuzz/%.c=$(BUILD)/fuzzers/%)

$(BUILD)/fuzzers/%: $(BUILD)/objects/tests/fuzz/%.o $(BUILD)/libplens.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

install: all
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/bin
	install -m 644 plens.h $(DESTDIR)$(PREFIX)/include/plens.h
	install -m 644 $(BUILD)/libplens.a $(DESTDIR)$(PREFIX)/lib/libplens.a
	install -m 755 $(BUILD)/plens $(DESTDIR)$(PREFIX)/bin/plens

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/include/plens.h $(DESTDIR)$(PREFIX)/lib/libplens.a \
		$(DESTDIR)$(PREFIX)/bin/plens

clean:
	rm -rf $(BUILD)

-include $(EXAMPLES:%.c=$(BUILD)/objects/cxx/%.d)
-include $(patsubst %.o,%.d,$(call objects,$(LIBRARY) $(HARNESS) $(UNIT) $(FUZZ) tests/fuzz/replay.c tests/after_checkpoint.c $(EXAMPLES) $(wildcard bench/*.c)))
