# xtm's own commands. `make test` is what CI runs.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
GO ?= go
BIN := bin/xtm
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(shell $(GO) env GOPATH)/bin/golangci-lint
FUZZTIME ?= 3s
export CGO_ENABLED ?= 0

.PHONY: build run test test-deps vet race fuzz kernel-ci kernel-speed lab lab-shell lint bench nightly clean

build: ## the static binary, bin/xtm
	$(GO) build -trimpath -o $(BIN) .

run: build ## a report from a recorded host
	@./$(BIN) report --demo

# What the tests run beside Go, by Debian's package names.
TEST_DEPS := systemd util-linux tmux python3 kmod chromium chromium-driver strace debootstrap cpio pciutils zsh fish dash make git ca-certificates e2fsprogs gcc libc6-dev ccache
KERNEL_DEPS := build-essential flex bison bc libelf-dev libssl-dev rsync kmod cpio ccache
LAB_DEPS := qemu-system-x86 e2fsprogs xz-utils

test: ## all tests; as root on Debian it first installs what they need
	@$(MAKE) --no-print-directory test-deps
	@.ci/stages vet race fuzz kernel-ci lab

test-deps:
	@missing=$$(for p in $(TEST_DEPS); do dpkg-query -W -f='$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then \
		echo "tests that need these will be skipped:" $$missing; \
		echo "install them, or run make test-deps as root on Debian"; exit 0; fi; \
	export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null

kernel-ci: ## a real Linux 6.1 of Debian's, built, killed and resumed
	@$(MAKE) --no-print-directory test-deps TEST_DEPS="$(KERNEL_DEPS)"
	XTM_TEST_KERNEL=1 $(GO) test -count=1 -timeout 60m -v -run TestDebianKernel ./kernelbuild/build

kernel-speed: ## three builds of a 6.1: the hand way, ours, ours again
	@$(MAKE) --no-print-directory test-deps TEST_DEPS="$(KERNEL_DEPS)"
	XTM_TEST_KERNEL=1 XTM_TEST_NIGHTLY=1 $(GO) test -count=1 -timeout 5h -v -run TestSpeed ./kernelbuild/build

lab: ## a real Xen in QEMU: boot it, run every scenario, collect (lab/README.md)
	@$(MAKE) --no-print-directory test-deps TEST_DEPS="$(LAB_DEPS)"
	$(GO) run ./lab

lab-shell: ## the same host with a shell in Dom0
	@$(MAKE) --no-print-directory test-deps TEST_DEPS="$(LAB_DEPS)"
	$(GO) run ./lab shell

# Every fuzz target in the tree, for FUZZTIME each. Minimizing is bounded: it
# takes all of a short run otherwise. Go's fuzzer sometimes takes the end of its
# own time for a failure, so a failure has to show twice; an input that fails is
# kept in testdata and fails again at once.
fuzz:
	@grep -rlE --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
	sed -nE 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/p' $$file | while read -r name; do \
	run() { $(GO) test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=10x ./$$(dirname $$file) 2>&1; }; \
	out=$$(run) || out=$$(run) || { echo "$$out"; exit 1; }; \
	echo "$$name $$(echo "$$out" | tail -1)"; done || exit 1; done

vet:
	$(GO) vet ./...

race: ## every test, with the race detector
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 20m ./...

lint: $(GOLANGCI)
	$(GOLANGCI) run ./...
	$(GOLANGCI) fmt --diff ./...
	$(GO) mod tidy -diff
	$(GO) mod verify
	GOARCH=386 $(GO) vet . ./guest/... ./internal/...

$(GOLANGCI):
	$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

nightly: ## the long forms: every kill point, longer fuzzing, kernels
	XTM_TEST_NIGHTLY=1 FUZZTIME=30s XTM_DEADLINE=$$(($$(date +%s) + 8 * 3600)) .ci/stages race fuzz kernel-ci kernel-speed lab

bench:
	$(GO) test -run='^$$' -bench=. -benchmem ./...

clean:
	rm -rf bin
