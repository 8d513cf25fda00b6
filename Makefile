# Every way to build, prove and measure the gateway. `make help` lists the targets; each says what it really does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
LIBRARIES := gateway-domain gateway-auth gateway-transport gateway-server gateway-cluster
PROGRAMS := gateway loadtest gateway-lambda
# Those with a graph without sockets: built by `make test` and judged by the layer test.
PURE := gateway-transport gateway-server
FUZZ_CASES ?= 20000
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := engineio socketio websocket
# The stories of the hub, of backends and of Socket.IO, which hold for one gateway as for several that act as one; and those
# among the same that take long.
STORIES := routes commands command_limits replies correlation rooms room_rules presence recovery agents_online ordering targets \
	forging forging_at_random seats tracking refresh expiry session bans revocation node_ws \
	example_control_centre example_nodes example_simulation \
	publishing publishers http_requests api overview schemas webhooks any_body cors pages call_rates \
	socketio_client socketio_raw socketio_pages
LONG_STORIES := slow_readers publishing_at_pace openapi handshake_rates message_rates
# How many gateways act as one there, how many stories are told at a time, and the number that spreads the clients over the
# gateways: none draws one for each story. `make test` tells them by one and the same, so that it judges a change and not a draw.
NODES ?= 3
AT_ONCE ?= 3
SPREAD ?=

# What `make run` passes on, for instance: make run ARGS="serve --config gateway.toml"
ARGS ?=

.PHONY: help run test stories alone check coverage bench targets peers soak fuzz doc screenshots fmt node browser python proxies redis chart

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the gateway from these sources; without a configuration in dev mode on loopback (ARGS="..." is passed on)
	$(CARGO) run --locked -p gateway -- $(ARGS)

test: node browser python proxies redis ## every test of the workspace, the stories again on three nodes, then each library and each program by itself
	$(CARGO) test --workspace --locked --no-fail-fast
	$(MAKE) --no-print-directory stories SPREAD=20
	$(MAKE) --no-print-directory alone

stories: node browser python redis ## the stories of hub, backends and Socket.IO, with every gateway NODES=3 of them, and clients at any
	@echo "== the stories again: where one gateway is asked for there are $(NODES), joined by a Redis, and clients come to any of them"
	@# The same binaries as of the whole workspace: nothing is built anew. Each would ask for the program by itself.
	program=$$($(CARGO) build --workspace --locked --test shapes --bin gateway --message-format json-render-diagnostics | grep -o '"executable":"[^"]*/gateway"' | cut -d '"' -f 4); \
	GATEWAY_PROGRAM=$$program GATEWAY_TEST_NODES=$(NODES) $(if $(SPREAD),GATEWAY_TEST_SPREAD=$(SPREAD)) $(CARGO) test --workspace --locked --no-fail-fast $(addprefix --test ,$(STORIES)) -- --test-threads=$(AT_ONCE)

alone: ## each library and each program builds by itself, with and without sockets; the domain is tested so, too
	@# The domain is cheap enough to be tested again. The others are only checked, in their own feature graphs:
	@# their tests have just run, and a second set of test binaries would double the time.
	$(CARGO) test -p gateway-domain --locked
	for library in $(LIBRARIES); do $(CARGO) check -p $$library --lib --locked; done
	for program in $(PROGRAMS); do $(CARGO) check -p $$program --bins --locked; done
	for library in $(PURE); do $(CARGO) check -p $$library --lib --no-default-features --locked; done

check: ## formatting, clippy, documentation, layers, shapes: all with warnings as errors
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	@# Of the whole workspace, as `make test` builds it: by themselves they would have dependencies with other features.
	$(CARGO) test --workspace --locked --test layers --test clippy_laws --test shapes
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked check bans licenses sources; \
	else echo "cargo-deny is not installed: licences and sources were not checked against deny.toml"; fi

coverage: ## which lines the libraries' tests reach; fails under 95 % of domain, auth, gate or handshake (STORIES=1: the stories, too)
	@CARGO="$(CARGO)" tests/coverage.sh

bench: ## the pure parts by cargo bench (benches/ folders), then the load test in short against the release program: some minutes
	$(CARGO) bench --workspace --bench '*' --locked
	$(CARGO) build --release --locked -p gateway
	$(CARGO) run --release --locked -p loadtest -- --size short

targets: ## each target of docs/performance.md beside what this machine measures, in one run of some minutes (`make peers` first, to have other servers beside it)
	$(CARGO) build --release --locked -p gateway
	$(CARGO) run --release --locked -p loadtest -- targets

peers: ## the servers that the load test can measure beside the gateway (loadtest --peers ws,socketio,uws), from npm
	npm ci --prefix apps/loadtest/peers --no-audit --no-fund --ignore-scripts

