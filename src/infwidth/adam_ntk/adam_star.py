"""ADAM* and its kin: optimisers of a readout of frozen features whose limit of infinite width is a kernel model.

They see the functional gradient G = H ∂loss/∂M of a readout M (E, H) of H features, so that nothing depends on H
(docs/theory.md §4). ADAM* is Adam with one second moment for each output, shared by all features:

    m ← β1 m + (1 − β1) G      v_e ← β2 v_e + (1 − β2) mean_h G_eh²      M_e ← (1 − lr λ) M_e − lr m̂_e/(√v̂_e + ε)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from infwidth.numerics.checks import InputError, check_choice, check_number

SHARING = ("features", "layer", "none")
ACCUMULATE = ("average", "sum")
_RULE = ("adaptive", "sharing", "accumulate")
SMALL = 2**15
"""Numbers of a readout up to which it is moved with others; larger ones fill the cache by themselves."""
_Moved = tuple[Tensor, Tensor, dict[str, Any]]
_FOREIGN = frozenset(
    {"amsgrad", "maximize", "momentum", "dampening", "nesterov", "alpha", "centered", "fused", "capturable", "lr_decay"}
)

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

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over another AdamStar's state and rates; raises InputError for that of another optimiser or rule."""
        for ours, theirs in zip(self.param_groups, state_dict["param_groups"], strict=False):
            for name in _RULE:
                if name not in theirs:
                    raise InputError(
                        f"state has no {name!r}, so that it is another optimiser's: expected an AdamStar's; start anew"
                    )
                if theirs[name] != ours[name]:
                    raise InputError(
                        f"state of an AdamStar has {name} = {theirs[name]!r}: expected {ours[name]!r}, this one's; "
                        "make the optimiser with the same settings"
                    )
        super().load_state_dict(dict(state_dict))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every readout that has a gradient.

        Args:
            closure: computes the loss and its gradients anew, as for torch's optimisers.

        Returns:
            What the closure returned, or None.

        Raises:
            InputError: a setting that asks for what the steps so far did not keep.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            check_known(group)
            rule = _rule(group)
            moved = [(weight, weight.grad, self.state[weight]) for weight in group["params"] if weight.grad is not None]
            for weight, _, state in moved:
                _prepare(weight, state, group, rule)
            for some in _alike(moved, together=group["adaptive"] and group["sharing"] == "features"):
                if len(some) > 1:
                    _update_together(*zip(*some, strict=True), group)
                else:
                    _update(*some[0], group)
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
    check_known(options)
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


def check_known(options: Mapping[str, Any]) -> None:
    """Raise InputError for a switch of torch's optimisers that AdamStar does not have and would pass over."""
    for name in _FOREIGN & options.keys():
        if options[name]:
            raise InputError(f"{name} = {options[name]!r}: expected no such setting, AdamStar has none; leave it out")


def _rule(group: Mapping[str, Any]) -> tuple[int, ...]:
    """What decides which moments are kept, as plain numbers: torch reads text in a state as a list of letters."""
    sharing, accumulate = SHARING.index(group["sharing"]), ACCUMULATE.index(group["accumulate"])
    return int(group["betas"][0] > 0), int(group["adaptive"]), sharing, accumulate


def _prepare(weight: Tensor, state: dict[str, Any], group: Mapping[str, Any], rule: tuple[int, ...]) -> None:
    """Count a step, with fresh moments before the first; raise InputError for moments that were not kept so far."""
    if not state:
        state["step"], state["rule"] = 0, rule
        if group["betas"][0]:
            state["exp_avg"] = torch.zeros_like(weight)
        if group["adaptive"]:
            state["exp_avg_sq"] = torch.zeros_like(_mean_square(weight, group["sharing"]))
    elif state["rule"] != rule:
        place = [old != new for old, new in zip(state["rule"], rule, strict=True)].index(True)
        name = ("betas", *_RULE)[place]
        raise InputError(
            f"{name} = {group[name]!r} was set after {state['step']} steps whose moments are others: expected the "
            "setting they were taken with; set it back, or make a new optimiser"
        )
    state["step"] += 1


def _alike(moved: Sequence[_Moved], *, together: bool) -> Iterable[list[_Moved]]:
    """Split readouts into those that move together: small ones of a width, step, dtype and device."""
    found: dict[Any, list[_Moved]] = {}
    for one in moved:
        weight, _, state = one
        small = together and weight.numel() <= SMALL
        key = (weight.shape[-1], state["step"], weight.dtype, weight.device) if small else id(weight)
        found.setdefault(key, []).append(one)
    return found.values()


def _update(weight: Tensor, gradient: Tensor, state: dict[str, Any], group: Mapping[str, Any]) -> None:
    """Move one readout. Moments are kept of ∂loss/∂M itself: the factors H only meet numbers, not arrays."""
    width, beta1 = weight.shape[-1], group["betas"][0]
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
    beta2 = group["betas"][1]
    if group["accumulate"] == "average":
        v.mul_(beta2)
    v.addcmul_(gradient, gradient, value=1 - beta2 if group["accumulate"] == "average" else 1.0)
    weight.addcdiv_(moment, v.sqrt().add_(eps), value=-rate * second)


def _update_together(
    weights: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[dict[str, Any]], group: Mapping[str, Any]
) -> None:
    """Move readouts of one width whose features share second moments, to the same bits.

    What is one number an output is worked on for all readouts at once: small ones cost their calls, not their numbers.
    """
    width, beta1, moments = weights[0].shape[-1], group["betas"][0], gradients
    first, second = corrections(group, states[0]["step"])
    if group["weight_decay"]:
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
    if beta1:
        moments = [state["exp_avg"] for state in states]
        torch._foreach_lerp_(moments, gradients, 1 - beta1)
    square = _mean_square(torch.cat([gradient.reshape(-1, width) for gradient in gradients]), "features")
    kept = [state["exp_avg_sq"] for state in states]
    v = accumulate_(torch.cat([one.view(-1, 1) for one in kept]), square, group)
    pace = v.sqrt().add_(group["eps"] * second / width).reciprocal_().mul_(-group["lr"] / first * second)
    sizes = [one.numel() for one in kept]

    def apart(values: Tensor) -> list[Tensor]:
        return [one.view_as(old) for one, old in zip(values.split(sizes), kept, strict=True)]

    torch._foreach_copy_(kept, apart(v))
    torch._foreach_addcmul_(weights, moments, apart(pace))


def _mean_square(gradient: Tensor, sharing: str) -> Tensor:
    """Mean square over what shares a second moment, with dimensions that broadcast."""
    if sharing == "features":
        return torch.linalg.vector_norm(gradient, dim=-1, keepdim=True).square_().div_(gradient.shape[-1])
    if sharing == "layer":
        return torch.linalg.vector_norm(gradient).square_().div_(gradient.numel())
    return gradient.square()
