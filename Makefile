# xtm's own commands. `make test` is what CI runs.
SHELL := /bin/bash
GO ?= go
BIN := bin/xtm
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(shell $(GO) env GOPATH)/bin/golangci-lint
FUZZTIME ?= 6s
export CGO_ENABLED ?= 0

.PHONY: build run test test-deps lint fuzz bench race vet unit e2e lab lab-shell nightly clean

build: ## the static binary, bin/xtm
	$(GO) build -trimpath -o $(BIN) .

run: build ## a report from a recorded host
	@./$(BIN) report --demo

# One line a target: package, then the name of the fuzz function.
FUZZ := $(shell grep -rlE --include='*_test.go' '^func Fuzz' . 2>/dev/null | sort)

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for f in $(FUZZ); do d=./$$(dirname $$f); \
	for n in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/p' $$f); do \
	echo "fuzz $$d $$n"; $(GO) test -run='^$$' -fuzz="^$$n\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=10x $$d || exit 1; done; done

vet:
	$(GO) vet ./...

race: ## everything that needs no other program, with the race detector
	CGO_ENABLED=1 $(GO) test -race -shuffle=on ./...

lint: $(GOLANGCI)
	$(GOLANGCI) run ./...
	$(GOLANGCI) fmt --diff ./...
	$(GO) mod tidy -diff
	$(GO) mod verify

$(GOLANGCI):
	$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

bench:
	$(GO) test -run='^$$' -bench=. -benchmem ./...

clean:
	rm -rf bin
