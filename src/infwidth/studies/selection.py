"""Do wide models of frozen features select the features they need? Where the weight of a readout lies.

The target is one rectified neuron, y = √2 relu(u·x). A network whose features train turns them towards u; one of
frozen features can only put its readout's weight M_h on those that point along u by chance. Neuron h carries the power
E_x (M_h g_h)² ∝ (M_h |ω_h|)² of the output, and the mean of cos²(ω_h, u) with these weights is 1/d where nothing is
selected, 1 where only features along u are used (both signs count: relu(z) − relu(−z) = z).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from infwidth.adam_ntk.adam_star import OPTIMISERS
from infwidth.adam_ntk.feature_kernels import feature_kernel
from infwidth.adam_ntk.random_features import draw_hidden, features
from infwidth.adam_ntk.variants import TRAINED
from infwidth.numerics.checks import check_count, check_number
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.studies.readout_training import (
    LIMIT_OF,
    check_counts,
    check_names,
    kernel_features,
    mean_loss,
    measured,
    rate_of,
    read_out,
    train_readout,
)
from infwidth.studies.teacher_training import NeuronTask, neuron_task, train_features

DATASET = "ReLU neuron, Gaussian inputs"
LEARNING_RATES = {"adam_star": 1.0, "sgd": 3.0, TRAINED: 0.1}
BLOCKS = 16
"""Groups of sampled features whose scatter gives the standard error at infinite width."""


def run(
    *,
    seed: int,
    dimensions: Sequence[int] = (10, 20),
    samples: int = 1000,
    test_samples: int = 1000,
    widths: Sequence[int] = (32, 128, 512, 2048),
    trained_widths: Sequence[int] = (32, 128, 512),
    optimisers: Sequence[str] = ("adam_star", "sgd"),
    learning_rates: Mapping[str, float] = LEARNING_RATES,
    feature_draws: int = 16,
    steps: int = 400,
    trained_steps: int = 600,
    trained_batch: int = 100,
    sampled_features: int = 8192,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Train readouts of frozen features on one neuron, with all samples at each step, and see which features they use.

    Args:
        seed: whole number ≥ 0 that inputs, the neuron and the features derive from.
        dimensions: input dimensions d ≥ 2.
        samples: training inputs.
        test_samples: others.
        widths: H of frozen features.
        trained_widths: H of networks whose features train, the control.
        optimisers: names in ``OPTIMISERS``, for frozen features.
        learning_rates: optimiser → rate on functional gradients; ``trained_features`` → that of the control's Adam.
        feature_draws: draws of the features of a width, at most: no more than make the largest width in all. Small
            widths scatter most and cost least. stderr is over them.
        steps: training steps on frozen features.
        trained_steps: of the control.
        trained_batch: samples a step of the control.
        sampled_features: features on which the readout at infinite width is looked at, at least 32.
        progress: called with the fraction done.

    Returns:
        Rows with metrics ``aligned_mass`` (above), ``aligned_norm`` (the same with weights |M_h| |ω_h|),
        ``train_loss`` and ``test_loss``, of networks of frozen features, of networks whose features train (optimiser
        ``trained_features``) and, at width ∞, of the exact limit, whose readout is a function of ω that is sampled
        (stderr); and ``uniform_mass``, 1/d. Diverged trainings have that status and value NaN.

    Raises:
        InputError: a setting is out of range or unknown.
    """
    dimensions, names = check_counts("dimensions", dimensions), check_names("optimisers", optimisers, OPTIMISERS)
    widths, trained_widths = check_counts("widths", widths), check_counts("trained_widths", trained_widths)
    rates = {name: rate_of(learning_rates, name) for name in [*names, TRAINED]}
    check_count("sampled_features", sampled_features, minimum=2 * BLOCKS)
    check_count("feature_draws", feature_draws)
    batches = [slice(None)] * check_count("steps", steps)
    limited = [name for name in names if name not in LIMIT_OF]
    counter = Counter(progress, len(dimensions) * (len(limited) + len(widths) * len(names) + len(trained_widths)))
    rows: list[dict[str, Any]] = []
    for d in dimensions:
        check_number("dimensions", d, minimum=2)
        task = neuron_task(d, samples=samples, test_samples=test_samples, seed=seed)
        shared = {"dataset": DATASET, "condition": "frozen", "dimension": float(d), "time": float(steps)}

        def note(values: Mapping[str, Tensor], shared: Mapping[str, Any] = shared, **which: Any) -> None:
            for metric, value in values.items():
                rows.append({**shared, **which, "metric": metric} | measured(value))

        note({"uniform_mass": torch.tensor(1 / d, dtype=torch.float64)}, kind="theory", width=math.inf)
        limit = _Limit(task, draw_hidden(sampled_features, d, seed=derive_seed(seed, "sampled features", d)).double())
        for name in limited:
            found = limit.train(batches=batches, optimiser=name, learning_rate=rates[name])
            note(found, kind="theory", width=math.inf, optimiser=name, learning_rate=rates[name])
            counter.advance()
        for width in widths:
            draws = max(1, min(feature_draws, max(widths) // width))
            hidden = draw_hidden(draws * width, d, seed=derive_seed(seed, "selected features", d, width))
            hidden = hidden.unflatten(0, (draws, width))
            # single precision: rounding is far below the losses reached
            seen = _of_draws(task.x.float(), hidden)
            for name in names:
                readout, _ = train_readout(
                    seen, task.y.float(), batches=batches, loss="squared", optimiser=name, learning_rate=rates[name]
                )
                found = _describe(task, hidden.double(), readout.double())
                note(found, kind="network", width=float(width), optimiser=name, learning_rate=rates[name])
                counter.advance()
        for width in trained_widths:
            hidden, readout = train_features(
                task.x.float(),
                task.y.float(),
                width=width,
                learning_rate=rates[TRAINED],
                steps=trained_steps,
                batch=trained_batch,
                seed=derive_seed(seed, "trained features", d, width),
            )
            found = _describe(task, hidden.double()[None], readout.double()[None])
            which = {"condition": "trained", "optimiser": TRAINED, "learning_rate": rates[TRAINED]}
            note(found, kind="network", width=float(width), **which, time=float(trained_steps))
            counter.advance()
    return rows


def aligned_share(hidden: Tensor, readout: Tensor, direction: Tensor, power: int) -> Tensor:
    """Return the mean of cos²(ω_h, u) weighted by (|M_h| |ω_h|)^power.

    Args:
        hidden: ω, (…, H, d).
        readout: M, (…, H).
        direction: u, (d,), of norm 1.
        power: 2 weighs a feature by the power it carries, 1 by its norm.

    Returns:
        (…): 1/d on average where M does not depend on ω, at most 1.
    """
    norms = hidden.norm(dim=-1)
    mass = (readout.abs() * norms) ** power
    cosine = (hidden @ direction) / norms
    return (mass * cosine.square()).sum(-1) / mass.sum(-1)


def _masses(hidden: Tensor, readout: Tensor, direction: Tensor) -> dict[str, Tensor]:
    powers = {"aligned_mass": 2, "aligned_norm": 1}
    return {metric: aligned_share(hidden, readout, direction, power) for metric, power in powers.items()}


def _of_draws(x: Tensor, hidden: Tensor) -> Tensor:
    """Features (draws, n, H) of inputs (n, d) for weights (draws, H, d)."""
    return torch.stack([features(x, one, "relu") for one in hidden])


def _describe(task: NeuronTask, hidden: Tensor, readout: Tensor) -> dict[str, Tensor]:
    """Each metric for weights ω (draws, H, d) and readouts M (draws, 1, H): (draws,)."""
    losses = {
        metric: mean_loss(read_out(_of_draws(x, hidden), readout), y, "squared")
        for metric, x, y in (("train_loss", task.x, task.y), ("test_loss", task.x_test, task.y_test))
    }
    return _masses(hidden, readout[:, 0], task.direction) | losses


class _Limit:
    """Frozen features at infinite width: the kernel's own features, and the readout on a sample of ω."""

    def __init__(self, task: NeuronTask, sample: Tensor):
        self.task = task
        kernel = feature_kernel(task.x, task.x, activation="relu")
        other = feature_kernel(task.x_test, task.x, activation="relu")
        self.seen, self.shown, self.back = kernel_features(kernel, other)
        self.hidden = sample

    def train(self, **settings: Any) -> dict[str, Tensor]:
        """What :func:`_describe` returns, with the aligned shares of blocks of the sample."""
        task = self.task
        readout, _ = train_readout(self.seen, task.y, loss="squared", **settings)
        weight = (readout @ self.back) @ features(task.x, self.hidden, "relu")  # M_ω = Σ_i c_i g_ω(x_i)
        blocks = len(self.hidden) // BLOCKS * BLOCKS
        hidden, weight = self.hidden[:blocks].unflatten(0, (BLOCKS, -1)), weight[0, :blocks].unflatten(0, (BLOCKS, -1))
        return _masses(hidden, weight, task.direction) | {
            "train_loss": mean_loss(read_out(self.seen, readout), task.y, "squared"),
            "test_loss": mean_loss(read_out(self.shown, readout), task.y_test, "squared"),
        }
