# `make demo` and `make test` are all that a fresh machine needs; each installs what it lacks.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
MODEL ?= minilm
# Tests of one file stay together, and so do their fixtures.
WORKERS ?= --numprocesses 2 --dist loadfile
QUICK := "not slow and not system and not browser and not wasmd and not kubo"
# Options of the quick tests; .ci/run measures coverage with them.
QUICK_OPTIONS ?=
# A causal step costs five times as much on a CPU; this keeps its demo to some minutes, too.
DEMO_smollm2 = --set training.steps=10 --set training.batch_size=8 --set training.max_length=48 --set dataset.holdout_rows=200
export ATLAS_HOME ?= $(CURDIR)/.atlas
export DAGSTER_HOME ?= $(ATLAS_HOME)/dagster
export PATH := $(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install demo up test quick lint type docs screenshots contract clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## Install everything into ./.venv

$(VENV)/.installed: pyproject.toml requirements.lock scripts/install
	scripts/install "$(PYTHON)" "$(VENV)"
	touch $@

demo: install  ## Fine-tune MiniLM on four shards with two local nodes, three rounds (MODEL=smollm2: the causal case)
	scripts/demo $(MODEL) $(DEMO_$(MODEL))

up: install  ## Keep chain, bus, two nodes and the Dagster UI running
	atlas up

test: install  ## Run every test, the quick ones first
	pytest $(WORKERS) $(QUICK_OPTIONS) -m $(QUICK)
	pytest $(WORKERS) --no-loadscope-reorder -m "slow or system or browser or wasmd or kubo"

quick: install  ## Run the quick tests alone
	pytest $(WORKERS) $(QUICK_OPTIONS) -m $(QUICK)

lint: install  ## Check style and import direction
	ruff check .
	ruff format --check .
	lint-imports

type: install  ## Check types
	mypy

docs: install  ## Build the documentation site into ./.site, with the reference generated from the code
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet
	@echo "Open $(CURDIR)/.site/index.html in a browser; for the search, run: python -m http.server --directory .site"

screenshots: install  ## Take the pictures of docs/images/dagster anew, with Chromium
	ATLAS_SCREENSHOTS="$(CURDIR)/.screenshots" pytest -m browser tests/system/test_browser.py
	for picture in docs/images/dagster/*.png; do cp .screenshots/"$${picture##*/}" "$$picture"; done

contract:  ## Rebuild the contract and compare it with the committed bytecode and schema, bit for bit
	scripts/contract check

clean:  ## Remove the environment and all local state
	rm -rf "$(VENV)" "$(CURDIR)/.atlas" "$(CURDIR)/.site"
