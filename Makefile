# `make demo` and `make test` need python3 (3.11 or later) and make; everything else they fetch themselves.

# The first interpreter found that is new enough; `make PYTHON=/path/to/python3.12 …` overrides it.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --prefer-binary
# A browser's tests wait a part of their time: one worker more than processors takes a tenth less. Each may hold a
# browser, so more than four crowd even a large machine.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n < 4 ? n + 1 : 4)))

# Tests start many programs, and each would compile the same modules again if it were not to keep them.
test: export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint format bench bench-pages docs translations clean
.DELETE_ON_ERROR:

demo: .venv/demo.stamp            ## build the demo lab from real recordings and serve it
	$(BIN)/dj-panel demo

test: .venv/test.stamp            ## every test, on both servers and in a real browser
	sh tests/install_servers.sh mariadb chromium
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: .venv/test.stamp            ## style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/test.stamp          ## rewrite the code in the style that lint asks for
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/test.stamp           ## figures beside those of peers
	$(BIN)/python -m benchmarks

bench-pages: .venv/bench.stamp    ## keys, seconds and bytes of pages, beside Django's admin
	sh tests/install_servers.sh mariadb chromium
	$(BIN)/python -m benchmarks.pages

docs: .venv/test.stamp            ## the reference, from the docstrings
	$(BIN)/python docs/reference.py

translations: .venv/test.stamp    ## what the program says, into apps/locale
	$(BIN)/python docs/translations.py

clean:                            ## remove everything that make and the tools have made
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	rm -rf .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "dj_panel needs Python 3.11 or later: install it, or name it: make PYTHON=/path/to/python3"; exit 1; }
	sh tests/install_servers.sh venv $(PYTHON)
	$(PYTHON) -m venv --clear .venv

.venv/demo.stamp: pyproject.toml | .venv/bin/pip
	@echo "Installing dj_panel and its demo into .venv; this takes a few minutes the first time."
	$(PIP) --editable '.[demo]'
	touch $@

.venv/test.stamp: pyproject.toml | .venv/bin/pip
	@echo "Installing dj_panel, its demo and its tests into .venv; this takes a few minutes the first time."
	$(PIP) --editable '.[demo,test,lint]'
	touch .venv/demo.stamp $@

.venv/bench.stamp: .venv/test.stamp
	$(PIP) --editable '.[bench]'
	touch $@
