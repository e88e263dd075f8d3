"""What the report of a run is told of its configuration."""

from __future__ import annotations

from typing import Any

from infwidth.figures.catalogue import FIGURES
from infwidth.plan.titles import experiment_titles
from infwidth.plan.transfer import Plan


def report_parameters(plan: Plan) -> dict[str, Any]:
    """Parameters of the job that writes the report; see :func:`infwidth.pages.report.write_report`."""
    config = plan.config
    preset = config["preset"]
    names = [*config["experiments"], *config["studies"]]
    return {
        "preset": preset,
        "only": config["only"],
        "command": "make reproduce" + ("" if preset == "default" else f" PRESET={preset}"),
        "figures": dict(config["figures"]),
        "headings": {figure: FIGURES[figure].heading for figure in config["figures"]},
        "words": {figure: FIGURES[figure].about for figure in config["figures"]},
        "titles": experiment_titles(config, names),
        "planned": [*plan.experiments, *plan.studies],
    }
