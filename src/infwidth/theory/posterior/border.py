"""How far a tilt is from the border of its domain, beyond which an activation of linear growth has no posterior."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vector_norm

from infwidth.theory.posterior.particles import Layer, Population, squared

STARTS, CARRIED = 32, 8
"""Directions of particles to ascend from, and ends of the last ascent beside them."""
ASCENT, HALVED = 20, 2
"""Steps of an ascent, and after how many they are half as long. Ten are too few even from where the last one ended: g
slips across a border not seen so. Steps of one length circle about the maximum: 30 of them fall .4 % short (median)."""
FAR = 1e8
"""Preactivations at which an activation of linear growth shows its asymptote."""


class Border:
    """The domain margin q = 1 − γ² max_{|v|=1}|g·φ_∞(Xv/√D)|²/(Lλ_w), followed from one g to the next.

    1 where φ is bounded: its tilt is normalisable for every g. The maximum found is a local one; an ascent starts where
    particles point that g favours, and where the last one ended.
    """

    def __init__(self, layer: Layer):
        """Take the tilt; nothing is known of its border yet."""
        self.layer, self.starts = layer, None
        self.inputs, self.found = layer.inputs.double(), layer.inputs.new_zeros(0, layer.inputs.shape[1]).double()

    def look(self, population: Population, features: Tensor, dual: Tensor) -> None:
        """Take the particles that g favours most for their length, given features (S, P), as starts."""
        if self.layer.activation.growth > 0:
            score = squared(features @ dual.to(features.dtype)).sqrt() / population.hidden.norm(dim=1)
            self.starts = population.hidden[score.topk(min(STARTS, len(score))).indices].double()

    def margin(self, dual: Tensor) -> float:
        """Return q at g, (P,) or (P, C), by ascent from the starts."""
        if self.layer.activation.growth == 0:
            return 1.0
        far, dual, v = FAR * self.inputs.T, dual.view(len(dual), -1), _unit(torch.cat([self.found, self.starts]))
        back, best = dual.T / FAR, v.new_zeros(len(v))
        for step in range(ASCENT):
            fields = v @ far
            derivative = self.layer.activation.derivative(fields)
            scores = fields.mul_(derivative) @ dual  # φ_∞(h) = φ'(h) h
            best = torch.maximum(best, vector_norm(scores, dim=1))
            slope = (scores @ back).mul_(derivative) @ self.inputs  # of ½s²
            v = _unit(slope.addcmul_(v, vector_norm(slope, dim=1, keepdim=True), value=1 + step / HALVED))
        self.found = v[best.topk(min(CARRIED, len(v))).indices]
        return 1 - self.layer.sharpness * (float(best.amax()) / FAR) ** 2 / self.layer.stiffness


def _unit(directions: Tensor) -> Tensor:
    return directions / vector_norm(directions, dim=1, keepdim=True).clamp_(min=1e-300)
