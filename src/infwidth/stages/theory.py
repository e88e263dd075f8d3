"""Stage: solve the theory of one cell, data set by data set, for every γ, δ and control."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from infwidth.analysis.source_response import response_arrays
from infwidth.io.atomic import read_arrays
from infwidth.numerics.lazy import registered
from infwidth.numerics.losses import classification_error
from infwidth.numerics.observed import Observed
from infwidth.numerics.status import Status, best, worst
from infwidth.stages.parts.job import Job, stage
from infwidth.stages.parts.lines import Assembly, Line, lines_of
from infwidth.tasks.transfer_task import TransferTask

RESPONDING = {"test_loss": False, "sampled_test_loss": False, "train_loss": True}
"""Metrics whose response to the source's draw is written, and whether it is that of the loss on training points."""


@stage
def main(job: Job) -> None:
    """Write the theory's rows of the table."""
    p = job.params
    engine = registered("engines", "ENGINES", p["training"])
    source, target = read_arrays(job.inputs["source"]), read_arrays(job.inputs["target"])
    arrays = ("x_target", "y_target", "x_test", "y_test")
    assembly = Assembly(p, "theory", str(target["label"]), _recorder(p))
    residuals, responses, show, device = [], [], job.progress(), _device(p)
    for index, seed in enumerate(target["seeds"]):
        task = TransferTask(
            source["x_source"][index], source["y_source"][index], *(target[name][index] for name in arrays)
        )
        sources: dict = {}  # trained once for all lines
        for number, line in enumerate(lines_of(p)):
            solution = _solve(engine, assembly, task, line, (index, number), seed, sources, device)
            residuals += _add_line(engine, assembly, solution, task, line, (index, number), seed)
            responses += _responses(assembly, solution, line, seed)
            if assembly.recorder and number == 0:  # every line of transfer starts from the same source
                status = _source_status(solution, line, sources)
                assembly.add_source(index, seed, status, (index, number, None))
            show((index + 1) / len(target["seeds"]))
    if responses:
        assembly.arrays = response_arrays(responses)
    table = assembly.write(job)
    job.facts |= device | {
        "dtype": "float64",
        "largest_residual": max(residuals),
        "converged_fraction": float((table["status"] == Status.CONVERGED.value).mean()),
    }


def _recorder(p: Mapping[str, Any]):
    if not p["representation"]:
        return None
    # imported here: it reads torch, which the linear theory does without
    from infwidth.stages.parts.recorder import Recorder

    new = partial(Recorder, p["activation"], p["settings"].get("target_times", [math.nan]))
    return new(coarser=new())


def _device(p: Mapping[str, Any]) -> dict[str, str]:
    """Where particles are moved, as an argument of ``solve``; none where the theory has none."""
    if "device" not in p:
        return {}
    from infwidth.stages.parts.device import resolve_device  # reads torch, as above

    return {"device": resolve_device(p["device"])}


def _solve(
    engine, assembly: Assembly, task: TransferTask, line: Line, place: tuple[int, int], seed: int, sources, device
):
    """Solve one line on one data set; ``place`` is the number of either."""
    p = assembly.params
    options = device | {"seed": p["particle_seeds"][str(seed)]}
    if engine.over_time:
        options |= line.protocol | {"sources": sources}
    if assembly.recorder:
        options["observe"] = partial(_record, assembly.recorder, *place, task)
        if engine.over_time:
            options["observe_coarser"] = partial(_record, assembly.recorder.coarser, *place, task)
    return engine.theory_door().solve(
        task,
        activation=p["activation"],
        source_strength=p["axes"]["source_strength"],
        target_strength=line.target_strength,
        elastic_coupling=line.elastic_couplings,
        **p["settings"],
        **options,
        strict=False,
    )


