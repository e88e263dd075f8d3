"""Stage: choose a learning rate for one way to train MLP readouts at one width, then train a transformer a seed."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from typing import Any

import torch

from infwidth.io.atomic import read_arrays
from infwidth.io.checkpoints import Checkpoint, digest_files
from infwidth.io.closure import import_closure
from infwidth.io.tables import make_table, write_table
from infwidth.networks.transformer.training import TrainingHistory, train
from infwidth.numerics.seeds import derive_seed
from infwidth.stages.parts.batch import resolve_device
from infwidth.stages.parts.job import Job, stage
from infwidth.studies.language import make_variant
from infwidth.tasks.text import PARTS, TextTask

CURVE_POINTS, SWEEP_POINTS = 10, 2
"""How often a training's validation loss is measured and its state may be kept; of the sweep only the last counts."""


@stage
def main(job: Job) -> None:
    """Write the rows of the sweep over learning rates, and of each seed's training at the one it chose."""
    p = job.params
    data, device = read_arrays(job.inputs["data"]), resolve_device(p["device"])
    task = TextTask(
        *(data[part] for part in PARTS),
        vocabulary=int(data["vocabulary"]),
        label=str(data["label"]),
        unit=str(data["unit"]),
    )
    settings, rates = p["settings"], p["learning_rates"]
    sweep = len(rates) > 1
    total = len(rates) * settings["sweep_steps"] * sweep + len(p["seeds"]) * settings["steps"]
    done, show = 0, job.progress()
    # what a checkpoint's training depends on beside its own seed, rate and steps
    key = {
        "params": p,
        "data": digest_files([job.inputs["data"]]),
        "code": digest_files(import_closure("stages.language")),
    }
    folder = job.outputs["table"].parents[2] / "checkpoints" / p["experiment"] / p["cell"]

    def trained(name: str, seed: int, rate: float, steps: int, points: int) -> TrainingHistory:
        nonlocal done
        checkpoint = Checkpoint(folder / f"{name}.pt", key | {"training": name})
        history = _train(p, task, seed=seed, rate=rate, steps=steps, points=points, device=device,
                         checkpoint=checkpoint, progress=lambda part: show((done + part * steps) / total))  # fmt: skip
        done += steps
        return history

    rows = []
    common = {
        "experiment": p["experiment"],
        "kind": "theory" if p["width"] == "inf" else "network",
        "dataset": task.label,
        "condition": "transformer",
        "optimiser": p["optimiser"],
        "width": None if p["width"] is None else float(p["width"]),
    }
    chosen = rates[0] if rates else math.nan
    if sweep:
        steps = settings["sweep_steps"]
        swept = {rate: trained(f"sweep-{rate:g}", p["sweep_seed"], rate, steps, SWEEP_POINTS) for rate in rates}
        chosen = min(swept, key=lambda rate: swept[rate].validation.loss)
        for rate, history in swept.items():
            # the sweep has a seed of its own; it stands with every seed, so that leaving one out keeps it
            for seed in p["seeds"]:
                columns = common | {"seed": int(seed), "learning_rate": rate}
                rows.append(columns | _final(history, steps, "sweep_loss", history.validation))
    for seed, root in p["seeds"].items():
        history = trained(f"seed-{seed}", root, chosen, settings["steps"], CURVE_POINTS)
        columns = common | {"seed": int(seed), "learning_rate": chosen}
        for step, loss in zip(history.steps[:-1].tolist(), history.validation_loss[:-1].tolist(), strict=True):
            rows.append(
                columns | {"metric": "validation_loss", "time": step, "value": loss, "status": history.status.value}
            )
        rows.append(columns | _final(history, settings["steps"], "validation_loss", history.validation))
        rows.append(columns | _final(history, settings["steps"], "test_loss", history.test))
    table = make_table(rows)
    write_table(job.outputs["table"], table)
    shutil.rmtree(folder)  # the output is in place
    job.facts |= {
        "device": device,
        "dtype": settings["precision"],
        "learning_rate": chosen,
        "status": table["status"].value_counts().to_dict(),
    }


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
        "value": found.loss,
        "stderr": found.stderr,
        "status": history.status.value,
    }


if __name__ == "__main__":
    main()
