"""A target's observables with standard errors, and the certificate, from averages in blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.numerics.status import Status
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
        cls, windows: Windows, dual: Tensor, labels: Tensor, *, strength: float, inverse_temperature: float
    ) -> Certificate:
        """Judge the averages at g; they are of one draw of W̄, and so are the solution and what it leaves."""
        hessian = windows.hessians.mean(0)
        inverse = torch.linalg.inv(hessian + torch.eye(len(labels)).to(hessian) / inverse_temperature)

        def energy(change: Tensor) -> float:
            return 0.5 * strength**2 * float((change @ inverse * change).sum())

        left = labels - dual / inverse_temperature - windows.fits.mean(0)
        blocks = len(left)
        gap, floor = energy(left.mean(0)), energy(left - left.mean(0)) / ((blocks - 1) * blocks)
        drift = energy((windows.fits[1] - windows.fits[0]).mean(0))
        return cls(gap, floor, max(gap, drift / 4) <= max(GAP, GAP_OVER_NOISE * floor))


def answer(
    windows: Windows,
    dual: Tensor,
    labels: Tensor,
    test_labels: Tensor,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float,
) -> dict:
    """Correct each block's averages to first order to its own solution, and compare the blocks.

    At the fixed g of the averages block b leaves r_b = y − g/β − f̂_b, so its solution is g_b = g + A⁻¹r_b and its
    predictor f_b(x) = f̂_b(x) + H(x, X)A⁻¹r_b, with A = H + I/β. The answer is their mean; their scatter over √B is
    its standard error, and it holds the noise of g as well as that of the averages.

    Args:
        windows: the averages.
        dual: g, (P,).
        labels: y, (P,).
        test_labels: (Pt,).
        strength: γ.
        inverse_temperature: β.
        readout_precision: λ_w.

    Returns:
        The fields of BayesSolution that this fixes, without the solver's own.
    """
    ridge = torch.eye(len(labels), dtype=labels.dtype, device=labels.device) / inverse_temperature
    blocks = len(windows.hessians)
    hessian = windows.hessians.mean(0)
    inverse = torch.linalg.inv(hessian + ridge)
    fits = windows.fits.mean(0)
    raw = labels - dual / inverse_temperature - fits
    errors = raw - windows.correction
    duals = dual + errors @ inverse
    predictions = windows.tests + (errors @ inverse) @ windows.cross_hessian.T
    kernels = windows.kernels + windows.shift
    prediction, solved, kernel = predictions.mean(0), duals.mean(0), kernels.mean(0)

    def stderr(samples: Tensor) -> Tensor:
        return samples.std(0, unbiased=True) / math.sqrt(blocks)

    def loss(samples: Tensor, mean: Tensor, goal: Tensor) -> tuple[float, float]:
        """Mean square without the bias that the mean's own variance adds, and its standard error."""
        slopes = 2 * ((samples - mean) * (mean - goal)).mean(1)
        bias = float(stderr(samples).square().mean())
        value = float((mean - goal).square().mean())
        return max(value - bias, 0.0), math.hypot(float(slopes.std() / math.sqrt(blocks)), bias)

    test_loss, test_error = loss(predictions, prediction, test_labels)
    residuals = duals / inverse_temperature
    train_loss, train_error = loss(residuals, residuals.mean(0), torch.zeros_like(labels))
    # What noise adds to the inverse of a noisy H makes the ratio too small, by P over the particles: a jackknife over
    # the blocks takes it off, and its pseudo-values scatter with all noise there is.
    left_out_by_block = (blocks * hessian - windows.hessians) / (blocks - 1) + ridge
    without = (blocks * solved - duals) / (blocks - 1) / torch.linalg.inv(left_out_by_block).diagonal(dim1=1, dim2=2)
    left_blocks = blocks * solved / torch.diagonal(inverse) - (blocks - 1) * without
    left = left_blocks.mean(0)
    left_out, left_error = loss(left_blocks, left, torch.zeros_like(left))

    mean_error = raw.mean(0)
    own = windows.kernels.mean(0) / readout_precision
    smooth = windows.cross_kernel @ torch.linalg.solve(own + ridge, labels) / readout_precision
    scale = float(prediction.norm()) or 1.0
    distance = float((smooth - prediction).norm()) / scale
    noise = float(stderr(predictions).norm()) / scale
    certificate = Certificate.of(windows, dual, labels, strength=strength, inverse_temperature=inverse_temperature)
    agreed = distance <= DISAGREEMENT + 3 * noise
    correction = windows.correction.mean(0)
    small = 0.5 * strength**2 * float(correction @ inverse @ correction) <= PERTURBATION
    finite = bool(torch.isfinite(prediction).all())
    return {
        "prediction": prediction.cpu().numpy(),
        "train_loss": train_loss,
        "test_loss": test_loss,
        "kernel": kernel.cpu().numpy(),
        "dual": solved.cpu().numpy(),
        "leave_one_out": left_out,
        "left_out_residual": left.cpu().numpy(),
        "residual": float(mean_error.norm() / (labels.norm() or 1.0)),
        "status": Status.CONVERGED if certificate.closed and agreed and small and finite else Status.UNMIXED,
        "stderr": {
            "prediction": stderr(predictions).cpu().numpy(),
            "train_loss": train_error,
            "test_loss": test_error,
            "kernel": stderr(kernels).cpu().numpy(),
            "leave_one_out": left_error,
            "residual": float(stderr(raw).norm() / (labels.norm() or 1.0)),
            # Free energies a neuron, and the distance of the two predictors: what the status is decided by.
            "gap": certificate.gap,
            "gap_noise": certificate.floor,
            "disagreement": distance,
        },
    }
