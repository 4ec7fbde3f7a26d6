# Bailong: `make demo` ends with a report to look at, `make test` proves the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export TOKENIZERS_PARALLELISM = false
export OMP_WAIT_POLICY = PASSIVE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## make .venv and install Bailong with its tools into it

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bailong needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)  ## clean sample -> tiny base -> extended tokenizer -> 9 runs of 3 initializers -> instruct model -> reports (some minutes)
	$(BIN)/bailong-prepare data=sample
	$(BIN)/bailong-extend tokenizer=tiny_base data=sample_base
	$(BIN)/bailong-train experiments=tiny_base
	$(BIN)/bailong-export run=outputs/tiny_base/runs/default to=models/tiny dtype=float32
	$(BIN)/bailong-extend tokenizer=tiny data=sample
	$(BIN)/bailong-train sweeps=initializers experiments=tiny
	$(BIN)/bailong-export "run='outputs/tiny/initializers/initializer=zip_tie,seed=0'" to=models/tiny_cpt dtype=float32
	$(BIN)/bailong-prepare data=sft_sample
	$(BIN)/bailong-train experiments=tiny_sft
	$(BIN)/bailong-export run=outputs/tiny_sft/runs/default to=models/tiny_sft dtype=float32
	$(BIN)/bailong-evaluate models=models/tiny_sft judge=off sampling.max_new_tokens=64
	$(BIN)/bailong-compare runs=outputs/tiny/initializers

test: $(READY)  ## run the tests
	$(BIN)/python -m pytest

check: $(READY)  ## ruff and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
