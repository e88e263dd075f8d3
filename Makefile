# One command a job. PRESET=ci|study|paper picks a configuration, ONLY=name one experiment, ARGS= goes to Snakemake.
PRESET ?= default
ONLY ?=
ARGS ?=
CORES ?= 2
PYTHON ?= python3

export PATH := $(CURDIR)/.venv/bin:$(PATH)

CONFIG := $(if $(filter default,$(PRESET)),config/config.yaml,config/$(PRESET).yaml)
RESULTS := $(if $(filter default,$(PRESET)),results,results/$(PRESET))
SNAKEMAKE = snakemake --cores $(CORES) --configfile $(CONFIG) $(ARGS) $(if $(ONLY),--config only=$(ONLY))
STAMP := .venv/installed

.PHONY: reproduce report dry test lint format figures compare reference accept install clean

reproduce: $(STAMP)
	@$(SNAKEMAKE)
	@$(MAKE) --no-print-directory report
	@infwidth claims $(RESULTS)

# The HTML report is made anew only when a figure or the claim table is newer.
report: $(STAMP)
	@if [ -f $(RESULTS)/claims.json ] && [ -z "$(ONLY)" ] && \
	  { [ ! -f $(RESULTS)/report.html ] || [ -n "$$(find $(RESULTS)/figures $(RESULTS)/claims.json -newer $(RESULTS)/report.html)" ]; }; then \
	  $(SNAKEMAKE) --report $(RESULTS)/report.html; fi

dry: $(STAMP)
	@infwidth plan --cores $(CORES) --configfile $(CONFIG) $(ARGS) $(if $(ONLY),--config only=$(ONLY))

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
	@infwidth compare $(RESULTS) results/reference/$(PRESET)

# Renew the committed reference on purpose.
reference: $(STAMP)
	@infwidth reference $(RESULTS) results/reference/$(PRESET)

# After an edit that changes no result (a comment): take what is there as made by the code as it is.
accept: $(STAMP)
	@$(SNAKEMAKE) --touch

clean:
	find results -mindepth 1 -maxdepth 1 ! -name reference -exec rm -rf {} +
	rm -rf .snakemake

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)
