# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup browser demo test lint types bench search soak docs screenshots clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Tillbridge needs Python 3.11 or newer. On Debian: apt-get install python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' 2>.pip-errors || { cat .pip-errors; rm -f .pip-errors; exit 1; }
	@rm -f .pip-errors
	@touch $(STAMP)

# The console is tested in a real browser. Where we may, it is installed; else it is said what is missing.
browser:
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	  && apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null; true; }
	@command -v chromium >/dev/null || { echo "The browser tests need Chromium. On Debian: apt-get update && apt-get install chromium"; exit 1; }

demo: setup
	@$(BIN)/tillbridge demo

test: setup browser lint types
	@$(BIN)/python -m pytest

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

bench: setup
	@$(BIN)/python -m bench

# Other scripts of what can happen and go wrong than `make test` plays; what fails prints its seed.
search: setup
	@for seed in $$($(BIN)/python -c 'import random; print(*random.sample(range(2**32), 5))'); do \
	HYPOTHESIS_SEED=$$seed $(BIN)/python -m pytest tests/proof -k agree || exit 1; done

soak: setup
	@$(BIN)/python -m bench.soak

# The reference is written from the code; then every link, anchor and picture of the docs is looked up.
docs: setup
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m pytest -n 0 tests/test_docs.py

# Pictures of every page, of the demo's jeweller; some minutes.
screenshots: setup browser
	@$(BIN)/python docs/screenshots.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
