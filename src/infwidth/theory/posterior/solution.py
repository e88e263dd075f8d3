"""What the Bayesian theory answers: a posterior's mean predictor, and what else the posterior says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from infwidth.numerics.status import Status
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.posterior.folds import FoldsLeftOut
from infwidth.theory.posterior.neurons import Neurons
from infwidth.theory.solution import Solution


@dataclass(frozen=True, kw_only=True)
class BayesSolution(Solution):
    """The target posterior's mean predictor at infinite width.

    Attributes:
        prediction: f on the test points, (Pt,), or (Pt, C) where labels have C outputs; likewise ``dual``, ``weights``
            and ``left_out_residual``, whose second axis is the outputs'.
        train_loss: mean of (f − y)² over the target training points, and over outputs where there are several.
        test_loss: mean of (f − y)² over the test points and outputs.
        test_error: share of test points of a wrong class, the largest output's or one output's sign; NaN unless labels
            are classes, one-hot or ±1.
        dual: g = β(y − f) on the target training points, (P2,).
        weights: v with f(x) = x·v/√D, (D,), of a linear network; else None.
        log_evidence_density: −S(g), log evidence per neuron to leading order in 1/N.
        domain_margin: q, the smaller of source and target (at δ = 0 the target's alone): 1 for a lazy network, 0 at the
            border of the domain.
        leave_one_out: mean over target training points of (f_{−μ}(x_μ) − y_μ)², f_{−μ} trained without the point,
            to first order in its removal: g_μ/[(H + I/β)⁻¹]_μμ with H of eq. (5a).
        left_out_residual: y_μ − f_{−μ}(x_μ), whose mean square that is, (P2,).
        folds_left_out: residuals of the target samples, each without its fold, where folds were given; a tuple for a
            sequence of couplings, with None for a point that was not reached.
        neurons: neurons of the target where they were asked for; likewise.
        status: how the solver ended; a tuple for a sequence of couplings. NaN where the neurons condense.
        residual: linear: the largest of |y − g/β − Φg/λ_w|/|y| at what is returned, for source and target, of the
            relative distance of g from what one more Newton step would make of it, and of the relative distance on the
            training points of the predictors Φg/λ_w and Φ(Φ/λ_w + I/β)⁻¹y/λ_w. Particles: |y − g/β − f̂|/|y|
            of the target at the g of the last averages, before the answer is corrected for it; its Monte-Carlo
            error is in ``stderr`` and as a free energy, with its noise floor, it decides the status.
        iterations: Newton steps of the target (the source is solved once).
        stderr: observable → standard error, of the observable's shape, from independent blocks of source and target
            particles, which share the source's dual vector; 0 for the linear network, where nothing is sampled.
        extras: particles: ``gap`` and ``gap_noise``, free energies a neuron, and the predictors' ``disagreement``: what
            the status is decided by.
        respond: of a linear network of one output, finds the response of the test loss, or with ``on_training=True``
            of the training loss, to the draw of the source network (docs/finite_width.md, (F6)); likewise.
    """

    test_error: float | np.ndarray
    dual: np.ndarray
    weights: np.ndarray | None
    log_evidence_density: float | np.ndarray
    domain_margin: float | np.ndarray
    leave_one_out: float | np.ndarray
    left_out_residual: np.ndarray
    respond: Callable[..., Any] | tuple[Callable[..., Any], ...] | None = field(default=None, repr=False, compare=False)
    folds_left_out: FoldsLeftOut | tuple[FoldsLeftOut | None, ...] | None = None
    neurons: Neurons | tuple[Neurons | None, ...] | None = None

    OBSERVABLES: ClassVar[tuple[str, ...]] = (*Solution.OBSERVABLES, "leave_one_out", "log_evidence_density")
    FINITE: ClassVar[tuple[str, ...]] = (*Solution.FINITE, "dual", "leave_one_out")

    @classmethod
    def missing(cls, task: TransferTask, status: Status, **found: Any) -> Self:
        """A point that was not reached: no number is to be trusted, so there is none but those ``found``."""
        numbers = dict.fromkeys(("log_evidence_density", "leave_one_out", "domain_margin", "test_error"), np.nan)
        vectors = {name: np.full(task.y_target.shape, np.nan) for name in ("dual", "left_out_residual")}
        return cls(status=status, **cls._blank(task) | numbers | vectors | {"weights": None} | found)

    def effort(self) -> str:
        """What it took and where it ended, in words, for one coupling."""
        margin = f", domain margin {self.domain_margin:.2g}" if self.domain_margin < 1 else ""
        return f"residual {self.residual:.1e} after {self.iterations} Newton steps{margin}"
