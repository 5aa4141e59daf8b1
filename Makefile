# Four commands for a fresh machine (Debian 12 with python3, python3-venv, make and git):
#   make serve    set up everything and serve www/ with conf/httpmini.toml
#   make test     set up everything, the browsers included, and run all checks and tests
#   make bench    set up other servers and measure ours beside them (BENCH_ARGS=--quick: under two minutes)
#   make soak     one server under load, reloads, rotations and kills for ten minutes (SOAK_ARGS='--minutes 2')
# Others: make check (ruff, mypy), make conf (write conf/httpmini.toml anew from the settings), make docs (docs/reasons.md),
# make clean.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
BENCH_ARGS ?=
SOAK_ARGS ?=
BIN = $(VENV)/bin

.PHONY: serve test bench soak check conf docs tools clean

serve: $(VENV)/ready
	$(BIN)/httpmini serve -c conf/httpmini.toml

test: check tools
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

bench: $(VENV)/ready-bench
	bench/install-tools
	$(BIN)/python -m bench.compare $(BENCH_ARGS)

soak: $(VENV)/ready
	$(BIN)/python -m bench.soak $(SOAK_ARGS)

check: $(VENV)/ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

conf: $(VENV)/ready
	$(BIN)/python -c "from httpmini.config import annotated; print(annotated({'site.root': '../www'}), end='')" > conf/httpmini.toml

docs: $(VENV)/ready
	$(BIN)/python -c "from httpmini.reasons import as_markdown; print(as_markdown(), end='')" > docs/reasons.md

tools:
	tests/install-tools

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/ready-test: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/ready-bench: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]' || echo 'Some of the servers could not be installed.' >&2
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis test-artefacts
