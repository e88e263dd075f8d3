"""Hold what `advise` predicts against the known answer, over many tasks of a teacher.

    OMP_NUM_THREADS=1 python benchmarks/advice_calibration.py [--tasks 40] [--activation erf] [--minutes 10]

Tasks differ in size (P2 = 10 … 120), overlap (0 … 1), teacher (linear, He2 with the constant input it needs, signs) and
label noise. The truth is the test loss of the same theory on thousands of fresh samples. Writes
benchmarks/results/advice_calibration_ACTIVATION.json: at every δ the mean predicted loss over the mean true one, of
cross-validation and of first order alone; the standard deviation of (predicted − true gain)/stderr; how often a
definite answer was wrong; and the regret of the δ with the least predicted loss.
"""

from __future__ import annotations

import argparse
import json
import math
import time

import numpy as np
from report import write

from infwidth.applied.advice import advise, default_strength
from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes

COUPLINGS = (0.0, 1.0, 10.0, math.inf)
SIZES = (10, 20, 40, 80, 120)
OVERLAPS = (0.0, 0.3, 0.6, 0.9, 1.0)
TEACHERS = ("linear", "sign", "square")
N_SOURCE, N_TEST, DIMENSION, BETA = 100, 2000, 20, 10.0


def draw(seed: int) -> tuple[TransferTask, dict]:
    """One task, and what it is."""
    random = generator(seed, "advice calibration")
    kind = {
        "size": int(random.choice(SIZES)),
        "overlap": float(random.choice(OVERLAPS)),
        "teacher": str(random.choice(TEACHERS)),
        "noise": float(random.choice([0.0, 0.3, 0.6])),
    }
    source, other = np.linalg.qr(random.standard_normal((DIMENSION, 2)))[0].T
    target = kind["overlap"] * source + math.sqrt(1 - kind["overlap"] ** 2) * other
    arrays = {}
    for part, direction, count in (
        ("source", source, N_SOURCE),
        ("target", target, kind["size"]),
        ("test", target, N_TEST),
    ):
        x = random.standard_normal((count, DIMENSION))
        u, noise = x @ direction, kind["noise"] * random.standard_normal(count)
        y = {
            "linear": u + noise,
            "sign": np.where(u + noise > 0, 1.0, -1.0),
            "square": (u**2 - 1) / math.sqrt(2) + noise,
        }[kind["teacher"]]
        if kind["teacher"] == "square":  # erf is odd: an even task needs a constant input
            x = np.concatenate([x, np.full((count, 1), 1.0)], 1)
        arrays |= {f"x_{part}": x, f"y_{part}": y}
    return TransferTask(**arrays), kind


def judge(seed: int, activation: str) -> dict:
    """Prediction and truth of one task."""
    task, kind = draw(seed)
    started = time.process_time()
    data = OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "")
    found = advise(data, activation=activation, couplings=COUPLINGS, seed=seed)
    seconds = time.process_time() - started
    strength = default_strength(task.dimension)
    truth = bayes.solve(
        task, activation=activation, elastic_coupling=COUPLINGS, source_strength=strength, target_strength=strength,
        inverse_temperature=BETA, particles=2048, seed=seed + 1, evidence=False, strict=False,
    )  # fmt: skip
    good = np.array([status is Status.CONVERGED for status in truth.status])
    table = found.table
    return kind | {
        "predicted": table["loss"].tolist(),
        "first_order": table["first_order_loss"].tolist(),
        "gain": table["gain"].tolist(),
        "gain_stderr": table["gain_stderr"].tolist(),
        "true": np.where(good, truth.test_loss, np.nan).tolist(),
        "recommended": found.recommended,
        "seconds": round(seconds, 2),
    }


def summarise(rows: list[dict]) -> dict:
    columns = {name: np.array([row[name] for row in rows], float) for name in
               ("predicted", "first_order", "gain", "gain_stderr", "true")}  # fmt: skip
    both = np.isfinite(columns["predicted"]) & np.isfinite(columns["true"])
    summary = {"tasks": len(rows), "couplings": [str(value) for value in COUPLINGS]}
    for name in ("predicted", "first_order"):
        ratios, errors = [], []
        for i in range(len(COUPLINGS)):
            use = both[:, i]
            x, y = columns[name][use, i], columns["true"][use, i]
            ratio = x.mean() / y.mean()
            ratios.append(ratio)
            errors.append((x - ratio * y).std(ddof=1) / math.sqrt(len(x)) / y.mean())
        summary[f"{name}_over_true"], summary[f"{name}_over_true_stderr"] = ratios, errors
    true_gain = 1 - columns["true"] / columns["true"][:, :1]
    z = ((columns["gain"] - true_gain) / columns["gain_stderr"])[:, 1:]
    z = z[np.isfinite(z)]
    summary |= {"z_mean": z.mean(), "z_std": z.std(ddof=1), "z_beyond_2": float(np.mean(np.abs(z) > 2))}
    regret, definite, wrong = [], 0, 0
    for k, row in enumerate(rows):
        use = both[k]
        if use.sum() < 2 or not use[0]:
            continue
        true, predicted = columns["true"][k], columns["predicted"][k]
        picked = np.nanargmin(np.where(use, predicted, np.nan))
        regret.append(true[picked] / np.nanmin(np.where(use, true, np.nan)) - 1)
        if row["recommended"] is not None:
            definite += 1
            index = COUPLINGS.index(row["recommended"])
            # from scratch is wrong if some δ > 0 is better, any other δ if it is worse than scratch; 1 % is even
            wrong += np.nanmin(true[1:]) < 0.99 * true[0] if index == 0 else true[index] > 1.01 * true[0]
    summary |= {"mean_regret": float(np.mean(regret)), "definite": definite, "wrong": int(wrong)}
    return summary | {"seconds_a_task": float(np.mean([row["seconds"] for row in rows]))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--activation", default="erf")
    parser.add_argument("--minutes", type=float, default=10.0, help="start no further task after that")
    settings = parser.parse_args()
    started, rows = time.monotonic(), []
    for seed in range(settings.tasks):
        if time.monotonic() - started > 60 * settings.minutes:
            break
        rows.append(judge(seed, settings.activation))
    answer = {"summary": summarise(rows), "tasks": rows}
    write(f"advice_calibration_{settings.activation}", answer)
    print(json.dumps(answer["summary"], indent=1))


if __name__ == "__main__":
    main()
