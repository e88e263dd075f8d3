"""Is the mean of finite models the infinite model? With fixed coefficients, and after training each of them.

With coefficients c held fixed, the mean over draws of Σ_i c_i (1/H) Σ_h g_h(x) g_h(x_i) is the dual at every width,
since E g g' = Θ. When each finite model is trained on its own, its coefficients depend on its features, and the mean
is biased: by O(1/H) for every optimiser whose second moment features share, while coordinate-wise Adam, the negative
control, keeps a bias at any width (docs/theory.md §4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infwidth.adam_ntk.adam_star import OPTIMISERS
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.adam_ntk.random_features import draw_hidden, features
from infwidth.numerics.checks import check_choice, check_count
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status
from infwidth.studies.images import ImageSample, draw_images
from infwidth.studies.readout_training import (
    LIMIT_OF,
    LOSSES,
    check_counts,
    check_names,
    minibatches,
    rate_of,
    read_out,
    train_dual,
    train_readout,
    unless_absurd,
)

LEARNING_RATES = {"sgd": 0.5, "momentum": 0.5, "adam_star": 0.03, "adam": 0.03}
CHUNK = 2**22
"""Numbers that the features of the draws trained side by side hold."""


@dataclass(frozen=True)
class MeanBias:
    """How far the mean of draws is from a limit, relative to the limit's norm.

    Attributes:
        distance: |mean − limit|, with its noise.
        noise_distance: what the distance would be on average (in the root mean square) without any bias.
        squared: unbiased estimate of |E − limit|²: mean over pairs of different draws of (f_a − f)·(f_b − f).
        squared_stderr: its standard error, from leaving out one draw at a time.
    """

    distance: float
    noise_distance: float
    squared: float
    squared_stderr: float


def mean_bias(functions: Tensor, limit: Tensor) -> MeanBias:
    """Compare the mean of independent ``functions`` (draws ≥ 3, n) with a limit (n,)."""
    away = functions - limit
    count, scale = len(away), limit.square().sum()
    total = away.sum(0)
    own, cross = away.square().sum(1), away @ total
    pairs = (cross.sum() - own.sum()) / scale  # Σ over ordered pairs
    left_out = (pairs - 2 * (cross - own) / scale) / ((count - 1) * (count - 2))
    scatter = (left_out - left_out.mean()).square().sum()
    return MeanBias(
        distance=(total.norm() / count / scale.sqrt()).item(),
        noise_distance=(functions.var(0).sum() / count / scale).sqrt().item(),
        squared=(pairs / (count * (count - 1))).item(),
        squared_stderr=(scatter * (count - 1) / count).sqrt().item(),
    )


def run(
    *,
    seed: int,
    dataset: str = "digits",
    dataset_path: str | Path | None = None,
    samples: int = 150,
    test_samples: int = 200,
    batch: int = 32,
    steps: int = 40,
    widths: Sequence[int] = (32, 64, 128, 256),
    optimisers: Sequence[str] = ("sgd", "momentum", "adam_star", "adam"),
    loss: str = "squared",
    learning_rates: Mapping[str, float] = LEARNING_RATES,
    draws: int = 256,
    activation: str = "relu",
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Compare means over draws of the features with the dual, at fixed coefficients and after training.

    Args:
        seed: whole number ≥ 0 that images, their order and the features derive from.
        dataset: "digits", "cifar10" or "auto"; see ``load_images`` in infwidth.tasks.image_sources.
        dataset_path: where the images are, as there.
        samples: training images.
        test_samples: other images, on which functions are compared.
        batch: images a step.
        steps: training steps.
        widths: H, numbers of features.
        optimisers: names in ``OPTIMISERS``; a coordinate-wise one is held against its ``LIMIT_OF``'s dual.
        loss: "squared" or "cross_entropy".
        learning_rates: optimiser → rate on functional gradients.
        draws: draws of the features ≥ 3, the same for all optimisers.
        activation: "relu", "erf" or "linear".
        progress: called with the fraction done.

    Returns:
        Rows of condition ``fixed`` (coefficients of the trained dual) and ``trained``, relative to |f_∞| on the test
        images: ``squared_bias``, an unbiased estimate of |E f_H − f_∞|² with its standard error over draws (it may be
        negative); ``bias``, for ``trained`` the root of that (0 where negative), for ``fixed`` the distance of the mean
        over draws with the distance expected of noise alone as stderr; and for ``fixed`` also ``bias_in_stderr``, their
        squares' ratio, 1 on average where the identity holds. Diverged trainings have that status and value NaN.

    Raises:
        InputError: a setting is out of range or unknown, or there are too few images.
    """
    widths, names = check_counts("widths", widths), check_names("optimisers", optimisers, OPTIMISERS)
    check_count("draws", draws, minimum=3)
    check_choice("loss", loss, LOSSES)
    rates = {name: rate_of(learning_rates, name) for name in names}
    data = draw_images(dataset, dataset_path, samples=samples, test_samples=test_samples, seed=seed)
    batches = minibatches(samples, batch, steps, seed, "expectation batches")
    shared: dict[str, Any] = {"kind": "network", "dataset": data.name, "time": float(steps)}
    counter = Counter(progress, len(names) * (1 + len(widths)))
    duals = {}
    for name in names:
        duals[name] = train_dual(
            data.x,
            data.y,
            batches=batches,
            loss=loss,
            optimiser=name,
            learning_rate=rates[name],
            activation=activation,
        )
        counter.advance()
    limits = {name: unless_absurd(_limit(dual, data.x_test), data.y_test, loss) for name, dual in duals.items()}
    coefficients = {name: _coefficients(dual, batches, samples) for name, dual in duals.items()}
    rows: list[dict[str, Any]] = []
    for width in widths:
        found: dict[tuple[str, str], list[Tensor]] = {}
        for hidden in _hidden(data, width, draws, seed):
            # single precision: its rounding is far below the scatter over draws
            seen, shown = (features(x.float(), hidden.flatten(0, 1), activation) for x in (data.x, data.x_test))
            seen, shown = (g.unflatten(1, hidden.shape[:2]).transpose(0, 1).contiguous() for g in (seen, shown))
            for name in names:
                trained, _ = train_readout(
                    seen, data.y.float(), batches=batches, loss=loss, optimiser=name, learning_rate=rates[name]
                )
                of_others = unless_absurd(read_out(shown, trained).double(), data.y_test, loss)
                found.setdefault(("trained", name), []).append(of_others)
                if name not in LIMIT_OF:
                    held = coefficients[name].float().T @ seen  # M = Σ_i c_i g(x_i)
                    found.setdefault(("fixed", name), []).append(read_out(shown, held).double())
        for (condition, name), parts in found.items():
            which = {"width": float(width), "condition": condition, "optimiser": name, "learning_rate": rates[name]}
            rows += [shared | which | row for row in _judge(condition, torch.cat(parts), limits[name])]
        for _ in names:
            counter.advance()
    return rows


