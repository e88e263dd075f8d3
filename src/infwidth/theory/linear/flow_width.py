"""What a linear flow's loss gains at finite width, to order 1/N: the scatter of initial moments, followed through both
trainings (docs/finite_width.md, eqs. (F7) and (F8)).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import numpy as np

from infwidth.numerics.seeds import generator
from infwidth.theory.linear.course import Training, late_time, target_course
from infwidth.theory.linear.fixed_points import anchored_fixed_point, free_fixed_point
from infwidth.theory.linear.moment_cloud import Cloud
from infwidth.theory.linear.moments import Moments
from infwidth.theory.problem import Designs, FlowProblem
from infwidth.theory.solution import FiniteWidth

DIRECTIONS = 24
"""Directions of hidden moments that are followed: a whole frame of them in up to 6 dimensions, else a random part."""
STEP = 0.01
"""Of second differences, in standard deviations of a network of one neuron."""
NEAR = 1e-3
"""Relative distance from the solution at which the limit followed here is another course."""


@dataclass(frozen=True)
class Frame:
    """Directions of one kind.

    Attributes:
        count: how many are followed.
        share: of all that there are.
        own: whether they are the target's own initial weights, not the source's.
    """

    count: int
    share: float
    own: bool


@dataclass(frozen=True)
class Scatter:
    """Networks of width N around their limit: along directions moments have independent coefficients of variance 1/N.

    Attributes:
        middle: N = ∞, one member.
        forward: off it by ``STEP`` along each direction, n members.
        backward: off it by −``STEP``.
        frames: the directions' kinds, in order.
    """

    middle: Cloud
    forward: Cloud
    backward: Cloud
    frames: tuple[Frame, ...]

    @classmethod
    def none(cls, middle: Cloud) -> Scatter:
        """The limit alone."""
        return cls(middle, middle[:0], middle[:0], ())

    def along(self, by: Cloud, *, share: float, own: bool) -> Scatter:
        """With further directions."""
        return Scatter(
            self.middle,
            Cloud.join(self.forward, self.middle.off(by, STEP)),
            Cloud.join(self.backward, self.middle.off(by, -STEP)),
            (*self.frames, Frame(len(by), share, own)),
        )

    @property
    def cloud(self) -> Cloud:
        """All members: the limit, forward, backward."""
        return Cloud.join(self.middle, self.forward, self.backward)

    def of(self, cloud: Cloud) -> Scatter:
        """What became of all members."""
        n = len(self.forward)
        return Scatter(cloud[:1], cloud[1 : n + 1], cloud[n + 1 :], self.frames)


def _readout(by: float, d: int) -> Cloud:
    """The direction of E w²."""
    return Cloud(np.full(1, by), np.zeros((1, d)), np.zeros((1, d, d)))


def _predictor(by: float, d: int, purpose: str) -> tuple[Cloud, float]:
    """Orthonormal directions of E wW, times a number, and the share of all that they are."""
    frame = _frame(d, purpose)
    return Cloud(np.zeros(len(frame)), by * frame, np.zeros((len(frame), d, d))), len(frame) / d


def _hidden(by: float, d: int, purpose: str, *, trace: float = 1.0) -> tuple[Cloud, float]:
    """Orthonormal symmetric directions of E WWᵀ, times a number, their trace times another; and their share of all."""
    rows, columns = np.triu_indices(d)
    frame = _frame(len(rows), purpose) * np.where(rows == columns, 1.0, math.sqrt(0.5))
    found = np.zeros((len(frame), d, d))
    found[:, rows, columns] = found[:, columns, rows] = frame
    kept = np.trace(found, axis1=1, axis2=2) / d
    found -= (1 - trace) * kept[:, None, None] * np.eye(d)
    return Cloud(np.zeros(len(frame)), np.zeros((len(frame), d)), by * found), len(frame) / len(rows)


def _frame(size: int, purpose: str) -> np.ndarray:
    """Orthonormal vectors (n, size): all of a basis, or ``DIRECTIONS`` at random where it has more."""
    if size <= DIRECTIONS:
        return np.eye(size)
    # one frame for all data sets of a size, so that an answer depends on its arguments alone
    return np.linalg.qr(generator(0, purpose).standard_normal((size, DIRECTIONS)))[0].T


@dataclass
class FlowExpansion:
    """Finds c of a flow's targets, with one source for all couplings.

    Where inputs don't span the space, one further coordinate stands for each direction off their span.

    Attributes:
        problem: the data and the training.
        designs: the data's inputs.
        known_sources: where source networks are kept once they are trained, which other targets of theirs may share.
    """

    problem: FlowProblem
    designs: Designs
    known_sources: list[Scatter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._courses: dict[float, np.ndarray] = {}

    @property
    def size(self) -> int:
        """d, coordinates followed."""
        return self.designs.target.shape[1] + (self.designs.basis is not None)

    def _training(self, inputs: np.ndarray, labels: np.ndarray, which: int) -> Training:
        padded = np.pad(inputs, ((0, 0), (0, self.size - inputs.shape[1])))
        decay = self.problem.decays[which]
        return Training.of(padded, labels, self.problem.strengths[which], decay, decay)

    @property
    def source(self) -> Scatter:
        """Source networks at the end of their training; N/2 pairs of neurons (w, W), (−w, W)."""
        if not self.known_sources:
            self.known_sources.append(self._train_source())
        return self.known_sources[0]

    def _train_source(self) -> Scatter:
        d, end = self.size, self.problem.source_time
        training = self._training(self.designs.source, self.problem.task.y_source, 0)
        if end > late_time(training):  # nothing is left of where it started
            rates = {"strength": training.strength, "readout_decay": training.readout_decay}
            last = free_fixed_point(training.design, training.labels, stiffness=training.hidden_decay, **rates)
            predictor = training.strength * last.weights
            return Scatter.none(Cloud(np.full(1, last.readout_moment), predictor[None], last.hidden_moment[None]))
        start = Scatter.none(Cloud(np.ones(1), np.zeros((1, d)), np.eye(d)[None]))
        start = start.along(_readout(2.0, d), share=1.0, own=False)
        directions, share = _hidden(2.0, d, "source hidden moments")
        start = start.along(directions, share=share, own=False)
        return start.of(start.cloud.follow(training, np.array([end]))[1])

    @functools.cached_property
    def start(self) -> Scatter:
        """Target networks at time 0: on the source's weights, turned ones or fresh ones, each with readouts ±w."""
        d, fresh = self.size, self.problem.readout == "fresh"
        if self.problem.origin == "scratch":
            found = Scatter.none(Cloud(np.ones(1), np.zeros((1, d)), np.eye(d)[None]))
            directions, share = _hidden(math.sqrt(2.0), d, "target hidden moments")
            found = found.along(directions, share=share, own=True)
        else:
            found = self._turned() if self.problem.origin == "random" else self.source
        if fresh:
            found = found.of(_with_fresh_readout(found.cloud))
            found = found.along(_readout(math.sqrt(2.0), d), share=1.0, own=True)
        return found

    def _turned(self) -> Scatter:
        """The source's weights turned at random, neuron by neuron: of each only the norm is left."""
        d, dimension, source = self.size, self.designs.dimension, self.source
        outside, left = dimension - d, math.exp(-2 * self.problem.decays[0] * self.problem.source_time)
        if outside:
            by = _hidden_outside(2.0 * left * math.sqrt(outside), d)
            source = source.along(by, share=1.0, own=False)
        cloud, square = source.cloud, np.square(source.middle.hidden_moment[0]).sum() + outside * left**2
        trace = np.trace(cloud.hidden_moment, axis1=1, axis2=2) + outside * left
        isotropic = (trace / dimension)[:, None, None] * np.eye(d)
        readout, predictor = cloud.readout_moment, cloud.predictor
        found = source.of(Cloud(readout, np.zeros_like(predictor), isotropic))
        # E|W|⁴ over (D(D + 2)): what directions' second moments vary by, a fixed trace in all D dimensions apart
        fourth = (trace[0] ** 2 + 2 * square) / (dimension * (dimension + 2))
        directions, share = _hidden(
            math.sqrt(2 * fourth), d, "turned hidden moments", trace=math.sqrt(1 - d / dimension)
        )
        found = found.along(directions, share=share, own=True)
        if self.problem.readout == "continued":
            both = readout[0] * trace[0] + 2 * float(predictor[0] @ predictor[0])  # E w²|W|²
            directions, share = _predictor(math.sqrt(both / dimension), d, "turned predictors")
            found = found.along(directions, share=share, own=True)
        return found

    def _course(self, elastic_coupling: float) -> np.ndarray:
        """Predictors v of all members, (T, m, d)."""
        if elastic_coupling not in self._courses:
            training = self._training(self.designs.target, self.problem.task.y_target, 1)
            cloud = self.start.cloud
            self._courses[elastic_coupling] = _weights(training, cloud, elastic_coupling, self.problem.times)
        return self._courses[elastic_coupling]

    def expand(self, elastic_coupling: float, limit_weights: np.ndarray, *, on_training: bool = False) -> FiniteWidth:
        """The coefficient c of one coupling.

        Args:
            elastic_coupling: δ.
            limit_weights: v at N = ∞ in the designs' basis, (T, r).
            on_training: whether the loss is taken on the target's training points.

        Returns:
            The coefficients, (T,) each; NaN where the limit is another than this.
        """
        task, designs = self.problem.task, self.designs
        points = (designs.target, task.x_target, task.y_target)
        inputs, full, labels = points if on_training else (designs.test, task.x_test, task.y_test)
        course = self._course(elastic_coupling)
        errors = limit_weights @ inputs.T - labels
        slope, losses = errors @ inputs / len(inputs), np.mean(errors**2, -1)
        metric = np.pad(inputs.T @ inputs / len(inputs), (0, self.size - inputs.shape[1]))
        if designs.basis is not None:  # the mean of |x|²/D off the basis
            metric[-1, -1] = max(float(np.mean(np.square(full))) - float(np.trace(metric)), 0.0)
        found = _collect(self.start, course, np.pad(slope, ((0, 0), (0, self.size - slope.shape[1]))), metric, losses)
        apart = np.linalg.norm(course[:, 0, : limit_weights.shape[1]] - limit_weights, axis=-1)
        known = apart <= NEAR * np.linalg.norm(limit_weights, axis=-1)
        return found if known.all() else _known(found, known)


