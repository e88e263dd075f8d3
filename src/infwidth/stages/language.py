"""Stage: choose a learning rate for one way to train MLP readouts at one width, then train a transformer a seed."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from infwidth.io.atomic import read_arrays
from infwidth.io.checkpoints import Checkpoint, digest_files
from infwidth.io.closure import import_closure
from infwidth.io.tables import make_table, read_table, write_table
from infwidth.networks.transformer.training import TrainingHistory, train
from infwidth.numerics.seeds import derive_seed
from infwidth.stages.parts.device import resolve_device
from infwidth.stages.parts.job import Job, stage
from infwidth.studies.language import make_variant
from infwidth.tasks.text import PARTS, TextTask

CURVE_POINTS, SWEEP_POINTS = 10, 2
"""How often a training's validation loss is measured and its state may be kept; a sweep's only at its end."""


@stage
def main(job: Job) -> None:
    """Write the rows of the sweep over learning rates, and of each seed's training at the one it chose."""
    p = job.params
    data = read_arrays(job.inputs["data"])
    task = TextTask(
        *(data[part] for part in PARTS),
        vocabulary=int(data["vocabulary"]),
        label=str(data["label"]),
        unit=str(data["unit"]),
    )
    trainings = _Trainings(job, task)
    common = {
        "experiment": p["experiment"],
        "kind": "theory" if p["width"] == "inf" else "network",
        "dataset": task.label,
        "condition": "transformer",
        "optimiser": p["optimiser"],
        "width": None if p["width"] is None else float(p["width"]),
    }
    rates, rows = p["learning_rates"], []
    chosen = rates[0] if rates else math.nan
    if "swept" in job.inputs:
        chosen, rows = _earlier_sweep(read_table(job.inputs["swept"]), p)
    elif len(rates) > 1:
        chosen, rows = _sweep(trainings, p, common)
    rows += _curves(trainings, p, common, chosen)
    table = make_table(rows)
    write_table(job.outputs["table"], table)
    trainings.discard_checkpoints()  # the output is in place
    job.facts |= {
        "device": trainings.device,
        "dtype": p["settings"]["precision"],
        "learning_rate": chosen,
        "status": table["status"].value_counts().to_dict(),
    }


def _sweep(trainings: _Trainings, p: Mapping[str, Any], common: Mapping[str, Any]) -> tuple[float, list[dict]]:
    """Train at every learning rate; the one with the least validation loss, and the rows."""
    steps = p["settings"]["sweep_steps"]
    swept = {
        # repr: rates that differ in the last digit alone are two trainings
        rate: trainings.run(f"sweep-{rate!r}", p["sweep_seed"], rate, steps, SWEEP_POINTS, only_validation=True)
        for rate in p["learning_rates"]
    }
    # where all diverged none is better, and the rows say so
    chosen = min(swept, key=lambda rate: swept[rate].validation.mean_loss)
    # the sweep has a seed of its own; it stands with every seed, so that leaving one out keeps it
    rows = [
        common | {"seed": int(seed), "learning_rate": rate} | _final(history, steps, "sweep_loss", history.validation)
        for rate, history in swept.items()
        for seed in p["seeds"]
    ]
    return chosen, rows


def _earlier_sweep(table: pd.DataFrame, p: Mapping[str, Any]) -> tuple[float, list[dict]]:
    """What the sweep of seeds before these chose, and its rows, which stand with these too."""
    rates = table.loc[table["metric"] == "test_loss", "learning_rate"]
    sweep = table[(table["metric"] == "sweep_loss") & (table["seed"] == table["seed"].min())]
    rows = [{**row, "seed": int(seed)} for row in sweep.to_dict("records") for seed in p["seeds"]]
    return float(rates.iloc[0]), rows


def _curves(trainings: _Trainings, p: Mapping[str, Any], common: Mapping[str, Any], rate: float) -> list[dict]:
    """Train a transformer a seed; the rows of their curves and final losses."""
    steps, rows = p["settings"]["steps"], []
    for seed, root in p["seeds"].items():
        history = trainings.run(f"seed-{seed}", root, rate, steps, CURVE_POINTS)
        columns = common | {"seed": int(seed), "learning_rate": rate}
        before = history.steps < steps
        for step, loss in zip(history.steps[before].tolist(), history.validation_loss[before].tolist(), strict=True):
            rows.append(
                columns | {"metric": "validation_loss", "time": step, "value": loss, "status": history.status.value}
            )
        rows.append(columns | _final(history, steps, "validation_loss", history.validation))
        rows.append(columns | _final(history, steps, "test_loss", history.test))
    return rows


class _Trainings:
    """The trainings of one job, each with its checkpoint, and how far they are together."""

    def __init__(self, job: Job, task: TextTask):
        p = job.params
        settings, rates = p["settings"], p["learning_rates"]
        self.params, self.task, self.device = p, task, resolve_device(p["device"])
        self.folder = job.outputs["table"].parents[2] / "checkpoints" / p["experiment"] / p["cell"]
        # what a checkpoint's training depends on beside its own seed, rate and steps
        self.key = {
            "params": p,
            "data": digest_files([job.inputs["data"]]),
            "code": digest_files(import_closure("stages.language")),
        }
        sweep = len(rates) * settings["sweep_steps"] if len(rates) > 1 and "swept" not in job.inputs else 0
        self.total = sweep + len(p["seeds"]) * settings["steps"]
        self.done, self.show = 0, job.progress()

    def run(self, name: str, seed: int, rate: float, steps: int, points: int, **options: Any) -> TrainingHistory:
        """Train one transformer, going on from the checkpoint of that name if there is one."""
        history = _train(
            self.params,
            self.task,
            **{"seed": seed, "rate": rate, "steps": steps, "points": points, "device": self.device},
            checkpoint=Checkpoint(self.folder / f"{name}.pt", self.key | {"training": name}),
            **options,
            progress=lambda part: self.show((self.done + part * steps) / self.total),
        )
        self.done += steps
        return history

    def discard_checkpoints(self) -> None:
        """Remove them; a training that diverged before its first point left none."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _train(
    p: Mapping[str, Any], task: TextTask, *, seed: int, rate: float, steps: int, points: int, **options: Any
) -> TrainingHistory:
    """Train one transformer."""
    s = p["settings"]
    torch.set_default_dtype(getattr(torch, s["precision"]))
    shape = {
        key: s[key] for key in ("context", "model_width", "layers", "heads", "activation", "backbone_rate", "beta2")
    }
    width = math.inf if p["width"] == "inf" else p["width"]
    model, optimisers = make_variant(
        p["optimiser"], width, vocabulary=task.vocabulary, learning_rate=rate, seed=seed, **shape
    )
    return train(
        model,
        task,
        steps=steps,
        batch=s["batch"],
        context=s["context"],
        optimisers=optimisers,
        seed=derive_seed(seed, "batches"),
        evaluate_every=max(1, steps // points),
        warmup=s["warmup"],
        final_windows=s["final_windows"],
        **options,
    )


def _final(history: TrainingHistory, steps: int, metric: str, found: Any) -> dict[str, Any]:
    """The columns of a loss at the end of a training."""
    return {
        "metric": metric,
        "time": steps,
        "value": found.mean_loss,
        "stderr": found.stderr,
        "status": history.status.value,
    }


if __name__ == "__main__":
    main()