def _limit(dual: DualReadout, x: Tensor) -> Tensor:
    with torch.no_grad():
        return dual(x)


def _hidden(data: ImageSample, width: int, draws: int, seed: int) -> list[Tensor]:
    """All draws of ω in parts (some draws, H, d) that fit into memory once they are features."""
    some = max(1, CHUNK // (width * (len(data.x) + len(data.x_test))))
    every = [
        draw_hidden(width, data.x.shape[1], seed=derive_seed(seed, "expectation features", width, draw))
        for draw in range(draws)
    ]
    return [torch.stack(every[start : start + some]) for start in range(0, draws, some)]


def _coefficients(dual: DualReadout, batches: list[Tensor], samples: int) -> Tensor:
    """The dual's coefficients summed over the times it saw each training input, (n, E)."""
    seen = torch.cat(batches)  # DualReadout keeps a row each time, oldest first
    return dual.coefficients.new_zeros(samples, dual.out_features).index_add_(0, seen, dual.coefficients)


def _judge(condition: str, functions: Tensor, limit: Tensor) -> list[dict[str, Any]]:
    """The rows of one optimiser at one width, but for what names them."""
    if not (functions.isfinite().all() and limit.isfinite().all()):
        failed = {"value": math.nan, "stderr": math.nan, "status": Status.DIVERGED.value}
        return [{"metric": metric} | failed for metric in ("bias", "squared_bias")]
    found = mean_bias(functions.flatten(1), limit.flatten())
    values = {"squared_bias": (found.squared, found.squared_stderr)}
    if condition == "fixed":
        values["bias"] = found.distance, found.noise_distance
        values["bias_in_stderr"] = (found.distance / found.noise_distance) ** 2, 0.0
    else:
        bias = math.sqrt(max(found.squared, 0.0))
        # of a root, to first order; where nothing is resolved, that of the square itself
        values["bias"] = bias, found.squared_stderr / max(2 * bias, math.sqrt(found.squared_stderr))
    good = {"status": Status.CONVERGED.value}
    return [{"metric": metric, "value": value, "stderr": error} | good for metric, (value, error) in values.items()]
