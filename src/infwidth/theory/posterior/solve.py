"""Target posteriors of one transfer task by populations of particles, all couplings on one source population."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_count
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.posterior.anchor import SourceChain, control_variate
from infwidth.theory.posterior.answer import Certificate, answer
from infwidth.theory.posterior.coordinates import Coordinates
from infwidth.theory.posterior.cross_validation import leave_folds_out
from infwidth.theory.posterior.evidence import log_evidence_density
from infwidth.theory.posterior.particles import Layer, Population
from infwidth.theory.posterior.saddle import Saddle, descend
from infwidth.theory.posterior.windows import BLOCKS, observe_windows

DEFAULT_PARTICLES = 8000
STIFF = 1.0
"""From this δ/λ on the noise of an average comes from the source's particles: two target particles on each, below
eight. Averages over fresh draws of the source's would be cheaper still but need 20 or more moves each to forget the
last draw: with three moves erf networks at δ = 1 are 8 % off."""
SWEEPS = 20
"""Measurements at the final dual vector."""
CAREFUL = {"trust": 0.02, "moves": 4}
"""How a saddle point is solved again whose averages drift: where neurons pass slowly between modes (rich erf networks
on images) particles lag behind g, and what they leave grows from sweep to sweep."""
SHOWN = 4
"""Sweeps from one population shown to an observer to the next."""
Observer = Callable[[int, int | None, int | None, Tensor], None]


def solve_population(
    task: TransferTask,
    *,
    activation: str,
    strengths: tuple[float, float],
    couplings: Sequence[float],
    inverse_temperatures: tuple[float, float],
    precision: float,
    particles: int | None,
    seed: int,
    device: str,
    max_iterations: int,
    evidence: bool = True,
    folds: tuple[np.ndarray, int] | None = None,
    observe: Observer | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[dict]:
    """Solve the source once and the target at every coupling.

    Args:
        task: the data.
        activation: φ of growth ≤ 1.
        strengths: γ̄ and γ.
        couplings: δ ≥ 0, inf allowed.
        inverse_temperatures: β of source and target.
        precision: λ of all weights.
        particles: S, a multiple of 16 × 8; None takes 8,000 (rounded up). A target with δ > 0 has 2S.
        seed: of the particles; a coupling depends on it and on its own value alone.
        device: where particles live.
        max_iterations: steps allowed a homotopy.
        evidence: whether to measure the log-evidence.
        folds: the fold of each target sample, (P2,), and how many folds to solve again.
        observe: see ``bayes.solve``.
        progress: called with the fraction of couplings done.

    Returns:
        The fields of BayesSolution for each coupling.

    Raises:
        InputError: particles or seed out of range, or the device is not there.
    """
    unit = BLOCKS * 8
    count = DEFAULT_PARTICLES if particles is None else check_count("particles", particles, minimum=unit)
    count = unit * math.ceil(count / unit)
    check_count("seed", seed, minimum=0)
    try:
        like = torch.zeros((), dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device = {device!r}: expected one torch can use ({reason}); pass 'cpu'") from error
    where = Coordinates.of(task, like.float())
    labels = [torch.tensor(y).to(like) for y in (task.y_source, task.y_target, task.y_test)]
    phi = get_activation(activation)

    def stream(*purpose: int | float | str) -> torch.Generator:
        return torch.Generator(device).manual_seed(derive_seed(seed, *map(str, purpose)))

    if progress is not None:
        progress(0.0)
    source = None
    points = []
    for index, coupling in enumerate(couplings):
        if coupling > 0 and source is None:
            source = _Source(where, labels[0], phi, strengths[0], inverse_temperatures[0], precision, count)
            source.solve(stream("source"), stream("source certificate"), max_iterations)
            if observe is not None and source.saddle.status is Status.CONVERGED:
                chain = source.chain(stream("source shown"))
                shots = [chain.advance() @ where.source.T for _ in range(SWEEPS // SHOWN)]
                _show(observe, None, None, shots)
        points.append(
            _solve_target(
                source if coupling > 0 else None,
                (where.target, labels[1], where.test, labels[2], where.outside),
                phi,
                strengths[1],
                inverse_temperatures[1],
                precision,
                coupling,
                count,
                stream("target", coupling),
                max_iterations,
                evidence,
                folds and (*folds, stream("folds", coupling)),
                observe and partial(_show, observe, index, 0),
            )
        )
        if progress is not None:
            progress((index + 1) / len(couplings))
    return points


def _show(observe: Observer, coupling: int | None, time: int | None, shots: list[Tensor]) -> None:
    """Hand an observer what was seen of a population, block by block."""
    for block, parts in enumerate(zip(*(shot.chunk(BLOCKS) for shot in shots), strict=True)):
        observe(block, coupling, time, torch.cat(parts))


class _Source:
    """The source's population at its solution; it can be moved on for fresh draws of W̄."""

    def __init__(self, where, labels, phi, strength, beta, precision, count):
        self.where, self.layer = where, Layer(where.source, phi, strength**2 / precision, precision)
        self.labels, self.strength, self.beta, self.precision, self.count = labels, strength, beta, precision, count

    def solve(self, generator: torch.Generator, checking: torch.Generator, max_iterations: int) -> None:
        """Solve, and once more with care where the certificate does not hold; ``settled`` says whether it does."""
        origin = self.layer.inputs.new_zeros(1, self.layer.inputs.shape[1])
        for schedule in ({}, CAREFUL):
            self.population = Population.prior(origin, self.count, self.count, self.precision, generator)
            self.saddle = descend(
                self.layer,
                self.population,
                self.labels,
                strength=self.strength,
                inverse_temperature=self.beta,
                readout_precision=self.precision,
                max_iterations=max_iterations,
                **schedule,
            )
            self.settled = self.saddle.status is Status.CONVERGED and self._holds(checking)
            if self.settled or self.saddle.status is not Status.CONVERGED:
                break

    def _holds(self, generator: torch.Generator) -> bool:
        """Whether g still is the solution when the particles have moved on from where it was fitted to them."""
        copy = self.chain(generator).population
        scales = {"strength": self.strength, "inverse_temperature": self.beta}
        for _ in range(SWEEPS):
            copy.move(self.layer, self.saddle.dual)
        nowhere = self.layer.inputs[:0], self.layer.inputs.new_zeros(0)
        windows = observe_windows(
            copy,
            self.layer,
            self.saddle.dual,
            self.labels,
            nowhere,
            lambda _: copy.move(self.layer, self.saddle.dual),
            sweeps=SWEEPS,
            readout_precision=self.precision,
            **scales,
        )
        return Certificate.of(windows, self.saddle.dual, self.labels, **scales).closed

    def chain(self, generator: torch.Generator) -> SourceChain:
        """A copy of the particles to draw W̄ from."""
        return SourceChain(self.population, self.layer, self.saddle.dual, self.where, self.precision, generator)