def _hidden_outside(by: float, d: int) -> Cloud:
    """The direction of the trace of E WWᵀ over dimensions that are not followed, spread over those that are."""
    return Cloud(np.zeros(1), np.zeros((1, d)), by / d * np.eye(d)[None])


def _with_fresh_readout(cloud: Cloud) -> Cloud:
    return Cloud(np.ones(len(cloud)), np.zeros_like(cloud.predictor), cloud.hidden_moment)


def _weights(training: Training, cloud: Cloud, elastic_coupling: float, times: np.ndarray) -> np.ndarray:
    """Predictors v of all members at all times, (T, m, d)."""
    if math.isinf(elastic_coupling):
        members = zip(cloud.readout_moment, cloud.predictor, cloud.hidden_moment, strict=True)
        frozen = {"rtol": 1e-8, "max_evaluations": 1}  # of an integrator that is not needed
        courses = [target_course(training, Moments.continued(*one), math.inf, times, **frozen) for one in members]
        return np.stack([course.weights for course in courses], 1)
    followed = times[times <= late_time(training)]
    found = np.full((len(times), len(cloud), cloud.predictor.shape[1]), np.nan)
    if len(followed):
        found[: len(followed)], _ = cloud.follow(training, followed, elastic_coupling)
    if len(followed) < len(times):
        rates = {"elastic_coupling": elastic_coupling, **training.rates}
        for member, moment in enumerate(cloud.hidden_moment):
            end = anchored_fixed_point(training.design, training.labels, moment, **rates)
            found[len(followed) :, member] = end.weights
    return found


