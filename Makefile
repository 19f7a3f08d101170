# Set-up happens inside the first command that needs it and is skipped while pyproject.toml and constraints.txt stand.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-offline parity check bench eval clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Triptych needs Python 3.11: '$(PYTHON)' was not found (set PYTHON=...)"; exit 1; }
	@echo "Setting up $(VENV) (once; a few minutes)"
	@$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --constraint constraints.txt --editable ".[dev]" 2>&1 \
		| grep --line-buffered -vE '^(WARNING: Location|Requirement already)' | sed -u -E 's/^(Collecting|Downloading|Installing|Processing) ([^ ]*).*/  \1 \2/'
	@$(BIN)/python -c "import triptych, torch, diffusers, tritonclient.grpc" && touch $@

demo: $(READY) ## Prompts to pictures through real Triton; shows the results
	@$(BIN)/triptych demo

serve: $(READY) ## The whole stack on http://127.0.0.1:8080
	@$(BIN)/triptych serve

test: $(READY) ## Every test, against real Triton
	@$(BIN)/python -m pytest

parity: $(READY) ## Pictures against diffusers', measured anew into docs/parity.md
	@$(BIN)/python -m pytest -m parity --parity-table=docs/parity.md

test-offline: $(READY) ## Every test without a network; fails if anything wanted one
	@$(BIN)/python -m tests.support.offline $(BIN)/python -m pytest

check: $(READY) ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## Ours and the peers side by side, on this machine
	@$(BIN)/python -m benchmarks

eval: $(READY) ## Quality of the embedded model on 200 held-out captions
	@$(BIN)/python -m benchmarks.quality

clean: ## Remove the environment and everything built at run time
	rm -rf $(VENV) runtime
