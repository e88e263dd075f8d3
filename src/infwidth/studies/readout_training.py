"""Training of readouts on features that are computed once: what the studies of frozen features share.

A readout M (…, E, H) gives y = M g/H (docs/theory.md §4). Leading dimensions are draws of the features, each trained
on its own: the optimisers' rules are row by row, so one tensor holds them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from infwidth.adam_ntk.adam_star import find_options, make_optimiser
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.numerics.checks import InputError, check_choice, check_count, check_number
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.losses import FAR
from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status

Batch = Tensor | slice

_PER_SAMPLE: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": lambda y, target: (y - target).square().sum(-1),
    "cross_entropy": lambda y, target: -(y.log_softmax(-1) * target).sum(-1),
}
LOSSES = tuple(_PER_SAMPLE)
KERNEL_CUT = 1e-12
"""Eigenvalues of a kernel below this share of the largest are rounding, and are dropped."""
LIMIT_OF = {"adam": "adam_star", "adamw": "adamw_star", "rmsprop": "rmsprop_star", "adagrad": "adagrad_star"}
"""A coordinate-wise optimiser has no kernel limit; the one that features share and it is held against."""


def mean_loss(y: Tensor, target: Tensor, loss: str) -> Tensor:
    """Return the loss that is reported: mean over samples of |y − target|², or of the cross-entropy in nats.

    Args:
        y: outputs (or logits), (…, n, E).
        target: (n, E); one-hot for the cross-entropy.
        loss: "squared" or "cross_entropy".

    Returns:
        (…).

    Raises:
        InputError: an unknown loss.
    """
    return _PER_SAMPLE[check_choice("loss", loss, LOSSES)](y, target).mean(-1)


def training_loss(y: Tensor, target: Tensor, loss: str) -> Tensor:
    """Return the loss that is trained on: as :func:`mean_loss`, but ½|y − target|²."""
    return mean_loss(y, target, loss) * (0.5 if loss == "squared" else 1.0)


def minibatches(samples: int, batch: int, steps: int, *path: int | str) -> list[Tensor]:
    """Return the rows of each step: passes over all samples in an order that derives from ``path`` alone.

    Args:
        samples: how many there are.
        batch: rows a step, 1 … samples; what is left over at the end of a pass waits for a later one.
        steps: how many steps ≥ 1.
        path: what the order is for; see ``derive_seed``.

    Raises:
        InputError: a number out of range.
    """
    check_count("steps", steps)
    if check_count("batch", batch) > samples:
        raise InputError(f"batch = {batch}: expected ≤ {samples}, the training samples; reduce it")
    order = generator(*path)
    found: list[Tensor] = []
    while len(found) < steps:
        rows = torch.from_numpy(order.permutation(samples))
        found += rows[: samples // batch * batch].split(batch)
    return found[:steps]


@efficient_loop()
def train_readout(
    features: Tensor,
    target: Tensor,
    *,
    batches: Iterable[Batch],
    loss: str,
    optimiser: str,
    learning_rate: float,
    keep: Collection[int] = (),
    **options: Any,
) -> tuple[Tensor, dict[int, Tensor]]:
    """Train M from 0 on fixed features g by the functional gradients of mean losses over batches.

    Args:
        features: g, (…, n, H): leading dimensions are trained side by side.
        target: (n, E).
        batches: rows of each step, or ``slice(None)`` for all of them.
        loss: "squared" or "cross_entropy".
        optimiser: a name in ``OPTIMISERS``.
        learning_rate: ≥ 0, on functional gradients.
        keep: steps, counted from 1, after which a copy of M is kept.
        options: settings of AdamStar that replace the name's.

    Returns:
        M, (…, E, H), and step → M for the steps to keep; NaN where training diverged, by :func:`gone_far`.

    Raises:
        InputError: an unknown loss or optimiser, or a number out of range.
    """
    if features.ndim > 2 and find_options(optimiser).get("sharing") == "layer":
        # its one second moment is the mean over all of a tensor, so that draws need a tensor each
        settings = {"batches": list(batches), "loss": loss, "optimiser": optimiser, "learning_rate": learning_rate}
        each = [train_readout(one, target, **settings, keep=keep, **options) for one in features]
        return torch.stack([m for m, _ in each]), {step: torch.stack([kept[step] for _, kept in each]) for step in keep}
    width = features.shape[-1]
    readout = torch.zeros(*features.shape[:-2], target.shape[1], width, dtype=features.dtype, requires_grad=True)
    moved = make_optimiser(optimiser, [readout], learning_rate, **options)
    kept = {}
    for step, rows in enumerate(batches, start=1):
        moved.zero_grad()
        # this side of the transpose the gradient is a product of rows with g, several times as fast as gᵀ with columns
        y = (readout @ features[..., rows, :].mT).mT / width
        training_loss(y, target[rows], loss).sum().backward()
        moved.step()
        if step in keep:
            kept[step] = readout.detach().clone()

    def sound(m: Tensor) -> Tensor:
        lost = gone_far(read_out(features, m), target, loss)
        return m.masked_fill(lost[..., None, None], math.nan)

    return sound(readout.detach()), {step: sound(m) for step, m in kept.items()}


def gone_far(y: Tensor, target: Tensor, loss: str) -> Tensor:
    """Return whether training has diverged, by outputs (…, n, E) on its samples: not finite, or ``FAR`` from 0's.

    All of its samples are asked: a cross-entropy separates the batch it just saw at any step, however long.
    """
    return ~(mean_loss(y, target, loss) <= FAR * mean_loss(torch.zeros_like(target), target, loss))


def unless_absurd(y: Tensor, target: Tensor, loss: str) -> Tensor:
    """Return outputs (…, n, E) on samples not trained on, NaN where they show that training has diverged.

    A cross-entropy may separate all that it trains on, at any step: it is on others that wrong logits grow with it. A
    squared error says so on its own samples, and the labels of others may be of another scale.
    """
    if loss != "cross_entropy":
        return y
    return y.masked_fill(gone_far(y, target, loss)[..., None, None], math.nan)


def read_out(features: Tensor, readout: Tensor) -> Tensor:
    """Return y = M g/H, (…, n, E), of features (…, n, H) and a readout (…, E, H)."""
    return features @ readout.mT / features.shape[-1]


@efficient_loop()
def train_dual(
    x: Tensor,
    target: Tensor,
    *,
    batches: Iterable[Tensor],
    loss: str,
    optimiser: str,
    learning_rate: float,
    **options: Any,
) -> DualReadout:
    """Train the exact limit H → ∞ on the same batches.

    Args:
        x: inputs, (n, d).
        target: (n, E), of the same dtype.
        batches: rows of each step.
        loss: "squared" or "cross_entropy".
        optimiser: a name in ``OPTIMISERS``; a coordinate-wise one has no limit, and the one in ``LIMIT_OF`` is trained.
        learning_rate: ≥ 0.
        options: arguments of DualReadout, e.g. its activation.

    Returns:
        The trained readout, in evaluation mode; its outputs are NaN where training diverged, by :func:`gone_far`.

    Raises:
        InputError: an unknown loss or optimiser, or a number out of range.
    """
    dual = DualReadout(
        x.shape[1], target.shape[1], optimizer=LIMIT_OF.get(optimiser, optimiser), lr=learning_rate, **options
    ).to(x.dtype)
    for rows in batches:
        training_loss(dual(x[rows]), target[rows], loss).backward()
        dual.step()
    dual.eval()
    with torch.no_grad():
        if gone_far(dual(x), target, loss):
            dual.coefficients.fill_(math.nan)
    return dual


def kernel_features(limit_kernel: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return as many features as samples whose kernel on them is exactly that of infinitely many random ones.

    With Θ = U Λ Uᵀ over the training inputs, g̃ = √r U Λ^½ has g̃ g̃ᵀ/r = Θ and so, by AdamStar's rules that features
    share (functional gradients enter through Θ alone), the same training as H = ∞: with all samples at every step, far
    cheaper than DualReadout, which keeps a coefficient for each time an example is seen.

    Args:
        limit_kernel: Θ on the training inputs, (n, n).
        other: Θ between other and training inputs, (m, n).

    Returns:
        g̃ of the training inputs (n, r) and of the others (m, r), r ≤ n, and the matrix (r, n) that takes a readout
        M̃ (E, r) to coefficients c = M̃ · matrix, (E, n), of y(x) = Σ_i c_i Θ(x, x_i).
    """
    scale, basis = torch.linalg.eigh(limit_kernel)
    kept = scale > KERNEL_CUT * scale[-1]
    scale, basis = scale[kept], basis[:, kept]
    back = (basis / (scale.sqrt() * math.sqrt(len(scale)))).T
    return basis * (scale.sqrt() * math.sqrt(len(scale))), other @ back.T * len(scale), back


