"""Ways to choose δ and to rank sources by training samples alone, and the networks that judge them (docs/trust.md)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from infwidth.applied.advice import advise, default_strength
from infwidth.applied.transferability import h_score, leep, log_me
from infwidth.networks.gradient_flow import train_target
from infwidth.networks.solution import require_converged
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint
from infwidth.networks.two_layer.finetune import target_weights
from infwidth.networks.two_layer.laplace import kronecker_evidence, laplace_evidence
from infwidth.networks.two_layer.model import predict
from infwidth.numerics.activations import get_activation
from infwidth.numerics.losses import mean_squared_error
from infwidth.numerics.progress import Counter
from infwidth.numerics.seeds import derive_seed, generator
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.bayes import solve

T = TypeVar("T")


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
    def starts(self) -> list[int]:
        """Seeds of the initial weights, one a partition."""
        return [self.seed, *(derive_seed(self.seed, "partition", i) for i in range(1, self.network_repeats))]

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


def all_choices(
    tasks: Sequence[TransferTask],
    setting: Setting,
    source_networks: Sequence[SourceNetworks],
    weights: tuple[torch.Tensor, torch.Tensor],
    training_seconds: float,
    counter: Counter,
) -> list[dict[str, Choice]]:
    """Return what each way that chooses δ says of each source of a target; none looks at test samples.

    Networks of all sources are trained together; each has an equal share of the seconds.

    Args:
        tasks: a target and its sources.
        setting: what all share.
        source_networks: one a task.
        weights: those of :func:`trained_targets`.
        training_seconds: of the processor, that these took a task.
        counter: counts tasks that all ways have looked at.
    """
    couplings = list(setting.couplings)
    validated, validation = timed(lambda: _cross_validated(tasks, setting, source_networks), len(tasks))
    ways = {"evidence": laplace_evidence} | ({"laplace_torch": kronecker_evidence} if setting.laplace_torch else {})
    found = []
    for task, source, losses, *trained in zip(tasks, source_networks, validated, *weights, strict=True):
        named = {"scratch": 0, "frozen": len(couplings) - 1, "fixed": couplings.index(setting.fixed)}
        choices = {name: Choice(index) for name, index in named.items()}
        (predicted, recommended), seconds = timed(lambda task=task: _advised(task, setting))
        choices["advise"] = _least(predicted, seconds)
        # who takes advice by its word trains from scratch where it can't tell
        heeded = couplings.index(recommended) if recommended is not None else 0
        choices["advise_definite"] = Choice(heeded, seconds=seconds)
        choices["cross_validation"] = _least(losses, validation)
        for name, evidence in ways.items():
            arguments = evidence, trained, task, setting, source
            predicted, seconds = timed(lambda arguments=arguments: _by_evidence(*arguments))
            choices[name] = _least(predicted, seconds + training_seconds)
        found.append(choices)
        counter.advance()
    return found


def timed(act: Callable[[], T], count: int = 1) -> tuple[T, float]:
    """Return what ``act`` does, and the processor's seconds, a ``count``-th of them."""
    start = time.process_time()
    return act(), (time.process_time() - start) / count


def _least(predicted: np.ndarray, seconds: float) -> Choice:
    """The δ of the least loss predicted."""
    if not np.isfinite(predicted).any():
        return Choice(None, seconds=seconds)
    return Choice(int(np.nanargmin(predicted)), -float(np.nanmin(predicted)), seconds)


