# goike. Needs Go, git and make; what else a target needs it installs by
# apt-get and says so (test/deps), as root.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  = -s -w -X github.com/goike/goike/internal/version.Version=$(VERSION)
BUILD    = CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '$(LDFLAGS)'

DESTDIR   ?=
PREFIX    ?= /usr/local
UNITDIR   ?= $(PREFIX)/lib/systemd/system
CONFDIR   ?= /etc/goike

PEER      ?= goiked
ONCE      ?=
TESTFLAGS ?=
FUZZTIME  ?= 30s
SOAK      ?= 1h
BENCHTIME ?= 1s

GOLANGCI_VERSION = v2.15.0
GOLANGCI         = bin/tools/golangci-lint-$(GOLANGCI_VERSION)

.PHONY: help build run vm test race lint fuzz soak bench install clean deps

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## static goiked and goikectl in bin/
	@mkdir -p bin
	$(BUILD) -o bin/ ./cmd/goiked ./cmd/goikectl

run: build ## two sites and a tunnel in network namespaces; PEER=strongswan, ONCE=1
	@go run -buildvcs=false ./test/deps net $(if $(filter strongswan,$(PEER)),strongswan)
	@go build -buildvcs=false -o bin/run ./test/run
	@exec bin/run -bin bin -peer $(PEER) $(if $(filter-out 0,$(ONCE)),-once)

vm: build ## a shell where the kernel has ESP: a virtual machine with these files
	@go run -buildvcs=false ./test/deps net strongswan vm
	@go build -buildvcs=false -o bin/vm ./test/vm
	@exec bin/vm

# The simulator takes all CPUs; daemons that run against the clock are not beside it.
test: deps ## every test
	go test -timeout 25m $(TESTFLAGS) $$(go list ./... | grep -v /test/sim)
	go test -timeout 20m $(TESTFLAGS) ./test/sim

# Emulated and with the race detector, the tests on another kernel take too long; those
# that last long do, too, and what they call others do as well. Times are not compared.
SLOW_WITH_RACE = ^(TestRekeying|TestHandoverUnderTraffic|TestEndWithDeadPeer|TestLimitsUnderTraffic|TestMOBIKELeavesASilentPath|TestResumption|TestThousand)$$

race: deps ## every test under the race detector, but those that take too long
	@go run -buildvcs=false ./test/deps race
	CGO_ENABLED=1 go test -race -timeout 30m -skip '$(SLOW_WITH_RACE)' $(TESTFLAGS) $$(go list ./... | grep -v -e /test/kernel -e /test/planes)

deps:
	@go run -buildvcs=false ./test/deps net strongswan vm wireshark

lint: $(GOLANGCI) ## gofmt, go vet, golangci-lint (.golangci.yml)
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	$(GOLANGCI) run ./...

$(GOLANGCI):
	@mkdir -p bin/tools
	GOBIN=$(CURDIR)/bin/tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv bin/tools/golangci-lint $@

fuzz: ## every fuzz target for FUZZTIME each (30s)
	@git grep -l '^func Fuzz' -- '*_test.go' | while read -r file; do \
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file" | while read -r target; do \
			echo "== $$(dirname $$file) $$target"; \
			go test "./$$(dirname $$file)" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) </dev/null || exit 1; \
		done || exit 1; \
	done

soak: ## simulated networks of daemons, one seed after another, for SOAK (1h)
	go test ./test/sim -count=1 -v -timeout 0 -run '^TestNetworks$$' -soak $(SOAK)

bench: deps ## benchmarks of the code, then throughput and load beside strongSwan
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...
	go run -buildvcs=false ./test/bench/throughput
	go run -buildvcs=false ./test/bench/load
	go run -buildvcs=false ./test/bench/reload

install: build ## into $(DESTDIR)$(PREFIX)
	install -D -m 0755 bin/goiked $(DESTDIR)$(PREFIX)/sbin/goiked
	install -D -m 0755 bin/goikectl $(DESTDIR)$(PREFIX)/bin/goikectl
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/sbin/|$(PREFIX)/sbin/|' packaging/systemd/goiked.service > $(DESTDIR)$(UNITDIR)/goiked.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/goiked.service
	install -d -m 0755 $(DESTDIR)$(CONFDIR)
	test -e $(DESTDIR)$(CONFDIR)/goike.toml || install -m 0600 packaging/goike.toml $(DESTDIR)$(CONFDIR)/goike.toml

clean: ## remove what was built
	rm -rf bin
