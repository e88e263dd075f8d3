"""Target posteriors of one transfer task by populations of particles, all couplings on one source population."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from infwidth.numerics.activations import get_activation
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.observed import Observed, Observer
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status, tied
from infwidth.theory.posterior.coordinates import Coordinates
from infwidth.theory.posterior.solution import BayesSolution
from infwidth.theory.posterior.source import GivenSource, Source
from infwidth.theory.posterior.target import Data, Target
from infwidth.theory.posterior.windows import BLOCKS, SWEEPS
from infwidth.theory.problem import BayesProblem
from infwidth.theory.solution import NUMERICAL, attempt
from infwidth.theory.span import OutputSpan

DEFAULT_PARTICLES = 8000
SHOWN = 4
"""Sweeps from one population shown to an observer to the next."""


@efficient_loop()
def solve_population(
    problem: BayesProblem,
    *,
    particles: int | None,
    seed: int,
    device: str,
    evidence: bool = True,
    keep_neurons: bool = False,
    observe: Observer | None = None,
    progress: Callable[[float], None] | None = None,
    sources: dict | None = None,
) -> list[BayesSolution]:
    """Solve the source once and the target at every coupling.

    Args:
        problem: the checked problem; φ of growth ≤ 1.
        particles: S, a multiple of 16 × 8; None takes 8,000 (rounded up). A target with δ > 0 has 2S.
        seed: of the particles; a coupling depends on it and on its own value alone.
        device: where particles live.
        evidence: whether to measure the log-evidence.
        keep_neurons: whether to keep neurons of each target.
        observe: see ``bayes.solve``.
        progress: called with the fraction of couplings done.
        sources: where solved sources are kept, see ``bayes.solve``.

    Returns:
        One point a coupling.
    """
    sources = {} if sources is None else sources
    task, unit = problem.task, BLOCKS * 8
    count = unit * math.ceil((DEFAULT_PARTICLES if particles is None else particles) / unit)
    like = torch.zeros((), dtype=torch.float64, device=device)
    phi = get_activation(problem.activation)

    def stream(*purpose: int | float | str) -> torch.Generator:
        return torch.Generator(device).manual_seed(derive_seed(seed, *map(str, purpose)))

    @functools.cache
    def data() -> Data:
        where = Coordinates.of(task, like.float(), whole=problem.source_weights is not None)
        outputs = OutputSpan.of(task.y_target)
        labels, test_labels = (torch.tensor(y).to(like) for y in (outputs.labels, task.y_test))
        basis = None if outputs.basis is None else torch.tensor(outputs.basis).to(like)
        return Data(where, labels, test_labels, phi, count, basis)

    @functools.cache
    def source() -> Source | GivenSource:
        where = data().where
        if problem.source_weights is not None:
            return GivenSource(torch.from_numpy(problem.source_weights).to(where.target), count)
        key = (*problem.source_key, count, seed, device)
        if key not in sources:
            labels = torch.tensor(OutputSpan.of(task.y_source).labels).to(like)
            solved = Source(where, labels, phi, problem, count, stream("source draws"))
            solved.solve(stream("source"), stream("source certificate"))
            sources[key] = solved
        found = sources[key].seen_from(where)
        if observe is not None and found.saddle.status is Status.CONVERGED:
            chain = found.chain(stream("source shown"))
            _show(observe, None, None, [chain.advance() @ where.source.T for _ in range(SWEEPS // SHOWN)])
        return found

    def point(index: int) -> list[BayesSolution]:
        elastic_coupling = problem.couplings[index]
        anchor = source() if elastic_coupling > 0 else None
        if anchor is not None and anchor.saddle.status is not Status.CONVERGED:
            return [
                missing(anchor.saddle.status, domain_margin=anchor.saddle.margin, iterations=anchor.saddle.iterations)
            ]
        target = Target(problem, data(), anchor, elastic_coupling, stream("target", elastic_coupling))
        stray = stream("folds", elastic_coupling), stream("neurons", elastic_coupling) if keep_neurons else None
        found = target.solve(evidence=evidence, shown_every=SHOWN if observe else None, streams=stray)
        if found is None:
            return [missing(target.saddle.status, domain_margin=target.saddle.margin, iterations=target.iterations)]
        if observe is not None:
            _show(observe, index, 0, target.shots)
        status = tied(anchor and anchor.status, found.status)
        return [dataclasses.replace(found, status=status)]

    def missing(status: Status, **found: float) -> BayesSolution:
        return BayesSolution.missing(task, status, **found)

    show = progress or (lambda _: None)
    show(0.0)
    points = []
    for index in range(len(problem.couplings)):
        points += attempt(functools.partial(point, index), missing, exceptions=(*NUMERICAL, torch.linalg.LinAlgError))
        show((index + 1) / len(problem.couplings))
    return points


def _show(observe: Observer, coupling_index: int | None, time_index: int | None, shots: list[Tensor]) -> None:
    """Hand an observer what was seen of a population, block by block."""
    for block, parts in enumerate(zip(*(shot.chunk(BLOCKS) for shot in shots), strict=True)):
        observe(Observed(block, coupling_index, time_index, torch.cat(parts)))
