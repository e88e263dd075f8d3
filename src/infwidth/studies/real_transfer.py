"""A real test of advice: which source, and how strongly, on real features, beside other ways to choose (docs/trust.md).

Pairs of classes are sources and targets of one another. Every way to choose sees training samples alone; judged are
finite networks trained by gradient flow with the δ chosen, on test samples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from infwidth.applied.advice import advise, default_strength
from infwidth.applied.transferability import h_score, leep, log_me
from infwidth.networks.gradient_flow import train_source, train_target
from infwidth.networks.solution import require_converged
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint
from infwidth.networks.two_layer.finetune import tied_weights, trained_weights
from infwidth.networks.two_layer.laplace import laplace_evidence
from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_number
from infwidth.numerics.losses import mean_squared_error
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed, generator
from infwidth.numerics.status import Status
from infwidth.studies.real_problems import Pair, Pool, class_pairs, draw_task, read_pool, spelt
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.transfer_task import TransferTask

DRAWN = 1
"""Training images of a class that samples are drawn from, over those of both classes that are drawn."""


@dataclass(frozen=True)
class _Setting:
    """What all pairs share, by the names of :func:`run`."""

    activation: str
    couplings: tuple[float, ...]
    fixed: float
    folds: int
    width: int
    particles: int
    inverse_temperature: float
    weight_decay: float
    training_time: float
    seed: int

    @property
    def flow(self) -> dict[str, Any]:
        """Keywords of a training."""
        return {"activation": self.activation, "weight_decay": self.weight_decay}


def run(
    *,
    seed: int,
    dataset: str = "digits",
    dataset_path: str | None = None,
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
    particles: int = 2048,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Choose sources and δ in several ways for each target, and hold the choices against test losses.

    Args:
        seed: whole number ≥ 0 that samples, networks and particles derive from.
        dataset: "digits", or see ``load_images`` of infwidth.tasks.image_sources.
        dataset_path: where images are, as there.
        extractor: "pixels", or "imagenet" for a pretrained network's (needs the optional packages `features`).
        problems: pairs of classes; each is a target, and the others are its sources.
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
        particles: of the theory.
        progress: called with the fraction done.

    Returns:
        Rows of each pair: ``test_loss`` of networks at each δ; for each way to choose δ (the condition) ``regret``, the
        relative excess over the best δ's test loss, and ``seconds`` of the processor. Rows of each target: for each way
        to choose the source ``kendall_tau`` of its order with that of the sources' test losses (at the best δ), and
        ``source_regret``, the relative excess of the source it puts first.

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
    pool = read_pool(dataset, dataset_path, extractor, DRAWN * max(source_samples, target_samples))
    setting = _Setting(
        activation,
        couplings,
        float(fixed_coupling),
        network_folds,
        width,
        particles,
        inverse_temperature,
        weight_decay,
        training_time,
        seed,
    )
    pairs = class_pairs(problems)
    counter = Counter(progress, len(pairs) * (len(pairs) - 1))
    sizes = {"n_source": source_samples, "n_target": target_samples, "seed": derive_seed(seed, "samples")}
    rows: list[dict[str, Any]] = []
    sources: dict[bytes, SourceNetworks] = {}  # one of a pair serves all targets
    for target in pairs:
        found = []
        for source in pairs:
            if source != target:
                trial = _Trial.of(draw_task(pool, source, target, **sizes), setting, sources)
                found.append(trial)
                rows += [_columns(pool, source, target, trial) | row for row in trial.rows()]
                counter.advance()
        if len(found) > 1:
            rows += [_columns(pool, None, target, found[0]) | row for row in _which_source(found)]
    return rows


def _columns(pool: Pool, source: Pair | None, target: Pair, trial: _Trial) -> dict[str, Any]:
    task = trial.task
    tied = f"{spelt(source)} → " if source else ""
    strength = default_strength(task.dimension)
    return {
        "kind": "network",
        "dataset": f"{pool.name}: {tied}{spelt(target)}",
        "n_source": float(len(task.y_source)),
        "n_target": float(len(task.y_target)),
        "dimension": float(task.dimension),
        "width": float(trial.setting.width),
        "source_strength": strength,
        "target_strength": strength,
        "stderr": 0.0,
        "status": Status.CONVERGED.value,
    }


@dataclass(frozen=True, eq=False)
class _Trial:
    """One source and target.

    Attributes:
        task: the data.
        setting: what all share.
        losses: test losses of networks at each δ, (n,).
        chosen: way to choose → index of its δ; None where it has no answer.
        seconds: way → seconds.
        scores: way to rank sources → this one's score, higher is better.
    """

    task: TransferTask
    setting: _Setting
    losses: np.ndarray
    chosen: dict[str, int | None]
    seconds: dict[str, float]
    scores: dict[str, float]

    @classmethod
    def of(cls, task: TransferTask, setting: _Setting, sources: dict[bytes, SourceNetworks]) -> _Trial:
        """Choose in every way, then look at the test samples; ``sources`` keeps what was trained, by its inputs."""
        key = task.x_source.tobytes()
        if key not in sources:
            sources[key] = _train_source(task, setting)
        source = sources[key]
        couplings = list(setting.couplings)
        chosen = {"scratch": 0, "frozen": len(couplings) - 1, "fixed": couplings.index(setting.fixed)}
        seconds, scores = dict.fromkeys(chosen, 0.0), {}
        for name, choose in (("advise", _advised), ("cross_validation", _cross_validated), ("evidence", _by_evidence)):
            start = time.process_time()
            predicted = choose(task, setting, source)
            seconds[name] = time.process_time() - start
            known = np.isfinite(predicted).any()
            chosen[name] = int(np.nanargmin(predicted)) if known else None
            scores[name] = -float(np.nanmin(predicted)) if known else math.nan
        scores |= _feature_scores(task, setting, source)
        losses = _train(task.x_target[None], task.y_target[None], task.x_test[None], setting, source)[0]
        return cls(task, setting, mean_squared_error(losses, task.y_test), chosen, seconds, scores)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the table, without what the pair is."""
        for coupling, loss in zip(self.setting.couplings, self.losses, strict=True):
            yield {"condition": "transfer", "elastic_coupling": coupling, "metric": "test_loss", "value": float(loss)}
        for name, index in self.chosen.items():
            if index is not None:
                regret = float(self.losses[index] / self.losses.min() - 1)
                at = {"condition": name, "elastic_coupling": self.setting.couplings[index]}
                yield at | {"metric": "regret", "value": regret}
            yield {"condition": name, "metric": "seconds", "value": self.seconds[name]}


