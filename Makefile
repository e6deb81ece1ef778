# Everything runs from .venv, which each target sets up by itself.
.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types imports tests bench bench-learning proof proof-delivery proof-measurement lock notebooks pictures clean
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 14

demo: $(VENV)/.core ## Run the whole story on an embedded world, into ./demo (under 5 minutes)
	@$(BIN)/winback demo ./demo

test: $(VENV)/.dev ## Run every test
	$(BIN)/pytest -n auto --dist worksteal --durations 20

check: format lint types imports tests ## Format, lint, types, imports, tests: what CI runs

format: $(VENV)/.dev ## Check the formatting
	$(BIN)/ruff format --check .
lint: $(VENV)/.dev ## Run the linter
	$(BIN)/ruff check .
types: $(VENV)/.dev ## Check the types
	$(BIN)/mypy
imports: $(VENV)/.dev ## Check that imports point one way
	$(BIN)/lint-imports
tests: test

bench: $(VENV)/.dev ## Measure speed against peers in the same run
	$(BIN)/python -m benchmarks.run

bench-learning: $(VENV)/.peers ## Measure how well the models rank, against peers in the same run
	$(BIN)/python -m benchmarks.learning

proof: $(VENV)/.dev ## Run the tests that take minutes each, and kill an import of 20 million rows
	$(BIN)/pytest -m proof
	$(BIN)/python -m benchmarks.proof

proof-delivery: $(VENV)/.dev ## Try delivery in hundreds of worlds where everything goes wrong (FULL=1: in 10,000)
	$(BIN)/python -m benchmarks.proof_delivery $(if $(FULL),full)

proof-measurement: $(VENV)/.dev ## Measure thousands of programmes whose truth is known (FULL=1: all of them)
	$(BIN)/python -m benchmarks.proof_measurement $(if $(FULL),full)

notebooks: $(VENV)/.dev ## Run the six notebooks on ./demo (made first if it is not there), into ./demo/notebooks
	test -e demo/.demo || $(MAKE) demo
	$(BIN)/winback notebook --run -w demo

pictures: $(VENV)/.dev ## Draw the mails and the demo's report into docs/pictures (needs Chromium)
	$(BIN)/python docs/draw_pictures.py
lock: $(VENV)/.dev ## Write requirements/*.txt anew from pyproject.toml
	$(BIN)/python requirements/lock.py
clean: ## Remove the environment and the demo
	rm -rf $(VENV) demo

$(VENV)/.core: requirements/core.txt pyproject.toml
	$(PYTHON) requirements/install.py $(VENV) core
	@touch $@
$(VENV)/.dev: requirements/dev.txt $(VENV)/.core
	$(PYTHON) requirements/install.py $(VENV) dev
	@touch $@
$(VENV)/.peers: requirements/peers.txt $(VENV)/.dev
	$(PYTHON) requirements/install.py $(VENV) peers
	@touch $@
