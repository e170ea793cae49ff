# make run      start the API on port 5001
# make demo     start it for a made-up account, without a token
# make dev      install what development needs into .venv
# make openapi  make web/openapi.json of openapi.yaml, which it has to say the same as
# make test     every check, and every test that does not take long
# make test-all every check and every test: long ones, and all on PostgreSQL as well as on SQLite
# PYTHON=…      the Python to use instead of the first one that is found

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
PYTHON ?=

# Where it is set, each of the tests' processes compiles every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run demo dev openapi test test-all lint format clean

run: $(VENV)/.installed
	@exec $(VENV)/bin/python app.py

demo: $(VENV)/.installed
	@exec $(VENV)/bin/python -m demo

dev: $(VENV)/.installed-dev

openapi: $(VENV)/.installed-dev
	$(VENV)/bin/python -m tools.openapi_json

test: lint
	$(VENV)/bin/python -m pytest -n auto --dist worksteal

test-all: lint
	$(VENV)/bin/python -m pytest -n auto --dist worksteal --long

lint: $(VENV)/.installed-dev
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m mypy

format: $(VENV)/.installed-dev
	$(VENV)/bin/python -m ruff check --fix .
	$(VENV)/bin/python -m ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each ends with a marker file, so that an interrupted step is repeated and a finished one is not.
$(VENV)/.made:
	@PYTHON="$(PYTHON)" sh .ci/make-venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made requirements.txt
	@echo "Installing requirements.txt into $(VENV) ..."
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.made requirements.txt requirements-dev.txt
	@echo "Installing requirements-dev.txt into $(VENV) ..."
	@$(PIP) install -r requirements-dev.txt
	@sh .ci/add-redis $(VENV)
	@touch $@ $(VENV)/.installed