def _which_source(trials: Sequence[_Trial]) -> Iterator[dict[str, Any]]:
    """How each way to rank sources does for one target."""
    from scipy.stats import kendalltau

    truth = np.array([trial.losses.min() for trial in trials])
    for name in trials[0].scores:
        scores = np.array([trial.scores[name] for trial in trials])
        if not np.isfinite(scores).all():
            continue
        tau = kendalltau(scores, -truth).statistic
        # of equal scores none is put first, and no order is right: what a draw among them would give
        first = truth[scores == scores.max()].mean()
        yield {"condition": name, "metric": "kendall_tau", "value": 0.0 if math.isnan(tau) else float(tau)}
        yield {"condition": name, "metric": "source_regret", "value": float(first / truth.min() - 1)}


def _train_source(task: TransferTask, setting: _Setting) -> SourceNetworks:
    """The source network."""
    source = train_source(
        task.x_source, task.y_source, source_strength=default_strength(task.dimension), time=setting.training_time,
        width=setting.width, seeds=[setting.seed], dtype=torch.float32, **setting.flow,
    )  # fmt: skip
    require_converged(source.status, ["source network"])
    return source


def _advised(task: TransferTask, setting: _Setting, source: SourceNetworks) -> np.ndarray:
    """Loss of each δ as the theory predicts it, (n,)."""
    data = OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "")
    found = advise(
        data,
        activation=setting.activation,
        couplings=setting.couplings,
        inverse_temperature=setting.inverse_temperature,
        particles=setting.particles,
        seed=setting.seed % 2**32,
    )
    return found.table["loss"].to_numpy()


