# Needs Python 3.11 or newer and make. Everything else is installed into .venv, pinned by requirements.lock.
# Another Python: make test PYTHON=/path/to/python3.12 VENV=.venv-3.12

VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest --numprocesses 4 --dist worksteal
SUITE := .conformance
SUITE_INSTALLED := $(SUITE)/.installed

SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	if "$$python" -c '$(SUPPORTED)' 2>/dev/null; then command -v "$$python"; break; fi; done)

.PHONY: help demo test crashes soak takeover starting conformance clients bench lint format lock clean

help:
	@echo "make demo          watch a document being converted (FILE=path takes your own)"
	@echo "make test          run the tests, on SQLite and on PostgreSQL (ARGS='-k name' goes to pytest)"
	@echo "make soak          break everything at random and balance the books (SEED=7 MINUTES=3 DATABASE=sqlite)"
	@echo "make crashes       break a deployment in every way we know, and run whatever make test leaves out"
	@echo "make takeover      kill workers during long jobs, and measure until the jobs run elsewhere"
	@echo "make starting      measure how long a host waits for a server that it starts (ARGS=--busy=8)"
	@echo "make conformance   run the official MCP conformance suite"
	@echo "make clients       let other people's clients use a running server (ARGS='--replicas 2': two, in turn)"
	@echo "make bench         measure this server beside a peer and a floor (needs wrk; takes ten minutes)"
	@echo "make lint          ruff, pyright, import-linter, and a look at what is committed"
	@echo "make format        let ruff rewrite the sources"
	@echo "make lock          renew the lock files (ARGS=--upgrade takes new versions)"
	@echo "make clean         remove everything that make has installed or built"

# A name may have a $ or a quote in it: make must not read it again, nor the shell.
demo: export DEMO_FILE = $(value FILE)
demo: $(INSTALLED)
	@$(BIN)/python -m demo $${DEMO_FILE:+-- "$$DEMO_FILE"}

test: $(INSTALLED)
	$(PYTEST) -m "not slow" $(ARGS)

crashes: $(INSTALLED)
	$(PYTEST) -m "crash or slow" $(ARGS)

soak: $(INSTALLED)
	$(BIN)/python -m tests.soak $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(DATABASE),--database $(DATABASE)) $(ARGS)

takeover: $(INSTALLED)
	$(BIN)/python -m tests.soak.takeover $(ARGS)

starting: $(INSTALLED)
	$(BIN)/python -m tests.soak.starting $(ARGS)

conformance: $(SUITE_INSTALLED)
	$(BIN)/python -m tests.conformance.run $(ARGS)

clients: $(INSTALLED)
	$(BIN)/python -m tests.clients.run $(ARGS)

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_committed.py

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(INSTALLED)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --group dev \
		--generate-hashes --custom-compile-command "make lock" $(ARGS) \
		--output-file requirements.lock pyproject.toml
	for client in tests/clients/*/ benchmarks/peer/; do test -f $${client}requirements.in || continue; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--custom-compile-command "make lock" $(ARGS) \
			--output-file $${client}requirements.lock $${client}requirements.in; done
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.support.package_locks

clean:
	rm -rf $(VENV) $(SUITE) .clients demo-results

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.14 was found; name one with PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "Installing into $(VENV); the first time takes a minute or two …"
	@$(BIN)/python -m pip install --quiet --quiet --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(SUITE_INSTALLED): tests/conformance/package.json tests/conformance/package-lock.json $(INSTALLED)
	@echo "Installing the conformance suite into $(SUITE) …"
	@mkdir -p $(SUITE)
	@cp tests/conformance/package.json tests/conformance/package-lock.json $(SUITE)/
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --prefix $(SUITE) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
