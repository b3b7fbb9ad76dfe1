# make        what there is to make
# make demo   see it work, without WeChat
# make test   see that it works
#
# Needs Go, git and make. The linters come by `go run`, at the versions below.

GOLANGCI   := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOFUMPT    := mvdan.cc/gofumpt@v0.12.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
CYCLONEDX  := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
COMPOSE    := github.com/compose-spec/compose-go/v2/cmd@v2.16.2
KUBECTL    := sigs.k8s.io/kubectl-validate@v0.0.4

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
BIN     := bin/kefud

# The version is given by -ldflags. Go's own stamp would refuse a clone that
# belongs to another user.
#
# nomsgpack leaves out Gin's codec for MessagePack, which nobody here speaks.
# validator_novalidatefn leaves out the one rule of the validator that calls methods
# by name: whatever does keeps every exported method of all that is built in, a third
# of the program. internal/licences builds its list with the same tags.
#
# The profile cmd/kefud/default.pgo serves the program that is shipped. To build tests
# and the demo by it would take a minute more each.
export GOFLAGS := $(GOFLAGS) -buildvcs=false -tags=nomsgpack,validator_novalidatefn -pgo=off

FUZZTIME  := 30s
BENCHTIME := 1s
ROUNDS    := 5

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test build lint fmt fuzz soak bench footprint scale pgo microbench licences sbom reproducible release checkdeploy clean need unit
# One after the other under -j too: tests on a busy machine fail for no reason.
.NOTPARALLEL:

STEP = @printf '\n==> %s\n'

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## play conversations against a simulated WeChat and show who reached whom
	@go run ./cmd/kefud demo

test: need lint unit ## everything that must hold: linters, all tests with the race detector, a short fuzz
	@$(MAKE) --no-print-directory fuzz FUZZTIME=5s
	$(STEP) 'all of it passed'

build: ## build one static binary, bin/kefud
	$(STEP) 'build $(BIN) ($(VERSION), $(COMMIT))'
	CGO_ENABLED=0 go build -trimpath -pgo=auto -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o $(BIN) ./cmd/kefud

lint: ## check format, go.mod, modules, workflows, go vet and the linters of .golangci.yml
	$(STEP) 'format: gofumpt'
	@sh scripts/format.sh $(GOFUMPT)
	$(STEP) 'go.mod: complete, and nothing too much'
	@go mod tidy -diff
	$(STEP) 'modules: as go.sum has them'
	@go mod verify
	$(STEP) 'workflows: actionlint'
	@go run $(ACTIONLINT) -shellcheck= -pyflakes=
	@! grep -rn 'uses:' .github | grep -vE '@[0-9a-f]{40} # v[0-9.]+$$' # by commit, with its version
	$(STEP) 'go vet'
	@go vet ./...
	@cd bench && go vet ./... # a module of its own
	$(STEP) 'linters: golangci-lint (the first time it is built: some minutes)'
	@go run $(GOLANGCI) run ./...

fmt: ## put every Go file into the format that lint asks for
	@git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 go run $(GOFUMPT) -w

fuzz: ## run every fuzz target for FUZZTIME each (30s)
	$(STEP) 'fuzz: every target for $(FUZZTIME)'
	@FUZZTIME=$(FUZZTIME) sh scripts/fuzz.sh

soak: need ## run what can go wrong in full length (about 2 hours) and write the figures to docs/reliability.md
	$(STEP) 'faults, attacks and races in full length'
	@mkdir -p bin && : >bin/figures
	@failed=0; \
	KEFUD_SOAK=1 KEFUD_FIGURES=$(CURDIR)/bin/figures go test -count=1 -p 1 -timeout 4h -run '^TestReliable' ./... || failed=1; \
	sh scripts/figures.sh bin/figures "$$(date +%Y-%m-%d)" || failed=1; \
	$(MAKE) --no-print-directory reproducible || failed=1; \
	$(MAKE) --no-print-directory fuzz FUZZTIME=5m || failed=1; \
	exit $$failed

