# infwidth: data → source → target → table ← theory, then figures and claims. See README.md.
import sys

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/theory.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"


report: "workflow/report/workflow.rst"


wildcard_constraints:
    experiment="[a-z][a-z0-9_]*",
    cell="[^/]+",
    part="source|target",


rule all:
    default_target: True
    input:
        targets(),
    localrule: True


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    print(announcement(jobs, workflow.cores or 1), file=sys.stderr)
