# make demo   a simulated microscope beside the real daemons: about a minute, then a table, a picture, and where its pages are
# make test   every test; those that need a MariaDB server start one of their own
# make lint   ruff, mypy, and what may import what
# make bench  every benchmark in small, about a quarter of an hour; make bench BENCH=--full: as large as documented
# make audit  packages of requirements.lock with known holes, as pip-audit knows them (asks the network)
#
# The first of them builds .venv; all it needs is Python 3.11 or later with its venv module.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
# Many tests wait for daemons of theirs: six at a time keep two processors busy.
TESTERS ?= 6

.PHONY: help demo test lint bench audit clean

help:
	@sed -n 's/^# \(make.*\)/\1/p' Makefile

$(VENV)/.ready: requirements.lock requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed and %s is %s: make PYTHON=python3.x" % (sys.executable, sys.version.split()[0]) or 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.ready
	$(BIN)/appion demo --dir $(DEMO)

test: $(VENV)/.ready
	$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.ready
	$(BIN)/python -m benchmarks $(BENCH)

audit:
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(PYTHON) -m venv "$$folder" && \
	"$$folder/bin/python" -m pip install --quiet --disable-pip-version-check pip-audit && \
	"$$folder/bin/pip-audit" --requirement requirements.lock --no-deps --disable-pip --strict

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
