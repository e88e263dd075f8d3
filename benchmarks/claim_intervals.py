"""Do the intervals that verdicts rest on hold what they say? Draws whose truth is known, for each kind of statistic.

And do verdicts, where data sets are bought look by look as `infwidth decide` does, err no more often than a single one,
and is a claim decided as often as its price promises?

    python benchmarks/claim_intervals.py [draws] [draws of the looks]

Writes benchmarks/results/claim_intervals.json and prints the rows of the table in docs/claims.md: for every statistic,
truth (nothing there, on the bound, inside) and number of data sets, the share of 95 % intervals that hold the truth,
and of each definite verdict. On the bound every definite verdict is wrong, inside "reproduced" is the power.
Of claims with a smallest effect that counts: how often it is denied where it is there, in one look and in five, and
said to be none where there is none. All draws of a case go through the array functions that a claim's own draw does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from report import write

from infwidth.analysis.decision import data_sets_needed, level_of
from infwidth.analysis.estimates import LEVEL, Foresight, Proportion, Smooth
from infwidth.analysis.intervals import Function, Ratio, jackknife, largest_ends
from infwidth.analysis.mean_square import Law, RootMeanSquare, Scatter
from infwidth.analysis.seeds import student_quantile
from infwidth.plan.purchases import GROWTH, MOST_LOOKS

DATA_SETS = (3, 5, 10, 20)
BATCH = 2_000
"""Draws at a time: so many 20 × 60 points fit a processor's cache."""
SMALLEST = 0.01
"""Relative change that counts, of claims that something falls at all."""
DOUBLINGS, FIRST = 5, 4
"""Looks that each have twice the data sets of the one before; data sets at the first."""
WIDTHS = np.array([64.0, 128.0, 256.0, 512.0])
SLOPES = (np.log(WIDTHS) - np.log(WIDTHS).mean()) / ((np.log(WIDTHS) - np.log(WIDTHS).mean()) ** 2).sum()


@dataclass(frozen=True)
class Case:
    """A statistic on draws of known truth.

    Attributes:
        name: of the statistic, and what is drawn.
        truths: what is true where nothing is there, on the bound, inside.
        draw: (random numbers, draws, data sets, truth) → (draws, data sets, points).
        side: (draws, number, level) → where each draw's interval lies of it: −1 below, 1 above, 0 around.
        single: one draw's values → the estimate that a claim would rest on; None where looks are not tried.
        below: whether the claim expects it below the bound, else above.
    """

    name: str
    truths: tuple[float, float, float]
    draw: Callable[[np.random.Generator, int, int, float], np.ndarray]
    side: Callable[[np.ndarray, float, float], np.ndarray]
    single: Callable[[np.ndarray], object] | None = None
    below: bool = True

    @property
    def bound(self) -> float:
        return self.truths[1]

    @property
    def claim(self) -> SimpleNamespace:
        return SimpleNamespace(expect={"below" if self.below else "above": self.bound})


def _beside(lower: np.ndarray, upper: np.ndarray, number: float) -> np.ndarray:
    return (lower > number).astype(int) - (upper < number)


def of_function(values: np.ndarray, number: float, level: float, function: Function, *, positive: bool = False):
    """As :class:`Smooth` has it."""
    seeds = values.shape[1]
    width = student_quantile(seeds - 1, level)
    if isinstance(function, Ratio):
        apart = values - values.mean(1, keepdims=True)
        covariance = np.einsum("bnp,bnq->bpq", apart, apart) / (seeds - 1) / seeds
        return _beside(*function.ends(values.mean(1), covariance, width), number)
    value, stderr = jackknife(values, function)
    if positive:
        factor = np.exp(width * stderr / value)
        return _beside(value / factor, value * factor, number)
    return _beside(value - width * stderr, value + width * stderr, number)


def of_largest(values: np.ndarray, number: float, level: float):
    """As :class:`Largest` has it, of means."""
    seeds, count = values.shape[1:]
    means, errors = values.mean(1), values.std(1, ddof=1) / np.sqrt(seeds)

    def ends(level: float):
        half = student_quantile(seeds - 1, level) * errors
        return means - half, means + half

    return _beside(*largest_ends(ends, count, level), number)


def of_agreement(values: np.ndarray, number: float, level: float):
    """As :class:`RootMeanSquare` has it, by the test that it inverts."""
    means = values.mean(1)
    law = Law.of(Scatter.of(means, values - means[:, None]), (means**2).mean(-1), Foresight(values.shape[1]))
    return law.side(number, 1 - level)


def of_share(values: np.ndarray, number: float, level: float):
    hits = values.sum((1, 2)).astype(int)
    kinds = {one: Proportion(one, values.shape[1]).interval(level) for one in set(hits.tolist())}
    return _beside(*np.array([kinds[one] for one in hits.tolist()]).T, number)


