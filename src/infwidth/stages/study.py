"""Stage: run one ADAM* study of single blocks for some seeds."""

from __future__ import annotations

import importlib

from infwidth.io.tables import make_table, write_table
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the study's rows of the table."""
    p = job.params
    # imported by name, so that the workflow can let a cell depend on its own study alone
    study = importlib.import_module(f"infwidth.studies.{p['study']}")
    show, rows = job.progress(), []
    for done, (seed, root) in enumerate(p["seeds"].items()):
        found = study.run(seed=root, **p["settings"], progress=lambda part, d=done: show((d + part) / len(p["seeds"])))
        rows += [{"experiment": p["experiment"], "seed": int(seed), **row} for row in found]
    table = make_table(rows)
    write_table(job.outputs["table"], table)
    job.facts |= {"rows": len(table), "status": table["status"].value_counts().to_dict()}


if __name__ == "__main__":
    main()
