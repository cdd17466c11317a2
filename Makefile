# `make train` and `make test` set up all they need in .venv, once, and write nothing else but caches.

UV := $(shell command -v uv 2>/dev/null || echo .venv/bin/uv)
export UV_PROJECT_ENVIRONMENT := .venv

.PHONY: train test lint types bench clean

train: .venv/ready  ## train an autoencoder on the embedded digits
	@.venv/bin/jaxae train $(ARGS)

test: .venv/ready  ## run every test, doctests included
	.venv/bin/pytest $(ARGS)

lint: .venv/ready  ## check style and formatting
	.venv/bin/ruff check
	.venv/bin/ruff format --check

types: .venv/ready  ## check types
	PYRIGHT_PYTHON_CACHE_DIR=.venv/pyright .venv/bin/pyright

bench: .venv/ready  ## measure imports, losses and training against their peers
	$(UV) run --frozen --inexact --group benchmarks python -m benchmarks $(ARGS)

clean:  ## remove the environment and the runs
	rm -rf .venv runs

# Without uv on the PATH, a virtual environment gets it; uv keeps what else is installed there.
.venv/bin/uv:
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/ready: pyproject.toml uv.lock $(filter .venv/bin/uv,$(UV))
	$(UV) sync --frozen --inexact --quiet
	@touch $@