def positive_numbers(random, shape, spread):
    """Positive numbers of mean 1 and this standard deviation, log-normal."""
    square = np.log1p(spread**2)
    return np.exp(np.sqrt(square) * random.standard_normal(shape) - square / 2)


def losses(random, draws, seeds, truth, *, levels, own, means: Callable[[float], list[float]]):
    """Losses of points that share each data set's level, which varies by ``levels``, beside ``own`` of each."""
    expected = means(truth)
    shared = positive_numbers(random, (draws, seeds, 1), levels)
    return shared * positive_numbers(random, (draws, seeds, len(expected)), own) * expected


def numbers(random, draws, seeds, truth, *, kind):
    """Numbers that scatter by 0.1 around the truth."""
    shape = (draws, seeds, 1)
    if kind == "heavy":
        return truth + 0.1 * random.standard_t(4, shape) / np.sqrt(2)
    noise = random.standard_normal(shape) if kind == "normal" else positive_numbers(random, shape, 1.0) - 1
    return truth + 0.1 * noise


def several(random, draws, seeds, truth, *, below, shared, signed=False):
    """Numbers that lie below the largest by so much, and share some of their scatter of 0.1."""
    scatter = np.sqrt(shared) * random.standard_normal((draws, seeds, 1))
    scatter = scatter + np.sqrt(1 - shared) * random.standard_normal((draws, seeds, len(below)))
    values = truth - np.array(below) + 0.1 * scatter
    return np.concatenate([values, -values], axis=-1) if signed else values


def differences(random, draws, seeds, truth, *, points, shared, across=False):
    """Differences at points that scatter by the bound; along what they share, or across it."""
    noise = np.sqrt(1 - shared) * random.standard_normal((draws, seeds, points))
    noise = noise + np.sqrt(shared) * random.standard_normal((draws, seeds, 1))
    direction = np.where(np.arange(points) % 2, -1.0, 1.0) if across else 1.0
    return truth * direction + 0.05 * noise


def deviations(random, draws, seeds, truth, *, each):
    """Mean and mean square of some deviations a data set."""
    drawn = truth * random.standard_normal((draws, seeds, each))
    return np.stack([drawn.mean(-1), (drawn**2).mean(-1)], axis=-1)


def hits(random, draws, seeds, truth):
    return (random.random((draws, seeds, 1)) < truth).astype(float)


def single(values: np.ndarray, function: Function, **more) -> Smooth:
    table = pd.DataFrame(values)
    return Smooth(table, function, 0 * table, ["network"] * values.shape[1], **more)


def change_of_effect(means):
    return means[0] / means[1] - means[2] / means[3]


def trend(means):
    return np.tensordot(np.log(10) * SLOPES, means[::2] / means[1::2], 1)


def exponent(means):
    return np.tensordot(SLOPES, np.log(means), 1)


def effect_ratio(means):
    effects = [np.abs(part - part[0]).max(0) / part[0] for part in (means[:4], means[4:])]
    return effects[0] / effects[1]


def root_mean_square(values: np.ndarray) -> RootMeanSquare:
    return RootMeanSquare(pd.DataFrame(values), {})


def smooth(name, truths, draw, function, *, below=True, **more) -> Case:
    side = partial(of_function, function=function, **more)
    return Case(name, truths, draw, side, partial(single, function=function, **more), below)


OF_LOSSES = (
    ("a relative change", (0.0, -0.05, -0.15), lambda x: [1 + x, 1.0], Ratio((1, -1), (0, 1)), True),
    ("a share of a change", (0.0, 0.5, 0.8), lambda x: [1 + x, 2.0, 1.0], Ratio((1, 0, -1), (0, 1, -1)), False),
    ("a change of an effect", (0.0, -0.05, -0.15), lambda x: [0.9 + x, 1.0, 0.9, 1.0], change_of_effect, True),
    ("a trend of a change", (0.0, 0.1, 0.3), lambda x: _trending(x), trend, False),
    ("an exponent", (0.0, -0.4, -0.6), lambda x: list(WIDTHS**x), exponent, True),
)
"""Statistic, truths, what the levels' means are at each, its function, whether it is expected below the bound."""
OF_SEVERAL = (
    ("the largest of four, all equal", [0.0] * 4, 0.0, False),
    ("the largest of four, all equal, 90 % of the scatter shared", [0.0] * 4, 0.9, False),
    ("the largest of four, one far above", [0.0, 0.5, 0.5, 0.5], 0.0, False),
    ("the largest of four, one a little above", [0.0, 0.05, 0.05, 0.05], 0.0, False),
    ("the largest change of eight, either sign, 90 % shared", [0.0] * 8, 0.9, True),
)
"""What is drawn, by how much each lies below the largest, the part of the scatter they share, whether signs differ."""


