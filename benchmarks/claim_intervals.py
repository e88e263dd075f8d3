"""Do the intervals that verdicts rest on hold what they say? Draws whose truth is known, for each kind of statistic.

And do verdicts, where data sets are added look by look as `infwidth decide` does, err no more often than a single one?

    python benchmarks/claim_intervals.py [draws]

Writes benchmarks/results/claim_intervals.json: for every statistic, truth (nothing there, on the bound, inside) and
number of data sets, the share of 95 % intervals that hold the truth, and of each definite verdict. On the bound every
definite verdict is wrong; inside the share of "reproduced" is the power.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from report import write

from infwidth.analysis.decision import level_of
from infwidth.analysis.estimates import LEVEL, Foresight, Largest, Smooth
from infwidth.analysis.mean_square import RootMeanSquare

DATA_SETS = (3, 5, 10, 20)
BOUND = {"change": -0.05, "largest of four": 0.0, "agreement": 0.05}
TRUTHS = {
    "change": {"null": 0.0, "on the bound": -0.05, "inside": -0.15},
    "largest of four": {"null": 0.05, "on the bound": 0.0, "inside": -0.1},
    "agreement": {"null": 0.0, "on the bound": 0.05, "inside": 0.02},
}
"""Statistic → truth; each is expected below its bound."""
POINTS = 20


def change(random, seeds: int, truth: float, _: float):
    """A relative change of paired means: data sets that differ by 20 %, 5 % of each number its own."""
    level = 1 + 0.2 * random.standard_normal((seeds, 1))
    values = level * [1 + truth, 1.0] + 0.05 * random.standard_normal((seeds, 2))
    return Smooth(
        pd.DataFrame(values), lambda means: means[0] / means[1] - 1, pd.DataFrame(0 * values), ["network"] * 2
    )


def largest(random, seeds: int, truth: float, together: float):
    """The largest of four means; those not the largest lie as low as ``together`` says: 0, all are equal."""
    scatter = 0.1 * random.standard_normal((seeds, 4))
    values = pd.DataFrame(scatter + truth - together * np.arange(4))
    none = pd.DataFrame(np.zeros((seeds, 1)))
    return Largest([Smooth(values[[k]], lambda means: means[0], none, ["network"]) for k in range(4)])


def agreement(random, seeds: int, truth: float, together: float):
    """Differences at 20 points that scatter by the bound, ``together`` of their variance as one."""
    noise = np.sqrt(1 - together) * random.standard_normal((seeds, POINTS))
    noise = noise + np.sqrt(together) * random.standard_normal((seeds, 1))
    return RootMeanSquare(pd.DataFrame(truth + BOUND["agreement"] * noise), {})


CASES = [
    ("change", change, 0.0),
    ("largest of four", largest, 0.0),
    ("largest of four", largest, 0.5),
    ("agreement", agreement, 0.0),
    ("agreement", agreement, 0.2),
    ("agreement", agreement, 0.5),
    ("agreement", agreement, 0.8),
    ("agreement", agreement, 1.0),
]
FIRST, LOOKS = 4, 5
"""Data sets at the first look; looks."""


def side(found, root: float, level: float) -> int:
    """−1 where an interval lies below a value, 1 above, else 0; of an agreement by the test that it inverts."""
    if isinstance(found, RootMeanSquare):
        law, error = found.law(Foresight(found.seeds)), 1 - level
        spent = law.spent_below(root, error)
        if root > 0 and law.below(root, folded=True) < spent:
            return -1
        return int(law.below(root, folded=False) > 1 - error + spent)
    lower, upper = found.interval(level)
    return int(lower > root) - int(upper < root)


def measure(name: str, draw, together: float, seeds: int, truth: float, draws: int) -> dict[str, float]:
    """Shares over many draws of one case."""
    random = np.random.default_rng(seeds)
    found = [draw(random, seeds, truth, together) for _ in range(draws)]
    of_truth = np.array([side(one, truth, LEVEL) for one in found])
    of_bound = np.array([side(one, BOUND[name], LEVEL) for one in found])
    shares = {
        "covered": np.mean(of_truth == 0),
        "reproduced": np.mean(of_bound < 0),
        "not reproduced": np.mean(of_bound > 0),
    }
    return {key: round(float(share), 4) for key, share in shares.items()}


def looked_at(name: str, draw, together: float, draws: int) -> float:
    """The share of definite verdicts on the bound, after up to ``LOOKS`` looks at ever more data sets."""
    random, wrong = np.random.default_rng(1), 0
    for _ in range(draws):
        seed = int(random.integers(2**62))
        for look in range(1, LOOKS + 1):
            # the data sets of a look are among those of the next
            seeds = FIRST * 2 ** (look - 1)
            found = draw(Rows(seed), seeds, BOUND[name], together)
            if side(found, BOUND[name], level_of(look)):
                wrong += 1
                break
    return round(wrong / draws, 4)


class Rows:
    """Normal numbers whose first rows are the same however many are asked for."""

    def __init__(self, seed: int):
        self.seed, self.calls = seed, 0

    def standard_normal(self, shape: tuple[int, int]) -> np.ndarray:
        self.calls += 1
        random = np.random.default_rng([self.seed, self.calls])
        return random.standard_normal((FIRST * 2**LOOKS, *shape[1:]))[: shape[0]]


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    started, rows = time.perf_counter(), []
    for name, draw, together in CASES:
        for label, truth in TRUTHS[name].items():
            for seeds in DATA_SETS:
                found = measure(name, draw, together, seeds, truth, draws)
                rows.append({"statistic": name, "together": together, "truth": label, "data_sets": seeds, **found})
                print(rows[-1], flush=True)
    looks = []
    for name, draw, together in CASES:
        looks.append({"statistic": name, "together": together, "wrong": looked_at(name, draw, together, draws)})
        print(looks[-1], flush=True)
    answer = {"draws": draws, "looks": looks, "seconds": round(time.perf_counter() - started), "cases": rows}
    write("claim_intervals", answer)


if __name__ == "__main__":
    main()
