"""Second-order exponential time differencing (ETD2RK, Cox & Matthews 2002) for the gradient flow (7).

Decay of w and W and the pull towards the anchor are linear and integrated exactly, so a strong elastic
coupling costs no extra steps. The rest is stepped at a fraction of its stability limit, each network at its
own pace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from infwidth.networks.two_layer.ensemble import Batch, Response, keep_freed_memory, probe_vector, respond
from infwidth.numerics.activations import Activation
from infwidth.numerics.progress import Progress
from infwidth.numerics.status import Status

DEFAULT_SAFETY = 0.4
"""Step as a fraction of the explicit stability limit 2/rate; measured: losses within .3 % of the fine limit."""
MAX_HALVINGS = 12
"""Halvings of one step after which a network is given up as diverged (a factor 4096)."""
PROBE_INTERVAL = 4
"""Steps between refreshes of the curvature; each costs half an evaluation."""
RISE = 1e-3
"""Rise of the objective, in units of ½Σy², that rejects a step: below it lies the chatter of ReLU kinks."""


@dataclass(frozen=True)
class FlowBatch(Batch):
    """K networks on their way along the flow (7).

    Attributes:
        readout: w, (K, N).
        hidden: W in coordinates of the training span, (K, N, r).
        anchor: W̄ likewise, (K, N, r); None where nothing pulls.
        inputs: x/√D likewise, (K, P, r).
        labels: y, (K, P).
        strength: γ, (K,).
        readout_decay: λ_w, (K,).
        hidden_decay: L = λ_W + δ, (K,); inf freezes W at the anchor.
        pull: δ/L, (K,); 1 at δ = inf.
    """

    readout: Tensor
    hidden: Tensor
    anchor: Tensor | None
    inputs: Tensor
    labels: Tensor
    strength: Tensor
    readout_decay: Tensor
    hidden_decay: Tensor
    pull: Tensor


@dataclass(frozen=True)
class FlowOutcome:
    """How K networks' integration ended.

    Attributes:
        status: converged or diverged, K of them.
        steps: steps tried, (K,).
        residual: largest rms difference, over a network's steps, between the first- and second-order f on the
            training set, relative to rms y, (K,).
    """

    status: tuple[Status, ...]
    steps: Tensor
    residual: Tensor


def decay_factor(rate: Tensor, time: Tensor) -> Tensor:
    """Return e^{−rate·time}, 0 at rate = inf whatever the time."""
    finite = torch.isfinite(rate)
    return torch.where(finite, torch.exp(-torch.where(finite, rate, 0.0) * time), 0.0)


def exponential_weights(rate: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return exact decay e^{−z} and ETD2RK weights h(1 − e^{−z})/z, h(e^{−z} − 1 + z)/z² with z = rate·h.

    Both weights are 0 at rate = inf.
    """
    finite = torch.isfinite(rate)
    z = torch.where(finite, rate, 0.0) * step
    safe = z.clamp(min=torch.finfo(z.dtype).tiny)
    first = -torch.expm1(-safe) / safe
    series = (1 - z / 3 * (1 - z / 4 * (1 - z / 5 * (1 - z / 6 * (1 - z / 7))))) / 2
    second = torch.where(z < 0.05, series, (1 - first) / safe)  # below, the closed form cancels
    moving = finite * step
    return finite * torch.exp(-z), moving * first, moving * second


def _per_row(value: Tensor) -> Tensor:
    return value[:, None]


def _per_matrix(value: Tensor) -> Tensor:
    return value[:, None, None]


