"""Stage: solve the theory of one cell, data set by data set, for every γ, δ and control."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from infwidth.io.atomic import read_arrays, write_arrays
from infwidth.io.tables import make_table, write_table
from infwidth.numerics.losses import classification_error
from infwidth.numerics.observed import Observed
from infwidth.numerics.status import Status
from infwidth.stages.parts.job import Job, stage
from infwidth.stages.parts.lines import SOURCE_COLUMNS, lines_of, rows_over_time
from infwidth.tasks.transfer_task import TransferTask


@stage
def main(job: Job) -> None:
    """Write the theory's rows of the table."""
    p = job.params
    solver = importlib.import_module(f"infwidth.theory.{p['training']}")
    source, target = read_arrays(job.inputs["source"]), read_arrays(job.inputs["target"])
    arrays = ("x_target", "y_target", "x_test", "y_test")
    rows, residuals, show = [], [], job.progress()
    recorder = None
    if p["representation"]:
        # imported here: it reads torch, which the linear theory does without
        from infwidth.stages.parts.recorder import Recorder

        recorder = Recorder(p["activation"], p["settings"].get("target_times", [math.nan]))
    for index, seed in enumerate(target["seeds"]):
        task = TransferTask(
            source["x_source"][index], source["y_source"][index], *(target[name][index] for name in arrays)
        )
        sources: dict = {}
        for number, line in enumerate(lines_of(p)):
            options = {"seed": p["particle_seeds"][str(seed)]}
            if p["training"] == "flow":
                options |= line.protocol | {"sources": sources}
            if recorder:
                options["observe"] = partial(_record, recorder, index, number, task)
            solution = solver.solve(
                task,
                activation=p["activation"],
                source_strength=p["axes"]["source_strength"],
                target_strength=line.target_strength,
                elastic_coupling=line.elastic_couplings,
                **p["settings"],
                **options,
                strict=False,
            )
            times = getattr(solution, "times", np.array([math.nan]))
            for i, coupling in enumerate(line.elastic_couplings):
                found = {"train_loss": solution.train_loss[i], "test_loss": solution.test_loss[i]}
                if p["training"] == "bayes":
                    found |= {name: getattr(solution, name)[i] for name in ("leave_one_out", "log_evidence_density")}
                found |= classification_error(solution.prediction[i], task.y_test)
                values = {metric: np.atleast_1d(value) for metric, value in found.items()}
                errors = {metric: _stderr(solution.stderr, metric, i, len(times)) for metric in found}
                columns = {
                    **{"experiment": p["experiment"], "kind": "theory", "dataset": str(target["label"])},
                    **p["axes"],
                    **{"width": math.inf, "seed": seed, "status": solution.status[i].value},
                    **line.columns(coupling),
                }
                rows += rows_over_time(columns, times, values, errors)
                if recorder:
                    rows += recorder.rows(columns, (index, number, i), keep=index == 0)
                residuals.append(float(np.max(solution.residual[i])))
            if recorder and number == 0:  # every line of transfer starts from the same source
                rows += recorder.rows(columns | SOURCE_COLUMNS, (index, number, None), keep=index == 0)
            show((index + 1) / len(target["seeds"]))
    table = make_table(rows)
    write_table(job.outputs["table"], table)
    write_arrays(job.outputs["arrays"], recorder.arrays() if recorder else {})
    converged = (table["status"] == Status.CONVERGED.value).mean()
    job.facts |= {
        "dtype": "float64",
        "largest_residual": max(residuals),
        "converged_fraction": float(converged),
    }


def _record(recorder, index: int, number: int, task: TransferTask, seen: Observed) -> None:
    """Hand the recorder what the solver shows."""
    key = (index, number, seen.coupling)
    if seen.coupling is None:
        recorder.source(key, seen.preactivation, task.y_source)
    else:
        recorder.target(key, seen.time, seen.preactivation, task.y_target)


def _stderr(stderr: Mapping, metric: str, coupling: int, times: int) -> np.ndarray:
    """Standard error (times,) of a metric at one δ: 0 where nothing is sampled, nan where none was estimated."""
    found = stderr.get(metric, stderr["prediction"] if np.ndim(stderr["prediction"]) == 0 else math.nan)
    return np.full(times, found) if np.ndim(found) == 0 else np.atleast_1d(found[coupling])


if __name__ == "__main__":
    main()
