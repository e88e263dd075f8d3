"""Both theories where neither task learns features, γ̄, γ → 0: regression with lazy kernels (docs/theory.md §2).

Nothing is sampled: the kernels are those of :mod:`infwidth.theory.kernels`, of inputs scaled as the weights are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.activations import ACTIVATIONS, get_activation
from infwidth.numerics.checks import InputError, check_number
from infwidth.numerics.losses import mean_squared_error
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import elastic, kernels
from infwidth.theory.dynamics.limits import lazy_course
from infwidth.theory.problem import POSITIVE, check_couplings, check_task, check_times


@dataclass(frozen=True)
class LazyLimit:
    """A theory's limit: of a posterior at n couplings (an axis that a single number takes off), of a flow at T times.

    Attributes:
        train_prediction: f on the target's training inputs, (n, P2) or (T, P2).
        prediction: f on the test inputs, (n, Pt) or (T, Pt).
        train_loss: mean squared error on the training samples, (n,) or (T,).
        test_loss: on the test samples, likewise.
    """

    train_prediction: np.ndarray
    prediction: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray

    @classmethod
    def of(cls, task: TransferTask, joint: np.ndarray) -> LazyLimit:
        """From f on training and test inputs together, (…, P2 + Pt)."""
        fit, prediction = np.split(joint, [len(task.y_target)], axis=-1)
        losses = (mean_squared_error(f, y) for f, y in ((fit, task.y_target), (prediction, task.y_test)))
        return cls(fit, prediction, *losses)


def posterior(
    task: TransferTask,
    *,
    activation: str,
    elastic_coupling: float | Sequence[float],
    inverse_temperature: float,
    prior_precision: float = 1.0,
) -> LazyLimit:
    """What ``bayes.solve`` tends to as γ̄, γ → 0: f = K(x, X)(K + I/β)⁻¹y with K = E φφᵀ/λ.

    Hidden weights keep their prior, W ~ N(0, 1/L + (δ/L)²/λ), L = λ + δ, whatever the source's labels are.

    Args:
        task: the data.
        activation: φ.
        elastic_coupling: δ ≥ 0, inf allowed, a number or a sequence.
        inverse_temperature: β > 0 of the target.
        prior_precision: λ > 0 of all weights.

    Returns:
        The limit.

    Raises:
        InputError: an argument out of range.
    """
    check_task(task).refuse_several_outputs("lazy limits")
    couplings, single = check_couplings(elastic_coupling)
    beta = check_number("inverse_temperature", inverse_temperature, **POSITIVE)
    precision = check_number("prior_precision", prior_precision, **POSITIVE)
    noise, found = np.eye(len(task.y_target)) / beta, []
    for coupling in couplings:
        spread = 1 / elastic.stiffness(precision, coupling) + elastic.pull(precision, coupling) ** 2 / precision
        kernel = _kernels(task, activation, math.sqrt(spread)).nngp / precision
        found.append(kernel @ np.linalg.solve(kernel[: len(noise)] + noise, task.y_target))
    return LazyLimit.of(task, found[0] if single else np.array(found))


def course(
    task: TransferTask,
    *,
    activation: str,
    weight_decay: float,
    source_weight_decay: float | None = None,
    source_time: float,
    target_times: Sequence[float],
) -> LazyLimit:
    """What ``flow.solve`` tends to at δ = 0 and fixed times as γ̄, γ → 0, for 1-homogeneous φ.

    df/dt = [e^{−2λt}Φ_0 + e^{−2λt}K_0](y − f) − 2λf, with Φ_0 and K_0 of the weights that the source's decay leaves.

    Args:
        task: the data.
        activation: φ, 1-homogeneous: linear or relu.
        weight_decay: λ ≥ 0 of the target.
        source_weight_decay: that of the source; the target's if None.
        source_time: time for which the source trains, finite.
        target_times: increasing finite times ≥ 0, (T,).

    Returns:
        The limit.

    Raises:
        InputError: an argument out of range.
    """
    check_task(task).refuse_several_outputs("lazy limits")
    if get_activation(activation).homogeneity != 1:
        known = [phi.name for phi in ACTIVATIONS.values() if phi.homogeneity == 1]
        raise InputError(f"activation = {activation!r}: expected a 1-homogeneous one, of {known}; use flow.solve")
    decay = source_decay = check_number("weight_decay", weight_decay, minimum=0.0)
    if source_weight_decay is not None:
        source_decay = check_number("source_weight_decay", source_weight_decay, minimum=0.0)
    until = check_number("source_time", source_time, minimum=0.0)
    times = check_times("target_times", target_times, weight_decay=decay)
    check_number("target_times", float(times[-1]))
    found = _kernels(task, activation, 1.0)
    left = math.exp(-2 * source_decay * until)  # φ' does not see the weights' scale
    joint = lazy_course(
        left * found.nngp, found.ntk - found.nngp, task.y_target, times, readout_decay=decay, hidden_decay=decay
    )
    return LazyLimit.of(task, joint)


def _kernels(task: TransferTask, activation: str, scale: float) -> kernels.Kernels:
    """Kernels of training and test inputs with the training inputs, (P2 + Pt, P2), for weights of that scale."""
    inputs = scale * np.concatenate([task.x_target, task.x_test])
    return kernels.solve(inputs, inputs[: len(task.y_target)], activation=activation)
