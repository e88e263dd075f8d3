# One command a job. PRESET=ci|study|paper picks a configuration, ONLY=name one experiment (or all whose name begins
# so), ARGS= goes to Snakemake.
PRESET ?= default
ONLY ?=
ARGS ?=
# A folder or .npz of CIFAR-10; without it CIFAR-10 is downloaded, or scikit-learn's digits stand in for it.
IMAGES ?=
# A .jsonl(.gz) of C4; without it C4 is downloaded, or the text that ships with Python stands in for it.
TEXT ?=
CORES ?= 2
PYTHON ?= python3

export PATH := $(CURDIR)/.venv/bin:$(PATH)

CONFIG := $(if $(filter default,$(PRESET)),config/config.yaml,config/$(PRESET).yaml)
RESULTS := $(if $(filter default,$(PRESET)),results,results/$(PRESET))
IMAGES_KEY = 'images={"dataset":"cifar10","path":"$(IMAGES)"}'
TEXT_KEY = 'text={"dataset":"c4","path":"$(TEXT)"}'
KEYS = $(if $(ONLY),only=$(ONLY)) $(if $(IMAGES),$(IMAGES_KEY)) $(if $(TEXT),$(TEXT_KEY))
OPTIONS = --cores $(CORES) --configfile $(CONFIG) $(ARGS) $(if $(strip $(KEYS)),--config $(KEYS))
STAMP := .venv/installed

.PHONY: reproduce report dry test lint format figures compare reference accept install clean

reproduce: $(STAMP)
	@snakemake $(OPTIONS)
	@$(MAKE) --no-print-directory report
	@infwidth claims $(RESULTS) $(if $(ONLY),--only $(ONLY))

# The HTML report is made anew only when a figure or the claim table is newer.
report: $(STAMP)
	@if [ -f $(RESULTS)/claims.json ] && [ -z "$(ONLY)" ] && \
	  { [ ! -f $(RESULTS)/report.html ] || [ -n "$$(find $(RESULTS)/figures $(RESULTS)/claims.json -newer $(RESULTS)/report.html)" ]; }; then \
	  snakemake $(OPTIONS) --report $(RESULTS)/report.html; fi

dry: $(STAMP)
	@infwidth plan $(OPTIONS)

test: $(STAMP)
	pytest $(ARGS)

lint: $(STAMP)
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	lint-imports
	snakemake --lint

format: $(STAMP)
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

# Redraw from the committed tables, solving nothing.
figures: $(STAMP)
	@infwidth figures results/reference/$(PRESET) results/redrawn/$(PRESET) --config $(CONFIG)

compare: $(STAMP)
	@infwidth compare $(RESULTS) results/reference/$(PRESET) $(ARGS)

# Renew the committed reference on purpose, or with ONLY= what belongs to these experiments.
reference: $(STAMP)
	@infwidth reference $(RESULTS) results/reference/$(PRESET) $(if $(ONLY),--only $(ONLY))

# After an edit that changes no result (a comment): take what is there as made by the code as it is.
accept: $(STAMP)
	@snakemake $(OPTIONS) --touch

clean:
	find results -mindepth 1 -maxdepth 1 ! -name reference -exec rm -rf {} +
	rm -rf .snakemake

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)
