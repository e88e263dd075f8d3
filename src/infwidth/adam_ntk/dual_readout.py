"""Infinitely many frozen features, held exactly: coefficients of the inputs seen so far (docs/theory.md §4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infwidth.adam_ntk.adam_star import accumulate_, check_options, corrections, find_options
from infwidth.adam_ntk.feature_kernels import check_kernel, kernel_product
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.kept_settings import KeepsSettings

_STATE = ("inputs", "coefficients", "momentum", "window", "second_moment", "steps", "lr")


class DualReadout(KeepsSettings):
    """y(x) = Σ_{s,i} c_{s,i} Θ(x, x_{s,i}): FrozenReadout and its optimiser at H = ∞, exactly.

    Every forward pass in training mode with gradients enabled is a part of the next step: ``backward`` brings the error
    d = ∂loss/∂y at its outputs and flows on to x, and ``step`` gives each input seen a coefficient. It is AdamStar's
    rule in function space, G_e = Σ_i d_ie g(x_i): with v_e ← β2 v_e + (1 − β2) Σ_ij d_ie d_je Θ(x_i, x_j),

        c_{s,i,e} = −Σ_t lr_t β1^(t−s) (1 − β1)/(1 − β1^t) · d_{s,i,e}/(√v̂_{t,e} + ε),    t = s, s + 1, …

    so only coefficients of the last steps, with β1^(t−s) above rounding, still move (weight decay shrinks all). Memory
    grows with the examples seen, and the time of a step with it. There are no parameters: ``clip_grad_norm_`` passes
    the block by. Under autocast it computes in its own precision. Gradients of gradients aren't available.

    Args:
        in_features: d ≥ 1.
        out_features: E ≥ 1.
        activation: "relu" (features √2 relu), "erf" or "linear".
        bias: whether features have a bias of unit variance.
        optimizer: a name in ``OPTIMISERS`` whose second moment features share: "adam_star", "sgd", "momentum", ….
        lr: learning rate ≥ 0.
        betas: β1 and β2, in [0, 1); None: the optimiser's.
        eps: ε ≥ 0.
        weight_decay: λ ≥ 0, decoupled; None: the optimiser's.

    Raises:
        InputError: a number out of range, an unknown name, or a coordinate-wise optimiser: its second moment differs
            from feature to feature, so that it leaves the span of features seen and has no kernel limit.

    Attributes:
        lr: a plain number, to be changed between steps at will.
        steps: how many were done.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: str = "relu",
        bias: bool = False,
        optimizer: str = "adam_star",
        lr: float,
        betas: tuple[float, float] | None = None,
        eps: float = 1e-8,
        weight_decay: float | None = None,
    ):
        super().__init__()
        self.in_features = check_count("in_features", in_features)
        self.out_features = check_count("out_features", out_features)
        self.activation, self.bias, self.optimizer = check_kernel(activation), bool(bias), optimizer
        self.options = _options(optimizer, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.lr, self.steps = float(lr), 0
        self._window: list[int] = []  # inputs of each of the last steps, whose coefficients still move
        self._received: list[tuple[Tensor, Tensor]] = []  # inputs and errors since the last step
        self._rows = 0
        # rows beyond _rows are room to grow
        self.register_buffer("_inputs", torch.zeros(0, in_features), persistent=False)
        self.register_buffer("_coefficients", torch.zeros(0, out_features), persistent=False)
        self.register_buffer("_momentum", torch.zeros(0, out_features), persistent=False)
        self.register_buffer("_second_moment", torch.zeros(out_features), persistent=False)

    def __getattr__(self, name: str) -> Any:
        if name == "param_groups":  # what a GradScaler and schedulers ask of an optimiser
            raise AttributeError(
                "DualReadout has no param_groups: its coefficients are no parameters; set its lr, and after "
                "scaler.scale(loss).backward() call step(scaler.get_scale()) of the block itself"
            )
        return super().__getattr__(name)

    @property
    def inputs(self) -> Tensor:
        """Inputs seen so far, (m, d), oldest first."""
        return self._inputs[: self._rows]

    @property
    def coefficients(self) -> Tensor:
        """Their coefficients c, (m, E): y = Σ_j c_j Θ(x, x_j)."""
        return self._coefficients[: self._rows]

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (…, E) of inputs (…, d), and in training note what the next step needs.

        Raises:
            InputError: inputs of another size or dtype than the block's.
        """
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(self._inputs.dtype)  # kernels and coefficients are in the block's own precision
        if x.shape[-1] != self.in_features or x.dtype != self._inputs.dtype:
            raise InputError(
                f"x has {x.shape[-1]} features of {x.dtype}: expected {self.in_features} of {self._inputs.dtype}, as "
                "the block; change either"
            )
        flat = x.reshape(-1, self.in_features)
        y = self._product(flat, self.inputs, self.coefficients)
        if self.training and torch.is_grad_enabled():
            # 0, but the gradient that collects here is the output's, by the rules of a parameter's
            error = torch.zeros_like(y, requires_grad=True)
            seen = flat.detach().clone()
            error.register_post_accumulate_grad_hook(lambda leaf: self._receive(seen, leaf))
            y = y + error
        return y.view(*x.shape[:-1], self.out_features)

    def _product(self, x: Tensor, inputs: Tensor, coefficients: Tensor) -> Tensor:
        return kernel_product(x, inputs, coefficients, activation=self.activation, bias=self.bias)

    def _receive(self, seen: Tensor, error: Tensor) -> None:
        self._received.append((seen, error.grad))
        error.grad = None

    @torch.no_grad()
    def step(self, scale: float = 1.0) -> None:
        """Fold in the inputs seen and their errors since the last step; without any, do nothing.

        Args:
            scale: what the loss was multiplied with before ``backward``: a GradScaler's ``get_scale()``. Errors are
                divided by it; where it is not 1 and they overflowed, the step is skipped, as the scaler does.

        Raises:
            InputError: a scale that is no finite number > 0.
        """
        check_number("scale", scale, minimum=0.0, open_minimum=True)
        if not self._received:
            return
        x, error = (torch.cat(parts) for parts in zip(*self._received, strict=True))
        self.zero_grad()
        if scale != 1:
            error = error / scale
            if not error.isfinite().all():
                return
        self.steps += 1
        beta1 = self.options["betas"][0]
        first, second = corrections(self.options, self.steps)
        pace = self.lr / first
        if self.options["adaptive"]:
            square = (error * self._product(x, x, error)).sum(0).clamp_(min=0)  # E_ω G², but for rounding
            square = square.mean().expand_as(square) if self.options["sharing"] == "layer" else square
            v = accumulate_(self._second_moment, square, self.options)
            pace = (pace * second) / (v.sqrt() + self.options["eps"] * second)
        if self.options["weight_decay"]:
            self.coefficients.mul_(1 - self.lr * self.options["weight_decay"])
        self._append(x)
        self._window.append(len(x))
        self._momentum = torch.cat([self._momentum.mul_(beta1), (1 - beta1) * error])
        moving = self.coefficients[self._rows - len(self._momentum) :]
        moving.addcmul_(self._momentum, torch.as_tensor(pace, dtype=x.dtype, device=x.device), value=-1)
        # momentum below rounding is dropped: the coefficients of that step are final
        if beta1 ** len(self._window) <= torch.finfo(x.dtype).eps:
            self._momentum = self._momentum[self._window.pop(0) :]

    def _append(self, x: Tensor) -> None:
        rows = self._rows + len(x)
        if rows > len(self._inputs):
            room = max(rows, math.ceil(1.5 * self._rows))
            for name in ("_inputs", "_coefficients"):
                old = getattr(self, name)
                grown = old.new_zeros(room, old.shape[1])
                grown[: self._rows] = old[: self._rows]
                setattr(self, name, grown)
        self._inputs[self._rows : rows] = x
        self._rows = rows

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the errors received since the last step; forward passes whose backward is to come still count."""
        super().zero_grad(set_to_none)
        self._received.clear()

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        state = {
            "inputs": self.inputs,
            "coefficients": self.coefficients,
            "momentum": self._momentum,
            "window": torch.tensor(self._window, dtype=torch.int64),
            "second_moment": self._second_moment,
            "steps": torch.tensor(self.steps),
            "lr": torch.tensor(self.lr, dtype=torch.float64),
        }
        super()._save_to_state_dict(destination, prefix, keep_vars)
        # copies: later steps write into the buffers, and a view would be stored with all the room to grow
        destination.update({prefix + name: value.detach().clone() for name, value in state.items()})

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        found = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
        self._check_settings(prefix, local_metadata)
        missing = [name for name in _STATE if name not in found]
        missing_keys.extend(prefix + name for name in missing)
        unexpected_keys.extend(prefix + name for name in found if name not in _STATE and strict)
        if missing:
            return
        sizes = found["inputs"].shape[1], found["coefficients"].shape[1]
        if sizes != (self.in_features, self.out_features):
            error_msgs.append(
                f"{prefix}inputs, {prefix}coefficients have {sizes[0]}, {sizes[1]} columns: expected "
                f"{self.in_features}, {self.out_features}"
            )
            return
        for name in ("inputs", "coefficients", "momentum", "second_moment"):
            setattr(self, f"_{name}", found[name].to(getattr(self, f"_{name}"), copy=True))
        self._rows, self._window = len(self._inputs), found["window"].tolist()
        self.steps, self.lr = int(found["steps"]), float(found["lr"])
        self._received.clear()

    def settings(self) -> dict[str, Any]:
        """Return what the state must have been made with."""
        return {"activation": self.activation, "bias": self.bias, "optimizer": self.optimizer, **self.options}

    def extra_repr(self) -> str:
        """Return sizes and settings, for print."""
        return (
            f"{self.in_features}, {self.out_features}, activation={self.activation!r}, bias={self.bias}, "
            f"optimizer={self.optimizer!r}, lr={self.lr:g}, examples={self._rows}"
        )


def _options(name: str, *, lr: float, betas: Any, eps: float, weight_decay: float | None) -> dict[str, Any]:
    defaults = {
        "betas": (0.9, 0.999),
        "weight_decay": 0.0,
        "sharing": "features",
        "adaptive": True,
        "accumulate": "average",
        "bias_correction": True,
    }
    options = defaults | find_options(name) | {"lr": lr, "eps": eps}
    options |= {} if betas is None else {"betas": betas}
    options |= {} if weight_decay is None else {"weight_decay": weight_decay}
    check_options(options)
    del options["lr"]  # the block's own, which may change
    if options["adaptive"] and options["sharing"] == "none":
        raise InputError(
            f"optimizer = {name!r}: it divides each feature by a second moment of its own and so has no kernel limit; "
            "expected one that shares it, e.g. 'adam_star'"
        )
    return options
