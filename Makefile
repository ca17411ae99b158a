# `make` alone lists what there is.

VENV := .venv
LOCALSTACK_VENV := .venv-localstack
PYTHON ?= python3
BIN := $(VENV)/bin

export VIRTUAL_ENV_DISABLE_PROMPT := 1

.DEFAULT_GOAL := help
.PHONY: help run test lint types format lock localstack clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.txt $(if $(filter localstack,$(EMULATOR)),$(LOCALSTACK_VENV)/done.txt) ## run everything on this machine (EMULATOR=localstack for LocalStack)
	@$(BIN)/python -m local

test: lint types $(LOCALSTACK_VENV)/done.txt ## lint, types and all tests, with their set-up
	$(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/dev.txt ## style and likely mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.txt ## static types
	$(BIN)/mypy

format: $(VENV)/dev.txt ## write the code in the common style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/dev.txt ## lock the requirements anew from pyproject.toml
	UV=$(BIN)/uv ./requirements-lock.sh

localstack: $(LOCALSTACK_VENV)/done.txt ## install LocalStack 4.14.0 without Docker (needs Python 3.13; uv fetches one)

clean: ## remove what was stored and logged
	rm -rf .run

distclean: clean ## remove everything that make has made
	rm -rf $(VENV) $(LOCALSTACK_VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# One venv; a mark for each set of requirements that is in it.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is %s: make PYTHON=python3.12 ... names another" % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/run.txt: requirements-run.txt | $(VENV)/bin/python
	@echo "Installing what is needed into $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/dev.txt: requirements-dev.txt $(VENV)/run.txt
	@echo "Installing what the tests need into $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# pyenv keeps its Pythons where uv does not look by itself.
$(LOCALSTACK_VENV)/done.txt: requirements-localstack.txt $(VENV)/run.txt
	@echo "Installing LocalStack into $(LOCALSTACK_VENV) (once) ..."
	@PATH="$$PATH:$$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13.*/bin 2>/dev/null | tail -n 1)" $(BIN)/uv venv --quiet --clear --python 3.13 $(LOCALSTACK_VENV)
	@$(BIN)/uv pip install --quiet --require-hashes --python $(LOCALSTACK_VENV)/bin/python -r $<
	@touch $@
