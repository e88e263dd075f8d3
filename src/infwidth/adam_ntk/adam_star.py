"""ADAM* and its kin: optimisers of a readout of frozen features whose limit of infinite width is a kernel model.

They see the functional gradient G = H ∂loss/∂M of a readout M (E, H) of H features, so that nothing depends on H
(docs/theory.md §4). ADAM* is Adam with one second moment for each output, shared by all features:

    m ← β1 m + (1 − β1) G      v_e ← β2 v_e + (1 − β2) mean_h G_eh²      M_e ← (1 − lr λ) M_e − lr m̂_e/(√v̂_e + ε)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from infwidth.numerics.checks import InputError, check_choice, check_number

SHARING = ("features", "layer", "none")
ACCUMULATE = ("average", "sum")

OPTIMISERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "sgd": {"adaptive": False, "betas": (0.0, 0.999)},
        "momentum": {"adaptive": False, "betas": (0.9, 0.999), "bias_correction": False},
        "adam_star": {},
        "adamw_star": {"weight_decay": 0.01},
        "adam_star_layer": {"sharing": "layer"},
        "rmsprop_star": {"betas": (0.0, 0.999)},
        "adagrad_star": {"betas": (0.0, 0.999), "accumulate": "sum"},
        "adam": {"sharing": "none"},
        "adamw": {"sharing": "none", "weight_decay": 0.01},
        "rmsprop": {"sharing": "none", "betas": (0.0, 0.999)},
        "adagrad": {"sharing": "none", "betas": (0.0, 0.999), "accumulate": "sum"},
    }
)
"""Names of optimisers → what they set of AdamStar; those of sharing "none" have no limit of infinite width."""


class AdamStar(torch.optim.Optimizer):
    """ADAM* on readouts (…, H) of H features, or another rule of its kind.

    The rule is that of Adam on G = H ∂loss/∂M, but for the second moment, which features may share. ``sharing="none"``
    is Adam; without ``adaptive`` M moves by −lr m̂: gradient descent (β1 = 0) or momentum, whose rate means what it does
    in gradient descent: 1/(1 − β1) times torch's.

    Args:
        params: readouts, or dicts of them with settings of their own; the last dimension is H.
        lr: learning rate ≥ 0.
        betas: β1 and β2, in [0, 1).
        eps: ε ≥ 0, in units of G.
        weight_decay: λ ≥ 0, decoupled: M shrinks by 1 − lr λ a step, as in AdamW.
        sharing: what one second moment is the mean over: "features" (the last dimension), "layer" (all of M) or "none".
        adaptive: whether to divide by √v̂ + ε.
        accumulate: v as the exponential "average" of squares or, as in Adagrad, their "sum".
        bias_correction: whether m and v are divided by 1 − β^t (v not where it is a sum).

    Raises:
        InputError: a number out of range, an unknown choice, or a parameter without dimensions.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        sharing: str = "features",
        adaptive: bool = True,
        accumulate: str = "average",
        bias_correction: bool = True,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "sharing": sharing,
                "adaptive": adaptive,
                "accumulate": accumulate,
                "bias_correction": bias_correction,
            },
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of readouts with settings of its own; raises InputError as the constructor does."""
        check_options(self.defaults | param_group)
        super().add_param_group(param_group)
        if any(weight.ndim == 0 for weight in self.param_groups[-1]["params"]):
            del self.param_groups[-1]
            raise InputError("params hold a single number: expected readouts (…, H), whose last dimension is the width")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every readout that has a gradient.

        Args:
            closure: computes the loss and its gradients anew, as for torch's optimisers.

        Returns:
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    _update(weight, weight.grad, self.state[weight], group)
        return loss


def make_optimiser(name: str, params: Iterable[Any], lr: float, **overrides: Any) -> AdamStar:
    """Return the optimiser of that name on functional gradients.

    Args:
        name: one of ``OPTIMISERS``: "adam_star", "sgd", "momentum", "adam", …
        params: readouts (…, H).
        lr: learning rate ≥ 0.
        overrides: settings of AdamStar that replace the name's.

    Raises:
        InputError: an unknown name (the nearest is named) or setting, or a number out of range.
    """
    return AdamStar(params, lr, **(find_options(name) | overrides))


def find_options(name: str) -> dict[str, Any]:
    """Return what an optimiser's name sets of AdamStar; raises InputError naming the nearest for an unknown name."""
    return dict(OPTIMISERS[check_choice("optimiser", name, OPTIMISERS)])


