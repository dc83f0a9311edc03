# Xisuan: every command that a newcomer or CI needs. `make help` lists them.
# A distribution's own Python is built with profile-guided optimisation, which one that was built by hand mostly is not:
# the service is a fifth faster on it (docs/service-benchmarks.md). Where it is too old, or makes no environments: python3.
ifndef PYTHON
PYTHON := $(shell for one in /usr/bin/python3 python3; do \
	"$$one" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$one"; exit; }; done; echo python3)
endif
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROTO_FILES := $(sort $(shell find proto -name '*.proto'))
TEST_ARGS ?=
SEEDS ?= 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
JOBS ?= 1
export RAY_USAGE_STATS_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-long lint types protos protos-check bench bench-service clean chaos chaos-runbooks

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## create .venv with everything pinned; the command is then .venv/bin/xisuan

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Xisuan needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Give another one: make venv PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	# Actors and adapters are many short processes: none of them should compile what another has compiled.
	$(BIN)/python -m compileall -q adapters console inventory scheduler simulations xisuan
	# Kernels are compiled on first use, for a minute: here, so that no demo, test or service waits for it.
	$(BIN)/xisuan sim run examples/scenarios/backfill.yaml >/dev/null
	$(BIN)/xisuan migration plan --psplib examples/projects/thirty.sm --effort 0.5 >/dev/null
	@touch $@

demo: $(STAMP) ## the whole main job on illustrative data, in under a minute
	@$(BIN)/xisuan demo

test: $(STAMP) ## every test that this machine can run; the last lines name what was skipped and why
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not servers and not long" --durations=15 $(TEST_ARGS) || [ $$? = 5 ]
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "servers and not long" --durations=15 $(TEST_ARGS) || [ $$? = 5 ]

test-long: $(STAMP) ## the whole conformance suite of every adapter of ours, some minutes more
	$(BIN)/python -m pytest -m long --durations=15 $(TEST_ARGS)

lint: $(STAMP) ## ruff, layers, and buf's STANDARD rules on the contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null); \
	if [ -n "$$tag" ]; then echo "contracts against $$tag"; $(BIN)/buf breaking proto --against ".git#tag=$$tag,subdir=proto"; \
	else echo "contracts: no tag yet, so there is nothing to break"; fi

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

protos: $(STAMP) ## regenerate the stubs under xisuan/ from proto/
	find xisuan -name '*_pb2*' -delete
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. \
		--mypy_out=. --mypy_grpc_out=. $(PROTO_FILES)

protos-check: protos ## fail when the committed stubs differ from the contracts
	@changed=$$(git status --porcelain -- xisuan); if [ -n "$$changed" ]; then \
		echo "the stubs differ from proto/: run make protos and commit"; echo "$$changed"; git diff -- xisuan | head -40; exit 1; fi

chaos-runbooks: $(STAMP) ## kill -9 migrations at points drawn from many seeds: make chaos-runbooks SEEDS="1 2 3"
	XISUAN_CHAOS_SEEDS="$(SEEDS)" $(BIN)/python -m pytest tests/runbooks/test_runbook_crashes.py $(TEST_ARGS)

chaos: $(STAMP) ## 200 rounds of faults under load, each checked by its history; one again: make chaos SEEDS="17"; JOBS=2: two at a time
	$(BIN)/python -m tests.chaos.rounds --seeds "$(if $(filter file,$(origin SEEDS)),1-200,$(SEEDS))" --jobs $(JOBS) --logs .chaos

bench: $(STAMP) ## benchmarks, with the last recorded run beside them
	mkdir -p .benchmarks
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-autosave --benchmark-compare \
		--benchmark-storage=.benchmarks --benchmark-columns=median,iqr,ops,rounds

bench-service: $(STAMP) ## the whole service from outside: rates, latencies, memory, restart (minutes); NAMES="..." chooses
	$(BIN)/python -m tests.benchmarks.service $(NAMES)

clean: ## remove the environment and everything generated outside version control
	rm -rf $(VENV) .xisuan .benchmarks .chaos build *.egg-info