def rate_of(learning_rates: Mapping[str, float], optimiser: str) -> float:
    """Return the optimiser's learning rate; raises InputError where none is set, or it is not a number > 0."""
    if optimiser not in learning_rates:
        raise InputError(f"learning_rates has none for {optimiser!r}: expected one for each optimiser; add it")
    return check_number(f"learning_rates.{optimiser}", learning_rates[optimiser], minimum=0.0, open_minimum=True)


def check_counts(name: str, values: Sequence[int]) -> list[int]:
    """Return the whole numbers ≥ 1 of a setting that lists some; raises InputError otherwise."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise InputError(f"{name} = {values!r}: expected a list of whole numbers ≥ 1; change it")
    return [check_count(f"{name}[{place}]", value) for place, value in enumerate(values)]


def check_names(name: str, names: Sequence[str], choices: Collection[str]) -> list[str]:
    """Return the names of a setting that lists some; raises InputError for an unknown one (the nearest is named)."""
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise InputError(f"{name} = {names!r}: expected a list of names; change it")
    return [check_choice(f"{name}[{place}]", value, choices) for place, value in enumerate(names)]


def measured(values: Tensor) -> dict[str, Any]:
    """Return the columns value, stderr and status of a number measured on several draws, (draws,) or ().

    The value is the mean, stderr that of the mean (0 for a single number). Where a draw diverged, so that its number
    isn't finite, value and stderr are NaN and the status is diverged.
    """
    if not values.isfinite().all():
        return {"value": math.nan, "stderr": math.nan, "status": Status.DIVERGED.value}
    draws = values.numel()
    stderr = values.std().item() / math.sqrt(draws) if draws > 1 else 0.0
    return {"value": values.mean().item(), "stderr": stderr, "status": Status.CONVERGED.value}