def check_options(options: Mapping[str, Any]) -> None:
    """Check settings of AdamStar; raises InputError for the first that is wrong."""
    check_number("lr", options["lr"], minimum=0.0)
    betas = options["betas"]
    if isinstance(betas, str) or not hasattr(betas, "__len__") or len(betas) != 2:
        raise InputError(f"betas = {betas!r}: expected two numbers in [0, 1), β1 and β2; pass a pair")
    for place, beta in enumerate(betas):
        if check_number(f"betas[{place}]", beta, minimum=0.0, maximum=1.0) == 1:
            raise InputError(f"betas[{place}] = {beta!r}: expected a number in [0, 1); reduce it")
    check_number("eps", options["eps"], minimum=0.0)
    check_number("weight_decay", options["weight_decay"], minimum=0.0)
    check_choice("sharing", options["sharing"], SHARING)
    check_choice("accumulate", options["accumulate"], ACCUMULATE)


def corrections(options: Mapping[str, Any], step: int) -> tuple[float, float]:
    """Return by what to divide m and √v after so many steps: 1 − β1^t and √(1 − β2^t), or 1 without correction."""
    if not options["bias_correction"]:
        return 1.0, 1.0
    beta1, beta2 = options["betas"]
    return 1 - beta1**step, math.sqrt(1 - beta2**step) if options["accumulate"] == "average" else 1.0


def accumulate_(v: Tensor, square: Tensor, options: Mapping[str, Any]) -> Tensor:
    """Add a step's square to a second moment, in place."""
    return v.add_(square) if options["accumulate"] == "sum" else v.lerp_(square, 1 - options["betas"][1])


def _update(weight: Tensor, gradient: Tensor, state: dict[str, Any], group: Mapping[str, Any]) -> None:
    """Move one readout. Moments are kept of ∂loss/∂M itself: the factors H only meet numbers, not arrays."""
    width, (beta1, beta2) = weight.shape[-1], group["betas"]
    if not state:
        state["step"] = 0
        if beta1:
            state["exp_avg"] = torch.zeros_like(weight)
        if group["adaptive"]:
            state["exp_avg_sq"] = torch.zeros_like(_mean_square(weight, group["sharing"]))
    state["step"] += 1
    first, second = corrections(group, state["step"])
    rate = group["lr"] / first
    if group["weight_decay"]:
        weight.mul_(1 - group["lr"] * group["weight_decay"])
    moment = state["exp_avg"].lerp_(gradient, 1 - beta1) if beta1 else gradient
    if not group["adaptive"]:
        weight.add_(moment, alpha=-rate * width)
        return
    v, eps = state["exp_avg_sq"], group["eps"] * second / width
    if group["sharing"] != "none":
        accumulate_(v, _mean_square(gradient, group["sharing"]), group)
        weight.addcmul_(moment, v.sqrt().add_(eps).reciprocal_().mul_(-rate * second))
        return
    if group["accumulate"] == "average":
        v.mul_(beta2)
    v.addcmul_(gradient, gradient, value=1 - beta2 if group["accumulate"] == "average" else 1.0)
    weight.addcdiv_(moment, v.sqrt().add_(eps), value=-rate * second)


def _mean_square(gradient: Tensor, sharing: str) -> Tensor:
    """Mean square over what shares a second moment, with dimensions that broadcast."""
    if sharing == "features":
        return torch.linalg.vector_norm(gradient, dim=-1, keepdim=True).square_().div_(gradient.shape[-1])
    if sharing == "layer":
        return torch.linalg.vector_norm(gradient).square_().div_(gradient.numel())
    return gradient.square()
