"""Gradient flow at infinite width: a target network started from, and tied to, a trained source network."""

from __future__ import annotations

from collections.abc import Sequence

from infwidth.numerics.activations import ACTIVATIONS as REGISTERED
from infwidth.numerics.checks import InputError, check_choice, check_count, check_number
from infwidth.numerics.observed import Observer
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.linear.flow_points import solve_linear
from infwidth.theory.problem import (
    FlowProblem,
    check_activation,
    check_couplings,
    check_device,
    check_ends,
    check_no_observer,
    check_strengths,
    check_task,
    check_times,
)
from infwidth.theory.solution import FlowSolution, assemble

ACTIVATIONS = tuple(REGISTERED)


def solve(
    task: TransferTask,
    *,
    activation: str,
    source_strength: float,
    target_strength: float,
    elastic_coupling: float | Sequence[float],
    weight_decay: float,
    source_weight_decay: float | None = None,
    source_time: float,
    target_times: Sequence[float],
    start: str = "source",
    anchor: str = "source",
    readout: str = "fresh",
    particles: int | None = None,
    replicas: int = 4,
    seed: int = 0,
    rtol: float | None = None,
    max_evaluations: int | None = None,
    strict: bool = True,
    device: str = "cpu",
    observe: Observer | None = None,
    observe_coarser: Observer | None = None,
    sources: dict | None = None,
) -> FlowSolution:
    """Solve the gradient flow of elastic transfer at N = ∞ (docs/theory.md §2 eq. (7)).

    A linear network's moment equations close and are integrated as they are. For other activations the
    mean-field dynamics are solved with S particles, neurons sampled from the initial law, in R independent
    replicas that also give the standard errors; no network is involved. ``stderr`` measures the error from finite
    S, whose bias is of order 1/S, and that from the integrator's finite steps: the first replica is integrated once
    more at ten times the tolerance, and a third of what that changes counts. Couplings are solved on the same
    particles, so their differences are more accurate than each.

    Time is that of the flow with learning rate γ²N on readout and hidden weights; decays and coupling enter the
    flow as they stand. The setting is that of arXiv 2507.04448.

    Args:
        task: the data.
        activation: one of ``ACTIVATIONS``.
        source_strength: γ̄ > 0, feature-learning strength of the source; γ → 0 is the lazy limit.
        target_strength: γ > 0, that of the target.
        elastic_coupling: δ ≥ 0 of the target's hidden weights to the source's final ones, a number or a
            sequence. 0 still starts there; inf freezes them, and its answer is exact.
        weight_decay: λ ≥ 0 of readout and hidden weights in the target.
        source_weight_decay: that in the source; the target's if None.
        source_time: time for which the source trains; inf, its fixed point, needs decay and the linear activation.
        target_times: increasing times ≥ 0 at which the target is observed, (T,); inf needs decay, and the linear
            activation or δ = ∞.
        start: "source" starts hidden weights at the source's; "scratch" trains fresh weights without an anchor,
            whatever δ.
        anchor: "source", or "random": hidden weights start from, and are tied to, random ones of the source's
            norm neuron by neuron, the control for anchoring as such.
        readout: "fresh" draws the target's readout anew, so that f(0) = 0; "continued" goes on with the source's,
            f(0) = (γ̄/γ) f̄ on the source's weights. Scratch has none to go on with.
        particles: S, even: particles of the source; the target has 2S, two on each source particle. None takes
            1024. The linear activation has no use for this and the next two arguments.
        replicas: R, independent sets of particles.
        seed: of the particles. A replica depends on it and on its own number alone.
        rtol: relative tolerance of an integrator's step; None takes 1e-8 (linear) or 1e-2 (particles).
        max_evaluations: right-hand sides allowed each integration; None takes 300,000 (linear), 1,000,000 (particles).
        strict: whether an unconverged point raises; if not it is returned with its status.
        device: where particles are moved, "cpu" or "cuda".
        observe: called with an ``Observed`` for each replica: the source's particles at the end of its training, the
            target's at every time that is reached. Not for the linear activation, which has no particles.
        observe_coarser: called likewise for the first replica at the coarser tolerance, where there are several.
        sources: where trained sources are kept: calls that are passed the same dict, initially empty, train equal
            sources once, whatever γ, δ, start and anchor.

    Returns:
        The solution.

    Raises:
        InputError: an argument out of range, or an activation the theory does not cover.
        UnconvergedError: an unconverged point, if ``strict``.
    """
    couplings, single = check_couplings(elastic_coupling)
    decay = source_decay = check_number("weight_decay", weight_decay, minimum=0.0)
    if source_weight_decay is not None:
        source_decay = check_number("source_weight_decay", source_weight_decay, minimum=0.0)
    times = check_times("target_times", target_times, weight_decay=decay)
    source_end = float(check_times("source_time", [source_time], weight_decay=source_decay)[0])
    check_choice("start", start, ("source", "scratch"))
    check_choice("anchor", anchor, ("source", "random"))
    check_choice("readout", readout, ("fresh", "continued"))
    check_task(task).refuse_several_outputs("the flow's theory")
    default, largest, patience = (1e-8, 1e-3, 300_000) if activation == "linear" else (1e-2, 0.1, 1_000_000)
    problem = FlowProblem(
        task=task,
        activation=check_activation(activation, ACTIVATIONS),
        strengths=check_strengths(source_strength, target_strength),
        couplings=couplings,
        decays=(source_decay, decay),
        source_time=source_end,
        times=times,
        origin="scratch" if start == "scratch" else anchor,
        readout="fresh" if start == "scratch" else readout,
        rtol=check_number("rtol", default if rtol is None else rtol, minimum=1e-12, maximum=largest),
        max_evaluations=check_count("max_evaluations", patience if max_evaluations is None else max_evaluations),
    )
    if particles is not None and check_count("particles", particles, minimum=2) % 2:
        raise InputError(f"particles = {particles}: expected an even number, they come in ± pairs; add 1")
    check_count("replicas", replicas)
    check_count("seed", seed, minimum=0)
    if activation == "linear":
        check_no_observer(observe or observe_coarser)
        points = solve_linear(problem, sources=sources)
    else:
        from infwidth.theory.dynamics.solve import solve_particles  # torch takes a second to import

        check_ends(problem)
        check_device(device)
        points = solve_particles(
            problem,
            particles=particles,
            replicas=replicas,
            seed=seed,
            device=device,
            observe=observe,
            observe_coarser=observe_coarser,
            sources=sources,
        )
    return assemble(points, couplings, theory="gradient-flow theory", strict=strict, single=single)