def _advised(task: TransferTask, setting: Setting) -> tuple[np.ndarray, float | None]:
    """Loss of each δ as the theory predicts it, (n,), and the δ that it recommends, None where it can't tell."""
    data = OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "")
    strength = default_strength(task.dimension)
    found = advise(
        data,
        activation=setting.activation,
        source_strength=strength,
        target_strength=strength,
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


def _cross_validated(
    tasks: Sequence[TransferTask], setting: Setting, source_networks: Sequence[SourceNetworks]
) -> np.ndarray:
    """Loss of each δ by cross-validation of networks, weight decay towards the source's weights (L2-SP): (tasks, n)."""
    sets = []
    for task in tasks:
        for kept, out in _partitions(task.y_target, setting):
            sets.append((task.x_target[kept], task.y_target[kept], task.x_target[out], task.y_target[out]))
    x, y, x_out, y_out = (np.stack(part) for part in zip(*sets, strict=True))
    seeds = [seed for seed in setting.starts for _ in range(setting.network_folds)]
    folds = len(seeds)
    found = _answers(x, y, x_out, setting, source_networks, seeds)
    return np.square(found - y_out[:, None]).reshape(len(tasks), folds, *found.shape[1:]).mean((1, 3))


def _partitions(y: np.ndarray, setting: Setting) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples kept and left out, fold by fold, partition by partition; as many of each class in every fold."""
    for seed in setting.starts:
        order = np.empty(len(y), int)
        for label in (-1.0, 1.0):
            there = np.flatnonzero(y == label)
            order[generator(seed, "network folds", label).permutation(there)] = (
                np.arange(len(there)) % setting.network_folds
            )
        for fold in range(setting.network_folds):
            yield np.flatnonzero(order != fold), np.flatnonzero(order == fold)


def trained_targets(
    tasks: Sequence[TransferTask], setting: Setting, source_networks: Sequence[SourceNetworks]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights of networks trained with each δ on all target samples, from each of the initial weights.

    Args:
        tasks: a target and its sources.
        setting: what all share.
        source_networks: one a task.

    Returns:
        W (tasks, R, n, 2N, D) and w (tasks, R, n, 2N).
    """
    count = len(setting.starts)
    x, y = (
        np.repeat(np.stack(part), count, 0) for part in zip(*((t.x_target, t.y_target) for t in tasks), strict=True)
    )
    found = target_weights(
        _repeated(source_networks, count), x, y, points=setting.points(default_strength(x.shape[-1])),
        time=setting.training_time, seeds=setting.starts * len(tasks), **setting.flow,
    )  # fmt: skip
    hidden, readout = (weights.unflatten(0, (len(tasks), count)) for weights in found)
    return hidden, readout


def network_losses(task: TransferTask, setting: Setting, hidden: torch.Tensor, readout: torch.Tensor) -> np.ndarray:
    """Return the test losses (n,) of networks W (n, 2N, D) and w (n, 2N), one a δ."""
    inputs, strength = torch.tensor(task.x_test) / math.sqrt(task.dimension), default_strength(task.dimension)
    phi = get_activation(setting.activation)
    answers = [predict(w, one.T, inputs, strength, phi) for one, w in zip(hidden, readout, strict=True)]
    return mean_squared_error(torch.stack(answers).numpy(), task.y_test)


def _by_evidence(
    evidence: Callable[..., float],
    weights: Sequence[torch.Tensor],
    task: TransferTask,
    setting: Setting,
    source: SourceNetworks,
) -> np.ndarray:
    """Less Laplace's evidence of networks trained with each δ, (n,), the prior centred on the source's weights.

    It is the mean over initial weights, the first axis of the weights.
    """
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


def _answers(
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    setting: Setting,
    source_networks: Sequence[SourceNetworks],
    seeds: Sequence[int],
) -> np.ndarray:
    """Answers (B, n, Pt) of networks trained with each δ on each of B sets, one a seed for each source in turn."""
    found = train_target(
        _repeated(source_networks, len(seeds)), x, y, x_test, points=setting.points(default_strength(x.shape[-1])),
        times=[setting.training_time], seeds=[*seeds] * len(source_networks), dtype=torch.float32, **setting.flow,
    )  # fmt: skip
    for status in found.status:
        require_converged(status, [f"network at δ = {coupling:g}" for coupling in setting.couplings])
    return found.prediction[:, :, -1]


def _repeated(source_networks: Sequence[SourceNetworks], count: int) -> SourceNetworks:
    """Each source network ``count`` times."""
    hidden, readout = (torch.cat([getattr(one, name) for one in source_networks]) for name in ("hidden", "readout"))
    status = tuple(status for one in source_networks for status in one.status * count)
    steps = np.repeat(np.concatenate([one.steps for one in source_networks]), count)
    return SourceNetworks(hidden.repeat_interleave(count, 0), readout.repeat_interleave(count, 0), status, steps)
