# Every way to build, run, test and check. `make help` lists them.
#
#   SANITIZE=address,undefined   a variant of its own under build/, nothing is mixed
#   DEV=1                        warnings are errors (CI sets it)
#   CC=clang                     another compiler, a variant of its own as well
#   STATIC=1                     static, against musl and the libraries of packaging/static-libs (make static)
#   COVERAGE=1                   counts the lines that run (make coverage)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# As many jobs as there are processors, unless the caller says otherwise.
ifeq ($(MAKELEVEL)$(findstring j,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),0)
MAKEFLAGS += -j$(shell nproc)
endif

STATIC ?=
CC := $(if $(STATIC),musl-gcc,$(if $(filter default,$(origin CC)),gcc,$(CC)))
SANITIZE ?=
COVERAGE ?=
DEV ?= $(if $(CI),1,)

comma := ,
VARIANT := $(if $(STATIC),static,$(if $(filter gcc,$(notdir $(CC))),,$(notdir $(CC))-)$(or $(if $(COVERAGE),coverage),$(subst $(comma),-,$(SANITIZE)),release))
BUILD := $(if $(filter release,$(VARIANT)),build,build/$(VARIANT))
OBJ := build/obj/$(VARIANT)

PACKAGES := libmicrohttpd libcurl json-c hiredis libcrypto sqlite3
# rediss:// where hiredis has TLS (1.0 and later).
REDIS_TLS := hiredis_ssl libssl
DEBIAN := build-essential pkg-config curl libmicrohttpd-dev libcurl4-openssl-dev libjson-c-dev \
	libhiredis-dev libssl-dev libsqlite3-dev libcriterion-dev redis-server
# The static build needs these and nothing of the above.
STATIC_DEBIAN := build-essential musl-tools cmake
STATIC_LIBS := build/static/deps