def _cross_validated(task: TransferTask, setting: _Setting, source: SourceNetworks) -> np.ndarray:
    """Loss of each δ by cross-validation of networks: weight decay towards the source's weights, L2-SP."""
    size, order = len(task.y_target), np.empty(len(task.y_target), int)
    for label in (-1.0, 1.0):  # folds of as many samples of each class
        there = np.flatnonzero(task.y_target == label)
        order[generator(setting.seed, "network folds", label).permutation(there)] = (
            np.arange(len(there)) % setting.folds
        )
    kept = np.stack([np.flatnonzero(order != fold) for fold in range(setting.folds)])
    out = np.stack([np.flatnonzero(order == fold) for fold in range(setting.folds)])
    x, y = task.x_target, task.y_target
    found = _train(x[kept], y[kept], x[out], setting, source)
    return np.square(found - y[out][:, None]).sum((0, 2)) / size


def _by_evidence(task: TransferTask, setting: _Setting, source: SourceNetworks) -> np.ndarray:
    """Less Laplace's evidence of a network trained with each δ, its prior centred on the source's weights, (n,)."""
    strength, decay = default_strength(task.dimension), setting.weight_decay
    x, y = torch.tensor(task.x_target), torch.tensor(task.y_target)
    anchor = source.hidden[0].double()
    common = {"activation": setting.activation, "weight_decay": decay, "time": setting.training_time}
    values = []
    for coupling in setting.couplings:
        if coupling == 0:
            hidden, readout = trained_weights(
                None, task.x_target, task.y_target, strengths=(strength, strength), elastic_coupling=0.0,
                width=2 * setting.width, seed=setting.seed, **common,
            )  # fmt: skip
        else:
            hidden, readout = tied_weights(
                SourceNetworks(anchor[None], source.readout.double(), source.status, source.steps), task.x_target,
                task.y_target, strength=strength, elastic_coupling=coupling * decay, seed=setting.seed, **common,
            )  # fmt: skip
        values.append(
            laplace_evidence(
                hidden, readout, anchor.repeat(2, 1) if coupling else None, x, y, activation=setting.activation,
                strength=strength, elastic_coupling=coupling, inverse_temperature=1 / decay,
            )
        )  # fmt: skip
    return -np.array(values)


def _feature_scores(task: TransferTask, setting: _Setting, source: SourceNetworks) -> dict[str, float]:
    """Scores of the source network's features and answers on the target's training inputs."""
    hidden, readout = source.hidden[0].double(), source.readout[0].double()
    inputs = torch.tensor(task.x_target) / math.sqrt(task.dimension)
    features = get_activation(setting.activation).value(inputs @ hidden.T)
    answers = (features @ readout / (default_strength(task.dimension) * len(readout))).numpy()
    # trained on ±1 by squared loss: the answer is the mean label
    share = (1 + np.clip(answers, -1, 1)) / 2
    features = features.numpy()
    return {
        "log_me": log_me(features, task.y_target),
        "h_score": h_score(features, task.y_target),
        "leep": leep(np.stack([1 - share, share], 1), task.y_target),
    }


def _train(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, setting: _Setting, source: SourceNetworks) -> np.ndarray:
    """Answers (B, n, Pt) of networks trained with each δ on each of B sets; δ = 0 starts from fresh weights."""
    strength, sets = default_strength(x.shape[-1]), len(x)
    points = [
        TargetPoint(coupling * setting.weight_decay, strength, start="source" if coupling else "scratch")
        for coupling in setting.couplings
    ]
    repeated = SourceNetworks(
        source.hidden.repeat(sets, 1, 1),
        source.readout.repeat(sets, 1),
        source.status * sets,
        source.steps.repeat(sets),
    )
    found = train_target(
        repeated, x, y, x_test, points=points, times=[setting.training_time], seeds=[setting.seed] * sets,
        dtype=torch.float32, **setting.flow,
    )  # fmt: skip
    for status in found.status:
        require_converged(status, [f"network at δ = {coupling:g}" for coupling in setting.couplings])
    return found.prediction[:, :, -1]
