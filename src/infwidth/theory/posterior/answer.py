"""A target's observables with standard errors, and the certificate, from averages in blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.numerics.losses import class_error
from infwidth.numerics.status import Status
from infwidth.theory.posterior.solution import BayesSolution
from infwidth.theory.posterior.windows import Windows

GAP, GAP_OVER_NOISE = 3e-3, 4.0
"""A duality gap, a free energy per neuron, counts as closed below the larger of these."""
PERTURBATION = 0.25
"""Largest free energy of the correction for the draw of W̄, which is taken to first order. It falls as 1/S and grows
with δ; at .2 (erf, He1 → He3, δ = 100) the test loss is within its standard error, .6 %, of that with 8 times less."""
DISAGREEMENT = 0.1
"""Largest relative distance of the two predictors, beyond three times its standard error."""


@dataclass(frozen=True)
class Certificate:
    """Whether the averages at fixed g are those of the saddle point, in free energies per neuron.

    Attributes:
        gap: ½γ² rᵀ(H + I/β)⁻¹r of what the averages leave, r = y − g/β − f̂.
        floor: what Monte-Carlo noise makes of it.
        closed: whether it is no larger than either allows, and neither is its drift over the sweeps.
    """

    gap: float
    floor: float
    closed: bool

    @classmethod
    def of(
        cls, averages: Windows, dual: Tensor, labels: Tensor, *, strength: float, inverse_temperature: float
    ) -> Certificate:
        """Judge the averages at g; they are of one draw of W̄, and so are the solution and what it leaves."""
        hessian = averages.hessians.mean(0)
        inverse = torch.linalg.inv(hessian + torch.eye(labels.numel()).to(hessian) / inverse_temperature)

        def energy(change: Tensor) -> float:
            return 0.5 * strength**2 * float((change @ inverse * change).sum())

        left = (labels - dual / inverse_temperature).flatten() - averages.fits.mean(0)
        blocks = len(left)
        gap, floor = energy(left.mean(0)), energy(left - left.mean(0)) / ((blocks - 1) * blocks)
        drift = energy((averages.fits[1] - averages.fits[0]).mean(0))
        return cls(gap, floor, max(gap, drift / 4) <= max(GAP, GAP_OVER_NOISE * floor))


def answer(
    averages: Windows,
    dual: Tensor,
    labels: Tensor,
    test_labels: Tensor,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float,
    basis: Tensor | None = None,
) -> BayesSolution:
    """Correct each block's averages to first order to its own solution, and compare the blocks.

    At the fixed g of the averages block b leaves r_b = y − g/β − f̂_b, so its solution is g_b = g + A⁻¹r_b and its
    predictor f_b(x) = f̂_b(x) + H(x, X)A⁻¹r_b, with A = H + I/β. The answer is their mean; their scatter over √B is
    its standard error, and it holds the noise of g as well as that of the averages.

    Args:
        averages: the averages.
        dual: g, (P,), or (P, r) where labels reach r directions of output space.
        labels: y, as g.
        test_labels: (Pt,), or (Pt, C) of all outputs.
        strength: γ.
        inverse_temperature: β.
        readout_precision: λ_w.
        basis: the directions of output space, (C, r), in which the answer is turned back; None of one output.

    Returns:
        The solution, without what the averages do not fix: domain margin, log-evidence, iterations.
    """
    ridge = torch.eye(labels.numel(), dtype=labels.dtype, device=labels.device) / inverse_temperature
    inverse = torch.linalg.inv(averages.hessians.mean(0) + ridge)
    raw = (labels - dual / inverse_temperature).flatten() - averages.fits.mean(0)
    errors = raw - averages.correction
    duals = dual.flatten() + errors @ inverse
    predictions = averages.test_fits + averages.test_correction + (errors @ inverse) @ averages.cross_hessian.T
    distance, agreed = _disagreement(averages, predictions, dual, labels, inverse_temperature, readout_precision)
    left = _left_out(averages, duals, inverse, ridge, dual[0].numel())
    duals, predictions, left = (expand_outputs(values, basis) for values in (duals, predictions, left))
    kernels = averages.kernels + averages.kernel_shift
    prediction, solved, kernel = predictions.mean(0), duals.mean(0), kernels.mean(0)
    test_loss, test_error = _loss(predictions, prediction, test_labels)
    residuals = duals / inverse_temperature
    train_loss, train_error = _loss(residuals, residuals.mean(0), torch.zeros_like(solved))
    left_out, left_error = _loss(left, left.mean(0), torch.zeros_like(solved))

    size = labels.norm() or 1.0
    certificate = Certificate.of(averages, dual, labels, strength=strength, inverse_temperature=inverse_temperature)
    correction = averages.correction.mean(0)
    small = 0.5 * strength**2 * float(correction @ inverse @ correction) <= PERTURBATION
    finite = bool(torch.isfinite(prediction).all())
    return BayesSolution(
        prediction=prediction.cpu().numpy(),
        train_loss=train_loss,
        test_loss=test_loss,
        test_error=class_error(prediction.cpu().numpy(), test_labels.cpu().numpy()),
        kernel_form=kernel.cpu().numpy(),
        dual=solved.cpu().numpy(),
        weights=None,
        log_evidence_density=math.nan,
        domain_margin=math.nan,
        leave_one_out=left_out,
        left_out_residual=left.mean(0).cpu().numpy(),
        status=Status.CONVERGED if certificate.closed and agreed and small and finite else Status.UNMIXED,
        residual=float(raw.mean(0).norm() / size),
        iterations=0,
        stderr={
            "prediction": _stderr(predictions).cpu().numpy(),
            "train_loss": train_error,
            "test_loss": test_error,
            "kernel": _stderr(kernels).cpu().numpy(),
            "leave_one_out": left_error,
            "residual": float(_stderr(raw).norm() / size),
        },
        extras={"gap": certificate.gap, "gap_noise": certificate.floor, "disagreement": distance},
    )


def _stderr(samples: Tensor) -> Tensor:
    """Standard error of the mean over blocks, (B, …) → (…)."""
    return samples.std(0, unbiased=True) / math.sqrt(len(samples))


def _loss(samples: Tensor, mean: Tensor, goal: Tensor) -> tuple[float, float]:
    """Mean square without the bias that the mean's own variance adds, and its standard error."""
    slopes = 2 * ((samples - mean) * (mean - goal)).flatten(1).mean(1)
    bias = float(_stderr(samples).square().mean())
    value = float((mean - goal).square().mean())
    return max(value - bias, 0.0), math.hypot(float(slopes.std() / math.sqrt(len(samples))), bias)