def cases() -> Iterator[Case]:
    """Every kind of statistic that claims use, on one or several kinds of draws."""
    for kind, of in (("normal", "normal"), ("heavy", "Student's t₄"), ("skewed", "log-normal, ± its mean")):
        name = f"a mean, a difference or an excess: {of}"
        yield smooth(name, (0.1, 0.0, -0.1), partial(numbers, kind=kind), lambda means: means[0])
    for levels, own in ((20, 5), (60, 5), (60, 20)):
        for name, truths, means, function, below in OF_LOSSES:
            drawn = partial(losses, levels=levels / 100, own=own / 100, means=means)
            yield smooth(f"{name}: levels ± {levels} %, own {own} %", truths, drawn, function, below=below)
    drawn = partial(losses, levels=0.2, own=0.05, means=_effects)
    yield smooth("a ratio of effects: levels ± 20 %, own 5 %", (1.0, 0.5, 0.25), drawn, effect_ratio)
    for each in (5, 40):
        drawn = partial(deviations, each=each)
        yield smooth(f"a spread, {each} rows a data set", (1.5, 1.3, 1.0), drawn, _spread, positive=True)
    yield Case("a share of data sets", (0.5, 0.3, 0.1), hits, of_share)
    for name, beneath, shared, signed in OF_SEVERAL:
        truths = (0.05, 0.02, 0.0) if signed else (0.05, 0.0, -0.1)
        yield Case(name, truths, partial(several, below=beneath, shared=shared, signed=signed), of_largest)
    for points, shared, across in (
        *((points, shared, False) for points in (4, 20, 60) for shared in (0, 20, 50, 80, 100)),
        *((20, shared, True) for shared in (50, 100)),
    ):
        name = f"an agreement at {points} points, {shared} % of the scatter shared{', off across it' * across}"
        drawn = partial(differences, points=points, shared=shared / 100, across=across)
        looked_at = root_mean_square if points == 20 else None  # a look at one costs milliseconds
        yield Case(name, (0.0, 0.05, 0.02), drawn, of_agreement, looked_at)


def _spread(means):
    return np.sqrt(means[1] - means[0] ** 2)


def _trending(slope: float) -> list[float]:
    pairs = [[1 + slope * np.log10(width / WIDTHS[0]), 1.0] for width in WIDTHS]
    return list(np.ravel(pairs))


def _effects(ratio: float) -> list[float]:
    return [1, 1 - 0.1 * ratio, 1 - 0.2 * ratio, 1 - 0.4 * ratio, 1, 0.9, 0.8, 0.6]


def measure(case: Case, seeds: int, truth: float, draws: int) -> dict[str, float]:
    """Shares over many draws of one case."""
    random = np.random.default_rng(seeds)
    of_truth, of_bound = [], []
    for done in range(0, draws, BATCH):
        values = case.draw(random, min(BATCH, draws - done), seeds, truth)
        of_truth.append(case.side(values, truth, LEVEL))
        of_bound.append(case.side(values, case.bound, LEVEL))
    of_truth, of_bound = np.concatenate(of_truth), np.concatenate(of_bound) * (1 if case.below else -1)
    shares = {"covered": of_truth == 0, "reproduced": of_bound < 0, "not reproduced": of_bound > 0}
    return {key: round(float(share.mean()), 4) for key, share in shares.items()}