def _collect(
    scatter: Scatter, course: np.ndarray, slope: np.ndarray, metric: np.ndarray, losses: np.ndarray
) -> FiniteWidth:
    """The coefficients from all members' v, (T, m, d); eqs. (F7) and (F8)."""
    n = len(scatter.forward)
    limit, forward, backward = course[:, :1], course[:, 1 : n + 1], course[:, n + 1 :]
    first, second = (forward - backward) / (2 * STEP), (forward + backward - 2 * limit) / STEP**2
    own = np.repeat([frame.own for frame in scatter.frames], [frame.count for frame in scatter.frames]).astype(bool)
    scattered = np.einsum("tkd,de,tke->kt", first, metric, first)
    parts = {
        "mean": np.einsum("td,tkd->kt", slope, second),
        "thermal": np.where(own[:, None], scattered, 0.0),
        "source": np.where(own[:, None], 0.0, scattered),
        "square": (2 * np.einsum("td,tkd->kt", slope, first)) ** 2,
    }
    parts["total"] = parts["mean"] + scattered
    values, errors = {}, {}
    for name, part in parts.items():
        values[name], errors[name] = _summed(scatter.frames, part)
    values["spread"] = np.sqrt(values.pop("square"))
    errors["spread"] = errors.pop("square") / np.where(values["spread"] > 0, 2 * values["spread"], 1.0)
    values["one_percent"], errors["one_percent"] = (
        100 * np.abs(values["total"]) / losses,
        100 * errors["total"] / losses,
    )
    return FiniteWidth(**values, stderr=errors)


def _summed(frames: tuple[Frame, ...], parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over all directions of what some of them (n, T) give, and its standard error."""
    total, variance, first = np.zeros(parts.shape[1]), np.zeros(parts.shape[1]), 0
    for frame in frames:
        own = parts[first : first + frame.count] / frame.share
        first += frame.count
        total += own.sum(0)
        if frame.share < 1:
            variance += own.var(0, ddof=1) * frame.count * (1 - frame.share)
    return total, np.sqrt(variance)


def _known(found: FiniteWidth, known: np.ndarray) -> FiniteWidth:
    """The coefficients where they are known."""
    names = ("mean", "thermal", "source", "total", "one_percent", "spread")
    masked = {name: np.where(known, getattr(found, name), np.nan) for name in names}
    return FiniteWidth(**masked, stderr={name: np.where(known, found.stderr[name], np.nan) for name in names})