def expand_outputs(values: Tensor, basis: Tensor | None) -> Tensor:
    """Values (B, n), or (B, nr) of r directions of output space, as those of all outputs, (B, n, C)."""
    return values if basis is None else values.view(len(values), -1, basis.shape[1]) @ basis.T


def _left_out(averages: Windows, duals: Tensor, inverse: Tensor, ridge: Tensor, outputs: int) -> Tensor:
    """Left-out residuals of the blocks, (B, P), or of several outputs (B, PC).

    What noise adds to the inverse of a noisy H makes the ratio too small, by P over the particles: a jackknife over
    the blocks takes it off, and its pseudo-values scatter with all noise there is.
    """
    hessian, solved, blocks = averages.hessians.mean(0), duals.mean(0), len(duals)
    left_out_by_block = (blocks * hessian - averages.hessians) / (blocks - 1) + ridge
    without = _over_own((blocks * solved - duals) / (blocks - 1), torch.linalg.inv(left_out_by_block), outputs)
    return blocks * _over_own(solved[None], inverse[None], outputs) - (blocks - 1) * without


def _over_own(duals: Tensor, inverses: Tensor, outputs: int) -> Tensor:
    """([A⁻¹]_μμ)⁻¹g_μ, (B, PC), each sample's by its own C × C block of A⁻¹, (B, PC, PC)."""
    if outputs == 1:
        return duals / inverses.diagonal(dim1=1, dim2=2)
    own = inverses.unflatten(2, (-1, outputs)).unflatten(1, (-1, outputs)).diagonal(dim1=1, dim2=3).movedim(3, 1)
    return torch.linalg.solve(own, duals.unflatten(1, (-1, outputs))[..., None]).flatten(1)


def _disagreement(
    averages: Windows,
    predictions: Tensor,
    dual: Tensor,
    labels: Tensor,
    inverse_temperature: float,
    readout_precision: float,
) -> tuple[float, bool]:
    """Relative distance to the kernel machine Φ(x, X)(Φ/λ_w + I/β)⁻¹y/λ_w, and whether noise and slack allow it.

    As f̂(x) = Φ(x, X)g/λ_w, its noise is that of f̂ but for the little by which its own dual vector is not g.
    """
    own = averages.kernels.mean(0) / readout_precision
    noisy = own + torch.eye(len(own)).to(own) / inverse_temperature
    change = (averages.cross_kernel @ (torch.linalg.solve(noisy, labels) - dual)).flatten() / readout_precision
    smooth = averages.test_fits.mean(0) + change
    prediction, error = predictions.mean(0), _stderr(predictions)
    scale = float(prediction.norm()) or 1.0
    distance = float((smooth - prediction).norm()) / scale
    return distance, distance <= DISAGREEMENT + 3 * float(error.norm()) / scale
