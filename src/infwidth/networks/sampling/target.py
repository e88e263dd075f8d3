"""The posteriors of target networks, each anchored at a source network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from infwidth.networks.sampling.posterior import PosteriorBatch
from infwidth.networks.sampling.span import OutsideSpan, coordinates
from infwidth.networks.two_layer.elastic import tie
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint, origin_weights
from infwidth.networks.two_layer.span import training_span


def target_posteriors(
    source: SourceNetworks,
    x: Tensor,
    y: Tensor,
    x_test: Tensor,
    owners: Sequence[int],
    points: Sequence[TargetPoint],
    seeds: Sequence[int],
    inverse_temperature: float,
    prior_precision: float,
) -> tuple[PosteriorBatch, list[Tensor], list[OutsideSpan]]:
    """Posteriors at ``points``, each tied to its owner of ``owners``, their test inputs, and what draws the rest."""
    couplings = x.new_tensor([point.coupling for point in points])
    stiffness, pull = tie(couplings, prior_precision)
    anchors = [origin_weights(source, b, seeds[b], point.origin) for b, point in zip(owners, points, strict=True)]
    spans = [training_span(x[b]) for b in owners]
    means = torch.stack([share * anchor for share, anchor in zip(pull, anchors, strict=True)])
    root = x.shape[-1] ** 0.5
    tests = x_test[list(owners)] / root
    posterior = PosteriorBatch(
        prior_mean=coordinates(spans, means).mT.contiguous(),
        inputs=coordinates(spans, x[list(owners)] / root),
        labels=y[list(owners)],
        strength=x.new_tensor([point.target_strength for point in points]),
        inverse_temperature=torch.full_like(stiffness, inverse_temperature),
        readout_precision=torch.full_like(stiffness, prior_precision),
        stiffness=stiffness,
    )
    outside = [
        OutsideSpan(span, mean, test, float(one), seeds[b])
        for span, mean, test, one, b in zip(spans, means, tests, stiffness, owners, strict=True)
    ]
    return posterior, list(coordinates(spans, tests)), outside