soak: node browser python proxies redis ## the long tests that `make test` leaves out (those marked #[ignore]) and all stories on three nodes, one after the other
	$(CARGO) test --workspace --locked -- --ignored --test-threads=1
	$(MAKE) --no-print-directory stories STORIES="$(STORIES) $(LONG_STORIES)" AT_ONCE=1

fuzz: ## properties with many random cases (FUZZ_CASES=20000), then, with a nightly compiler and cargo-fuzz, the targets of fuzz/ (FUZZ_SECONDS=60 each)
	@echo "files with properties:"; grep -rlE 'proptest!' crates --include='*.rs' | sed 's/^/  /' || echo "  none"
	@echo "$(FUZZ_CASES) cases for each property"
	PROPTEST_CASES=$(FUZZ_CASES) $(CARGO) test -p gateway-domain -p gateway-auth -p gateway-transport -p gateway-server --locked
	@# New inputs go to fuzz/found; what is worth keeping is copied into fuzz/corpus, which `make test` replays with any compiler.
	@if $(CARGO) +nightly fuzz --version >/dev/null 2>&1; then for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/found/$$target; \
		$(CARGO) +nightly fuzz run --fuzz-dir fuzz $$target fuzz/found/$$target fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096; done; \
	else echo "cargo +nightly fuzz is not there: the targets of fuzz/ ($(FUZZ_TARGETS)) were not fuzzed, only replayed by make test"; fi

doc: ## the API documentation, into the target folder
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

screenshots: node browser ## the pictures of docs/console.md, made anew; smaller where pngquant is installed
	$(CARGO) run --quiet --locked -p gateway-tests --example pictures
	@if command -v pngquant >/dev/null 2>&1; then pngquant --force --ext .png --skip-if-larger --quality 70-95 32 docs/console/*.png; \
	else echo "pngquant is not installed: the pictures stay as the browser made them"; fi

fmt: ## formats every file
	$(CARGO) fmt --all

chart: ## what Helm makes of the chart (deploy/helm/rendered), which the tests look at; after a change of the chart, and with helm at hand
	@command -v helm >/dev/null 2>&1 || { echo "helm is missing: the chart was not rendered" >&2; exit 1; }
	helm lint --strict deploy/helm/gateway
	helm template gateway deploy/helm/gateway --kube-version 1.33.0 > deploy/helm/rendered/default.yaml
	helm template gateway deploy/helm/gateway --kube-version 1.33.0 -f deploy/helm/everything.yaml > deploy/helm/rendered/everything.yaml
	find deploy/helm/gateway deploy/helm/everything.yaml -type f | LC_ALL=C sort | xargs cat | sha256sum | cut -d ' ' -f 1 > deploy/helm/rendered/sha256

# The Node clients of the tests. npm writes the file named here, so it is older than the lock when the lock changed.
node: tests/node/node_modules/.package-lock.json

tests/node/node_modules/.package-lock.json: tests/node/package.json tests/node/package-lock.json
	@if ! command -v npm >/dev/null 2>&1; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
			echo "npm is missing: installing nodejs and npm"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; \
		else echo "npm is missing: install Node.js 18 or later, the tests speak through its clients" >&2; exit 1; fi; fi
	npm ci --prefix tests/node --no-audit --no-fund --ignore-scripts
	@touch $@

# The Python clients of the tests, and what holds the HTTP API against its document. Every package is named there with its hash.
python: tests/python/.venv/installed

tests/python/.venv/installed: tests/python/requirements.txt
	@if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
			echo "python3 is missing, or its venv: installing python3 and python3-venv"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv; \
		else echo "python3 is missing, or its venv: install Python 3.11 or later with venv" >&2; exit 1; fi; fi
	rm -rf tests/python/.venv
	python3 -m venv tests/python/.venv
	tests/python/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/python/requirements.txt
	@touch $@

# The browser that pages are tried in.
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		if command -v $$name >/dev/null 2>&1; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "Chromium is missing: installing chromium"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; \
	else echo "Chromium is missing: install it, the tests try pages in it" >&2; exit 1; fi

# The proxies whose files ship (deploy/proxies), each tried in front of gateways. None of them is started as a service.
proxies:
	@missing=(); \
	test -x /usr/sbin/nginx || missing+=(nginx-light); \
	test -x /usr/sbin/haproxy || missing+=(haproxy); \
	command -v caddy >/dev/null 2>&1 || missing+=(caddy); \
	if [ "$${#missing[@]}" = 0 ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "installing: $${missing[*]}"; \
		apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}"; \
	else echo "missing: $${missing[*]}: install them, the tests put them in front of gateways" >&2; exit 1; fi

# The Redis of the tests: each test starts its own, on a free port, and stops it.
redis:
	@tests/redis.sh
