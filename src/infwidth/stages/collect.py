"""Stage: put the parts of one experiment, theory and networks, into its one table and the arrays beside it."""

from __future__ import annotations

import pandas as pd

from infwidth.analysis.source_response import responses_of, without_responses
from infwidth.io.arrays import join_entries
from infwidth.io.atomic import read_arrays, write_arrays
from infwidth.io.rows import pooled
from infwidth.io.tables import read_table, write_table
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the table and the arrays of the experiment."""
    paths = sorted(job.inputs.values())
    parts = {path: read_table(path) for path in paths if path.suffix == ".csv"}
    arrays = {path: read_arrays(path) for path in paths if path.suffix == ".npz"}
    for path, part in parts.items():
        owed = responses_of(part, arrays.get(path.with_suffix(".npz"), {}), list(arrays.values()))
        parts[path] = pd.concat([part, owed], ignore_index=True) if len(owed) else part
    table = pd.concat(parts.values(), ignore_index=True)
    # cell → numbers of its networks, where some data sets had networks added
    numbers = job.params.get("networks", {})
    if numbers:
        counts = [len(numbers.get(path.stem, [0])) for path, part in parts.items() for _ in range(len(part))]
        table = pooled(table, pd.Series(counts, table.index))
    write_table(job.outputs["table"], table)
    first = [without_responses(found) for path, found in arrays.items() if 0 in numbers.get(path.stem, [0])]
    write_arrays(job.outputs["arrays"], join_entries(first))
    job.facts |= {"rows": len(table), "status": table["status"].value_counts().to_dict()}


if __name__ == "__main__":
    main()
