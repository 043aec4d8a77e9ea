# What Silo can be told to do. `make help` lists it. Every target is safe to repeat.
SHELL := bash
BUILD := .build/release

.PHONY: help demo chaos serve test test-swift test-integration simulate model bench bench-limits format build setup
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
THREADS := GRPCTests|SiloClientTests|SiloServerTests|SiloServiceTests|SiloStoreTests|SlateDBTests|ConcurrencyTests|SiloEngineTests
test-threads: setup-test ## the suites that have threads, under the thread sanitizer (a build of its own)
	swift build --build-tests --sanitize=thread --scratch-path .build/threads
	TSAN_OPTIONS="suppressions=$(CURDIR)/Tests/threads-suppressions.txt halt_on_error=0 exitcode=66" \
		swift test --skip-build --sanitize=thread --scratch-path .build/threads --parallel --filter '$(THREADS)'

test-integration: setup-test build ## the tests in Python, of the built programs from outside
	.deps/python/bin/python -m pytest Tests/Integration

SEEDS ?= 1000
FROM ?= 1
SIMULATE := SILO_COMMIT=$$(git rev-parse --short HEAD 2>/dev/null) $(BUILD)/silo-simulate $(if $(WITHOUT),--without $(WITHOUT))

simulate: build ## whole clusters on seeds, with faults and checkers: make simulate SEEDS=1000, or SEED=7 to replay one
	@$(SIMULATE) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --from $(FROM))

.PHONY: test-simulation
test-simulation: build ## 300 seeds, and that one seed gives one trace
	@$(SIMULATE) --seeds 300
	@bash -c 'cmp <($(SIMULATE) --seed 7) <($(SIMULATE) --seed 7)' && echo "seed 7 gives the same trace twice"

CUTS ?= 1000
.PHONY: power-cuts
power-cuts: setup-test build ## cut the power under the server again and again (CUTS=1000; SEED=7 repeats the chance of a run)
	SILO_CUTS=$(CUTS) $(if $(SEED),SILO_SEED=$(SEED)) GRPC_VERBOSITY=ERROR .deps/python/bin/python -m pytest \
		Tests/Integration/test_power_cuts.py -q -s -o faulthandler_timeout=0

.PHONY: flood
flood: setup-test build ## the worst of each kind at a server with little memory, for a minute
	SILO_FLOOD_SECONDS=60 .deps/python/bin/python -m pytest Tests/Integration/test_flood.py -q -s

model: ## check the written model of leases and limits with Spin: every claim, then every planted mistake (ARGS=--wide: wider)
	@scripts/setup model
	@model/check $(ARGS)

bench: build ## measure; prints a table and one line BENCH {json}
	$(BUILD)/silo-bench suite $(ARGS)

bench-limits: build ## measure limits and the simulation; prints a table and one line BENCH {json}
	$(BUILD)/silo-bench suite --only limits,handover,deadlock,flood,simulation $(ARGS)

.PHONY: bench-peers
bench-peers: build ## measure other queues beside Silo, half an hour; writes bench/RESULTS.md and bench/peers.svg (ARGS=--quick)
	@scripts/setup peers
	.deps/peers/python/bin/python -m bench.peers $(ARGS)

format: ## lay the Swift sources out
	swift format format --in-place --recursive --parallel Sources Tests examples Package.swift

build: setup
	swift build -c release

.PHONY: setup setup-test
setup:
	@scripts/setup build
setup-test:
	@scripts/setup test
