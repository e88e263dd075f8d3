"""Stage: train or sample the target networks of one cell, batched over data sets, network seeds, γ, δ, controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from infwidth.analysis.source_response import LARGEST, moment_arrays
from infwidth.io.atomic import read_arrays
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint
from infwidth.numerics.lazy import registered
from infwidth.numerics.losses import classification_error, expected_squared_error, mean_squared_error
from infwidth.numerics.status import Status, tied, worst
from infwidth.stages.parts.batch import batch_options, load_source, over_replicas, repeated, replicas, trainer
from infwidth.stages.parts.job import Job, stage
from infwidth.stages.parts.lines import Assembly, Line, lines_of
from infwidth.stages.parts.recorder import Recorder


@stage
def main(job: Job) -> None:
    """Write the networks' rows of the table: means over the network seeds of each data set."""
    p = job.params
    data, source = read_arrays(job.inputs["data"]), load_source(job.inputs["networks"])
    points = [(line, coupling) for line in lines_of(p) for coupling in line.elastic_couplings]
    x, y, x_test, y_test = repeated(p, *(data[name] for name in ("x_target", "y_target", "x_test", "y_test")))
    options = batch_options(p)
    recorder, watching = None, {}
    if p["representation"]:
        recorder = Recorder(p["activation"], p["settings"].get("times", [math.nan]))
        size = replicas(p)
        watching = {
            "observe": lambda seen: recorder.target(
                (seen.replica // size, seen.coupling_index),
                seen.replica % size,
                seen.time_index,
                seen.preactivation,
                y[seen.replica],
            )
        }
        _record_sources(p, recorder, source, read_arrays(job.inputs["source_data"]))
    found = trainer(p["training"], "target")(
        source,
        x,
        y,
        x_test,
        points=[TargetPoint(coupling, line.target_strength, **line.protocol) for line, coupling in points],
        activation=p["activation"],
        **p["settings"],
        **options,
        **watching,
        progress=job.progress(),
    )
    flow = registered("engines", "ENGINES", p["training"]).over_time
    times = np.asarray(found.times) if flow else np.array([math.nan])
    averaged = {metric: over_replicas(p, values) for metric, values in _measure(p, found, y, y_test).items()}
    statuses = _statuses(p, source, found.status, [line for line, _ in points])
    assembly = Assembly(p, "network", str(data["label"]), recorder)
    for index, seed in enumerate(data["seeds"]):
        for g, (line, coupling) in enumerate(points):
            values, errors = ({metric: pair[k][index, g] for metric, pair in averaged.items()} for k in (0, 1))
            assembly.add(
                index, seed, line, coupling, statuses[index][g],
                times=times, values=values, stderrs=errors, key=(index, g),
            )  # fmt: skip
        if recorder:
            assembly.add_source(index, seed, worst(source.status[_networks(p, index)]), (index, None))
    if not flow and p["activation"] == "linear" and x.shape[-1] <= LARGEST:
        moments = np.array([_second_moment(source, _networks(p, index)) for index in range(len(data["seeds"]))])
        assembly.arrays = moment_arrays(data["seeds"], moments)
    table = assembly.write(job)
    job.facts |= {
        "device": options["device"],
        "dtype": p["precision"],
        "status": table["status"].value_counts().to_dict(),
        **_accuracy(found, flow),
    }


def _networks(p: Mapping[str, Any], index: int) -> slice:
    """Those of one data set among all networks."""
    return slice(index * replicas(p), (index + 1) * replicas(p))


def _second_moment(source: SourceNetworks, networks: slice) -> np.ndarray:
    """Mean of W̄ᵀW̄/N over some source networks, (D, D)."""
    hidden = source.hidden[networks].double()
    return (hidden.mT @ hidden).mean(0).numpy() / hidden.shape[1]


def _record_sources(
    p: Mapping[str, Any], recorder: Recorder, source: SourceNetworks, origin: Mapping[str, np.ndarray]
) -> None:
    """Show the recorder the sources on their own data."""
    xs, ys = repeated(p, origin["x_source"], origin["y_source"])
    for b, hidden in enumerate(source.hidden):
        inputs = torch.from_numpy(xs[b]).to(hidden) / xs.shape[-1] ** 0.5
        recorder.source((b // replicas(p), None), b % replicas(p), hidden @ inputs.mT, ys[b])


def _measure(p: Mapping[str, Any], found, y: np.ndarray, y_test: np.ndarray) -> dict[str, np.ndarray]:
    """Metric → its value for each network, point and time."""
    flow, several = registered("engines", "ENGINES", p["training"]).over_time, y.ndim > 2

    def flat(*arrays: np.ndarray) -> list[np.ndarray]:
        """Samples and outputs as one axis, over which losses are means."""
        return [array.reshape(*array.shape[:-2], -1) if several else array for array in arrays]

    # predictions (networks, points, times, samples, …); a posterior has one "time"
    train, test = (array if flow else array[:, :, None] for array in (found.train_prediction, found.prediction))
    labels, test_labels = y[:, None, None], y_test[:, None, None]
    measured = {
        "train_loss": mean_squared_error(*flat(train, labels)),
        "test_loss": mean_squared_error(*flat(test, test_labels)),
        **classification_error(test, test_labels, several_outputs=several, dtype=p["precision"]),
    }
    if not flow:
        second = found.prediction_second_moment[:, :, None]
        measured["sampled_test_loss"] = expected_squared_error(*flat(test, second, test_labels))
    return measured


def _statuses(
    p: Mapping[str, Any], source: SourceNetworks, ends: Sequence[Sequence[Status]], lines: Sequence[Line]
) -> list[list[Status]]:
    """Of the networks of each data set, the worst status at a point, (data sets, points)."""
    statuses = [
        [tied(None if line.condition == "scratch" else begin, end) for end, line in zip(row, lines, strict=True)]
        for begin, row in zip(source.status, ends, strict=True)
    ]
    groups = [statuses[_networks(p, index)] for index in range(len(statuses) // replicas(p))]
    return [[worst(column) for column in zip(*group, strict=True)] for group in groups]


def _accuracy(found, flow: bool) -> dict[str, float]:
    """What the manifest says of how accurate the networks are."""
    if flow:
        return {"largest_residual": float(np.max(found.residual))}
    return {
        "least_effective_samples": float(np.min(found.effective_samples)),
        "largest_r_hat": float(np.max(found.r_hat)),
    }


if __name__ == "__main__":
    main()