bench: need ## measure kefud beside Gin and other servers (about 25 minutes) and write docs/performance.md
	$(STEP) 'kefud beside Gin and other servers'
	@cd bench && go run . -rounds $(ROUNDS) -for 4s -out ../docs/performance.md

footprint: need ## measure size, start, rest, idle connections, reloads and the embedded store (about 5 minutes) and write docs/footprint.md
	$(STEP) 'what kefud takes'
	@cd bench && go run . footprint -rounds $(ROUNDS) -out ../docs/footprint.md

scale: need ## measure how kefud grows with customers, Redis nodes and processes (about 15 minutes) and write docs/scale.md
	$(STEP) 'kefud with a million customers, on a cluster, in several processes'
	@cd bench && go run . scale -out ../docs/scale.md

pgo: need ## profile the server under load and write cmd/kefud/default.pgo, by which make build optimises
	$(STEP) 'profile of a busy server'
	@mkdir -p bin && go test -run '^$$' -bench '^BenchmarkServe$$' -benchtime 40s -cpuprofile $(CURDIR)/bin/default.pgo -o bin/pgo.test ./cmd/kefud
	@mv bin/default.pgo cmd/kefud/default.pgo && rm bin/pgo.test

microbench: ## run the benchmarks of the parts for BENCHTIME each (1s)
	$(STEP) 'benchmarks'
	@go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

licences: ## write docs/licences.md, the licences of all that is built in
	@mkdir -p bin && go run ./internal/licences >bin/licences.md && mv bin/licences.md docs/licences.md

sbom: ## write bin/kefud_SYSTEM.cdx.json, the bills of materials (CycloneDX)
	@mkdir -p bin && sh scripts/sbom.sh $(CYCLONEDX) bin/kefud_

reproducible: ## build twice, in different folders with different caches, and compare the bytes
	$(STEP) 'the same source gives the same program'
	@sh scripts/reproducible.sh

release: ## write archives for every system, their bills of materials and checksums to bin/release
	$(STEP) 'archives of $(VERSION)'
	@sh scripts/release.sh $(VERSION) $(COMMIT) bin/release
	@sh scripts/sbom.sh $(CYCLONEDX) bin/release/kefud_$(VERSION)_
	@cd bin/release && sha256sum -- * >../SHA256SUMS && mv ../SHA256SUMS . && cat SHA256SUMS

checkdeploy: ## check the files of deploy/ with the programs that they are for
	@sh scripts/need.sh nginx caddy promtool
	@COMPOSE=$(COMPOSE) KUBECTL=$(KUBECTL) sh scripts/checkdeploy.sh

clean: ## remove what was built
	rm -rf bin
	go clean -testcache

# What the tests need besides Go: a Redis server, and a C compiler for the race detector.
need:
	$(STEP) 'what the tests need: redis-server, a C compiler'
	@sh scripts/need.sh redis-server "$$(go env CC)"

# One package after the other: those with time limits of their own share the
# machine with nobody.
unit:
	$(STEP) 'tests, from unit to end to end, with the race detector and a real Redis'
	@CGO_ENABLED=1 go test -race -run '^$$' ./... >/dev/null # compiles everything, both cores at it
	@CGO_ENABLED=1 go test -race -p 1 -timeout 15m -skip '^TestReliableAPI$$' ./...
	$(STEP) 'faults of WeChat'"'"'s API: twelve servers at once, for which the race detector is too slow'
	@go test -run '^TestReliableAPI$$' ./cmd/kefud
	$(STEP) 'races in full length, for which the race detector is too slow'
	@go test -run '^TestStore$$/^server$$/^(OneServingAgent|OneFreeSeat)$$' ./store
	@go test -run 'HoweverManyProcessesRace' ./cmd/kefud -race-rounds 100
	$(STEP) 'the relay in full length: 10 conversations of 200 messages each way, 30 s without the API'
	@go test -run 'TestRelay(KeepsTen|OutlivesAnOutage)' ./cmd/kefud -relay-messages 200 -relay-outage 30s
