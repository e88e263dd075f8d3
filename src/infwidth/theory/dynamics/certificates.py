"""Where the mean-field dynamics end: kernel machines with the adapted kernels (docs/theory.md §2 eqs. (8) and (9))."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.theory import elastic
from infwidth.theory.dynamics.step import Snapshot


def readout_fixed_point(kernel: np.ndarray, labels: np.ndarray, *, readout_decay: float) -> np.ndarray:
    """f(x) = Φ(x, X)(λ_w I + Φ)⁻¹ y, the end of every flow with decay (docs/theory.md §2 eq. (8)).

    Args:
        kernel: adapted Φ = E φφᵀ of n inputs with the P training inputs, which come first, (n, P).
        labels: y, (P,).
        readout_decay: λ_w > 0.

    Returns:
        f on the n inputs, (n,).
    """
    count = len(labels)
    return kernel @ np.linalg.solve(kernel[:count] + readout_decay * np.eye(count), labels)


def tangent_fixed_point(
    tangent_kernel: np.ndarray, drift: np.ndarray, labels: np.ndarray, *, total_decay: float
) -> np.ndarray:
    """f(x) = [K(x, X)(κI + K)⁻¹(κy − r_X) + r(x)]/κ for 1-homogeneous φ (docs/theory.md §2 eq. (9)).

    Args:
        tangent_kernel: adapted tangent kernel K = Φ + E[w²φ'φ'ᵀ]∘C of n inputs with the P training inputs, which come
            first, (n, P).
        drift: r(x) = (δ/γ) E[w φ'(h) h̄], (n,).
        labels: y, (P,).
        total_decay: κ = λ_w + λ_W + δ > 0.

    Returns:
        f on the n inputs, (n,).
    """
    count = len(labels)
    pulled = total_decay * labels - drift[:count]
    return (
        tangent_kernel @ np.linalg.solve(tangent_kernel[:count] + total_decay * np.eye(count), pulled) + drift
    ) / total_decay


@dataclass(frozen=True)
class LateParticles:
    """A population at its fixed point: neurons' own averages over time, for n inputs with the training inputs first.

    Attributes:
        readout: w, (S,).
        features: φ(h), (S, n).
        gates: φ'(h), (S, n).
        anchor_fields: h̄, (S, n).
        covariance: x·x'/D of the inputs, (n, n).
    """

    readout: Tensor
    features: Tensor
    gates: Tensor
    anchor_fields: Tensor
    covariance: Tensor

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        shot: Snapshot,
        anchor_weights: Tensor,
        inputs: np.ndarray,
        labels: np.ndarray,
        *,
        strength: float,
        elastic_coupling: float,
        readout_decay: float,
        hidden_decay: float,
        activation: Activation,
        steps: int = 1000,
        fraction: float = 0.02,
    ) -> LateParticles:
        """Average a population that has reached its fixed point.

        ReLU neurons end on kinks and slide along them, where φ' jumps between 0 and 1 for ever; its average over
        time enters the balance of forces, and a single value is of no use. So neurons are followed through short
        explicit steps of (7) in the field of the residual Δ, which no longer changes. At δ = 0 nothing but
        the change of Δ holds a neuron's norm, and it drifts: there only (8), with ``steps=1``, can be checked.

        Args:
            shot: the population.
            anchor_weights: W̄ in d coordinates, (S, d), or (S/2, d) where copies share it.
            inputs: x/√D of n inputs likewise, training inputs first, (n, d).
            labels: y, (P,).
            strength: γ.
            elastic_coupling: δ.
            readout_decay: λ_w.
            hidden_decay: λ_W.
            activation: φ.
            steps: steps to average over, after a tenth of them that are not counted.
            fraction: a step's length times λ_W + δ + λ_w.
        """
        x = torch.from_numpy(np.array(inputs)).to(anchor_weights)
        count = len(labels)
        force = strength * (torch.from_numpy(np.array(labels)).to(anchor_weights) - shot.output)
        stiffness = elastic.stiffness(hidden_decay, elastic_coupling)
        step = fraction / (stiffness + readout_decay)
        start = anchor_weights.repeat(len(shot.readout) // len(anchor_weights), 1)
        readout, weights = shot.readout, shot.weights(anchor_weights)
        sums = [torch.zeros_like(readout), *(torch.zeros_like(start @ x.T) for _ in range(2))]
        for i in range(steps // 10 + steps):
            field = weights @ x.T
            features, gates = activation.value(field), activation.derivative(field)
            if i >= steps // 10:
                for part, value in zip(sums, (readout, features, gates), strict=True):
                    part += value / steps
            pulled = (readout[:, None] * gates[:, :count] * force) @ x[:count]
            readout = readout + step * (features[:, :count] @ force - readout_decay * readout)
            weights = weights + step * (pulled - stiffness * weights + elastic_coupling * start)
        return cls(*sums, anchor_fields=start @ x.T, covariance=x @ x.T)

    def feature_kernel(self, n_train: int) -> np.ndarray:
        """Φ, (n, n_train)."""
        return (self.features.T @ self.features[:, :n_train] / len(self.features)).cpu().numpy()

    def tangent_kernel(self, n_train: int) -> np.ndarray:
        """K = Φ + E[w²φ'φ'ᵀ]∘C, (n, n_train)."""
        slopes = self.gates * self.readout[:, None]
        moved = slopes.T @ slopes[:, :n_train] / len(slopes) * self.covariance[:, :n_train]
        return self.feature_kernel(n_train) + moved.cpu().numpy()

    def drift(self, elastic_coupling: float, strength: float) -> np.ndarray:
        """r(x) = (δ/γ) E[w φ'(h) h̄], (n,)."""
        slopes = self.gates * self.readout[:, None]
        return (elastic_coupling / strength * (slopes * self.anchor_fields).mean(0)).cpu().numpy()
