# One command a job; `make help` lists them. PRESET=ci|study|paper picks a configuration, or CONFIG=path one of your own,
# ONLY=name one experiment (or all whose name begins so), CORES=number|all jobs at a time; ARGS= goes to Snakemake.
PRESET ?= default
ONLY ?=
ARGS ?=
# A folder or .npz of CIFAR-10; without it CIFAR-10 is downloaded, or scikit-learn's digits stand in for it.
IMAGES ?=
# A .jsonl(.gz) of C4; without it C4 is downloaded, or the text that ships with Python stands in for it.
TEXT ?=
CORES ?= 2
# Minutes in which more is run to decide claims: after `make reproduce`, or by `make decide`.
DECIDE ?=
PYTHON ?= python3
CONFIG ?= $(if $(filter default,$(PRESET)),config/config.yaml,config/$(PRESET).yaml)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Into the shell as they were typed, whatever quotes, braces, spaces or dollars a path holds.
export GIVEN_CONFIG := $(if $(findstring file,$(origin CONFIG)),$(CONFIG),$(value CONFIG))
export GIVEN_CLUSTER := $(if $(filter-out file,$(origin PRESET) $(origin CONFIG)),,config/ci.yaml)
export GIVEN_ONLY := $(value ONLY)
export GIVEN_CORES := $(value CORES)
export GIVEN_DECIDE := $(value DECIDE)
export GIVEN_IMAGES := $(value IMAGES)
export GIVEN_TEXT := $(value TEXT)
# Results go where the configuration's `preset:` says; RESULTS= may say so too, and is refused where it says otherwise.
export GIVEN_RESULTS := $(value RESULTS)
# `exec infwidth run`: no shell stands between, so that what ends make ends the run.
OF_RUN = "$$GIVEN_RESULTS" --config "$$GIVEN_CONFIG"
OPTIONS = --results $(OF_RUN) --only "$$GIVEN_ONLY" --cores "$$GIVEN_CORES" --images "$$GIVEN_IMAGES" --text "$$GIVEN_TEXT"
STAMP := .venv/installed
DOCS_STAMP := .venv/docs

.PHONY: help reproduce decide dry claims docs test lint format figures compare reference accept install clean test-slurm bench

reproduce: $(STAMP) ## install, then data, theory, networks, figures, claims, report: what is missing of them
	@exec infwidth run $(OPTIONS) --decide "$${GIVEN_DECIDE:-0}" -- $(ARGS)

decide: $(STAMP) ## more data sets or networks for undecided claims, in DECIDE= minutes (10); later runs keep them
	@exec infwidth decide $(OPTIONS) --minutes "$${GIVEN_DECIDE:-10}" -- $(ARGS)

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

dry: $(STAMP) ## what `make reproduce` would run, how many jobs, the expected minutes
	@infwidth plan $(OPTIONS) -- $(ARGS)

claims: $(STAMP) ## the whole claim table of a run
	@infwidth claims $(OF_RUN) --only "$$GIVEN_ONLY"

docs: $(DOCS_STAMP) ## the documentation site, into docs/_build/index.html; opened in a browser, if there is one
	sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build
	python docs/look.py docs/_build

test: $(STAMP) ## tests; ARGS= goes to pytest, ARGS="-m fast" takes a minute
	pytest -n auto --dist loadfile $(ARGS)

# The ci preset unless another is named: each of its jobs waits for the queue and starts Snakemake twice.
test-slurm: $(STAMP) ## PRESET=ci through a Slurm of this machine (apt-get install slurm-wlm munge), held against a local run
	@exec python tests/cluster/run.py --config "$${GIVEN_CLUSTER:-$$GIVEN_CONFIG}" \
		--images "$$GIVEN_IMAGES" --text "$$GIVEN_TEXT" $(ARGS)

bench: $(STAMP) ## all benchmarks, each in a process of its own, into benchmarks/results; ARGS= names some
	python benchmarks $(ARGS)

lint: $(STAMP) ## what CI wants of the code's form
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	lint-imports
	snakemake --lint

format: $(STAMP) ## mend what of that can be mended by itself
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

figures: $(STAMP) ## redraw from the committed tables, solving nothing
	@infwidth figures --config "$$GIVEN_CONFIG"

compare: $(STAMP) ## hold a run against the committed reference
	@infwidth compare $(OF_RUN) $(ARGS)

reference: $(STAMP) ## renew the committed reference on purpose, or with ONLY= what belongs to these experiments
	@infwidth reference $(OF_RUN) --only "$$GIVEN_ONLY"

accept: $(STAMP) ## after an edit that changes no result (a comment): take what is there as made by the code as it is
	@exec infwidth run $(OPTIONS) -- --touch $(ARGS)

clean: ## remove all results but the references
	find results/ -mindepth 1 -maxdepth 1 ! -name reference -exec rm -rf {} +
	rm -rf .snakemake

install: $(STAMP) ## into .venv

$(STAMP): pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

$(DOCS_STAMP): $(STAMP)
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $(DOCS_STAMP)
