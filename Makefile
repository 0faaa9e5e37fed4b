# Two commands do everything on a machine that has Python 3.11 or newer and make:
#   make run     a real WebRTC call between two regions, measured and judged
#   make test    the unit suite: no servers, no network, no waiting
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCENARIO ?= 1v1-social
# Installs the locked packages in seconds; pip takes half a minute.
UV := 0.13.9

.PHONY: run test live lint types bench lock clean

run: $(READY)
	$(BIN)/rtcprobe run $(SCENARIO)

# pytest takes the assertions of a hundred files apart in every process: it may keep what it made of them.
test: $(READY)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto

# AGAIN=1 asks those that failed last once more, everything started anew.
live: $(READY)
	VENV=$(VENV) AGAIN=$(AGAIN) .ci/live

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/call_speed.py
	$(BIN)/python benchmarks/link_fates.py
	$(BIN)/python benchmarks/link_laws.py

# Versions and hashes of everything installed.
lock: $(READY)
	$(BIN)/uv pip compile --universal --upgrade --generate-hashes --no-header --no-emit-index-url --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist

# The last step leaves the bytecode of what a run imports, which every later command would else compile again where
# PYTHONDONTWRITEBYTECODE is set, as container images do.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: install a newer Python, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) has no venv module: on Debian, apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV) 2>/dev/null || \
	  { echo "pip could not install uv==$(UV): is the package index in reach?"; exit 2; }
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c 'import rtcprobe.probe, rtcprobe.cli.run, rtcprobe.report.lines'
	@touch $@
