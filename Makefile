# The front door: each target does its own set-up. The build itself is meson's (see meson.build).
PREFIX ?= /usr/local
BUILD ?= build
MESON = .venv/bin/meson
NINJA = .venv/bin/ninja
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: all setup test install clean help

all: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD)

setup:
	@tools/setup

$(BUILD)/build.ninja: | setup
	@$(MESON) setup $(BUILD) --prefix=$(PREFIX)

test: all
	@$(MESON) test -C $(BUILD) --no-rebuild --print-errorlogs

install: all
	@$(MESON) configure $(BUILD) --prefix=$(PREFIX)
	@$(MESON) install -C $(BUILD)

clean:
	@rm -rf $(BUILD)

help:
	@echo "make | make test | make install PREFIX=... DESTDIR=... | make clean"