# ---- flags -------------------------------------------------------------------------------------
# build/config.mk holds what pkg-config says; making it installs what is missing.
GOALS_WITHOUT_CONFIG := help clean deps static static-libs
CONFIG := $(if $(STATIC),$(STATIC_LIBS)/json-c.done,build/config.mk)
ifneq ($(STATIC),)
PKG_CFLAGS := -isystem $(STATIC_LIBS)/include
# Other libraries are other flags.
PKG_CFLAGS += $(patsubst %,-DLIBRARIES=%,$(shell cat $(STATIC_LIBS)/*.done | sha256sum | cut -c1-16))
# Static and position-independent: musl-gcc has no option for that, so the start files are named here.
MUSL_CRT := /usr/lib/$(shell uname -m)-linux-musl
STATIC_BEGIN := -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text $(MUSL_CRT)/rcrt1.o $(MUSL_CRT)/crti.o \
	$(shell gcc -print-file-name=crtbeginS.o)
PKG_LIBS := -L$(STATIC_LIBS)/lib -lcurl -ljson-c -lssl -lcrypto -lc $(shell gcc -print-file-name=crtendS.o) \
	$(MUSL_CRT)/crtn.o
else ifneq ($(filter-out $(GOALS_WITHOUT_CONFIG),$(or $(MAKECMDGOALS),all)),)
-include build/config.mk
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wcast-qual \
	-Wnull-dereference -Wimplicit-fallthrough -fno-common
OPTIMIZE := $(if $(STATIC),-Os -ffunction-sections -fdata-sections,$(if $(COVERAGE),-O0,$(if $(SANITIZE),-O1 -fno-omit-frame-pointer,-O2)))
HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection \
	$(if $(SANITIZE)$(COVERAGE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANITIZE_FLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all) \
	$(if $(COVERAGE),--coverage -fprofile-update=atomic)
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -I. -g $(OPTIMIZE) $(WARNINGS) $(if $(DEV),-Werror) $(HARDEN) \
	-pthread $(SANITIZE_FLAGS) $(PKG_CFLAGS) $(CFLAGS)
# musl gives a thread 128 KiB of stack unless the program says otherwise.
ALL_LDFLAGS = -pthread $(if $(STATIC),$(STATIC_BEGIN) -Wl$(comma)--gc-sections -Wl$(comma)-z$(comma)stack-size=1048576,-pie) \
	-Wl,-z,relro,-z,now -Wl,--as-needed $(SANITIZE_FLAGS) $(LDFLAGS)

# ---- what there is -----------------------------------------------------------------------------
objects = $(patsubst %.c,$(OBJ)/%.o,$(1))
sources = $(sort $(foreach d,$(1),$(wildcard $(d)/*.c)))

# The programs that are built statically serve no HTTP.
DURABLE_SRC := $(filter-out $(if $(STATIC),shared/base/httpd%),$(call sources,shared/base shared/aws shared/lambda shared/durable))
TESTING_SRC := $(call sources,shared/durable/testing)
TOKEN_SRC := $(call sources,shared/token)
LIBS := $(BUILD)/lib/libtoken.a $(BUILD)/lib/libdurable-testing.a $(BUILD)/lib/libdurable.a

# A program is a room: its main.c, and an archive of the rest that its tests link too.
launcher_SRC := $(call sources,launcher)
receiver_SRC := $(call sources,callback-receiver)
container_SRC := $(call sources,container)
local_SRC := $(call sources,local local/aws)
stack_SRC := $(call sources,local/stack)
ROOMS := launcher receiver container local stack
room_archive = $(OBJ)/lib$(1).a
room_main = $(filter %/main.c,$($(1)_SRC))

BIN_launcher := $(BUILD)/bin/bootstrap
BIN_receiver := $(BUILD)/bin/callback-receiver
BIN_container := $(BUILD)/bin/callback-run
BIN_local := $(BUILD)/bin/local-aws
BIN_stack := $(BUILD)/bin/stack
BINARIES := $(foreach r,$(ROOMS),$(BIN_$(r)))

UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c))
INTEGRATION_SRC := $(sort $(wildcard tests/integration/test_*.c))
HARNESS_SRC := $(filter-out $(INTEGRATION_SRC),$(sort $(wildcard tests/integration/*.c)))
UNIT_BIN := $(patsubst tests/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
INTEGRATION_BIN := $(patsubst tests/%.c,$(BUILD)/tests/%,$(INTEGRATION_SRC))
TEST_SRC := $(UNIT_SRC) $(INTEGRATION_SRC) $(HARNESS_SRC)

# Plain programs for the thread sanitizer. The first word of a name may be the room that it links.
RACE_OWN := $(addprefix tests/race/,engine.c)
RACE_SRC := $(filter-out $(RACE_OWN),$(sort $(wildcard tests/race/*.c)))
RACE_BIN := $(patsubst tests/%.c,$(BUILD)/tests/%,$(RACE_SRC))

# Fuzzers: tests/fuzz/README.md. The first word of a target's name is the room that it links.
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*.c))
FUZZ_BIN := $(patsubst tests/%.c,$(BUILD)/tests/%,$(FUZZ_SRC))
fuzz_room = $(filter $(firstword $(subst _, ,$(basename $(notdir $(1))))),$(ROOMS))

# Programs of storms and measurements have a main(); what is beside them they share.
BENCH_MAIN := $(addprefix tests/bench/,durable_batch.c durable_replay.c engine_stub.c receiver_storm.c bare_server.c receiver_load.c local_flow.c runtime_probe.c)
BENCH_SRC := $(filter-out $(BENCH_MAIN),$(sort $(wildcard tests/bench/*.c)))
BENCH_BIN := $(patsubst tests/%.c,$(BUILD)/tests/%,$(BENCH_MAIN))

# The functions of the conformance requirements, and the program that holds them against the runner.
CONFORMANCE ?= ../shared/conformance
CONFORMANCE_SRC := $(sort $(wildcard tests/conformance/*.c))
CONFORMANCE_OWN := $(addprefix tests/conformance/,main.c check.c)
CONFORMANCE_BIN := $(BUILD)/tests/conformance/functions $(BUILD)/tests/conformance/check

EXAMPLES_SRC := $(sort $(wildcard examples/*.c))
EXAMPLES_BIN := $(patsubst %.c,$(BUILD)/%,$(EXAMPLES_SRC))

# The storm over everything, and the program that judges what it left.
CHAOS_SRC := $(sort $(wildcard tests/chaos/*.c))
CHAOS_CHECK := $(addprefix tests/chaos/,chaos_check.c marks.c)
CHAOS_BIN := $(BUILD)/tests/chaos/chaos $(BUILD)/tests/chaos/chaos_check

COVERAGE_SRC := $(if $(COVERAGE),tests/coverage/keep.c)

ALL_SRC := $(DURABLE_SRC) $(TESTING_SRC) $(TOKEN_SRC) $(foreach r,$(ROOMS),$($(r)_SRC)) $(TEST_SRC) $(RACE_SRC) $(RACE_OWN) $(FUZZ_SRC) tests/fuzz/replay/replay.c $(BENCH_MAIN) $(BENCH_SRC) $(CONFORMANCE_SRC) \
	$(EXAMPLES_SRC) $(CHAOS_SRC) $(COVERAGE_SRC)

# ---- build -------------------------------------------------------------------------------------
.PHONY: all
all: $(BINARIES) $(LIBS) ## build all programs and libraries

.PHONY: static
static: static-libs ## callback-run and bootstrap as static programs for any image, in build/static/bin
	@$(MAKE) --no-print-directory STATIC=1 static-binaries

.PHONY: static-libs
static-libs:
	@command -v musl-gcc cmake dpkg-source >/dev/null || $(MAKE) --no-print-directory deps DEBIAN='$(STATIC_DEBIAN)'
	@packaging/static-libs $(STATIC_LIBS)

.PHONY: static-binaries
static-binaries: $(BIN_container) $(BIN_launcher)

# A change of flags rebuilds; the same flags rebuild nothing.
$(OBJ)/flags: FORCE | $(CONFIG)
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
.PHONY: FORCE
FORCE:

$(OBJ)/%.o: %.c $(OBJ)/flags
	@mkdir -p $(@D)
	@printf '  CC   %s\n' $<
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define archive
@mkdir -p $(@D)
@printf '  AR   %s\n' $@
@rm -f $@
@$(AR) rcs $@ $(filter %.o,$^)
endef

$(BUILD)/lib/libdurable.a: $(call objects,$(DURABLE_SRC))
	$(archive)
$(BUILD)/lib/libdurable-testing.a: $(call objects,$(TESTING_SRC))
	$(archive)
$(BUILD)/lib/libtoken.a: $(call objects,$(TOKEN_SRC))
	$(archive)

define link
@mkdir -p $(@D)
@printf '  LD   %s\n' $@
@$(CC) $(ALL_LDFLAGS) $(if $(filter $(call objects,$(COVERAGE_SRC)),$^),-Wl$(comma)--wrap=http_send) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS) $(1) -lm
endef

define room_rules
$(call room_archive,$(1)): $(call objects,$(filter-out %/main.c,$($(1)_SRC)))
	$$(archive)
$(BIN_$(1)): $(call objects,$(call room_main,$(1))) $(call room_archive,$(1)) $(LIBS)
	$$(call link,)
endef
$(foreach r,$(ROOMS),$(eval $(call room_rules,$(r))))

# A unit test links the room that its folder names: tests/unit/receiver/test_store.c. Tests of stores
# also start a server.
define unit_rule
$(BUILD)/tests/$(1): $(OBJ)/tests/$(1).o $(if $(filter $(2),$(ROOMS)),$(call room_archive,$(2))) \
		$(if $(filter unit/receiver/test_store%,$(1)),$(call room_archive,stack)) $(LIBS)
	$$(call link,-lcriterion)
endef
$(foreach s,$(UNIT_SRC),$(eval $(call unit_rule,$(patsubst tests/%.c,%,$(s)),$(notdir $(patsubst %/,%,$(dir $(s)))))))

$(INTEGRATION_BIN): $(BUILD)/tests/%: $(OBJ)/tests/%.o $(call objects,$(HARNESS_SRC) $(BENCH_SRC)) \
		$(call room_archive,stack) $(LIBS)
	$(call link,-lcriterion)

$(BENCH_BIN): $(BUILD)/tests/%: $(OBJ)/tests/%.o $(call objects,$(BENCH_SRC)) $(call room_archive,stack) $(LIBS)
	$(call link,)

conformance_suites := $(call objects,$(filter-out $(CONFORMANCE_OWN),$(CONFORMANCE_SRC)))
$(BUILD)/tests/conformance/functions: $(OBJ)/tests/conformance/main.o $(conformance_suites) $(LIBS)
	$(call link,)
$(BUILD)/tests/conformance/check: $(OBJ)/tests/conformance/check.o $(conformance_suites) \
		$(OBJ)/tests/integration/history_rules.o $(call room_archive,stack) $(LIBS)
	$(call link,)

# As users write them: with <durable.h>, as it is installed.
$(call objects,$(EXAMPLES_SRC)): ALL_CFLAGS += -idirafter shared/durable
$(EXAMPLES_BIN): $(BUILD)/examples/%: $(OBJ)/examples/%.o $(BUILD)/lib/libdurable.a
	$(call link,)

$(BUILD)/tests/chaos/chaos: $(call objects,$(filter-out $(CHAOS_CHECK),$(CHAOS_SRC)) $(BENCH_SRC)) \
		$(call room_archive,stack) $(LIBS)
	$(call link,)
$(BUILD)/tests/chaos/chaos_check: $(call objects,$(CHAOS_CHECK)) $(BUILD)/lib/libdurable.a
	$(call link,)

define race_rule
$(BUILD)/tests/race/$(1): $(OBJ)/tests/race/$(1).o $(if $(call fuzz_room,$(1)),$(call objects,$(RACE_OWN) tests/bench/redis_server.c) \
		$(call room_archive,$(call fuzz_room,$(1))) $(call room_archive,stack)) $(LIBS)
	$$(call link,)
endef
$(foreach s,$(RACE_SRC),$(eval $(call race_rule,$(basename $(notdir $(s))))))

define fuzz_rule
$(BUILD)/tests/fuzz/$(1): $(OBJ)/tests/fuzz/$(1).o $(if $(FUZZER),,$(OBJ)/tests/fuzz/replay/replay.o) \
		$(foreach r,$(call fuzz_room,$(1)),$(call room_archive,$(r))) $(LIBS)
	$$(call link,$(FUZZER))
endef
$(foreach s,$(FUZZ_SRC),$(eval $(call fuzz_rule,$(basename $(notdir $(s))))))

# What runs as a function is ended by SIGKILL.
$(BIN_launcher) $(EXAMPLES_BIN) $(INTEGRATION_BIN): $(call objects,$(COVERAGE_SRC))

# The page is in the program.
$(OBJ)/local/console_page.o: $(wildcard local/console/*)

-include $(patsubst %.c,$(OBJ)/%.d,$(ALL_SRC))

.PHONY: examples
examples: $(EXAMPLES_BIN) ## build the examples, each a durable function in one file

# ---- run ---------------------------------------------------------------------------------------
.PHONY: demo
demo: all ## build, start everything, run workflows of every kind, show them, stop
	@$(BIN_stack) demo

.PHONY: up
up: all ## start everything and keep it running; prints the URLs and commands to try
	@$(BIN_stack) up

# ---- test --------------------------------------------------------------------------------------
.PHONY: tests
tests: $(UNIT_BIN) $(RACE_BIN) $(FUZZ_BIN) $(INTEGRATION_BIN) $(BENCH_BIN) $(CONFORMANCE_BIN) $(EXAMPLES_BIN) $(CHAOS_BIN) $(BINARIES) ## build the tests

.PHONY: test
test: tests ## unit and integration tests, plain and under the sanitizers (SANITIZE=... for that one alone)
ifeq ($(SANITIZE),)
	@$(MAKE) --no-print-directory SANITIZE=address,undefined tests
	@tests/run $(BUILD)/tests build/address-undefined/tests
else
	@tests/run $(BUILD)/tests
endif

# Criterion does not start under the thread sanitizer: tests of the usual build drive a receiver and a local-aws
# that run under it, and which end with another status than 0 where it found something.
RACE_TESTS := $(patsubst %,$(BUILD)/tests/integration/test_%,receiver delivery receiver_beats \
	receiver_commands receiver_shared receiver_process local_http local_lambda local_events local_ecs local_storm)

.PHONY: race
race: ## drive what runs on threads under the thread sanitizer
ifneq ($(SANITIZE),thread)
race: $(RACE_TESTS)
	@$(MAKE) --no-print-directory SANITIZE=thread race
	@set -e; for t in $(RACE_TESTS); do BIN_DIR=build/thread/bin $$t --jobs 2; done
else
race: $(RACE_BIN) $(BIN_receiver) $(BIN_local)
	@set -e; for p in $(RACE_BIN); do TSAN_OPTIONS=halt_on_error=1 $$p; done
endif

TIME ?= 60
.PHONY: fuzz
fuzz: build/config.mk ## fuzz what reads input from outside (TIME=seconds for each, TARGET=name for one); needs clang
	@command -v clang >/dev/null || { echo 'fuzz: skipped: clang is not installed'; exit 0; }; \
	$(MAKE) --no-print-directory CC=clang SANITIZE=fuzzer-no-link,address,undefined FUZZER=-fsanitize=fuzzer \
		fuzzers && tests/fuzz/run build/clang-fuzzer-no-link-address-undefined/tests/fuzz $(TIME) $(TARGET)
.PHONY: fuzzers
fuzzers: $(FUZZ_BIN)

.PHONY: check
check: tests ## the tests of this variant only
	@tests/run $(BUILD)/tests

# Every process of a test adds to the counts when it ends, those that SIGKILL ends excepted.
.PHONY: coverage coverage-report
coverage: ## which lines of the programs the tests run: a table, and build/coverage/uncovered.txt
	@command -v gcov python3 >/dev/null || { echo 'coverage: skipped: needs gcov and python3'; exit 0; }; \
	$(MAKE) --no-print-directory COVERAGE=1 tests && \
	find build/obj/coverage -name '*.gcda' -delete && \
	{ tests/run build/coverage/tests; ran=$$?; tests/coverage/report build/obj/coverage build/coverage && exit $$ran; }
# After a part of the tests by hand: BIN_DIR=build/coverage/bin build/coverage/tests/...
coverage-report:
	@tests/coverage/report build/obj/coverage build/coverage

.PHONY: conformance
conformance: all $(CONFORMANCE_BIN) ## hold the SDK against the requirements of AWS's own SDKs (ARGS='--only step' for some)
	@rm -rf $(BUILD)/conformance
	@$(BUILD)/tests/conformance/check $(BUILD)/bin $(BUILD)/tests/conformance/functions $(CONFORMANCE) \
		$(BUILD)/conformance $(ARGS)

.PHONY: check-static
check-static: tests static ## the integration tests on the static programs
	@rm -rf build/static/all && mkdir -p build/static/all
	@ln -s $(addprefix ../../../,$(BINARIES)) build/static/all
	@ln -sf $(addprefix ../bin/,$(notdir $(BIN_container) $(BIN_launcher))) build/static/all
	@TEST_BIN_DIR=build/static/all tests/run $(BUILD)/tests/integration

.PHONY: many
many: tests ## 1,000 workflows at once, and batches of 1,000 jobs that end and that are stopped
	@MANY=1000 BIN_DIR=$(BUILD)/bin $(BUILD)/tests/integration/test_many --jobs 1
	@BATCH=1000 BIN_DIR=$(BUILD)/bin $(BUILD)/tests/integration/test_launcher_batch --jobs 1 --filter '*/of_many*'

.PHONY: chaos
chaos: all $(CHAOS_BIN) ## a storm over everything, judged by a checker (ARGS='--seed 7 --seconds 60 --workflows 500')
	@$(BUILD)/tests/chaos/chaos --bin-dir $(BUILD)/bin --checker $(BUILD)/tests/chaos/chaos_check $(ARGS)

.PHONY: chaos-planted
chaos-planted: all $(CHAOS_BIN) ## put five faults into small storms: the checker must find each
	@tests/chaos/planted $(BUILD)

.PHONY: conformance-up
conformance-up: all $(CONFORMANCE_BIN) ## start local-aws with the functions of all requirements and keep it running
	@rm -rf $(BUILD)/conformance
	@$(BUILD)/tests/conformance/check $(BUILD)/bin $(BUILD)/tests/conformance/functions - $(BUILD)/conformance

.PHONY: chaos-receiver
chaos-receiver: tests ## kill -9 of the receiver (and Redis) under load, at full size, on every store
	@tests/bench/chaos-receiver

.PHONY: hostile
hostile: tests ## 10,000 connections that say little, against the real receiver
	@HOSTILE_CONNECTIONS=10000 BIN_DIR=$(BUILD)/bin $(BUILD)/tests/integration/test_receiver_hostile

.PHONY: bench
bench: all $(BENCH_BIN) ## measure, beside the peers that are there; a report in build/bench (ARGS='launcher local' for some; SHORT=1, QUICK=1)
	@tests/bench/run $(ARGS)
.PHONY: bench-docs
bench-docs: ## put build/bench's report into README.md and docs/benchmarks.md
	@tests/bench/readme

# ---- install -----------------------------------------------------------------------------------
# One object a library, with every name but the public ones made local: nothing of ours can clash
# with a program's own names. The testing library has its own copy of the small helpers; of the
# SDK's inside it calls invocation_run alone, under a name that says whose it is.
PREFIX ?= /usr/local
LIBDIR ?= lib
DESTDIR ?=
INSIDE := --redefine-sym invocation_run=durable_private_invocation_run
PUBLIC := $(BUILD)/install
$(PUBLIC)/libdurable.a: $(call objects,$(call sources,shared/durable)) $(BUILD)/lib/libdurable.a
	@mkdir -p $(@D)
	@printf '  PUB  %s\n' $@
	@$(CC) -r -nostdlib $(filter-out -pie -pthread -Wl%,$(ALL_LDFLAGS)) -o $(@:.a=.o) $(filter %.o,$^) $(filter %.a,$^)
	@$(OBJCOPY) $(INSIDE) --wildcard --keep-global-symbol='durable_*' $(@:.a=.o)
	@rm -f $@ && $(AR) rcs $@ $(@:.a=.o)
$(PUBLIC)/libdurable-testing.a: $(call objects,$(TESTING_SRC)) $(PUBLIC)/base.a
	@printf '  PUB  %s\n' $@
	@$(CC) -r -nostdlib $(filter-out -pie -pthread -Wl%,$(ALL_LDFLAGS)) -o $(@:.a=.o) $(filter %.o,$^) $(filter %.a,$^)
	@$(OBJCOPY) $(INSIDE) --wildcard --keep-global-symbol='durable_test_*' $(@:.a=.o)
	@rm -f $@ && $(AR) rcs $@ $(@:.a=.o)
$(PUBLIC)/base.a: $(call objects,$(call sources,shared/base))
	$(archive)
OBJCOPY ?= objcopy
VERSION := $(shell sed -n 's/.*VERSION "\(.*\)"/\1/p' shared/base/version.h)
PC := sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' -e '/^\#/d'

.PHONY: install
install: $(PUBLIC)/libdurable.a $(PUBLIC)/libdurable-testing.a ## install the durable SDK: headers, libraries, pkg-config files (PREFIX, LIBDIR, DESTDIR)
	@install -d '$(DESTDIR)$(PREFIX)/include' '$(DESTDIR)$(PREFIX)/$(LIBDIR)/pkgconfig'
	@install -m 644 shared/durable/durable.h '$(DESTDIR)$(PREFIX)/include/durable.h'
	@sed 's|#include "shared/durable/durable.h"|#include <durable.h>|' shared/durable/durable_testing.h \
		>'$(DESTDIR)$(PREFIX)/include/durable_testing.h'
	@install -m 644 $(PUBLIC)/libdurable.a $(PUBLIC)/libdurable-testing.a '$(DESTDIR)$(PREFIX)/$(LIBDIR)/'
	@for p in durable durable-testing; do \
		$(PC) shared/durable/$$p.pc.in >'$(DESTDIR)$(PREFIX)/$(LIBDIR)/pkgconfig/'$$p.pc; done

.PHONY: uninstall
uninstall: ## remove what make install has put there
	@cd '$(DESTDIR)$(PREFIX)' && rm -f include/durable.h include/durable_testing.h $(LIBDIR)/libdurable.a \
		$(LIBDIR)/libdurable-testing.a $(LIBDIR)/pkgconfig/durable.pc $(LIBDIR)/pkgconfig/durable-testing.pc

# ---- deployment --------------------------------------------------------------------------------
.PHONY: check-deploy
check-deploy: tests ## templates and compose file: lint, references, variables, permissions
	@if python3 -c 'import yaml' 2>/dev/null; then \
		BIN_DIR=$(BUILD)/bin tests/deploy/check.py && TESTS_DIR=$(BUILD)/tests/integration tests/deploy/iam.py; \
	else echo 'skipped: no python3 with yaml (python3-yaml)'; fi

template-zip.yaml: template.yaml tests/deploy/zip-template
	@tests/deploy/zip-template >$@

.PHONY: zip
zip: static template-zip.yaml ## the launcher as a zip file for provided.al2023: build/launcher.zip
	@mkdir -p build/zip
	@cp build/static/bin/bootstrap build/zip/bootstrap
	@strip build/zip/bootstrap
	@rm -f build/launcher.zip
	@python3 -c 'import zipfile; i = zipfile.ZipInfo("bootstrap", (2000, 1, 1, 0, 0, 0)); i.external_attr = 0o755 << 16; \
		i.compress_type = zipfile.ZIP_DEFLATED; zipfile.ZipFile("build/launcher.zip", "w").writestr(i, open("build/zip/bootstrap", "rb").read())'
	@ls -l build/launcher.zip

.PHONY: images
images: ## build the four container images
	@for i in launcher callback-receiver container:job local:local-aws; do \
		docker build -f "$${i%%:*}/Dockerfile" -t "lambda-ecs-durable/$${i##*:}" . || exit 1; done

.PHONY: compose-test
compose-test: ## docker-compose.yml with everything killed in mid-work (needs a Docker engine)
	@tests/compose/run

# ---- checks ------------------------------------------------------------------------------------
# Each file is judged by itself, so what was found clean is not read again until it, a header of its or the
# flags change: build/analyze/FILE.* says what was clean.
.PHONY: lint lint-quick
lint: lint-quick analyze ## style, cppcheck, warnings of both compilers, gcc -fanalyzer, clang-tidy: all are errors (minutes, once)
lint-quick: check-style cppcheck warnings-clang ## the part of lint that takes seconds; gcc's own warnings are errors with DEV=1

PRODUCT_SRC := $(filter-out tests/% examples/%,$(ALL_SRC))
ANALYZE := build/analyze
ANALYZE_FLAGS = $(filter-out -Werror,$(ALL_CFLAGS)) -Werror $(if $(filter examples/%,$<),-idirafter shared/durable)

.PHONY: cppcheck
cppcheck:
	@if command -v cppcheck >/dev/null; then $(MAKE) --no-print-directory $(ANALYZE)/cppcheck >/dev/null; \
	else echo 'lint: skipped: cppcheck is not installed'; fi
$(ANALYZE)/cppcheck: $(PRODUCT_SRC) $(wildcard $(addsuffix *.h,$(sort $(dir $(PRODUCT_SRC)))))
	@mkdir -p $(@D)
	@cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -I. --enable=warning,performance,portability \
		--suppress=missingIncludeSystem $(PRODUCT_SRC) && touch $@

.PHONY: warnings-clang analyze lint-clang lint-gcc lint-tidy
warnings-clang: build/config.mk
	@if command -v clang >/dev/null; then $(MAKE) --no-print-directory -k lint-clang; \
	else echo 'lint: skipped: clang is not installed'; fi

# The analyzers read what is installed; tests are compiled with gcc's warnings alone.
analyze: build/config.mk ## gcc -fanalyzer and clang-tidy
	@what=lint-gcc; \
	gcc -fanalyzer -x c -c -o /dev/null /dev/null 2>/dev/null || echo 'lint: gcc has no -fanalyzer here: its warnings alone'; \
	if command -v clang-tidy >/dev/null; then what="$$what lint-tidy"; \
	else echo 'lint: skipped: clang-tidy is not installed'; fi; \
	$(MAKE) --no-print-directory -k $$what

lint-clang: $(ALL_SRC:%.c=$(ANALYZE)/%.clang)
lint-gcc: $(ALL_SRC:%.c=$(ANALYZE)/%.gcc)
lint-tidy: $(PRODUCT_SRC:%.c=$(ANALYZE)/%.tidy)
lint-clang lint-gcc lint-tidy:
	@:

$(ANALYZE)/flags: FORCE | $(CONFIG)
	@mkdir -p $(@D)
	@printf '%s\n' '$(ANALYZE_FLAGS)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# clang-tidy's headers are gcc's.
ANALYZE_DEPENDS = -MMD -MP -MF $@.d -MT $@ -MT $(@:.gcc=.tidy)
$(ANALYZE)/%.gcc: %.c $(ANALYZE)/flags
	@mkdir -p $(@D)
	@printf '  GCC  %s\n' $<
	@gcc $(ANALYZE_FLAGS) $(if $(filter $<,$(PRODUCT_SRC)),$(FANALYZER)) $(ANALYZE_DEPENDS) -c -o /dev/null $< && touch $@
FANALYZER = $(eval FANALYZER := $(shell gcc -fanalyzer -x c -c -o /dev/null /dev/null 2>/dev/null && echo -fanalyzer))$(FANALYZER)

$(ANALYZE)/%.clang: %.c $(ANALYZE)/flags
	@mkdir -p $(@D)
	@printf '  CLANG %s\n' $<
	@clang $(ANALYZE_FLAGS) -fsyntax-only -MMD -MP -MF $@.d -MT $@ $< && touch $@

# What is counted of the system's headers goes to standard error.
$(ANALYZE)/%.tidy: %.c .clang-tidy $(ANALYZE)/flags
	@mkdir -p $(@D)
	@printf '  TIDY %s\n' $<
	@clang-tidy --quiet $< -- $(filter-out -Werror,$(ANALYZE_FLAGS)) -Wno-unknown-warning-option 2>$@.log || { cat $@.log; exit 1; }
	@rm -f $@.log && touch $@

-include $(ALL_SRC:%.c=$(ANALYZE)/%.gcc.d) $(ALL_SRC:%.c=$(ANALYZE)/%.clang.d)

.PHONY: check-style
check-style: ## layout, banned functions, direction of includes, size of files and functions
	@tests/style

DOCS := README.md CONTRIBUTING.md CHANGES.md tests/fuzz/README.md tests/chaos/README.md $(filter-out docs/faults.md,$(sort $(wildcard docs/*.md))) docs/faults.md
.PHONY: check-docs
check-docs: all examples ## what the documents name is there, and their commands run (tests/docs/markdown.py says which)
	@if command -v python3 >/dev/null; then \
		tests/bench/check && BIN_DIR=$(BUILD)/bin tests/docs/names.py $(DOCS) && tests/docs/commands.py $(DOCS); \
	else echo 'skipped: no python3'; fi

.PHONY: format
format: ## let clang-format lay out all C files
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

# ---- dependencies ------------------------------------------------------------------------------
.PHONY: deps
deps: ## install what is missing (Debian packages; needs root or sudo)
	@set -e; missing=; \
	for p in $(DEBIAN); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then \
		echo "Missing:$$missing (names of Debian packages). There is no apt-get here: install their like by hand."; exit 1; fi; \
	run=; \
	if [ "$$(id -u)" != 0 ]; then \
		if sudo -n true 2>/dev/null; then run='sudo -n'; \
		else echo "Missing:$$missing. Run as root: apt-get install$$missing"; exit 1; fi; fi; \
	echo "Installing$$missing"; \
	$$run env DEBIAN_FRONTEND=noninteractive apt-get update -qq; \
	$$run env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null

build/config.mk: Makefile
	@pkg-config --exists $(PACKAGES) criterion 2>/dev/null && command -v $(CC) curl redis-server >/dev/null || \
		$(MAKE) --no-print-directory deps
	@mkdir -p build
	@printf 'PKG_CFLAGS := %s\nPKG_LIBS := %s\n' "$$(pkg-config --cflags $(PACKAGES))" \
		"$$(pkg-config --libs $(PACKAGES))" >$@
	@if pkg-config --exists $(REDIS_TLS) 2>/dev/null; then \
		printf 'PKG_CFLAGS += -DHAVE_HIREDIS_SSL\nPKG_LIBS += %s\n' "$$(pkg-config --libs $(REDIS_TLS))" >>$@; fi

.PHONY: clean
clean: ## remove everything that was built
	@rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