class _Flow:
    """The right side of (7), its objective and one ETD2RK step, for the networks of a batch."""

    def __init__(self, activation: Activation):
        self.activation = activation

    def respond(self, batch: FlowBatch, vector: Tensor | None = None) -> Response:
        # A frozen hidden layer (L = inf) takes no part in the curvature.
        moving = torch.isfinite(batch.hidden_decay).to(batch.strength.dtype)
        probe = None if vector is None else (vector, torch.ones_like(moving), moving)
        answer = respond(
            batch.readout, batch.hidden, batch.inputs, batch.labels, batch.strength, self.activation, probe
        )
        return answer._replace(slope=answer.slope * batch.strength * moving)

    def objective(self, batch: FlowBatch, response: Response) -> Tensor:
        """½Σ(f−y)² + (λ_w|w|² + L|W − δW̄/L|²)/(2γ²N): the regularised loss up to a constant."""
        fit = (response.output - batch.labels).square().sum(1) / 2
        rest = batch.hidden if batch.anchor is None else batch.hidden - _per_matrix(batch.pull) * batch.anchor
        stiffness = torch.where(torch.isfinite(batch.hidden_decay), batch.hidden_decay, 0.0)
        weights = batch.readout_decay * batch.readout.square().sum(1) + stiffness * rest.square().sum((1, 2))
        return fit + weights / (2 * batch.strength**2 * batch.readout.shape[1])

    def step(self, batch: FlowBatch, first: Response, h: Tensor) -> tuple[FlowBatch, Tensor]:
        """Return the batch after time h (K,), and the first-order output there (K, P)."""
        rates = torch.stack([batch.readout_decay, batch.hidden_decay])
        (decay, hidden_decay), (once, hidden_once), (twice, hidden_twice) = exponential_weights(rates, h)
        readout = _per_row(decay) * batch.readout + _per_row(once * batch.strength) * first.readout_force
        hidden = _per_matrix(hidden_decay) * batch.hidden
        hidden.addcmul_(_per_matrix(hidden_once * batch.strength), first.hidden_force)
        if batch.anchor is not None:
            hidden.addcmul_(_per_matrix((1 - hidden_decay) * batch.pull), batch.anchor)
        predictor = replace(batch, readout=readout, hidden=hidden)
        second = self.respond(predictor)
        readout = readout + _per_row(twice * batch.strength) * (second.readout_force - first.readout_force)
        hidden = hidden + _per_matrix(hidden_twice * batch.strength) * (second.hidden_force - first.hidden_force)
        return replace(batch, readout=readout, hidden=hidden), second.output


