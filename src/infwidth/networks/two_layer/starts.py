"""Where target networks start: data and weights in coordinates of their training spans."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from infwidth.networks.two_layer.elastic import tie
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint, draw, origin_weights
from infwidth.networks.two_layer.exponential_flow import FlowBatch
from infwidth.networks.two_layer.span import TrainingSpan, training_span


class Starts:
    """Data and starting weights of the networks of one chunk, in coordinates of their training spans."""

    def __init__(self, source: SourceNetworks, x: Tensor, x_test: Tensor, seeds: Sequence[int]):
        self.source, self.x, self.x_test, self.seeds = source, x, x_test, seeds
        self.spans: dict[int, TrainingSpan] = {}
        self.inputs: dict[int, Tensor] = {}
        self.tests: dict[int, Tensor] = {}
        self._weights: dict[tuple[int, str], tuple[Tensor, Tensor | None]] = {}

    def _load(self, b: int, origin: str) -> tuple[Tensor, Tensor | None]:
        if b not in self.spans:
            self.spans[b] = span = training_span(self.x[b])
            root = self.x.shape[-1] ** 0.5
            self.inputs[b] = span.coordinates(self.x[b]) / root
            self.tests[b] = span.coordinates(self.x_test[b]) / root
        if (b, origin) not in self._weights:
            full = origin_weights(self.source, b, self.seeds[b], origin)
            products = self.spans[b].passive_products(full, self.x_test[b] / self.x.shape[-1] ** 0.5)
            self._weights[b, origin] = (self.spans[b].coordinates(full), products)
        return self._weights[b, origin]

    def hidden(self, b: int, origin: str) -> Tensor:
        """Starting weights (N, r) in the training span."""
        return self._load(b, origin)[0]

    def passive(self, b: int, origin: str) -> Tensor | None:
        """What the starting weights outside the span add to test preactivations, (N, Pt)."""
        return self._load(b, origin)[1]


def target_batch(
    starts: Starts,
    pairs: list[tuple[int, int]],
    points: Sequence[TargetPoint],
    y: Tensor,
    weight_decay: float,
) -> FlowBatch:
    """Return the target networks (network, point) of ``pairs`` at time 0, readouts ±w on duplicated neurons."""
    hidden = torch.stack([starts.hidden(b, points[g].origin).mT.repeat(1, 2) for b, g in pairs])
    halves = {b: draw((hidden.shape[2] // 2,), starts.seeds[b], "target readout", y) for b, _ in pairs}
    coupling = y.new_tensor([points[g].coupling for _, g in pairs])
    stiffness, pull = tie(coupling, weight_decay)
    return FlowBatch(
        readout=torch.stack([torch.cat([halves[b], -halves[b]]) for b, _ in pairs]),
        hidden=hidden,
        anchor=hidden if bool((pull > 0).any()) else None,
        inputs=torch.stack([starts.inputs[b] for b, _ in pairs]),
        labels=torch.stack([y[b] for b, _ in pairs]),
        strength=y.new_tensor([points[g].target_strength for _, g in pairs]),
        readout_decay=torch.full_like(stiffness, weight_decay),
        stiffness=stiffness,
        pull=pull,
    )
