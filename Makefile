# What Silo can be told to do. `make help` lists it. Every target is safe to repeat.
SHELL := bash
BUILD := .build/release
# For --version: the commit, with + when files differ from it.
export SILO_COMMIT ?= $(shell git describe --always --abbrev=12 --exclude="*" --dirty=+ 2>/dev/null || echo unknown)

.PHONY: help demo chaos serve test test-swift test-integration simulate model bench bench-limits docs format build setup
.DEFAULT_GOAL := help

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: build ## install what is missing, build, and run the main job: one queued job for every file of a folder
	$(BUILD)/checksum

chaos: build ## the same while the server and a worker are killed twice
	$(BUILD)/checksum --chaos

serve: build ## run the server on local disk, with no configuration (options: make serve ARGS='--help')
	$(BUILD)/silo $(ARGS)

test: test-swift test-integration test-simulation ## install what the tests need and run all of them

test-swift: setup-test ## the tests in Swift: units, the model, the storage engine, gRPC, protobuf conformance
	swift build --build-tests
	MALLOC_PERTURB_=85 swift test --skip-build --parallel # freed memory is poisoned, so that its use shows

.PHONY: test-threads
# The suites that have threads of their own, or share values between them.
THREADS := GRPCTests|HTTPServerTests|SiloClientTests|SiloServerTests|SiloServiceTests|SiloStoreTests|SlateDBTests|ConcurrencyTests|SiloEngineTests
test-threads: setup-test ## the suites that have threads, under the thread sanitizer (a build of its own)
	swift build --build-tests --sanitize=thread --scratch-path .build/threads
	TSAN_OPTIONS="suppressions=$(CURDIR)/Tests/threads-suppressions.txt halt_on_error=0 exitcode=66" \
		swift test --skip-build --sanitize=thread --scratch-path .build/threads --parallel --filter '$(THREADS)'

test-integration: setup-test build ## the tests in Python, of the built programs from outside
	.deps/python/bin/python -m pytest Tests/Integration -n 4 --dist loadfile # most of it waits: four files at once

SEEDS ?= 1000
FROM ?= 1
SIMULATE := $(BUILD)/silo-simulate $(if $(WITHOUT),--without $(WITHOUT))

simulate: build ## whole clusters on seeds, with faults and checkers: make simulate SEEDS=1000, or SEED=7 to replay one
	@$(SIMULATE) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --from $(FROM))

.PHONY: simulate-log
simulate-log: setup-test ## the local log on disks that lose, tear, rot and fill up: 20,000 seeds, or SEEDS=100000
	swift build --build-tests
	SILO_LOG_SEEDS=1-$(if $(filter file,$(origin SEEDS)),20000,$(SEEDS)) swift test --skip-build --filter LogCrashTests

.PHONY: test-simulation
test-simulation: build ## 300 seeds, and that one seed gives one trace
	@$(SIMULATE) --seeds 300
	@bash -c 'cmp <($(SIMULATE) --seed 7) <($(SIMULATE) --seed 7)' && echo "seed 7 gives the same trace twice"

CUTS ?= 1000
.PHONY: power-cuts
power-cuts: setup-test build ## cut the power under the server again and again (CUTS=1000; SEED=7 repeats the chance of a run)
	SILO_CUTS=$(CUTS) $(if $(SEED),SILO_SEED=$(SEED)) GRPC_VERBOSITY=ERROR .deps/python/bin/python -m pytest \
		Tests/Integration/test_power_cuts.py -q -s -o timeout=0

.PHONY: flood
flood: setup-test build ## the worst of each kind at a server with little memory, for a minute
	SILO_FLOOD_SECONDS=60 .deps/python/bin/python -m pytest Tests/Integration/test_flood.py -q -s

MINUTES ?= 20
.PHONY: fuzz-query
fuzz-query: setup-test build ## generated and mutated statements at a server (MINUTES=20; SEED=7 repeats the statements of a run)
	SILO_FUZZ_SECONDS=$$(($(MINUTES) * 60)) $(if $(SEED),SILO_SEED=$(SEED)) .deps/python/bin/python -m pytest \
		Tests/Integration/test_query_fuzz.py -q -s -o timeout=0

model: ## check the written model of leases and limits with Spin: every claim, then every planted mistake (ARGS=--wide: wider)
	@scripts/setup model
	@model/check $(ARGS)

bench: build ## measure; prints a table and one line BENCH {json}
	$(BUILD)/silo-bench suite $(ARGS)

bench-limits: build ## measure limits, the log, retention, dropped tenants, bulk actions and the simulation; prints a table and one line BENCH {json}
	$(BUILD)/silo-bench suite --only limits,handover,deadlock,flood,log,retention,drop,bulk,simulation $(ARGS)

.PHONY: bench-operate
bench-operate: setup-test build ## measure what operating costs: metrics, traces, scrapes, the start, retention, dropped tenants; ends with BENCH {json} (ARGS=--quick)
	@.deps/python/bin/python -m bench.operate $(ARGS)

.PHONY: bench-query
bench-query: setup-test build ## measure SQL over a million jobs, beside SQLite and DuckDB; ends with BENCH {json} (ARGS=--quick)
	@.deps/python/bin/python -m bench.query $(ARGS)

.PHONY: bench-web
bench-web: setup-test build ## measure the web page over a million jobs of a hundred thousand tenants; ends with BENCH {json} (ARGS=--quick)
	@.deps/python/bin/python -m bench.web $(ARGS)

.PHONY: bench-bucket
bench-bucket: setup-test build ## measure life cycles on data in a bucket whose writes are slow; ends with BENCH {json} (ARGS=--quick)
	@.deps/python/bin/python -m bench.bucket $(ARGS)

.PHONY: bench-peers
bench-peers: build ## measure other queues beside Silo, half an hour; writes bench/RESULTS.md and bench/peers.svg (ARGS=--quick)
	@scripts/setup peers
	.deps/peers/python/bin/python -m bench.peers $(ARGS)

docs: build setup-test ## make docs/siloctl.md from the command line, docs/configuration.md from the table of settings, the metrics in docs/observability.md, the calls and addresses of roles in docs/security.md
	$(BUILD)/siloctl __reference > docs/siloctl.md
	SILO_REWRITE=1 swift test --filter 'ConfigurationPageTests|MetricTableTests|RolesPageTests|RoutesPageTests'

.PHONY: pictures
pictures: build setup-test ## make the pictures of docs/web.md anew, from a server with work going on
	.deps/python/bin/python scripts/web_pictures.py docs/pictures

format: ## lay the Swift sources out
	swift format format --in-place --recursive --parallel Sources Tests examples Package.swift

build: setup
	swift build -c release

.PHONY: setup setup-test
setup:
	@scripts/setup build
setup-test:
	@scripts/setup test

PREFIX ?= /usr/local
.PHONY: install
install: ## install the programs under PREFIX (/usr/local), with their libraries, manual pages and completions
	@scripts/setup dist
	swift build -c release --static-swift-stdlib --scratch-path .build/static
	PREFIX=$(PREFIX) scripts/install-tree .build/static/release $(DESTDIR)$(PREFIX)

.PHONY: dist
dist: ## build silo-<version>-linux-<machine>.tar.gz and a Debian package in .build/dist
	@scripts/dist

.PHONY: check-dist
check-dist: ## the same, and run both in a bare Debian 12 (needs root)
	@scripts/dist --check
