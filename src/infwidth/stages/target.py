"""Stage: train or sample the target networks of one cell, batched over data sets, network seeds, γ, δ, controls."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from infwidth.io.atomic import read_arrays, write_arrays
from infwidth.io.tables import make_table, write_table
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.numerics.losses import classification_error, expected_squared_error, mean_squared_error
from infwidth.numerics.status import Status, worst
from infwidth.stages.parts.batch import batch_options, load_source, over_replicas, repeated, trainer
from infwidth.stages.parts.job import Job, stage
from infwidth.stages.parts.lines import SOURCE_COLUMNS, lines_of, rows_over_time
from infwidth.stages.parts.recorder import Recorder


@stage
def main(job: Job) -> None:
    """Write the networks' rows of the table: means over the network seeds of each data set."""
    p = job.params
    data, source = read_arrays(job.inputs["data"]), load_source(job.inputs["networks"])
    points = [
        (line, coupling, TargetPoint(coupling, line.target_strength, **line.protocol))
        for line in lines_of(p)
        for coupling in line.elastic_couplings
    ]
    x, y, x_test, y_test = repeated(p, *(data[name] for name in ("x_target", "y_target", "x_test", "y_test")))
    options = batch_options(p)
    flow = p["training"] == "flow"
    recorder, watching = None, {}
    if p["representation"]:
        recorder = Recorder(p["activation"], p["settings"].get("times", [math.nan]))
        size = len(source.hidden) // len(data["seeds"])
        watching = {"observe": lambda b, g, t, h: recorder.target((b // size, g), t, h, y[b])}
        origin = read_arrays(job.inputs["source_data"])
        xs, ys = repeated(p, origin["x_source"], origin["y_source"])
        for b, hidden in enumerate(source.hidden):
            inputs = torch.from_numpy(xs[b]).to(hidden) / xs.shape[-1] ** 0.5
            recorder.source((b // size, None), hidden @ inputs.mT, ys[b])
    found = trainer(p["training"], "target")(
        source,
        x,
        y,
        x_test,
        points=[point for _, _, point in points],
        activation=p["activation"],
        **p["settings"],
        **options,
        **watching,
        progress=job.progress(),
    )
    times = np.asarray(found.times) if flow else np.array([math.nan])
    # predictions (networks, points, times, samples); a posterior has one "time"
    train, test = (array if flow else array[:, :, None] for array in (found.train_prediction, found.prediction))
    measured = {
        "train_loss": mean_squared_error(train, y[:, None, None]),
        "test_loss": mean_squared_error(test, y_test[:, None, None]),
        **classification_error(test, y_test[:, None, None], precision=p["precision"]),
    }
    if not flow:
        second = found.prediction_second_moment[:, :, None]
        measured["sampled_test_loss"] = expected_squared_error(test, second, y_test[:, None, None])
    averaged = {metric: over_replicas(p, values) for metric, values in measured.items()}
    # a target is no better than the source it is tied to
    statuses = [
        [
            end if line.condition == "scratch" else worst((begin, end))
            for end, (line, _, _) in zip(row, points, strict=True)
        ]
        for begin, row in zip(source.status, found.status, strict=True)
    ]
    statuses = _by_data_set(statuses, len(data["seeds"]))
    rows = []
    for index, seed in enumerate(data["seeds"]):
        for g, (line, coupling, _) in enumerate(points):
            columns = {
                **{"experiment": p["experiment"], "kind": "network", "dataset": str(data["label"])},
                **p["axes"],
                **{"seed": seed, "status": statuses[index][g].value},
                **line.columns(coupling),
            }
            values, errors = ({metric: pair[k][index, g] for metric, pair in averaged.items()} for k in (0, 1))
            rows += rows_over_time(columns, times, values, errors)
            if recorder:
                rows += recorder.rows(columns, (index, g), keep=index == 0)
        if recorder:
            end = worst(source.status[index * size : (index + 1) * size])
            columns |= {"status": end.value, **SOURCE_COLUMNS}
            rows += recorder.rows(columns, (index, None), keep=index == 0)
    table = make_table(rows)
    write_table(job.outputs["table"], table)
    write_arrays(job.outputs["arrays"], recorder.arrays() if recorder else {})
    job.facts |= {
        "device": options["device"],
        "dtype": p["precision"],
        "status": table["status"].value_counts().to_dict(),
        **(
            {"largest_residual": float(np.max(found.residual))}
            if flow
            else {
                "least_effective_samples": float(np.min(found.effective_samples)),
                "largest_r_hat": float(np.max(found.r_hat)),
            }
        ),
    }


def _by_data_set(statuses: Sequence[Sequence[Status]], data_sets: int) -> list[list[Status]]:
    """Of the networks of each data set, the worst status at a point; (networks, points) → (data sets, points)."""
    size = len(statuses) // data_sets
    groups = [statuses[i * size : (i + 1) * size] for i in range(data_sets)]
    return [[worst(column) for column in zip(*group, strict=True)] for group in groups]


if __name__ == "__main__":
    main()
