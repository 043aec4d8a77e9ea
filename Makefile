# What Silo can be told to do. `make help` lists it. Every target is safe to repeat.
SHELL := bash
BUILD := .build/release

.PHONY: help demo chaos serve test test-swift test-integration model bench format build setup
.DEFAULT_GOAL := help

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: build ## install what is missing, build, and run the main job: one queued job for every file of a folder
	$(BUILD)/checksum

chaos: build ## the same while the server and a worker are killed twice
	$(BUILD)/checksum --chaos

serve: build ## run the server on local disk, with no configuration (options: make serve ARGS='--help')
	$(BUILD)/silo $(ARGS)

test: test-swift test-integration ## install what the tests need and run all of them

test-swift: setup-test ## the tests in Swift: units, the model, the storage engine, gRPC, protobuf conformance
	swift build --build-tests
	swift test --skip-build --parallel

test-integration: setup-test build ## the tests in Python, of the built programs from outside
	.deps/python/bin/python -m pytest Tests/Integration

model: ## check the written model of leases and limits with Spin: every claim, then every mistake (ARGS=--wide: wider)
	@scripts/setup model
	@model/check $(ARGS)

bench: build ## measure; prints a table and one line BENCH {json}
	$(BUILD)/silo-bench suite $(ARGS)

format: ## lay the Swift sources out
	swift format format --in-place --recursive --parallel Sources Tests examples Package.swift

build: setup
	swift build -c release

.PHONY: setup setup-test
setup:
	@scripts/setup build
setup-test:
	@scripts/setup test
