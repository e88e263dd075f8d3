"""Second-order exponential time differencing (ETD2RK, Cox & Matthews 2002) for the gradient flow (7).

Decay of w and W and the pull towards the anchor are linear and integrated exactly, so a strong elastic
coupling costs no extra steps. The rest is stepped at a fraction of its stability limit, each network at its
own pace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from infwidth.networks.two_layer.ensemble import probe_vector
from infwidth.networks.two_layer.model import Evaluator, Response
from infwidth.networks.two_layer.scale import MOST_STEPS, REMEDY
from infwidth.numerics.activations import Activation
from infwidth.numerics.batching import Batch, take
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.progress import Foresight, Progress
from infwidth.numerics.status import Status

DEFAULT_SAFETY = 0.4
"""Step as a fraction of the explicit stability limit 2/rate; measured: losses within .3 % of the fine limit."""
MAX_HALVINGS = 12
"""Halvings of one step after which a network is given up as diverged (a factor 4096)."""
PROBE_INTERVAL = 4
"""Steps between refreshes of the curvature; each costs half an evaluation."""
POWER_ITERATIONS = 12
"""Products with the tangent kernel before the first step, for its largest eigenvalue."""
SHORTEST = 1 / MOST_STEPS
"""Step, as a fraction of the whole time, below which a network is given up as diverged."""
RISE = 1e-3
"""Rise of the objective, in units of ½Σy², that rejects a step: below it lies the chatter of ReLU kinks."""
LARGEST_RESIDUAL = 10.0
"""Error of one step, in units of the labels, beyond which nothing was resolved."""

Record = Callable[[int, int, Tensor, Tensor, Tensor], None]


@dataclass(frozen=True)
class FlowBatch(Batch):
    """K networks on their way along the flow (7).

    Attributes:
        readout: w, (K, N).
        hidden: W in coordinates of the training span, (K, r, N).
        anchor_weights: W̄ likewise, (K, r, N); None where nothing pulls.
        inputs: x/√D likewise, (K, P, r).
        labels: y, (K, P).
        strength: γ, (K,).
        readout_decay: λ_w, (K,).
        stiffness: L = λ_W + δ, (K,); inf freezes W at the anchor.
        pull: δ/L, (K,); 1 at δ = inf.
    """

    readout: Tensor
    hidden: Tensor
    anchor_weights: Tensor | None
    inputs: Tensor
    labels: Tensor
    strength: Tensor
    readout_decay: Tensor
    stiffness: Tensor
    pull: Tensor


@dataclass(frozen=True)
class FlowOutcome:
    """How K networks' integration ended.

    Attributes:
        status: converged, stalled (steps that resolve nothing) or diverged, K of them.
        steps: steps tried, (K,).
        residual: largest rms difference, over a network's steps, between the first- and second-order f on the
            training set, relative to rms y (as it is where y = 0); at least the rounding that f(0) = 0 shows, (K,).
    """

    status: tuple[Status, ...]
    steps: Tensor
    residual: Tensor


def decay_factor(rate: Tensor, time: Tensor) -> Tensor:
    """Return e^{−rate·time}, 0 at rate = inf whatever the time."""
    finite = torch.isfinite(rate)
    return torch.where(finite, torch.exp(-torch.where(finite, rate, 0.0) * time), 0.0)


def exponential_weights(rate: Tensor, step_size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return exact decay e^{−z} and ETD2RK weights h(1 − e^{−z})/z, h(e^{−z} − 1 + z)/z² with z = rate·h.

    Both weights are 0 at rate = inf.
    """
    finite = torch.isfinite(rate)
    z = torch.where(finite, rate, 0.0) * step_size
    safe = z.clamp(min=torch.finfo(z.dtype).tiny)
    first = -torch.expm1(-safe) / safe
    series = (1 - z / 3 * (1 - z / 4 * (1 - z / 5 * (1 - z / 6 * (1 - z / 7))))) / 2
    second = torch.where(z < 0.05, series, (1 - first) / safe)  # below, the closed form cancels
    moving = finite * step_size
    return finite * torch.exp(-z), moving * first, moving * second


def _per_row(value: Tensor) -> Tensor:
    return value[:, None]


def _per_matrix(value: Tensor) -> Tensor:
    return value[:, None, None]


def _tiny(like: Tensor) -> float:
    return torch.finfo(like.dtype).tiny


