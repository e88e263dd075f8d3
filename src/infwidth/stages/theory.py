"""Stage: solve the theory of one cell, data set by data set, for every γ, δ and control."""

from __future__ import annotations

import importlib
import math

import numpy as np

from infwidth.analysis.observables import classification_error
from infwidth.io.atomic import read_arrays
from infwidth.io.tables import make_table, write_table
from infwidth.numerics.status import Status
from infwidth.stages.job import Job, stage
from infwidth.stages.points import lines_of, rows_over_time
from infwidth.tasks.transfer_task import TransferTask


@stage
def main(job: Job) -> None:
    """Write the theory's rows of the table."""
    p = job.params
    solver = importlib.import_module(f"infwidth.theory.{p['training']}")
    source, target = read_arrays(job.inputs["source"]), read_arrays(job.inputs["target"])
    arrays = ("x_target", "y_target", "x_test", "y_test")
    rows, residuals, show = [], [], job.progress()
    for index, seed in enumerate(target["seeds"]):
        task = TransferTask(
            source["x_source"][index], source["y_source"][index], *(target[name][index] for name in arrays)
        )
        for line in lines_of(p):
            protocol = line.protocol if p["training"] == "flow" else {}
            solution = solver.solve(
                task,
                activation=p["activation"],
                source_strength=p["axes"]["source_strength"],
                target_strength=line.target_strength,
                elastic_coupling=line.elastic_couplings,
                **p["settings"],
                **protocol,
                strict=False,
            )
            times = getattr(solution, "times", np.array([math.nan]))
            for i, coupling in enumerate(line.elastic_couplings):
                found = {"train_loss": solution.train_loss[i], "test_loss": solution.test_loss[i]}
                found |= classification_error(solution.prediction[i], task.y_test)
                values = {metric: np.atleast_1d(value) for metric, value in found.items()}
                columns = {
                    **{"experiment": p["experiment"], "kind": "theory", "dataset": str(target["label"])},
                    **p["axes"],
                    **{"width": math.inf, "seed": seed, "status": solution.status[i].value},
                    **line.columns(coupling),
                }
                rows += rows_over_time(columns, times, values, {name: np.zeros(len(times)) for name in values})
                residuals.append(float(np.max(solution.residual[i])))
            show((index + 1) / len(target["seeds"]))
    table = make_table(rows)
    write_table(job.outputs["table"], table)
    converged = (table["status"] == Status.CONVERGED.value).mean()
    job.facts |= {
        "dtype": "float64",
        "largest_residual": max(residuals),
        "converged_fraction": float(converged),
    }


if __name__ == "__main__":
    main()
