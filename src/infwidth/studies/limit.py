"""Does a network of frozen features become its dual as it widens? Distance of the functions against width.

Explicit readouts of H features and DualReadout see the same images in the same order; the relative distance of the
trained functions on other images should fall as H^−½ for every optimiser whose second moment features share, and not
for coordinate-wise Adam, the negative control: it is held against ADAM*'s dual and goes elsewhere (docs/theory.md §4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infwidth.adam_ntk.adam_star import OPTIMISERS
from infwidth.adam_ntk.random_features import draw_hidden, features
from infwidth.numerics.checks import check_count
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.studies.images import draw_images
from infwidth.studies.readout_training import (
    LIMIT_OF,
    LOSSES,
    check_counts,
    check_names,
    mean_loss,
    measured,
    minibatches,
    rate_of,
    read_out,
    train_dual,
    train_readout,
    unless_absurd,
)

LEARNING_RATES = {"sgd": 1.0, "momentum": 1.0, "adam_star": 0.05, "adam": 0.05}


def run(
    *,
    seed: int,
    dataset: str = "digits",
    dataset_path: str | Path | None = None,
    samples: int = 300,
    test_samples: int = 300,
    batch: int = 32,
    steps: int = 60,
    widths: Sequence[int] = (64, 256, 1024, 4096, 16384),
    optimisers: Sequence[str] = ("sgd", "momentum", "adam_star", "adam"),
    losses: Sequence[str] = ("squared", "cross_entropy"),
    learning_rates: Mapping[str, float] = LEARNING_RATES,
    feature_draws: int = 4,
    activation: str = "relu",
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Train explicit and dual readouts on images, in float64, and return how far apart they are.

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
        losses: "squared" or "cross_entropy" (the table's condition).
        learning_rates: optimiser → rate on functional gradients.
        feature_draws: draws of the features, the same for all optimisers and losses; stderr is over them.
        activation: "relu", "erf" or "linear".
        progress: called with the fraction done.

    Returns:
        Rows with metric ``distance_to_dual``, |f_H − f_∞|/|f_∞ − f(0)| over the test images (f(0) = 0), and
        ``test_loss``, of networks and, at width ∞, of the duals. A diverged training has that status and value NaN.

    Raises:
        InputError: a setting is out of range or unknown, or there are too few images.
    """
    widths = check_counts("widths", widths)
    names, losses = check_names("optimisers", optimisers, OPTIMISERS), check_names("losses", losses, LOSSES)
    rates = {name: rate_of(learning_rates, name) for name in names}
    draws = check_count("feature_draws", feature_draws)
    data = draw_images(dataset, dataset_path, samples=samples, test_samples=test_samples, seed=seed)
    settings: dict[str, Any] = {"batches": minibatches(samples, batch, steps, seed, "limit batches")}
    counter = Counter(progress, len(losses) * len(names) * (len(widths) * draws + 1))
    shared = {"dataset": data.name, "time": float(steps)}
    rows: list[dict[str, Any]] = []

    def note(metric: str, values: Tensor, width: float, loss: str, name: str) -> None:
        kind = "theory" if width == math.inf else "network"
        which = {"kind": kind, "width": width, "condition": loss, "optimiser": name, "learning_rate": rates[name]}
        rows.append(shared | which | {"metric": metric} | measured(values))

    pairs = [(loss, name) for loss in losses for name in names]
    limits: dict[tuple[str, str], Tensor] = {}
    for loss, name in pairs:
        dual = train_dual(
            data.x, data.y, loss=loss, optimiser=name, learning_rate=rates[name], activation=activation, **settings
        )
        with torch.no_grad():
            limits[loss, name] = unless_absurd(dual(data.x_test), data.y_test, loss)
        if name not in LIMIT_OF:
            note("test_loss", mean_loss(limits[loss, name], data.y_test, loss), math.inf, loss, name)
        counter.advance()
    for width in widths:
        found: dict[tuple[str, str], list[Tensor]] = {pair: [] for pair in pairs}
        for draw in range(draws):
            hidden = draw_hidden(width, data.x.shape[1], seed=derive_seed(seed, "limit features", width, draw)).double()
            seen, shown = (features(x, hidden, activation) for x in (data.x, data.x_test))
            for loss, name in pairs:
                readout, _ = train_readout(
                    seen, data.y, loss=loss, optimiser=name, learning_rate=rates[name], **settings
                )
                found[loss, name].append(unless_absurd(read_out(shown, readout), data.y_test, loss))
                counter.advance()
        for (loss, name), functions in found.items():
            limit, trained = limits[loss, name], torch.stack(functions)
            distance = (trained - limit).flatten(1).norm(dim=1) / limit.norm()
            note("distance_to_dual", distance, float(width), loss, name)
            note("test_loss", mean_loss(trained, data.y_test, loss), float(width), loss, name)
    return rows
