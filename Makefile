# `make train` and `make test` set up all they need in .venv, once. Runs go to runs, all else to .venv.

UV := $(shell command -v uv 2>/dev/null || echo .venv/bin/uv)
export UV_PROJECT_ENVIRONMENT := .venv
export HYPOTHESIS_STORAGE_DIRECTORY := .venv/cache/hypothesis
export MPLCONFIGDIR := $(CURDIR)/.venv/cache/matplotlib
export PYRIGHT_PYTHON_CACHE_DIR := .venv/cache/pyright
export PYTEST_ADDOPTS := -o cache_dir=.venv/cache/pytest
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/cache/python
export RUFF_CACHE_DIR := .venv/cache/ruff

.PHONY: help train test lint types bench clean

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

train: .venv/ready  ## train an autoencoder on the embedded digits; ARGS are those of jaxae train
	@.venv/bin/jaxae train $(ARGS)

test: .venv/ready  ## run every test, doctests included; ARGS are those of pytest
	.venv/bin/pytest $(ARGS)

lint: .venv/ready  ## check style and formatting
	.venv/bin/ruff check
	.venv/bin/ruff format --check

types: .venv/ready  ## check types
	.venv/bin/pyright

bench: .venv/ready  ## measure imports, losses and training beside their peers
	$(UV) run --frozen --inexact --group benchmarks python -m benchmarks $(ARGS)

clean:  ## remove the environment and the runs
	rm -rf .venv runs

# Without uv on the PATH, the virtual environment gets one of its own; --inexact keeps it there.
.venv/bin/uv:
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/ready: pyproject.toml uv.lock $(filter .venv/bin/uv,$(UV))
	$(UV) sync --frozen --inexact --quiet
	@touch $@
