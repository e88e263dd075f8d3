"""Ways to choose δ and to rank sources by training samples alone, and the networks that judge them (docs/trust.md)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from infwidth.applied.advice import advise, default_strength
from infwidth.applied.transferability import h_score, leep, log_me
from infwidth.networks.gradient_flow import train_target
from infwidth.networks.solution import require_converged
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint
from infwidth.networks.two_layer.finetune import target_weights
from infwidth.networks.two_layer.laplace import kronecker_evidence, laplace_evidence
from infwidth.numerics.activations import get_activation
from infwidth.numerics.seeds import derive_seed, generator
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.bayes import solve


@dataclass(frozen=True)
class Setting:
    """What all pairs share, by the names of ``run`` of infwidth.studies.real_transfer."""

    activation: str
    couplings: tuple[float, ...]
    fixed: float
    network_folds: int
    network_repeats: int
    laplace_torch: bool
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

    @property
    def seeds(self) -> list[int]:
        """Of the networks that a way to choose trains at each δ, of a partition after the other."""
        more = (derive_seed(self.seed, "partition", i) for i in range(1, self.network_repeats))
        return [seed for seed in (self.seed, *more) for _ in range(self.network_folds)]

    def points(self, strength: float) -> list[TargetPoint]:
        """Of networks trained with each δ; δ = 0 starts from fresh weights."""
        return [
            TargetPoint(coupling * self.weight_decay, strength, start="source" if coupling else "scratch")
            for coupling in self.couplings
        ]


@dataclass(frozen=True)
class Choice:
    """What one way says of one source and target.

    Attributes:
        coupling_index: of the δ it takes; None where it has no answer.
        score: how good it thinks the source is, higher is better; NaN where it does not say.
        seconds: of the processor that it took.
    """

    coupling_index: int | None
    score: float = math.nan
    seconds: float = 0.0


def all_choices(task: TransferTask, setting: Setting, source: SourceNetworks) -> dict[str, Choice]:
    """Return what each way that chooses δ says; none looks at test samples."""
    couplings = list(setting.couplings)
    found = {"scratch": 0, "frozen": len(couplings) - 1, "fixed": couplings.index(setting.fixed)}
    choices = {name: Choice(index) for name, index in found.items()}
    start = time.process_time()
    predicted, recommended = _advised(task, setting)
    choices["advise"] = _least(predicted, start)
    # who takes advice by its word trains from scratch where it can't tell
    heeded = couplings.index(recommended) if recommended is not None else 0
    choices["advise_definite"] = Choice(heeded, seconds=choices["advise"].seconds)
    start = time.process_time()
    choices["cross_validation"] = _least(_cross_validated(task, setting, source), start)
    ways = {"evidence": laplace_evidence} | ({"laplace_torch": kronecker_evidence} if setting.laplace_torch else {})
    start = time.process_time()
    weights = _trained(task, setting, source)
    training = time.process_time() - start
    for name, evidence in ways.items():
        start = time.process_time()
        choices[name] = _least(_by_evidence(evidence, weights, task, setting, source), start - training)
    return choices


def _least(predicted: np.ndarray, start: float) -> Choice:
    """The δ of the least loss predicted."""
    seconds = time.process_time() - start
    if not np.isfinite(predicted).any():
        return Choice(None, seconds=seconds)
    return Choice(int(np.nanargmin(predicted)), -float(np.nanmin(predicted)), seconds)


def _advised(task: TransferTask, setting: Setting) -> tuple[np.ndarray, float | None]:
    """Loss of each δ as the theory predicts it, (n,), and the δ that it recommends, None where it can't tell."""
    data = OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "")
    found = advise(
        data,
        activation=setting.activation,
        couplings=setting.couplings,
        inverse_temperature=setting.inverse_temperature,
        particles=setting.particles,
        seed=setting.seed % 2**32,
    )
    return found.table["loss"].to_numpy(), found.recommended


