# `make demo` and `make test` each build the environment on their first call and work offline afterwards.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
# both cores for whole processes; one thread in each keeps small operations from waiting for one another
TEST_PROCESSES ?= 2

.PHONY: help demo demo-real demo-chromatography test test-all lint format lock reference docs docs-links clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

demo: $(BIN)/.ready ## digital patients, scans and a chromatogram, from files to report
	$(BIN)/medidiff run configs/demo.yaml

demo-real: $(BIN)/.ready ## public patients, CT and k-space; set MEDIDIFF_MIRROR to read them from a folder
	$(BIN)/medidiff data get petct-sts-dicom
	$(BIN)/medidiff data get crlm-ct-1004-dicom
	$(BIN)/medidiff data get kspace-sigpy-larson
	$(BIN)/medidiff run configs/demo-real.yaml

demo-chromatography: $(BIN)/.ready ## digital and published chromatograms, from instrument files to parameters
	$(BIN)/medidiff run configs/chromatography.yaml

test: $(BIN)/.ready ## every test but the slow ones
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadgroup -m "not slow"

test-all: $(BIN)/.ready ## every test that this machine can run
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadgroup

lint: $(BIN)/.ready ## formatting, style, layers, workflow
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --configfile configs/demo.yaml

format: $(BIN)/.ready ## rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

reference: $(BIN)/.ready ## rewrite the pages of the manual that are written from the code
	$(BIN)/python -m tools.manual
	$(BIN)/python -m benchmarks.posterior_rules > docs/posterior_rules.md

docs: $(BIN)/.docs ## build the manual into results/manual; a warning or a broken link inside it is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs results/manual
	@echo results/manual/index.html

docs-links: $(BIN)/.docs ## ask every outside link of the manual whether it is still there
	$(BIN)/sphinx-build --quiet -b linkcheck docs results/manual-links

lock: $(BIN)/.ready ## resolve constraints.txt and environment.yml anew from pyproject.toml
	$(BIN)/python tools/lock.py

clean: ## remove the environment and everything the demos made
	rm -rf $(VENV) results .snakemake

$(BIN)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,slurm]'
	touch $@

$(BIN)/.docs: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@
