# Everything here works on a machine that has git, Python 3.11, Go and Node 20.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench lock clean

help: ## Show what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: setup ## Start the sandbox, bring up us, eu, apac and edge, show what came up
	$(BIN)/fleet sandbox demo

test: check ## Run every test
	$(BIN)/python -m pytest

check: setup ## Formatter, linter, type checkers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	node_modules/.bin/tsc --noEmit -p components/edge_worker

bench: setup ## Measure; writes bench/results.json and docs/benchmarks.md
	$(BIN)/python -m bench

setup: .venv/installed node_modules/installed ## Install what is needed, once
	@$(BIN)/python -m sandbox.toolchain

.venv/installed: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/installed: package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

lock: setup ## Lock the dependencies of pyproject.toml anew
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 -c requirements.txt --all-extras pyproject.toml -o requirements-dev.txt

clean: ## Stop the sandbox and remove what was installed here
	-$(BIN)/fleet sandbox reset
	rm -rf .venv node_modules .sandbox