def _add_line(
    engine, assembly: Assembly, solution, task: TransferTask, line: Line, place: tuple[int, int], seed: int
) -> list[float]:
    """Add one line's points and return their residuals."""
    times = getattr(solution, "times", np.array([math.nan]))
    expanded = assembly.params["activation"] == "linear" and not task.several_outputs
    deviations = _deviations(engine, solution) if expanded else {}
    for i, coupling in enumerate(line.elastic_couplings):
        found = {"train_loss": solution.train_loss[i], "test_loss": solution.test_loss[i]}
        found |= {name: getattr(solution, name)[i] for name in engine.theory_observables}
        found |= classification_error(solution.prediction[i], task.y_test, several_outputs=task.y_test.ndim > 1)
        stderrs = {metric: _stderr(solution.stderr, metric, i, len(times)) for metric in found}
        found |= {metric: values[i] for metric, (values, _) in deviations.items()}
        stderrs |= {metric: np.atleast_1d(errors[i]) for metric, (_, errors) in deviations.items()}
        assembly.add(
            place[0],
            seed,
            line,
            coupling,
            solution.status[i],
            times=times,
            values={metric: np.atleast_1d(value) for metric, value in found.items()},
            stderrs=stderrs,
            key=(*place, i),
        )
    return [float(np.max(residual)) for residual in solution.residual]


def _deviations(engine, solution) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What a linear network's losses gain at finite width, times N, and standard errors: metric → (n, …) each.

    A posterior's mean predictor has no thermal scatter; a sampled network, which tends to the same E_∞, has. Networks
    under gradient flow are compared one by one.
    """
    found, trained = solution.finite_width, solution.train_finite_width
    columns = {
        f"{name}_deviation": (getattr(found, name), found.stderr[name]) for name in ("mean", "thermal", "source")
    }
    if engine.over_time:
        return columns | {
            "test_loss_deviation": (found.total, found.stderr["total"]),
            "train_loss_deviation": (trained.total, trained.stderr["total"]),
            "test_loss_spread": (found.spread, found.stderr["spread"]),
        }
    exact = np.zeros_like(found.total)
    return columns | {
        "sampled_test_loss": (solution.test_loss, exact),
        "sampled_test_loss_deviation": (found.total, exact),
        "test_loss_deviation": (found.mean + found.source, exact),
        "train_loss_deviation": (trained.mean + trained.source, exact),
    }


def _responses(assembly: Assembly, solution, line: Line, seed: int) -> Iterator[tuple[dict[str, Any], Any]]:
    """How a linear posterior's losses respond to the draw of a source network, of each δ that has an answer."""
    answers = getattr(solution, "respond", None) or ()
    for coupling, status, respond in zip(line.elastic_couplings, solution.status, answers, strict=bool(answers)):
        if respond is None or status is not Status.CONVERGED:
            continue
        columns = assembly.columns(seed, status) | line.columns(coupling)
        for metric, on_training in RESPONDING.items():
            yield columns | {"metric": metric}, respond(on_training=on_training)


def _source_status(solution, line: Line, sources: Mapping) -> Status:
    """How the source of a line ended.

    The flow's sources say it themselves. A posterior's source shows in the targets tied to it, none of which is better
    than it is: it is no worse than the best of them.
    """
    if sources:
        return worst(status for source in sources.values() for status in source.status)
    bound = [status for status, coupling in zip(solution.status, line.elastic_couplings, strict=True) if coupling > 0]
    return best(bound or solution.status)


def _record(recorder, index: int, number: int, task: TransferTask, seen: Observed) -> None:
    """Hand the recorder what the solver shows."""
    key = (index, number, seen.coupling_index)
    if seen.coupling_index is None:
        recorder.source(key, seen.replica, seen.preactivation, task.y_source)
    else:
        recorder.target(key, seen.replica, seen.time_index, seen.preactivation, task.y_target)


def _stderr(stderr: Mapping, metric: str, coupling: int, times: int) -> np.ndarray:
    """Standard error (times,) of a metric at one δ: 0 where nothing is sampled, nan where none was estimated."""
    found = stderr.get(metric, stderr["prediction"] if np.ndim(stderr["prediction"]) == 0 else math.nan)
    return np.full(times, found) if np.ndim(found) == 0 else np.atleast_1d(found[coupling])


if __name__ == "__main__":
    main()