@torch.inference_mode()
def integrate(
    batch: FlowBatch,
    times: Tensor,
    record: Callable[[int, int, Tensor, Tensor, Tensor], None],
    *,
    activation: Activation,
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
) -> FlowOutcome:
    """Integrate K networks along (7) and record each at every time.

    Args:
        batch: the networks at time 0.
        times: times at which to record, increasing from ≥ 0, (T,).
        record: called as record(network, time index, readout (N,), hidden (N, r), training output (P,)) when
            a network reaches a time; never for a time it does not reach.
        activation: φ.
        safety: step as a fraction of the explicit stability limit 2/(λ_max(K) + s), where
            K = Φ + E[w²φ'φ'ᵀ]∘C is the tangent kernel and s = γ max_i|Σ_μ Δ_μ φ'(h_iμ) x_μ|/√D the rate at
            which neurons grow: together they bound the Hessian's spectrum.
        progress: called with the fraction of time integrated, 0 … 1.

    Returns:
        Statuses, steps and residuals. The objective never rises along the exact flow: a step that lifts it is
        rejected and halved; after MAX_HALVINGS of them, or at a step too short to move time, the network has
        diverged.
    """
    total, like = len(batch.strength), batch.strength
    keep_freed_memory()
    times = times.to(like)
    flow = _Flow(activation)
    scale = batch.labels.square().sum(1).clamp(min=torch.finfo(like.dtype).tiny)
    steps = torch.zeros(total, dtype=torch.long, device=like.device)
    residual = torch.zeros_like(like)
    failed = torch.zeros(total, dtype=torch.bool, device=like.device)

    # Everything below is per active network; `label` maps them to rows of the outcome.
    label = torch.arange(total, device=like.device)
    goal = torch.zeros_like(label)  # index of the next time to record
    now, fraction = torch.zeros_like(like), torch.ones_like(like)
    halvings = torch.zeros_like(label)
    vector = probe_vector(batch.inputs).contiguous()
    for _ in range(12):
        response = flow.respond(batch, vector)
        curvature = torch.linalg.vector_norm(response.probe, dim=1)
        vector = response.probe / _per_row(curvature.clamp(min=torch.finfo(like.dtype).tiny))
    objective = flow.objective(batch, response)
    bad = ~torch.isfinite(objective)
    iteration = 0
    while True:
        reached = ~bad & (now >= times[goal])
        if reached.any():
            for k in reached.nonzero()[:, 0].tolist():
                record(int(label[k]), int(goal[k]), batch.readout[k], batch.hidden[k], response.output[k])
            goal = goal + reached.long()
        failed[label[bad]] = True
        active = ~bad & (goal < len(times))
        if progress is not None and iteration % 50 == 0:
            missing = ((times[-1] - now) * active).sum() / times[-1].clamp(min=torch.finfo(like.dtype).tiny)
            progress(1.0 - float(missing) / total)
        if not active.all():
            if not active.any():
                break
            keep = active.nonzero()[:, 0]
            batch, label, goal, now, fraction = (
                batch.select(keep),
                label[keep],
                goal[keep],
                now[keep],
                fraction[keep],
            )
            response = Response(*(value if value is None else value[keep] for value in response))
            halvings, vector, curvature = halvings[keep], vector[keep], curvature[keep]
            objective, scale, bad = objective[keep], scale[keep], bad[keep]
            continue  # a network may have several equal times to record

        limit = 2 / (curvature + response.slope).clamp(min=torch.finfo(like.dtype).tiny)
        left = times[goal] - now
        h = left / (left / (fraction * safety * limit)).ceil().clamp(min=1)
        last = h >= left
        trial, first_order = flow.step(batch, response, h)
        iteration += 1
        probing = iteration % PROBE_INTERVAL == 0
        answer = flow.respond(trial, vector if probing else None)
        level = flow.objective(trial, answer)
        slack = RISE * scale / 2 + 100 * torch.finfo(like.dtype).eps * objective
        good = torch.isfinite(level) & (level <= objective + slack)
        gap = ((answer.output - first_order).square().sum(1) / scale).sqrt()
        residual[label] = torch.where(good, torch.maximum(residual[label], gap), residual[label])
        steps[label] += 1
        if probing:
            norm = torch.linalg.vector_norm(answer.probe, dim=1)
            useful = good & (norm > 0)
            curvature = torch.where(useful, norm, curvature)
            vector = torch.where(_per_row(useful), answer.probe / _per_row(norm), vector)
        if good.all():
            batch, response, objective = trial, answer, level
        else:
            batch = replace(
                batch,
                readout=torch.where(_per_row(good), trial.readout, batch.readout),
                hidden=torch.where(_per_matrix(good), trial.hidden, batch.hidden),
            )
            response = Response(
                *(
                    None if new is None or old is None else torch.where(good.view(-1, *[1] * (new.ndim - 1)), new, old)
                    for new, old in zip(answer, response, strict=True)
                )
            )
            objective = torch.where(good, level, objective)
        stuck = good & ~last & (now + h <= now)  # rates beyond the range of numbers: time would stand still
        now = torch.where(good, torch.where(last, times[goal], now + h), now)
        halvings = torch.where(good, 0, halvings + 1)
        fraction = torch.where(good, (fraction * 2**0.25).clamp(max=1.0), fraction / 2)
        bad = (halvings > MAX_HALVINGS) | stuck
    if progress is not None:
        progress(1.0)
    status = tuple(Status.DIVERGED if bad else Status.CONVERGED for bad in failed.tolist())
    return FlowOutcome(status, steps, residual)
