# `make help` lists the targets. Everything is installed into .venv, once per pyproject.toml.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
LOG := $(VENV)/setup.log
EXTRAS ?= cpu,demo,bench,report,dev
COMMA := ,
STAMP := $(VENV)/.done-$(subst $(COMMA),-,$(EXTRAS))
CONFIG ?= configs/demo.yaml
TORCH := 2.13.0
UV = UV_NO_PROGRESS=1 VIRTUAL_ENV=$(VENV) $(BIN)/uv

# The first interpreter that runs and fits. Naming one, as in `make setup PYTHON=python3.12`, wins.
FITS := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
ifeq ($(origin PYTHON), undefined)
PYTHON = $(shell for p in python3 python3.13 python3.12 python3.11; do \
	if $$p -c '$(FITS)' >/dev/null 2>&1; then echo $$p; break; fi; done)
endif

.PHONY: help setup demo-model demo serve test check format bench bench-admission bench-fairness bench-live bench-registry bench-routing bench-slots clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' \
		| while IFS=$$'\t' read -r target does; do printf '  make %-15s %s\n' "$$target" "$$does"; done

setup: $(STAMP) ## install everything into .venv (EXTRAS=cpu,demo,bench,report,dev)

demo: demo-model ## four tenants, two vLLM replicas on the CPU: ask, print, stop
	@$(BIN)/serve-app demo

serve: demo-model ## serve configs/demo.yaml on 127.0.0.1:8000 until Ctrl-C (CONFIG=...)
	@$(BIN)/serve-app up $(CONFIG)

test: demo-model ## run the whole test suite, real vLLM included
	@$(BIN)/pytest

check: $(STAMP) ## format, lint, types, import contracts
	@echo '== format' && $(BIN)/ruff format --check .
	@echo '== lint' && $(BIN)/ruff check .
	@echo '== types' && $(BIN)/mypy
	@echo '== imports' && $(BIN)/lint-imports --no-logo

format: $(STAMP) ## put the code into form
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: demo-model ## compare with a bare vLLM server in the same run
	@$(BIN)/python -m serve_app.bench --config $(CONFIG)

bench-admission: $(STAMP) ## what comes before a request may go on, with ten thousand tenants
	@$(BIN)/python -m serve_app.bench.admission

bench-fairness: demo-model ## what a noisy tenant does to a quiet one, on a real engine
	@$(BIN)/python -m serve_app.bench.fairness --config $(CONFIG)

bench-live: demo-model ## ways to route, on real Ray Serve and real engines
	@$(BIN)/python -m serve_app.bench.live

bench-registry: demo-model ## what ten thousand adapters cost control and a gateway
	@$(BIN)/python -m serve_app.bench.registry

bench-routing: $(STAMP) ## compare routing policies on a simulated fleet
	@$(BIN)/python -m serve_app.simulator.bench

bench-slots: demo-model ## ways to share LoRA slots, side by side on real engines
	@$(BIN)/python -m serve_app.bench.slots

clean: ## remove what was built: .venv, .demo, caches
	@rm -rf $(VENV) .demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find serve_app tests -name __pycache__ -type d -prune -exec rm -rf {} +

demo-model: $(STAMP)
	@$(BIN)/python -m serve_app.demo

# Each step is skipped when it is done, so that an interrupted setup goes on where it stopped.
$(STAMP): pyproject.toml
	@if [ "$$(uname -s)-$$(uname -m)" != Linux-x86_64 ]; then \
		echo "error: needs Linux on x86-64; this is $$(uname -s) on $$(uname -m)" >&2; exit 1; fi
	@if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
		if [ -z "$(PYTHON)" ]; then \
			echo "error: no Python 3.11, 3.12 or 3.13 with venv was found;" \
				"install one, or name one: make setup PYTHON=/path/to/python3.12" >&2; exit 1; fi; \
		if ! $(PYTHON) -c '$(FITS)' >/dev/null 2>&1; then \
			echo "error: $(PYTHON) does not run, has no venv, or is not Python 3.11 to 3.13" >&2; \
			exit 1; fi; \
		echo "setup 1/3: .venv with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv $(VENV); fi
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip install --quiet uv 2>$(LOG) \
		|| { cat $(LOG) >&2; exit 1; }
	@if [[ ,$(EXTRAS), == *,cpu,* ]] && ! $(BIN)/python -c \
		'from importlib.metadata import version; exit(version("torch") != "$(TORCH)+cpu")' \
		2>/dev/null; then \
		echo "setup 2/3: torch $(TORCH) for the CPU (about 200 MB)"; \
		$(BIN)/python -m pip install --quiet 'torch==$(TORCH)+cpu' >$(LOG) 2>&1 \
		|| $(UV) pip install --quiet --torch-backend=cpu 'torch==$(TORCH)' >>$(LOG) 2>&1 \
		|| { cat $(LOG) >&2; echo "error: torch $(TORCH) for the CPU cannot be installed" >&2; exit 1; }; \
		fi
	@echo "setup 3/3: serve-app[$(EXTRAS)]"
	@$(UV) pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@
	@echo "setup done"
