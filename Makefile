# Two commands matter: `make demo` and `make test`. Both install what is missing into .venv first.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow check lint install lock wheel docs clean

demo: install
	$(BIN)/hmmrnn reproduce --preset=linear3 --profile=laptop --outdir=runs/demo --resume

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

slow: install
	$(BIN)/python -m pytest -m slow

check: lint test

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("hmmrnn needs Python 3.11 to 3.13, this is " + sys.version)'
	$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# The pins of requirements.lock, valid for Python 3.11 to 3.13 on every platform.
lock: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --extra dev \
		--no-emit-index-url --upgrade --custom-compile-command 'make lock' pyproject.toml -o requirements.lock

# A site of all pages in build/docs; a link that leads nowhere is an error.
docs: install
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs

wheel: install
	$(BIN)/python -m build --wheel --outdir dist

clean:
	rm -rf .venv .cache build dist *.egg-info
