"""Does the limit need a fully supported Ω? Test loss against width for three distributions of the frozen features.

The target is one rectified neuron, y = √2 relu(u·x), in one of two directions u:

    spread    u ∝ (−1, 1, …, 1): all coordinates count
    opposed   u = (−1, 0, …, 0): only the first does

Features of a Gaussian ω can learn any such neuron as their number grows. Those of ``rank_deficient`` ω see half of the
coordinates and can't do better than the mean of y given these: of ``spread`` a part is lost at any width, of
``opposed`` nothing. Those of ``half_space`` ω (ω_1 ≥ 0) differ from full support by linear functions alone, since
relu(−z) = relu(z) − z, and these can be approached, by differences of features with ω_1 ≈ 0 and thus large weights:
the loss has no bound, but falls only with more features and more training where u_1 < 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from infwidth.adam_ntk.adam_star import OPTIMISERS
from infwidth.adam_ntk.random_features import SUPPORTS, draw_hidden, features
from infwidth.adam_ntk.support_kernels import least_loss, support_kernel
from infwidth.numerics.checks import check_count
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.studies.readout_training import (
    LIMIT_OF,
    check_counts,
    check_names,
    kernel_features,
    measured,
    rate_of,
    read_out,
    train_readout,
)
from infwidth.studies.teacher_training import NeuronTask, neuron_task

TARGETS = ("spread", "opposed")
BY_OUTPUT = [name for name, options in OPTIMISERS.items() if options.get("sharing") != "layer"]
"""Optimisers that treat each output on its own, so that the targets train side by side as outputs of one model."""
LEARNING_RATES = {"adam_star": 1.0}


def run(
    *,
    seed: int,
    dimension: int = 10,
    samples: int = 1000,
    test_samples: int = 1000,
    widths: Sequence[int] = (64, 256, 1024, 4096),
    supports: Sequence[str] = SUPPORTS,
    targets: Sequence[str] = TARGETS,
    optimisers: Sequence[str] = ("adam_star",),
    learning_rates: Mapping[str, float] = LEARNING_RATES,
    feature_draws: int = 8,
    steps: int = 400,
    recorded: int = 4,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Train readouts of features of several supports on one neuron, with all samples at each step.

    Args:
        seed: whole number ≥ 0 that inputs and features derive from.
        dimension: d ≥ 2.
        samples: training inputs.
        test_samples: others.
        widths: H, numbers of features.
        supports: of ω, the table's condition: "gaussian", "half_space" or "rank_deficient"; see ``draw_hidden``.
        targets: "spread" or "opposed", named in the table's dataset.
        optimisers: names in ``BY_OUTPUT``.
        learning_rates: optimiser → rate on functional gradients.
        feature_draws: draws of the features of a width, at most: no more than make the largest width in all. stderr is
            over them.
        steps: training steps.
        recorded: how many times losses are recorded: after steps, steps/2, steps/4, ….
        progress: called with the fraction done.

    Returns:
        Rows with metrics ``train_loss``, ``test_loss`` (both relative to E y² = 1) and ``readout_norm``, the root mean
        square of M over features, at each time, of networks and, at width ∞ and for optimisers that have one, of the
        limit; and ``least_loss``, the least test loss that a function of what the features see can have. Diverged
        trainings have that status and value NaN.

    Raises:
        InputError: a setting is out of range or unknown.
    """
    widths, names = check_counts("widths", widths), check_names("optimisers", optimisers, BY_OUTPUT)
    supports, targets = check_names("supports", supports, SUPPORTS), check_names("targets", targets, TARGETS)
    rates = {name: rate_of(learning_rates, name) for name in names}
    d = check_count("dimension", dimension, minimum=2)
    check_count("feature_draws", feature_draws)
    check_count("steps", steps)
    times = sorted({steps >> halved for halved in range(check_count("recorded", recorded))} - {0})
    tasks = {name: neuron_task(d, samples=samples, test_samples=test_samples, seed=seed, direction=_direction(name, d))
             for name in targets}  # fmt: skip
    counter = Counter(progress, len(supports) * (len(widths) + 1) * len(names))
    rows: list[dict[str, Any]] = []
    for support in supports:
        rows += [
            {
                "kind": "theory",
                "dataset": f"ReLU neuron, {name}",
                "condition": support,
                "width": math.inf,
                "dimension": float(d),
                "metric": "least_loss",
                **measured(torch.tensor(least_loss(task.direction, support), dtype=torch.float64)),
            }
            for name, task in tasks.items()
        ]
        for width in [*map(float, widths), math.inf]:
            if width == math.inf:
                seen, shown = _limit_features(next(iter(tasks.values())), support)
            else:
                draws = max(1, min(feature_draws, int(max(widths) / width)))
                seen, shown = _features(next(iter(tasks.values())), support, int(width), draws, seed)
            for name in names:
                which = {
                    "kind": "theory" if width == math.inf else "network",
                    "condition": support,
                    "width": width,
                    "optimiser": name,
                    "learning_rate": rates[name],
                    "dimension": float(d),
                }
                if width < math.inf or name not in LIMIT_OF:
                    rows += [which | row for row in _losses(tasks, seen, shown, times, name, rates[name])]
                counter.advance()
    return rows


def _direction(target: str, dimension: int) -> Tensor:
    u = (
        torch.ones(dimension, dtype=torch.float64)
        if target == "spread"
        else torch.zeros(dimension, dtype=torch.float64)
    )
    u[0] = -1
    return u


def _features(task: NeuronTask, support: str, width: int, draws: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features (draws, n, H) of training and test inputs; the draws are the same for all targets."""
    drawn = [
        draw_hidden(width, task.x.shape[1], support=support, seed=derive_seed(seed, "support features", width, draw))
        for draw in range(draws)
    ]
    # single precision: its rounding is far below the losses reached
    seen, shown = (torch.stack([features(x.float(), one, "relu") for one in drawn]) for x in (task.x, task.x_test))
    return seen, shown


def _limit_features(task: NeuronTask, support: str) -> tuple[Tensor, Tensor]:
    kernel, other = (support_kernel(x, task.x, support) for x in (task.x, task.x_test))
    return kernel_features(kernel, other)[:2]


def _losses(
    tasks: Mapping[str, NeuronTask],
    seen: Tensor,
    shown: Tensor,
    times: Sequence[int],
    optimiser: str,
    learning_rate: float,
) -> list[dict[str, Any]]:
    """The rows of one training, but for what names them.

    The targets are outputs of one model: their inputs are the same, and no optimiser here mixes outputs.
    """
    y, y_test = (
        torch.cat([getattr(task, part) for task in tasks.values()], dim=1).to(seen.dtype) for part in ("y", "y_test")
    )
    _, kept = train_readout(
        seen,
        y,
        batches=[slice(None)] * times[-1],
        loss="squared",
        optimiser=optimiser,
        learning_rate=learning_rate,
        keep=times,
    )
    rows = []
    for step, readout in kept.items():
        values = {
            "train_loss": (read_out(seen, readout) - y).square().mean(-2),
            "test_loss": (read_out(shown, readout) - y_test).square().mean(-2),
            "readout_norm": readout.square().mean(-1).sqrt(),
        }
        for metric, value in values.items():  # (…, targets)
            for target, of_target in zip(tasks, value.unbind(-1), strict=True):
                which = {"dataset": f"ReLU neuron, {target}", "time": float(step), "metric": metric}
                rows.append(which | measured(of_target))
    return rows
