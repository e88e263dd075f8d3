"""Whether particles can be held in single precision, whose steps cost half: where its rounding leaves no trace.

An integration goes on in single precision from its start where every scale is moderate, and in double again from the
step on at which rounding could show; time and steps, their error and what is judged by it are in double always.
Populations so small that several share a batch stay in double: their steps are no cheaper in single precision, and a
population must not depend on what it shares a batch with.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.checks import check_choice
from infwidth.theory.dynamics.predict import working_set
from infwidth.theory.dynamics.step import ParticleFlow, Point, Populations

PRECISIONS = ("auto", "double")
"""Single as long as it pays and suffices, or double throughout."""
LARGEST, SMALLEST = 1e6, 1e-6
"""Scales whose products stay within single precision's range."""
OF_STEP, OF_RESIDUAL = 1e-3, 1e-3
"""What rounding of f may be of the error allowed a step, and of y − f, of which losses are made."""


class Precision:
    """In which precision K populations are integrated: ``flow`` is the equation in it.

    The start is in double precision, where f = 0 is exact; ``pending`` says that single precision is to follow.
    """

    def __init__(self, flow: ParticleFlow, untrained: Populations, allowed: float, precision: str):
        """Take the equation and the populations in double precision, and the error of f allowed a step."""
        check_choice("precision", precision, PRECISIONS)
        self.double, self.untrained, self.allowed = flow, untrained, allowed
        self.flow, self.single = flow, False
        large = 2 * untrained.anchor_fields[0].numel() > working_set(untrained.anchor_fields)
        self.pending = precision == "auto" and large and _moderate(flow, untrained)

    def populations(self, label: np.ndarray) -> Populations:
        """The populations of those indices, whose particles stand where they started."""
        chosen = self.untrained if len(label) == len(self.untrained.readout) else self.untrained.select(label)
        return chosen.to(self.flow.labels.dtype)

    def shows(self, point: Point) -> bool:
        """Whether single precision's rounding could show in any population's f or y − f."""
        left = torch.linalg.vector_norm(self.flow.labels - point.output, dim=1) / len(self.flow.labels) ** 0.5
        bound = (left * OF_RESIDUAL).clamp_(max=OF_STEP * self.allowed)
        return not bool((rounding(self.flow, point) <= bound).all())

    def narrow(self, point: Point) -> bool:
        """Go on in single precision, if rounding does not show as soon as this; return whether."""
        self.single, self.pending = not self.shows(point), False
        self.flow = self.double.to(torch.float32) if self.single else self.double
        return self.single

    def widen(self) -> None:
        """Go on in double precision."""
        self.single, self.flow = False, self.double


def rounding(flow: ParticleFlow, point: Point) -> Tensor:
    """Error of f, (K,), by rounding of its terms in single precision: they are as many as neurons, of random sign."""
    count, squares = point.readout.shape[1], flow.kernels(point)[0].diagonal(dim1=1, dim2=2)
    terms = torch.linalg.vector_norm(point.readout, dim=1) * squares.amax(1).sqrt()
    return terms * (torch.finfo(torch.float32).eps / (flow.strength * count))


def _moderate(flow: ParticleFlow, untrained: Populations) -> bool:
    """Whether all scales of the problem that are not 0 are moderate."""
    arrays = flow.geometry.inputs, flow.labels, untrained.anchor_fields, untrained.readout
    scales = [float(array.abs().amax()) for array in arrays] + [flow.strength, flow.readout_decay]
    scales.append(float(untrained.stiffness.max()))
    return all(scale == 0 or SMALLEST <= scale <= LARGEST for scale in scales)