class _Flow:
    """The right side of (7), its objective and one ETD2RK step, for the networks of a batch."""

    def __init__(self, activation: Activation):
        self.evaluator = Evaluator(activation)

    def respond(self, networks: FlowBatch) -> Response:
        return self.evaluator.respond(
            networks.readout, networks.hidden, networks.inputs, networks.labels, networks.strength
        )

    def growth(self, networks: FlowBatch, response: Response) -> Tensor:
        """The rate at which neurons grow, (K,): 0 where the hidden layer is frozen (L = inf)."""
        return response.steepest * networks.strength * torch.isfinite(networks.stiffness)

    def probe(self, networks: FlowBatch, vector: Tensor) -> Tensor:
        """The curvature of what moves, times a vector, at the batch evaluated last."""
        moving = torch.isfinite(networks.stiffness).to(networks.strength)
        return self.evaluator.probe(vector, (torch.ones_like(moving), moving), networks.readout, networks.inputs)

    def objective(self, networks: FlowBatch, response: Response) -> Tensor:
        """½Σ(f−y)² + (λ_w|w|² + L|W − δW̄/L|²)/(2γ²N): the regularised loss up to a constant."""
        fit = (response.output - networks.labels).square().sum(1) / 2
        rest = networks.hidden
        if networks.anchor_weights is not None:
            rest = torch.addcmul(rest, networks.anchor_weights, _per_matrix(networks.pull), value=-1)
        finite = torch.where(torch.isfinite(networks.stiffness), networks.stiffness, 0.0)
        size = torch.linalg.vector_norm(rest.flatten(1), dim=1).square()
        weights = networks.readout_decay * networks.readout.square().sum(1) + finite * size
        return fit + weights / (2 * networks.strength**2 * networks.readout.shape[1])

    def step(self, networks: FlowBatch, first: Response, h: Tensor) -> tuple[FlowBatch, Tensor]:
        """Return the batch after time h (K,), and the first-order output there (K, P)."""
        rates = torch.stack([networks.readout_decay, networks.stiffness])
        (decay, hidden_decay), (once, hidden_once), (twice, hidden_twice) = exponential_weights(rates, h)
        readout = _per_row(decay) * networks.readout + _per_row(once * networks.strength) * first.readout_force
        hidden = _per_matrix(hidden_decay) * networks.hidden
        hidden.addcmul_((_per_row(hidden_once * networks.strength) * networks.readout)[:, None], first.slopes)
        if networks.anchor_weights is not None:
            hidden.addcmul_(_per_matrix((1 - hidden_decay) * networks.pull), networks.anchor_weights)
        second = self.respond(replace(networks, readout=readout, hidden=hidden))
        # in place: the predictor has served; forces on W are w times slopes
        turn = _per_row(hidden_twice * networks.strength)
        hidden.addcmul_((turn * readout)[:, None], second.slopes)
        hidden.addcmul_((turn * networks.readout)[:, None], first.slopes, value=-1)
        readout = readout + _per_row(twice * networks.strength) * (second.readout_force - first.readout_force)
        return replace(networks, readout=readout, hidden=hidden), second.output


@dataclass
class _Course(Batch):
    """Networks under way; ``label`` maps them to rows of the outcome, ``goal`` is the next time to record."""

    networks: FlowBatch
    response: Response
    objective: Tensor
    scale: Tensor
    curvature: Tensor
    vector: Tensor
    label: Tensor
    goal: Tensor
    now: Tensor
    fraction: Tensor
    halvings: Tensor
    longest: Tensor
    bad: Tensor

    @classmethod
    def start(cls, networks: FlowBatch, flow: _Flow) -> _Course:
        """All networks at time 0, with the largest eigenvalue of their tangent kernels."""
        response, like = flow.respond(networks), networks.strength
        vector = probe_vector(networks.labels).contiguous()
        for _ in range(POWER_ITERATIONS):
            product = flow.probe(networks, vector)
            curvature = torch.linalg.vector_norm(product, dim=1)
            vector = product / _per_row(curvature.clamp(min=_tiny(like)))
        objective, size = flow.objective(networks, response), networks.labels.square().sum(1)
        label, zero = torch.arange(len(like), device=like.device), torch.zeros_like(like)
        return cls(
            networks, response, objective, torch.where(size > 0, size, networks.labels.shape[1]), curvature, vector,
            label, torch.zeros_like(label), zero, torch.ones_like(like), torch.zeros_like(label),
            torch.ones_like(like), ~torch.isfinite(objective),
        )  # fmt: skip

    def record(self, times: Tensor, record: Record) -> None:
        """Record the networks that have reached their next time."""
        reached = ~self.bad & (self.now >= times[self.goal])
        if reached.any():
            for k in reached.nonzero()[:, 0].tolist():
                weights = self.networks.readout[k], self.networks.hidden[k]
                record(int(self.label[k]), int(self.goal[k]), *weights, self.response.output[k])
            self.goal = self.goal + reached.long()

    def advance(self, flow: _Flow, times: Tensor, safety: float, probing: bool) -> Tensor:
        """Try a step and keep it where the objective does not rise; return its error f − f_first-order, (K,).

        The error is relative to the labels, and 0 for a step that is not kept.
        """
        limit = 2 / (self.curvature + flow.growth(self.networks, self.response)).clamp(min=_tiny(self.now))
        left = times[self.goal] - self.now
        longest = self.fraction * safety * limit
        h = left / (left / longest).ceil().clamp(min=1)
        last = h >= left
        trial, first_order = flow.step(self.networks, self.response, h)
        answer = flow.respond(trial)
        level = flow.objective(trial, answer)
        slack = RISE * self.scale / 2 + 100 * torch.finfo(h.dtype).eps * self.objective
        good = torch.isfinite(level) & (level <= self.objective + slack)
        gap = ((answer.output - first_order).square().sum(1) / self.scale).sqrt()
        if probing:
            # the same step from the same weights would end there again, up to the end
            at_rest = good & (self.fraction == 1) & self._unmoved(trial)
            last, h = last | at_rest, torch.where(at_rest, left, h)
            product = flow.probe(trial, self.vector)
            norm = torch.linalg.vector_norm(product, dim=1)
            useful = good & (norm > 0)
            self.curvature = torch.where(useful, norm, self.curvature)
            self.vector = torch.where(_per_row(useful), product / _per_row(norm), self.vector)
        self._keep(trial, answer, level, good)
        stuck = ~(longest >= SHORTEST * times[-1])  # rates out of all proportion: time would all but stand still
        self.now = torch.where(good, torch.where(last, times[self.goal], self.now + h), self.now)
        self.halvings = torch.where(good, 0, self.halvings + 1)
        self.fraction = torch.where(good, (self.fraction * 2**0.25).clamp(max=1.0), self.fraction / 2)
        self.bad = (self.halvings > MAX_HALVINGS) | stuck
        self.longest = longest
        return torch.where(good, gap, 0.0)

    def ahead(self, end: Tensor) -> float:
        """Steps to an end at the length of the last, of the network that needs most."""
        return float(torch.where(self.bad, 0.0, (end - self.now) / self.longest).max())

    def _unmoved(self, trial: FlowBatch) -> Tensor:
        """Whether a step changed no weight by a bit, (K,)."""
        pairs = ((getattr(trial, name), getattr(self.networks, name)) for name in ("readout", "hidden"))
        return torch.stack([(new == old).flatten(1).all(1) for new, old in pairs]).all(0)

    def _keep(self, trial: FlowBatch, answer: Response, level: Tensor, good: Tensor) -> None:
        """Go on from the trial where it is good."""
        if good.all():
            self.networks, self.response, self.objective = trial, answer, level
            return

        def chosen(new: Tensor, old: Tensor) -> Tensor:
            return torch.where(good.view(-1, *[1] * (new.ndim - 1)), new, old)

        weights = {name: chosen(getattr(trial, name), getattr(self.networks, name)) for name in ("readout", "hidden")}
        self.networks = replace(self.networks, **weights)
        self.response = Response(*map(chosen, answer, self.response))
        self.objective = torch.where(good, level, self.objective)


