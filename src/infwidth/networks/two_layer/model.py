"""Two-layer networks in mean-field scaling: f(x) = 1/(γN) Σ_i w_i φ(W_i·x/√D) (docs/theory.md §0).

Everything here works on K independent networks at once: readout w (K, N), hidden weights W in r coordinates of their
inputs (K, r, N), inputs x/√D (K, P, r), labels (K, P), feature-learning strength γ (K,); of C outputs readouts
are (K, C, N), labels and f (K, P, C). Neurons come last: what is done to each of them runs along the memory, and where
N is a multiple of 4 a network's numbers are on a CPU the same to the last bit whichever networks share its batch
(otherwise products start at addresses that round differently).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.batching import working_set


class Response(NamedTuple):
    """What one evaluation on the training set gives, for K networks.

    Attributes:
        output: f on the training inputs, (K, P), or (K, P, C) of C outputs.
        readout_force: Σ_μ Δ_μ φ(h_μ), (K, N) or (K, C, N).
        slopes: Σ_μ Δ_μ φ'(h_μ) x_μ/√D, (K, r, N), or (K, r, 1) where it is the same for all neurons: times w it is
            the force on W. Of C outputs the force itself, Σ_μ (Σ_c w_c Δ_μc) φ'(h_μ) x_μ/√D, (K, r, N).
    """

    output: Tensor
    readout_force: Tensor
    slopes: Tensor

    @property
    def steepest(self) -> Tensor:
        """The largest norm of the slopes over a network's neurons, (K,)."""
        return self.slopes.square().sum(1).amax(1).sqrt()


