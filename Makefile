# Two commands do everything: `make sweep` and `make test`. Both create the environment first if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: sweep test figures paper clean

sweep: $(VENV)/ready
	$(BIN)/python studies/run_sweep.py

test: $(VENV)/ready
	$(BIN)/python -m pytest -n 2

figures: $(VENV)/ready
	$(BIN)/python figures/make.py --table out/default --out figures --numbers paper/numbers.tex --readme README.md

paper: $(VENV)/ready
	cd paper && latexmk -pdf main.tex

# The pinned torch goes first and alone, so that no resolver is tempted by a larger build of it.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11; name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "creating the environment in $(VENV) (about one minute, 1.6 GB)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