def _solve_target(
    source, data, phi, strength, beta, precision, coupling, count, generator, max_iterations, evidence, folds, show
) -> dict:
    """One coupling's fields."""
    inputs, labels, test_inputs, test_labels, outside = data
    scales = {"strength": strength, "inverse_temperature": beta, "readout_precision": precision}
    stiffness, frozen = precision + coupling, math.isinf(coupling)
    pull = 1.0 if frozen else coupling / stiffness
    layer = Layer(inputs, phi, strength**2 / precision, stiffness)
    spread = outside * math.sqrt((0.0 if frozen else 1 / stiffness) + pull**2 / precision)
    if source is not None and source.saddle.status is not Status.CONVERGED:
        return _failed(source.saddle, len(labels), len(test_labels))
    chain = None if source is None else source.chain(generator)
    iterations = 0
    for schedule in ({}, CAREFUL):
        if frozen:
            population, saddle = _frozen(chain, layer, labels, beta, precision, count, generator)
        else:
            population, anchors = _prior(chain, inputs, count, coupling, precision, generator)
            saddle = descend(layer, population, labels, max_iterations=max_iterations, **scales, **schedule)
        iterations += saddle.iterations
        if saddle.status is not Status.CONVERGED:
            return _failed(saddle, len(labels), len(test_labels)) | {"iterations": iterations}
        shots = []

        def advance(sweep: int, population=population, saddle=saddle, shots=shots) -> None:
            if frozen:
                population.hidden = chain.draw()
            else:
                population.move(layer, saddle.dual)
            if show and sweep % SHOWN == 0:
                shots.append(population.hidden @ inputs.T)

        windows = observe_windows(
            population,
            layer,
            saddle.dual,
            labels,
            (test_inputs, spread),
            advance,
            sweeps=SWEEPS,
            frozen=frozen,
            **scales,
        )
        judged = {"strength": strength, "inverse_temperature": beta}
        if frozen or Certificate.of(windows, saddle.dual, labels, **judged).closed:
            break
    if show:
        show(shots)
    margin = saddle.margin if source is None else min(source.saddle.margin, saddle.margin)
    if source is not None and not frozen:
        shifts = control_variate(
            chain,
            anchors,
            pull,
            layer,
            saddle.dual,
            precision * windows.fits.mean(0),
            (test_inputs, spread),
            generator,
        )
        windows.correction += shifts[0] / precision
        windows.tests += shifts[1] / precision
    found = answer(windows, saddle.dual, labels, test_labels, **scales)
    if source is not None and not source.settled:
        found["status"] = Status.UNMIXED
    left_out = None
    if folds is not None:
        left_out = leave_folds_out(population, layer, saddle.dual, windows, labels, *folds, frozen=frozen, **scales)
    value, error = math.nan, math.nan
    if evidence:  # last, as it takes the particles back to their prior
        value, error = log_evidence_density(population, layer, saddle.dual, labels, frozen=frozen, **scales)
    found["stderr"]["log_evidence_density"] = error
    return found | {
        "folds": left_out,
        "domain_margin": margin,
        "iterations": iterations,
        "weights": None,
        "log_evidence_density": value,
    }


