# Two commands: `make run` starts the demo, `make test` proves it. Each does its own set-up.
PYTHON ?= python3
BIN := .venv/bin
# A registry that fails for a moment is asked again.
export PIP_RETRIES ?= 10
export PIP_DEFAULT_TIMEOUT ?= 60

.PHONY: run test bench setup check messages lock
run: setup
	sh deploy/ffmpeg.sh
	$(BIN)/phen demo

test: .venv/.test deploy/chromium.sh deploy/postgres.sh
	sh deploy/ffmpeg.sh needed
	sh deploy/chromium.sh
	sh deploy/postgres.sh
	$(MAKE) --no-print-directory check
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder # tests/conftest.py knows the longest

check: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/phen check --on 2026-11-22 # the content's rules; how old its facts are is not the code's
	$(BIN)/phen check --on 2026-11-22 --channels > /dev/null # leaves the errors and the summary

# Measures beside other bots, for about a quarter of an hour, and writes bench/README.md.
bench: .venv/.bench deploy/postgres.sh
	sh deploy/postgres.sh
	$(BIN)/python -m bench

setup: .venv/.run

.venv/bin/python:
	sh deploy/venv.sh $(PYTHON)

.venv/.run: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/.test: requirements-test.lock .venv/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	touch $@

# The other bots; what they share with the tests has the tests' versions.
.venv/.bench: bench/requirements.lock .venv/.test
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.lock
	touch $@

# The locks hold hashes and no addresses; needs `uv` on the path.
lock:
	uv pip compile pyproject.toml --extra build --extra test --generate-hashes --universal \
		--python-version 3.11 --no-annotate --no-header -q -o requirements-test.lock
	uv pip compile pyproject.toml --extra build --generate-hashes --universal \
		--python-version 3.11 --no-annotate --no-header -q -c requirements-test.lock -o requirements.lock
	uv pip compile bench/requirements.in --generate-hashes --universal \
		--python-version 3.11 --no-annotate --no-header -q -c requirements-test.lock \
		-o bench/requirements.lock

# Bring the translators' files up to date with the Bulgarian.
messages: .venv/.run
	$(BIN)/python -m dialogs.extract
