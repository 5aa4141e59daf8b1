# For a fresh machine (Debian 12 with python3, python3-venv, make and git):
#   make serve     set up everything and serve www/ with conf/httpmini.toml
#   make quick     ruff, mypy, codespell and the tests that start no server: within a minute
#   make test      install the browsers and other programs, then run all checks and tests
#   make matrix    make quick with every Python from 3.11 to 3.14 that is on this machine (MATRIX_ARGS=test: all tests)
#   make coverage  all tests, with the branches of httpmini/ counted in every process (PYTEST_ARGS=tests/site: some tests)
#   make bench     set up other servers and measure ours beside them (BENCH_ARGS=--quick: under two minutes)
#   make fuzz      fuzz with coverage guidance where atheris installs, for FUZZ_MINUTES=10 (FUZZ_TARGETS='urls dates')
#   make soak      one server under load, reloads, rotations and kills for ten minutes (SOAK_ARGS='--minutes 2')
#   make deploy-test  boot a Debian 12 in a container and follow docs/deploy.md in it (root, debootstrap, systemd-container)
#   make dist      dist/: wheel, source archive, httpmini.pyz, checksums, SBOM; twice the same if nothing has changed
#   make without-linux  tests without what only Linux has: epoll, Landlock, sendfile, eventfd, TCP_CORK and others
# Also: make check (ruff, mypy and codespell), make conf (write conf/httpmini.toml from the settings),
# make docs (write docs/reasons.md and docs/man), make site (write the documentation as HTML into site/), make screenshots
# (write docs/pictures), make clean.
#
# make matrix takes one interpreter per version: from the folder MATRIX_PYTHONS, if that is set (python3.12,
# bin/python3.12 or */bin/python3.12 in it), from PATH, or from ~/.pyenv/versions. It names the versions that it lacks.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
MATRIX_ARGS ?= quick
MATRIX_PYTHONS ?=
BENCH_ARGS ?=
SOAK_ARGS ?=
FUZZ_MINUTES ?= 10
FUZZ_TARGETS ?=
BIN = $(VENV)/bin

# Without bytecode on the disk, each of the thousands of processes that the tests start would compile its modules again.
unexport PYTHONDONTWRITEBYTECODE

# More workers than cores: many tests wait for a clock or a process.
WORKERS ?= 6
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# Tests that start no server: the protocol, the site, the settings, a connection without sockets, parts of the client.
QUICK = tests/protocol tests/site tests/test_architecture.py tests/test_config.py tests/test_config_entries.py \
	tests/test_reasons.py tests/conformance/test_requests_against_h11.py tests/client/test_url.py \
	tests/client/test_names.py tests/server/test_access_log.py tests/server/test_admission.py \
	tests/server/test_http_connection.py tests/server/test_listener.py tests/server/test_reactor.py \
	tests/server/test_response_cache.py

.PHONY: serve quick test bytecode deploy-test matrix coverage bench soak fuzz check conf docs site screenshots tools dist \
	without-linux clean

serve: $(VENV)/ready
	$(BIN)/httpmini serve -c conf/httpmini.toml

quick: check
	$(BIN)/python -m pytest -n 2 --dist worksteal $(QUICK) $(PYTEST_ARGS)

test:
	$(MAKE) --jobs=3 check bytecode tools
	$(PYTEST) $(PYTEST_ARGS)

deploy-test:
	tests/deploy/boot

matrix:
	tests/matrix '$(MATRIX_PYTHONS)' $(MATRIX_ARGS)

# The data lies where a server of another user and one in a sandbox can write. Left out: the tests with a hundred
# thousand connections, browsers and other programs; the others run the same lines. Tests may fail: processes that
# are killed, cannot write into their chroot or have no time left lose their data, and say so. The report
# ignores copies of httpmini that a test has installed and removed.
COVERAGE_DATA = $(abspath $(VENV))/coverage
coverage: check tools
	rm -rf $(COVERAGE_DATA)
	mkdir -m 1777 $(COVERAGE_DATA)
	-COVERAGE_FILE=$(COVERAGE_DATA)/data $(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS) \
		--ignore tests/browsers --ignore tests/peers --ignore tests/server/test_modes_same_bytes.py \
		--ignore tests/server/test_response_cache_modes.py --ignore tests/server/test_scale.py --ignore tests/test_tree.py
	-COVERAGE_FILE=$(COVERAGE_DATA)/data $(BIN)/coverage combine --quiet 2>/dev/null
	COVERAGE_FILE=$(COVERAGE_DATA)/data $(BIN)/coverage report --ignore-errors

bench: $(VENV)/ready-bench
	bench/install-tools
	$(BIN)/python -m bench.compare $(BENCH_ARGS)

soak: $(VENV)/ready
	$(BIN)/python -m bench.soak $(SOAK_ARGS)

fuzz: $(VENV)/ready-test
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]' || echo 'Without atheris: no coverage guidance.' >&2
	$(BIN)/python -m tests.fuzz --minutes $(FUZZ_MINUTES) $(FUZZ_TARGETS)

# pytest rewrites and compiles the tests itself, which takes ten seconds. Once here, or six workers would all do it.
bytecode: $(VENV)/ready-test
	$(BIN)/python -m pytest -n 0 --collect-only --quiet $(PYTEST_ARGS) > /dev/null || true  # the test run reports errors

check: $(VENV)/ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

conf: $(VENV)/ready
	$(BIN)/python -c "from httpmini.config import annotated; print(annotated({'site.root': '../www'}), end='')" > conf/httpmini.toml

docs: $(VENV)/ready
	$(BIN)/python -c "from httpmini.reasons import as_markdown; print(as_markdown(), end='')" > docs/reasons.md
	$(BIN)/python -m release.manual docs/man

# The archives, the program in one file, checksums, and a list of what is in them (CycloneDX). The time of the last
# commit stands for that of all files, so that two builds are equal.
dist: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dist]'
	release/make-dist $(BIN)/python dist

# The tests of what differs on systems that are not Linux, with Python as it is there.
without-linux: $(VENV)/ready-test
	PYTHONPATH=$(CURDIR)/tests/without_linux $(BIN)/python -m pytest -n 2 --dist worksteal tests/protocol tests/site \
		tests/client tests/server/test_reactor.py tests/server/test_listener.py tests/server/test_unix.py \
		tests/server/test_features.py tests/server/test_http_connection.py tests/server/test_reload.py \
		tests/server/test_tls_modes.py tests/daemon/test_missing.py -k 'not prefork' $(PYTEST_ARGS)

site: $(VENV)/ready
	$(BIN)/httpmini docs --output site

screenshots: $(VENV)/ready-test tools
	$(BIN)/python -m tests.browsers.screenshots

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
	rm -rf $(VENV) .venvs .mypy_cache .ruff_cache .hypothesis .coverage site test-artefacts
