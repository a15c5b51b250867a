# The front door: each target does its own set-up. The build itself is meson's: see meson.build and CONTRIBUTING.md.
PREFIX ?= /usr/local
BUILD = build
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: all setup demo test quick sanitize bench bench-python conformance matrix crash stress install tidy format clean help
.DELETE_ON_ERROR:

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet
	@echo "The library is in $(BUILD)/src, the Python package in .venv. See \`make help\`."

setup:
	@tools/setup

# What meson says of the machine is of interest when it fails.
$(BUILD)/build.ninja: | setup
	@mkdir -p $(BUILD)
	@meson setup $(BUILD) --prefix=$(PREFIX) > $(BUILD)/setup.log 2>&1 || { cat $(BUILD)/setup.log; exit 1; }

demo:
	@tools/setup demo
	@$(MAKE) --no-print-directory all
	@tools/demo $(BUILD)

test:
	@tools/setup tests
	@tools/test

quick: all
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs --suite unit --suite static

sanitize:
	@tools/setup
	@tools/test asan tsan

bench: $(BUILD)/build.ninja
	@tools/bench $(if $(QUICK),--quick)

bench-python: $(BUILD)/build.ninja
	@tools/bench-python $(if $(QUICK),--quick)

conformance: $(BUILD)/build.ninja
	@tools/conformance $(if $(PYTHONS),--pythons $(PYTHONS)) $(if $(METHODS),--methods $(METHODS)) \
		$(if $(SUITES),--suites $(SUITES))

matrix: all
	@tools/matrix --jobs 4 --write docs/bench/matrix.md

crash: all
	@tools/crash --write

stress: all
	@meson test -C $(BUILD) --benchmark --suite stress --verbose

install: all
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@meson install -C $(BUILD)

tidy:
	@tools/setup tests
	@tools/tidy

format:
	@tools/setup tests
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD)

help:
	@echo "make            build the library into build/"
	@echo "make demo       build all and show it at work"
	@echo "make test       run all tests: gcc and clang, with and without sanitizers"
	@echo "make quick      run the unit tests and the static checks alone"
	@echo "make sanitize   run the tests under AddressSanitizer, UBSan and ThreadSanitizer"
	@echo "make bench      measure, side by side with the alternatives"
	@echo "make bench-python  the same for the Python package, beside multiprocessing and others"
	@echo "make conformance  run CPython's tests of multiprocessing on the package (PYTHONS=3.11 METHODS=fork SUITES=mp for a part)"
	@echo "make matrix     the kill matrix: shoal and its peers, each killed in each way; an hour"
	@echo "make crash      kill at every point of every operation, and write the table in docs/bench/crash.md"
	@echo "make stress     the long runs: kills at random, for more than an hour"
	@echo "make install    install to PREFIX ($(PREFIX)), below DESTDIR where that is set"
	@echo "make tidy       run clang-tidy; make format: run clang-format"
	@echo "make clean      remove build/ (and .venv stays)"
