# All that a person or CI needs: every target sets up what it needs, in .venv, from the hashed lock file.
PYTHON ?= python3
BIN := .venv/bin
SET_UP := .venv/.set-up

.PHONY: demo test test-long test-shells test-aarch64 lint bench docs lock clean

## Install, and run a workflow on this repository itself; no key and no network model needed.
demo: $(SET_UP)
	$(BIN)/vibe run examples/workflows/review_files.py --pattern "catalog/*.py"

## Install, and pass the tests, a file at a time in each of up to four processes, one more than there are processors.
test: $(SET_UP)
	$(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

## The same properties with many more cases, and many more crashes (about 40 minutes).
test-long: $(SET_UP)
	HYPOTHESIS_PROFILE=long VIBE_ORACLE_CASES=10000 VIBE_CRASH_MOMENTS=1000 $(BIN)/python -m pytest -q tests/properties tests/faults

## Get zsh and fish where they are not installed (from Debian's packages, without root, into build/shells), and press TAB
## in them and in bash.
test-shells: $(SET_UP)
	command -v zsh >/dev/null && command -v fish >/dev/null || $(BIN)/python -m tests.foreign.shells
	$(BIN)/python -m pytest -q tests/cli/test_completion_in_shells.py

## Boot a Debian kernel for aarch64 in qemu, and attack locked processes there, as root and as an ordinary user. Needs
## Debian's packages and qemu-system-arm, no root; takes about ten minutes, and keeps what it fetched in build/foreign.
test-aarch64: $(SET_UP)
	$(BIN)/python -m tests.foreign aarch64

lint: $(SET_UP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## Measure what a run costs, as ratios beside plain alternatives on this machine.
bench: $(SET_UP)
	$(BIN)/python -m tests.benchmarks

## Write the reference from the typed module, and build the pages as a site in build/site.
docs: $(SET_UP)
	$(BIN)/python -m tests.documentation.reference
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site

## Resolve the dependencies anew.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-emit-find-links pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-emit-find-links --constraint requirements.lock --group dev pyproject.toml --output-file requirements-dev.lock

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(SET_UP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