@efficient_loop()
@torch.inference_mode()
def integrate(
    networks: FlowBatch,
    times: Tensor,
    record: Record,
    *,
    activation: Activation,
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
) -> FlowOutcome:
    """Integrate K networks along (7) and record each at every time.

    Args:
        networks: the networks at time 0.
        times: times at which to record, increasing from ≥ 0, (T,).
        record: called as record(network, time index, readout (N,), hidden (r, N), training output (P,)) when
            a network reaches a time; never for a time it does not reach.
        activation: φ.
        safety: step as a fraction of the explicit stability limit 2/(λ_max(K) + s), where
            K = Φ + E[w²φ'φ'ᵀ]∘C is the tangent kernel and s = γ max_i|Σ_μ Δ_μ φ'(h_iμ) x_μ|/√D the rate at
            which neurons grow: together they bound the Hessian's spectrum.
        progress: called with the fraction of time integrated, 0 … 1.

    Returns:
        Statuses, steps and residuals. The objective never rises along the exact flow: a step that lifts it is
        rejected and halved; after MAX_HALVINGS of them, or at a step below SHORTEST of the time, the network has
        diverged. It has stalled if a step's error exceeded LARGEST_RESIDUAL labels, or was no number.
    """
    total, like = len(networks.strength), networks.strength
    times, flow = times.to(like), _Flow(activation)
    steps = torch.zeros(total, dtype=torch.long, device=like.device)
    failed = torch.zeros(total, dtype=torch.bool, device=like.device)
    course, iteration, foresight = _Course.start(networks, flow), 0, Foresight("gradient flow", REMEDY)
    residual = (course.response.output.square().sum(1) / course.scale).sqrt()  # f(0) is rounding
    while True:
        course.record(times, record)
        failed[course.label[course.bad]] = True
        active = ~course.bad & (course.goal < len(times))
        if progress is not None and iteration % 50 == 0:
            missing = ((times[-1] - course.now) * active).sum() / times[-1].clamp(min=_tiny(like))
            progress(1.0 - float(missing) / total)
        if not active.all():
            if not active.any():
                break
            course = take(course, active.nonzero()[:, 0])
            continue  # a network may have several equal times to record
        iteration += 1
        gap = course.advance(flow, times, safety, probing=iteration % PROBE_INTERVAL == 0)
        residual[course.label] = torch.maximum(residual[course.label], gap)
        steps[course.label] += 1
        foresight.look(iteration, partial(course.ahead, times[-1]))
    if progress is not None:
        progress(1.0)
    unresolved = ~(residual <= LARGEST_RESIDUAL)
    status = tuple(
        Status.DIVERGED if bad else Status.STALLED if rough else Status.CONVERGED
        for bad, rough in zip(failed.tolist(), unresolved.tolist(), strict=True)
    )
    return FlowOutcome(status, steps, residual)
