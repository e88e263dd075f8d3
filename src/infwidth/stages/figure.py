"""Stage: draw one figure from the tables of its experiments."""

from __future__ import annotations

import importlib

import pandas as pd

from infwidth.figures.style import save_figure
from infwidth.io.tables import read_table
from infwidth.stages.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the figure as pdf and png, and what it plots as a table."""
    # imported by name, so that editing one figure redraws that figure alone
    figure = importlib.import_module(f"infwidth.figures.{job.params['figure']}")
    table = pd.concat([read_table(path) for path in job.inputs.values()], ignore_index=True)
    drawing, plotted = figure.draw(table)
    save_figure(drawing, plotted, {kind: job.outputs[kind] for kind in ("pdf", "png", "csv")})


if __name__ == "__main__":
    main()