def _frozen(chain, layer, labels, beta, precision, count, generator) -> tuple[Population, Saddle]:
    """δ = ∞: the source's own particles, and ridge regression on their kernel."""
    population = Population(chain.draw(), layer.inputs.new_zeros(1, 1), 1, generator)
    kernel = 0.0
    for _ in range(SWEEPS):
        features = layer.features(chain.draw())
        kernel = kernel + (features.T @ features).double() / (SWEEPS * count)
    noisy = kernel / precision + torch.eye(len(labels)).to(labels) / beta
    return population, Saddle(torch.linalg.solve(noisy, labels), kernel / precision, 1.0, 1, Status.CONVERGED)


def _prior(chain, inputs, count, coupling, precision, generator) -> tuple[Population, Tensor | None]:
    """Particles before they see the target, around draws W̄ of the source where there is one; and these draws."""
    stiffness = precision + coupling
    if chain is None:
        return Population.prior(inputs.new_zeros(1, inputs.shape[1]), count, count, stiffness, generator), None
    replicas, total = 8 if coupling < STIFF * precision else 2, 2 * count
    # Every k-th particle, so that blocks of groups come from blocks of the source.
    anchors = chain.draw()[:: count * replicas // total].clone()
    centre = coupling / stiffness * anchors.repeat_interleave(replicas, 0)
    return Population.prior(centre, total, replicas, stiffness, generator), anchors


def _failed(saddle: Saddle, size: int, points: int) -> dict:
    """Fields of a point that was not reached: no number is to be trusted, so there is none."""
    missing = {"prediction": np.full(points, np.nan), "kernel": np.full((size, size), np.nan)}
    losses = dict.fromkeys(("train_loss", "test_loss", "leave_one_out", "residual", "log_evidence_density"), math.nan)
    return {
        **missing,
        **losses,
        "dual": np.full(size, np.nan),
        "left_out_residual": np.full(size, np.nan),
        "folds": None,
        "domain_margin": saddle.margin,
        "iterations": saddle.iterations,
        "status": saddle.status,
        "weights": None,
        "stderr": missing | losses,
    }
