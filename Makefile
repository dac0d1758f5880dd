# The commands of the project; `make help` lists them. A fresh machine needs make, python3 (3.11 or newer), gcc and git.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Compiled modules are kept even if the shell forbids it: without them, every process spends 15 s on compiling imports.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
#: Records the installation; if it is older than the files it depends on, the installation is repeated.
STAMP := $(VENV)/.installed

# The interpreter of a new .venv is the first one that starts and is new enough; PYTHON=… selects another.
FIND_PYTHON := for name in python3.11 python3 python3.12 python3.13; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$name"; break; fi; done
PYTHON ?= $(shell $(FIND_PYTHON))

# Extra arguments: make test ARGS='tests/unit -x'; make demo ARGS='budget.trials=8'.
ARGS ?=

DEMO := demo
DEMO_PLAN := examples/digits.yaml
# A looser limit than in the plan, so that more networks are trained than rejected.
DEMO_OVERRIDES := budget.trials=48 limits.latency_ms.max.factor=1.4
DEMO_STORAGE := sqlite:///$(DEMO)/nas.db
NAS := $(BIN)/nas

.PHONY: help setup check format test test-slow system-packages demo dashboard docs clean

help:  ## List these commands.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | while IFS='|' read -r verb text; do \
		printf '  make %-16s %s\n' "$$verb" "$$text"; done

setup: $(STAMP)  ## Install everything into .venv; quick if nothing changed.

$(STAMP): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo 'No Python 3.11 or newer found; install one, or name it: make setup PYTHON=/path/to/python3' >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo '$(PYTHON) is no Python 3.11 or newer; name another: make setup PYTHON=/path/to/python3' >&2; exit 1; }
	@if ! $(BIN)/python -c '' 2>/dev/null; then "$(PYTHON)" -m venv --clear $(VENV); fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

check: setup  ## Check lint, formatting, types and import rules.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## Let ruff fix what it can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Four processes on two cores: tests often wait.
test: setup system-packages check  ## Everything CI runs: check, then all tests except the slow ones.
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --durations 15 -m 'not slow' $(ARGS)

test-slow: setup system-packages  ## The slow tests: whole matrices; `make test` runs a part of each.
	$(BIN)/python -m pytest -n 2 --dist loadgroup --durations 15 -m slow $(ARGS)

system-packages:
	@bash tests/system_packages.sh

demo: setup  ## Search, export, report: one whole study on this machine, under demo/.
	rm -rf $(DEMO)
	mkdir $(DEMO)
	$(NAS) validate $(DEMO_PLAN) $(DEMO_OVERRIDES) $(ARGS)
	$(NAS) search $(DEMO_PLAN) $(DEMO_OVERRIDES) $(ARGS) --storage $(DEMO_STORAGE) --with-baseline random
	$(NAS) export digits --best --storage $(DEMO_STORAGE) --out $(DEMO)/best
	$(NAS) report digits --storage $(DEMO_STORAGE) --out $(DEMO)/report
	@echo
	@echo 'The network:  $(DEMO)/best (report.html says what was measured; run.py runs it)'
	@echo 'The report:   $(DEMO)/report/report.html'
	@echo 'The studies, in a browser:  make dashboard   or   $(NAS) dashboard --storage $(DEMO_STORAGE)'

dashboard: setup  ## Show the demo's studies in a browser.
	$(NAS) dashboard --storage $(DEMO_STORAGE)

docs: setup  ## Write the pages of names from the docstrings, and build the documentation as a site.
	$(BIN)/python docs/site/names.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo 'The documentation:  build/docs/index.html'

clean:  ## Remove .venv, the demo's files and every cache.
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
