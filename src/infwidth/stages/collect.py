"""Stage: put the parts of one experiment, theory and networks, into its one table."""

from __future__ import annotations

import pandas as pd

from infwidth.io.tables import read_table, write_table
from infwidth.stages.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the table of the experiment."""
    table = pd.concat([read_table(path) for path in job.inputs.values()], ignore_index=True)
    write_table(job.outputs["table"], table)
    job.facts |= {"rows": len(table), "status": table["status"].value_counts().to_dict()}


if __name__ == "__main__":
    main()