def doubled(case: Case, draws: int) -> float:
    """The share of definite verdicts on the bound, after looks that each double the data sets."""
    random, wrong = np.random.default_rng(1), 0
    for done in range(0, draws, BATCH // 4):
        most = FIRST * 2 ** (DOUBLINGS - 1)
        values = case.draw(random, min(BATCH // 4, draws - done), most, case.bound)
        said = [
            case.side(values[:, : FIRST * 2**look], case.bound, level_of(look + 1)) != 0 for look in range(DOUBLINGS)
        ]
        wrong += int(np.any(said, axis=0).sum())
    return round(wrong / draws, 4)


def bought(case: Case, draws: int) -> dict[str, float]:
    """Verdicts on the bound where each look buys what the last one says would decide, as `infwidth decide` does."""
    random, claim = np.random.default_rng(2), case.claim
    ends = {"wrong": 0, "on the bound": 0, "looks": 0}
    for _ in range(draws):
        values, look = case.draw(random, 1, FIRST, case.bound)[0], 1
        while True:
            if case.side(values[None], case.bound, level_of(look))[0]:
                ends["wrong"] += 1
                break
            more = look < MOST_LOOKS
            needed = data_sets_needed(claim, case.single(values), level_of(look + 1)) if more else None
            if needed is None:
                ends["on the bound"] += look < MOST_LOOKS
                break
            more = min(needed, GROWTH * len(values)) - len(values)
            values, look = np.concatenate([values, case.draw(random, 1, more, case.bound)[0]]), look + 1
        ends["looks"] += look
    return {"draws": draws, **{key: round(count / draws, 4) for key, count in ends.items()}}


def planned(case: Case, draws: int) -> dict[str, float] | None:
    """How often as many data sets as a finding of the truth asks for decide, where 80 % are promised."""
    random, truth = np.random.default_rng(3), case.bound + 0.3 * (case.truths[2] - case.bound)
    # a finding of three data sets that is the truth itself, with the scatter that is true
    many = case.draw(random, 1, 4000, truth)[0]
    found = case.single(many)
    needed = data_sets_needed(case.claim, _As(found, 3), LEVEL)
    if needed is None:
        return None
    sides = [
        case.side(case.draw(random, BATCH // 4, needed, truth), case.bound, LEVEL) for _ in range(0, draws, BATCH // 4)
    ]
    inside = np.concatenate(sides) * (1 if case.below else -1) < 0
    return {"data_sets": needed, "decided": round(float(inside.mean()), 4)}


@dataclass
class _As:
    """An estimate as if fewer data sets had given it."""

    found: object
    seeds: int
    fails: bool = field(default=True)

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None):
        return self.found.interval(level, foreseen or Foresight(self.seeds))


def no_effect(draws: int) -> list[dict[str, float]]:
    """Verdicts on a fall of a loss of which 1 % counts, where it is that, half of it, and none."""
    function, rows = Ratio((1, -1), (0, 1)), []
    for own in (0.005, 0.01, 0.02):
        for change in (-SMALLEST, -SMALLEST / 2, 0.0):
            random = np.random.default_rng(4)
            drawn = partial(losses, levels=0.2, own=own, means=lambda change: [1 + change, 1.0])
            values = drawn(random, draws, FIRST * 2 ** (DOUBLINGS - 1), change)

            def verdicts(seeds: int, level: float, values=values) -> np.ndarray:
                """1 for "reproduced", −1 for "not reproduced", 2 for "no such effect", of each draw."""
                fall, counts = (of_function(values[:, :seeds], end, level, function) for end in (0.0, -SMALLEST))
                return np.where(fall, -fall, np.where(counts > 0, 2, 0))

            row = {"own": own, "change": change}
            for seeds in (5, 10, 20, 40):
                said = verdicts(seeds, LEVEL)
                row |= {f"none, {seeds}": float((said == 2).mean()), f"falls, {seeds}": float((said == 1).mean())}
            first = np.zeros(draws)
            for look in range(DOUBLINGS):  # the first definite verdict stays
                first = np.where(first, first, verdicts(FIRST * 2**look, level_of(look + 1)))
            row |= {"none, looks": float((first == 2).mean()), "falls, looks": float((first == 1).mean())}
            rows.append({key: round(value, 4) for key, value in row.items()})
    return rows


def table(answer: dict) -> str:
    """The rows of the table in docs/claims.md."""
    lines = []
    looks = {row["statistic"]: row for row in answer["looks"]}
    for name in dict.fromkeys(row["statistic"] for row in answer["cases"]):
        cells = []
        for seeds in DATA_SETS:
            found = [row["covered"] for row in answer["cases"] if (row["statistic"], row["data_sets"]) == (name, seeds)]
            cells.append(" · ".join(f"{100 * share:.1f}" for share in found))
        of = looks[name]
        wrong = [f"{100 * of['doubled']:.1f}", f"{100 * of['bought']['wrong']:.1f}" if of["bought"] else "–"]
        power = f"{100 * of['planned']['decided']:.0f}" if of["planned"] else "–"
        lines.append("| " + " | ".join([name, *cells, " · ".join(wrong), power]) + " |")
    return "\n".join(lines)


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    of_looks = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    started, rows, looks = time.perf_counter(), [], []
    for case in cases():
        for label, truth in zip(("null", "on the bound", "inside"), case.truths, strict=True):
            for seeds in DATA_SETS:
                found = measure(case, seeds, truth, draws)
                rows.append({"statistic": case.name, "truth": label, "data_sets": seeds, **found})
        looks.append({"statistic": case.name, "doubled": doubled(case, draws), "bought": None, "planned": None})
        if case.single:
            some = of_looks // 6 if case.single is root_mean_square else of_looks
            looks[-1] |= {"bought": bought(case, some), "planned": planned(case, draws)}
        print(
            table({"cases": rows, "looks": looks}).splitlines()[-1],
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )
    answer = {"draws": draws, "draws_of_looks": of_looks, "seconds": round(time.perf_counter() - started)}
    write("claim_intervals", {**answer, "no_effect": no_effect(draws), "looks": looks, "cases": rows})


if __name__ == "__main__":
    main()
