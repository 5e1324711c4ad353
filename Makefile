# `make demo` and `make test` set up what they need in .venv: only make and Python 3.11 or later must be there.
PYTHON ?= python3
PYTEST_ARGS ?= -n auto --dist loadfile
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint gpu bench docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/demo.stamp ## Enlarge a photograph and draw every method side by side, into demo/
	$(BIN)/python -m gpu_upsample demo -o demo --overwrite

test: lint ## Lint, check the types and run the tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: .venv/test.stamp ## Lint and check the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Runs in the environment of PYTHON, which brings numba-cuda and CuPy: a machine with a GPU may have no network.
# Warnings are no errors there, since the versions are the machine's own.
gpu: ## Run the tests and the benchmark on a CUDA device, with PYTHON (python3)
	$(PYTHON) -m pytest -W default -m gpu -n auto tests
	$(PYTHON) -m benchmarks --device

bench: .venv/test.stamp ## Compare the speed with other libraries and with its targets
	$(BIN)/python -m benchmarks

docs: .venv/test.stamp ## Write the page on other libraries' dialects anew
	PYTHONPATH=. $(BIN)/python docs/dialects.py

clean: ## Remove everything that make has made
	rm -rf .venv demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.x" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

# Holds all that the demo needs, so it serves the demo too.
.venv/test.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch .venv/demo.stamp $@
