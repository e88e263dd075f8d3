# infwidth: data → source → target → table ← theory, then figures and claims. See README.md.
import os
import signal
import sys
import time

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/theory.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"


wildcard_constraints:
    experiment="[a-z][a-z0-9_]*",
    cell="[^/]+",
    part="source|target",


rule all:
    default_target: True
    input:
        targets(),
    localrule: True


STARTED = time.time()
# What the jobs inherit: whose end is theirs too, and UTF-8 for every file and argument, whatever the locale.
os.environ |= {RUN: str(os.getpid()), "PYTHONUTF8": "1"}
shell.prefix(f"set -euo pipefail; {interruption_held_back()}")


onstart:
    hold_results()
    # Snakemake would wait for running jobs, an hour maybe, and refuse the next run until then; ours end with their run.
    if workflow.local_exec:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Each look for jobs to start would set a timer for another look (Snakemake 9.27), for a limit on submissions
        # that only clusters need: hundreds of timers in the end, each looking at all jobs for ever.
        workflow.scheduler.job_rate_limiter = None
    benchmarks = [
        str(job.benchmark) for job in workflow.dag.needrun_jobs() if job.benchmark
    ]
    if workflow.local_exec:
        fork_server.start([job.rule.name for job in workflow.dag.needrun_jobs()])
    date_files()
    at_a_time = workflow.resource_settings.cores or workflow.resource_settings.nodes
    print(announcement(benchmarks, at_a_time or 1), file=sys.stderr)


# Snakemake shows a failed job's whole command; what went wrong is said once more, where it can be seen.
onerror:
    for line in failures(STARTED):
        print(line, file=sys.stderr)