class Evaluator:
    """Evaluates networks on their training sets, in room that every evaluation uses again.

    Of linear networks the neurons are summed before they meet samples, and no array has an entry for each of both.
    """

    def __init__(self, activation: Activation):
        self.activation, self.linear = activation, activation.name == "linear"
        self.keeps = activation.name not in ("linear", "relu")  # φ and φ' cost more than to read them again
        self.room: Tensor | None = None
        self.hidden: Tensor | None = None

    def _room(self, networks: int, samples: int, width: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Arrays (networks, samples, width) for h, or φ'(h) where it is kept, for φ(h) and for work.

        Where nothing is kept φ(h) has the room of the work.
        """
        if self.room is None or self.room.shape[1] < networks:
            self.room = like.new_empty(2 + self.keeps, networks, samples, width)
        slopes, *features, work = self.room[:, :networks]
        return slopes, features[0] if features else work, work

    def _gated(self, slopes: Tensor, weight: Tensor, work: Tensor) -> Tensor:
        """φ'(h) times a weight, in the room for work; ``slopes`` as :meth:`_room` has them."""
        if self.keeps:
            return torch.mul(slopes, weight, out=work)
        return self.activation.gated(slopes, weight, out=work)

    def respond(self, readout: Tensor, hidden: Tensor, inputs: Tensor, labels: Tensor, strength: Tensor) -> Response:
        """Evaluate outputs and forces of K networks on their training sets.

        Args:
            readout: w, (K, N) or (K, C, N).
            hidden: W, (K, r, N).
            inputs: x/√D, (K, P, r).
            labels: y, (K, P) or (K, P, C).
            strength: γ, (K,).

        Returns:
            The outputs and forces; Δ = y − f.
        """
        phi, width = self.activation, readout.shape[-1]
        if self.linear:
            self.hidden = hidden
            return _linear_response(readout, hidden, inputs, labels, strength)
        slopes, features, work = self._room(*labels.shape[:2], width, hidden)
        torch.bmm(inputs, hidden, out=slopes)
        features = phi.value(slopes, out=features)
        if self.keeps:
            slopes = phi.derivative(slopes, out=slopes)
        if readout.ndim == 3:
            output = torch.bmm(features, readout.mT) / (strength[:, None, None] * width)
            error = labels - output
            readout_force = torch.bmm(error.mT, features)
            force = torch.bmm(inputs.mT, self._gated(slopes, torch.bmm(error, readout), work))
            return Response(output, readout_force, force)
        output = torch.bmm(readout[:, None], features.mT)[:, 0] / (strength[:, None] * width)
        error = labels - output
        readout_force = torch.bmm(error[:, None], features)[:, 0]
        force = torch.bmm(inputs.mT, self._gated(slopes, error[:, :, None], work))
        return Response(output, readout_force, force)

    def probe(self, vector: Tensor, shares: tuple[Tensor, Tensor], readout: Tensor, inputs: Tensor) -> Tensor:
        """Multiply a vector with the tangent kernel of the networks evaluated last.

        Args:
            vector: v, (K, P) or (K, P, C).
            shares: a and b, (K,) each.
            readout: their w, (K, N) or (K, C, N).
            inputs: their x/√D, (K, P, r).

        Returns:
            [aΦ + b E[w²φ'φ'ᵀ]∘C] v, of v's shape; of C outputs E[w_c w_c'φ'φ'ᵀ] mixes them.
        """
        phi, width = self.activation, readout.shape[-1]
        if self.linear:
            return _linear_product(vector, shares, readout, self.hidden, inputs)
        slopes, features, work = self._room(*vector.shape[:2], width, readout)
        if not self.keeps:
            features = phi.value(slopes, out=features)
        if readout.ndim == 3:
            projected = torch.bmm(vector.mT, features) * shares[0][:, None, None]
            product = torch.bmm(features, projected.mT)
            pulled = torch.bmm(inputs.mT, self._gated(slopes, torch.bmm(vector, readout), work))
            back = torch.bmm(inputs, pulled * shares[1][:, None, None])
            return (product + torch.bmm(self._gated(slopes, back, work), readout.mT)) / width
        projected = torch.bmm(vector[:, None], features) * shares[0][:, None, None]
        product = torch.bmm(projected, features.mT)[:, 0]
        pulled = torch.bmm(inputs.mT, self._gated(slopes, vector[:, :, None], work))
        pulled *= (readout.square() * shares[1][:, None])[:, None]
        back = torch.bmm(inputs, pulled)
        return (product + self._gated(slopes, back, work).sum(2)) / width


def _linear_response(readout: Tensor, hidden: Tensor, inputs: Tensor, labels: Tensor, strength: Tensor) -> Response:
    """:meth:`Evaluator.respond` for φ(h) = h: f is linear in Σ_i w_i W_i, and forces in Σ_μ Δ_μ x_μ/√D."""
    scale = (strength * readout.shape[-1]).view(-1, *[1] * (labels.ndim - 1))
    if readout.ndim == 3:
        output = torch.bmm(inputs, torch.bmm(hidden, readout.mT)) / scale
        pulled = torch.bmm(inputs.mT, labels - output)
        return Response(output, torch.bmm(pulled.mT, hidden), torch.bmm(pulled, readout))
    output = torch.bmm(inputs, torch.bmm(hidden, readout[:, :, None]))[:, :, 0] / scale
    pulled = torch.bmm(inputs.mT, (labels - output)[:, :, None])
    return Response(output, torch.bmm(pulled.mT, hidden)[:, 0], pulled)


def _linear_product(
    vector: Tensor, shares: tuple[Tensor, Tensor], readout: Tensor, hidden: Tensor, inputs: Tensor
) -> Tensor:
    """:meth:`Evaluator.probe` for φ(h) = h: X[aWWᵀ + b|w|²]Xᵀv/N, of C outputs with their w wᵀ, (C, C), for |w|²."""
    single = readout.ndim == 2
    vectors, rows = (vector[:, :, None], readout[:, None]) if single else (vector, readout)
    pulled = torch.bmm(inputs.mT, vectors)
    kept = torch.bmm(hidden, torch.bmm(hidden.mT, pulled)) * shares[0][:, None, None]
    kept += torch.bmm(pulled, torch.bmm(rows, rows.mT)) * shares[1][:, None, None]
    product = torch.bmm(inputs, kept) / readout.shape[-1]
    return product[:, :, 0] if single else product


def feature_kernel(hidden: Tensor, inputs: Tensor, activation: Activation) -> Tensor:
    """Return Φ = E φφᵀ (P, P) over the neurons of one network: hidden (r, N), inputs x/√D (P, r)."""
    features = activation.value(inputs @ hidden)
    return features @ features.mT / hidden.shape[1]


def predict(
    readout: Tensor,
    hidden: Tensor,
    inputs: Tensor,
    strength: float,
    activation: Activation,
    offset: Tensor | None = None,
) -> Tensor:
    """Return f (Pt,) of one network: readout (N,), hidden (r, N), inputs x/√D (Pt, r); (Pt, C) of readouts (C, N).

    ``offset`` (Pt, N) is added to h. Test sets are large, so points go in blocks that fit in the cache; of linear
    networks the neurons are summed first, which takes the points' number off the cost of each.
    """
    width, columns = readout.shape[-1], readout if readout.ndim == 1 else readout.T
    if activation.name == "linear":
        found = inputs @ (hidden @ columns)
        return (found if offset is None else found + offset @ columns) / (strength * width)
    block = max(1, working_set(hidden) // width)
    pieces = []
    for start in range(0, len(inputs), block):
        preactivation = inputs[start : start + block] @ hidden
        if offset is not None:
            preactivation += offset[start : start + block]
        pieces.append(activation.value(preactivation) @ columns)
    return torch.cat(pieces) / (strength * width)