def theory_losses(task: TransferTask, setting: Setting) -> np.ndarray:
    """Test losses of the infinitely wide Bayesian network itself at each δ, (n,): what advice is about."""
    strength = default_strength(task.dimension)
    return solve(
        task,
        activation=setting.activation,
        source_strength=strength,
        target_strength=strength,
        elastic_coupling=setting.couplings,
        inverse_temperature=setting.inverse_temperature,
        particles=setting.particles,
        seed=setting.seed % 2**32,
        evidence=False,
        strict=False,
    ).test_loss


def _cross_validated(task: TransferTask, setting: Setting, source: SourceNetworks) -> np.ndarray:
    """Loss of each δ by cross-validation of networks: weight decay towards the source's weights, L2-SP."""
    kept, out = (np.stack(part) for part in zip(*_partitions(task.y_target, setting), strict=True))
    x, y = task.x_target, task.y_target
    found = network_answers(x[kept], y[kept], x[out], setting, source, setting.seeds)
    return np.square(found - y[out][:, None]).mean((0, 2))


def _partitions(y: np.ndarray, setting: Setting) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples kept and left out, fold by fold, partition by partition; as many of each class in every fold."""
    for seed in setting.seeds[:: setting.network_folds]:
        order = np.empty(len(y), int)
        for label in (-1.0, 1.0):
            there = np.flatnonzero(y == label)
            order[generator(seed, "network folds", label).permutation(there)] = (
                np.arange(len(there)) % setting.network_folds
            )
        for fold in range(setting.network_folds):
            yield np.flatnonzero(order != fold), np.flatnonzero(order == fold)


def _trained(task: TransferTask, setting: Setting, source: SourceNetworks) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of networks trained with each δ on all target samples, as many as cross-validation trains."""
    points = setting.points(default_strength(task.dimension))
    common = {"points": points, "time": setting.training_time, "seeds": setting.seeds}
    repeated = _repeated(source, len(setting.seeds))
    return target_weights(repeated, task.x_target, task.y_target, **common, **setting.flow)


def _by_evidence(
    evidence: Callable[..., float],
    weights: tuple[torch.Tensor, torch.Tensor],
    task: TransferTask,
    setting: Setting,
    source: SourceNetworks,
) -> np.ndarray:
    """Less Laplace's evidence of networks trained with each δ, the prior centred on the source's weights, (n,)."""
    x, y = torch.tensor(task.x_target), torch.tensor(task.y_target)
    anchor = source.hidden[0].double().repeat(2, 1)
    common = {
        "activation": setting.activation,
        "strength": default_strength(task.dimension),
        "inverse_temperature": 1 / setting.weight_decay,
    }
    values = [
        [
            evidence(hidden, readout, anchor if coupling else None, x, y, elastic_coupling=coupling, **common)
            for coupling, hidden, readout in zip(setting.couplings, *network, strict=True)
        ]
        for network in zip(*weights, strict=True)
    ]
    return -np.mean(values, axis=0)


def feature_scores(task: TransferTask, setting: Setting, source: SourceNetworks) -> dict[str, float]:
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


def network_answers(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, setting: Setting, source: SourceNetworks, seeds: list[int]
) -> np.ndarray:
    """Answers (B, n, Pt) of networks trained with each δ on each of B sets."""
    found = train_target(
        _repeated(source, len(x)), x, y, x_test, points=setting.points(default_strength(x.shape[-1])),
        times=[setting.training_time], seeds=seeds, dtype=torch.float32, **setting.flow,
    )  # fmt: skip
    for status in found.status:
        require_converged(status, [f"network at δ = {coupling:g}" for coupling in setting.couplings])
    return found.prediction[:, :, -1]


def _repeated(source: SourceNetworks, count: int) -> SourceNetworks:
    """One source network ``count`` times."""
    parts = source.hidden.repeat(count, 1, 1), source.readout.repeat(count, 1)
    return SourceNetworks(*parts, source.status * count, source.steps.repeat(count))
