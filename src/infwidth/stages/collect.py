"""Stage: put the parts of one experiment, theory and networks, into its one table and the arrays beside it."""

from __future__ import annotations

import pandas as pd

from infwidth.io.arrays import join_entries
from infwidth.io.atomic import read_arrays, write_arrays
from infwidth.io.tables import read_table, write_table
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the table and the arrays of the experiment."""
    paths = sorted(job.inputs.values())
    table = pd.concat([read_table(path) for path in paths if path.suffix == ".csv"], ignore_index=True)
    write_table(job.outputs["table"], table)
    write_arrays(job.outputs["arrays"], join_entries([read_arrays(path) for path in paths if path.suffix == ".npz"]))
    job.facts |= {"rows": len(table), "status": table["status"].value_counts().to_dict()}


if __name__ == "__main__":
    main()
