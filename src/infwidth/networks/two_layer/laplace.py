"""Laplace's approximation to the evidence of one trained network, its prior centred on the source's weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError


def laplace_evidence(
    hidden: Tensor,
    readout: Tensor,
    source_weights: Tensor | None,
    x: Tensor,
    y: Tensor,
    *,
    activation: str,
    strength: float,
    elastic_coupling: float,
    inverse_temperature: float,
) -> float:
    """Log-evidence with the generalised Gauss–Newton curvature of all weights at those of a trained network.

    The model is the posterior's (docs/theory.md §1): noise of variance 1/(βγ²N), w ~ N(0, 1), and
    W ~ N(δ/(1 + δ) W̄, 1/(1 + δ)). With J = ∂f/∂(w, W) and prior covariance C the log-determinant is that of
    1 + βγ²N J C Jᵀ, (P, P). Full curvature of laplace-torch gives the same.

    Args:
        hidden: W, (N, D).
        readout: w, (N,).
        source_weights: W̄, (N, D); None at δ = 0.
        x: inputs, (P, D).
        y: labels, (P,).
        activation: φ.
        strength: γ.
        elastic_coupling: δ in units of the prior's precision; inf freezes W.
        inverse_temperature: β.
    """
    phi, (count, dimension) = get_activation(activation), hidden.shape
    inputs = x.to(hidden) / math.sqrt(dimension)
    before = inputs @ hidden.T  # (P, N)
    value = phi.value(before)
    scale = 1 / (strength * count)
    residual = y.to(hidden) - scale * value @ readout
    precision = inverse_temperature * strength**2 * count
    kernel = value @ value.T
    misfit = precision * residual @ residual + readout @ readout
    if not math.isinf(elastic_coupling):
        slopes = readout * phi.derivative(before)
        kernel = kernel + (slopes @ slopes.T) * (inputs @ inputs.T) / (1 + elastic_coupling)
        pull = elastic_coupling / (1 + elastic_coupling)
        offset = hidden if source_weights is None else hidden - pull * source_weights
        misfit = misfit + (1 + elastic_coupling) * offset.square().sum()
    curvature = torch.eye(len(x)).to(hidden) + precision * scale**2 * kernel
    normal = len(x) * math.log(2 * math.pi / precision)
    return float(-0.5 * (misfit + torch.logdet(curvature) + normal))


def kronecker_evidence(
    hidden: Tensor,
    readout: Tensor,
    source_weights: Tensor | None,
    x: Tensor,
    y: Tensor,
    *,
    activation: str,
    strength: float,
    elastic_coupling: float,
    inverse_temperature: float,
    structure: str = "kron",
) -> float:
    """Log-evidence like :func:`laplace_evidence`, by the optional package laplace-torch.

    Its curvature is that of Kronecker factors a layer, the package's default; the arguments are those there.

    Args:
        hidden: W, (N, D).
        readout: w, (N,).
        source_weights: W̄, (N, D); None at δ = 0.
        x: inputs, (P, D).
        y: labels, (P,).
        activation: φ.
        strength: γ.
        elastic_coupling: δ in units of the prior's precision; inf freezes W.
        inverse_temperature: β.
        structure: of the curvature, by the package's names; "full" is :func:`laplace_evidence`.

    Raises:
        InputError: the package is missing.
    """
    try:
        from laplace import Laplace
    except ImportError as error:
        raise InputError(
            f"laplace_torch = true: {error.name} is not there; expected the optional package laplace-torch; install it "
            "with `pip install infwidth[laplace]`, or set laplace_torch: false"
        ) from None
    (count, dimension), frozen = hidden.shape, math.isinf(elastic_coupling)
    # no input has a part outside the training inputs' span: there the weights keep their prior
    basis = torch.linalg.qr(x.to(hidden).T).Q
    network = _Network(hidden @ basis, readout, activation, 1 / (strength * count))
    precisions, means, outside = [readout.new_ones(())], [torch.zeros_like(readout)], 0.0
    if frozen:
        network.hidden.requires_grad_(False)
    else:
        mean = torch.zeros_like(hidden)
        if source_weights is not None:
            mean = elastic_coupling / (1 + elastic_coupling) * source_weights
        offset = hidden - mean
        outside = (1 + elastic_coupling) * (offset - offset @ basis @ basis.T).square().sum()
        precisions.insert(0, readout.new_tensor(1 + elastic_coupling))
        means.insert(0, (mean @ basis).ravel())
    if structure != "kron":  # which takes one a layer, where others take one a weight
        precisions = [one.expand(len(part)) for one, part in zip(precisions, means, strict=True)]
    noise = 1 / math.sqrt(inverse_temperature * strength**2 * count)
    settings = {"sigma_noise": noise, "prior_precision": torch.hstack(precisions), "prior_mean": torch.cat(means)}
    found = Laplace(network, "regression", subset_of_weights="all", hessian_structure=structure, **settings)
    data = torch.utils.data.TensorDataset(x.to(hidden) @ basis / math.sqrt(dimension), y.to(hidden)[:, None])
    found.fit(torch.utils.data.DataLoader(data, batch_size=len(data)))
    return float(found.log_marginal_likelihood() - 0.5 * outside)


class _Network(torch.nn.Module):
    """Σ_i w_i φ(W_i·x) times a number, in layers that laplace-torch knows."""

    def __init__(self, hidden: Tensor, readout: Tensor, activation: str, scale: float):
        super().__init__()
        self.phi, self.scale = get_activation(activation).value, scale
        self.hidden = torch.nn.Linear(hidden.shape[1], hidden.shape[0], bias=False, dtype=hidden.dtype)
        self.readout = torch.nn.Linear(hidden.shape[0], 1, bias=False, dtype=hidden.dtype)
        with torch.no_grad():
            self.hidden.weight.copy_(hidden)
            self.readout.weight.copy_(readout[None])

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.readout(self.phi(self.hidden(x)))
