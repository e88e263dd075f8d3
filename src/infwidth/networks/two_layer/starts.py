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

    def _load(self, body: int, origin: str) -> tuple[Tensor, Tensor | None]:
        if body not in self.spans:
            self.spans[body] = span = training_span(self.x[body])
            root = self.x.shape[-1] ** 0.5
            self.inputs[body] = span.coordinates(self.x[body]) / root
            self.tests[body] = span.coordinates(self.x_test[body]) / root
        if (body, origin) not in self._weights:
            full = origin_weights(self.source, body, self.seeds[body], origin)
            products = self.spans[body].passive_products(full, self.x_test[body] / self.x.shape[-1] ** 0.5)
            self._weights[body, origin] = (self.spans[body].coordinates(full), products)
        return self._weights[body, origin]

    def hidden(self, body: int, origin: str) -> Tensor:
        """Starting weights (N, r) in the training span."""
        return self._load(body, origin)[0]

    def passive(self, body: int, origin: str) -> Tensor | None:
        """What the starting weights outside the span add to test preactivations, (N, Pt)."""
        return self._load(body, origin)[1]


def target_batch(
    starts: Starts,
    pairs: list[tuple[int, int]],
    points: Sequence[TargetPoint],
    y: Tensor,
    weight_decay: float,
    readout: str = "fresh",
) -> FlowBatch:
    """Return the target networks (network, point) of ``pairs`` at time 0, readouts ±w on duplicated neurons.

    Where the ``readout`` is "continued" both copies of a neuron have the source's; from scratch there is none.
    """
    hidden = torch.stack([starts.hidden(body, points[g].origin).mT.repeat(1, 2) for body, g in pairs])
    halves = {body: draw((hidden.shape[2] // 2,), starts.seeds[body], "target readout", y) for body, _ in pairs}

    def first(body: int, g: int) -> Tensor:
        if readout == "continued" and points[g].origin != "scratch":
            return starts.source.readout[body].repeat(2)
        return torch.cat([halves[body], -halves[body]])

    couplings = y.new_tensor([points[g].coupling for _, g in pairs])
    stiffness, pull = tie(couplings, weight_decay)
    return FlowBatch(
        readout=torch.stack([first(body, g) for body, g in pairs]),
        hidden=hidden,
        anchor_weights=hidden if bool((pull > 0).any()) else None,
        inputs=torch.stack([starts.inputs[body] for body, _ in pairs]),
        labels=torch.stack([y[body] for body, _ in pairs]),
        strength=y.new_tensor([points[g].target_strength for _, g in pairs]),
        readout_decay=torch.full_like(stiffness, weight_decay),
        stiffness=stiffness,
        pull=pull,
    )
