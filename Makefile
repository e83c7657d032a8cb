# The daily loop of `box`. `make demo` and `make test` need a Rust toolchain and build-essential.

TARGET  := x86_64-unknown-linux-gnu
OUT     := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)
RELEASE := $(abspath $(OUT)/release/box)
SYMBOLS := $(abspath $(OUT)/symbols/box)
APPLETS := proxy cache sql sniff container

.PHONY: help build demo test test-cgroup2 check lint features docs bench $(APPLETS:%=bench-%) bench-start fuzz clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9%-]*\):.*## /\1\t/p' Makefile | expand -t 14

build: ## Build the release binary: ./box
	cargo build --release
	cp -f $(RELEASE) box

demo: build ## A guided tour of all applets on real input; leaves nothing running
	tests/demo/tour.sh ./box

test: ## All tests; what needs an absent oracle or root says so (with CI=true it fails)
	cargo build --release
	cargo build --profile symbols
	BOX_RELEASE=$(RELEASE) BOX_SYMBOLS=$(SYMBOLS) cargo test --workspace

test-cgroup2: ## The container where the kernel has cgroups of version 2 alone (User-Mode Linux)
	cargo test --no-default-features --features container --test container -- cgroup2

check: lint features test ## Everything that must hold before a commit goes to main

lint: ## Format and clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

features: ## Each applet builds alone
	for applet in $(APPLETS); do \
		cargo build --no-default-features --features $$applet || exit 1; \
	done

docs: ## Write docs/cli.md anew
	BOX_BLESS=1 cargo test --test trunk the_committed_command_line_page_is_fresh

bench: bench-start $(APPLETS:%=bench-%) ## Every applet beside its peer

bench-start: build ## Start-up and size beside busybox
	python3 bench/start.py $(RELEASE)

$(APPLETS:%=bench-%): bench-%: build ## bench-NAME: an applet beside its peer
	$(firstword $(wildcard bench/$*.sh bench/$*.py)) $(RELEASE)

fuzz: ## A minute of every fuzz target (needs cargo-fuzz and a nightly toolchain)
	cd fuzz && for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run $$target -- -max_total_time=60 || exit 1; \
	done

clean: ## Remove what was built
	cargo clean
	rm -f box
