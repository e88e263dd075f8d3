"""The engines: how a target task is learned, by the theory and by the networks that stand beside it.

An engine names two doors, one in ``theory`` and one in ``networks``, which know nothing of each other. Plan, workflow
and configuration read this registry; the stages look their door up in it when they run, so that adding one here re-runs
nothing. A new engine is its modules and an entry here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, Literal

from infwidth.numerics.settings import Axis, Count, Ge, Meaning, Positive


class Bayes:
    """Bayesian posterior."""

    inverse_temperature: Annotated[Positive, Meaning("β, of source and target.")]
    prior_precision: Annotated[Positive, Meaning("λ of hidden weights and readout.")] = 1
    sampler: Annotated[
        Literal["hmc", "langevin"],
        Meaning(
            "How networks are sampled: Hamiltonian Monte Carlo, which is exact, or underdamped Langevin dynamics, "
            "which the paper's is a limit of."
        ),
    ] = "hmc"
    burn_in_time: Annotated[Positive, Meaning("Time discarded; the prior's slowest mode relaxes in about 1.")] = 40
    sampling_time: Annotated[Positive, Meaning("Time averaged over.")] = 200
    particles: Annotated[
        Annotated[int, Ge(128)] | None,
        Meaning("S, particles of the theory of a nonlinear activation; null takes 8000."),
    ] = None


class Flow:
    """Gradient flow with weight decay."""

    weight_decay: Annotated[float, Ge(0), Meaning("λ on the target, of hidden weights and readout.")]
    source_weight_decay: Annotated[
        Annotated[float, Ge(0)] | None, Meaning("λ on the source; null takes weight_decay.")
    ] = None
    source_time: Annotated[Positive, Meaning("Source training time in units of the flow (learning rate γ̄²N).")]
    target_times: Annotated[
        Axis[Annotated[float, Ge(0)]],
        Meaning("Target times at which to record, increasing, in units of the flow (learning rate γ²N)."),
    ]
    readout: Annotated[
        Literal["fresh", "continued"],
        Meaning("Whether the target's readout is drawn anew or goes on from the source's."),
    ] = "fresh"
    particles: Annotated[
        Annotated[int, Ge(2)] | None,
        Meaning("S, particles of the theory of a nonlinear activation, even; null takes 1024."),
    ] = None
    replicas: Annotated[Count, Meaning("Independent sets of particles, which give the theory's standard error.")] = 4


@dataclass(frozen=True)
class Engine:
    """How a task is learned.

    Attributes:
        theory: the theory's module below the package; its ``solve`` answers for a task.
        networks: the networks' module below the package.
        source: its function that makes source networks.
        target: its function that makes target networks of them.
        settings: what the configuration says of the training: the arguments of ``solve``.
        source_arguments: argument of ``source`` → the settings it is, the first that isn't null.
        target_arguments: likewise for ``target``.
        network_only: settings that the theory does not know.
        particle_settings: settings of theories that sample particles, which linear networks' don't; where there are
            some, ``solve`` takes a ``device`` for them.
        over_time: whether observables have a time axis, start and anchor are arguments, and so there are controls.
        several_outputs: whether it covers labels of several outputs.
        paired: whether neurons and particles come in ± pairs, so that their number is even.
        theory_observables: metrics that the theory has beside losses and errors.
    """

    theory: str
    networks: str
    source: str
    target: str
    settings: type
    source_arguments: Mapping[str, tuple[str, ...]]
    target_arguments: Mapping[str, tuple[str, ...]]
    network_only: tuple[str, ...] = ()
    particle_settings: tuple[str, ...] = ("particles",)
    over_time: bool = False
    several_outputs: bool = False
    paired: bool = False
    theory_observables: tuple[str, ...] = ()

    def source_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What ``source`` is given of an experiment's settings."""
        return _pick(settings, self.source_arguments)

    def target_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What ``target`` is given of an experiment's settings."""
        return _pick(settings, self.target_arguments)

    def theory_settings(self, settings: Mapping[str, Any], *, linear: bool) -> dict[str, Any]:
        """What ``solve`` is given of an experiment's settings; ``linear``: of networks without a nonlinearity."""
        left_out = {*self.network_only, *(self.particle_settings if linear else ())}
        return {key: value for key, value in settings.items() if key not in left_out}

    def theory_door(self) -> ModuleType:
        """Return the theory's module."""
        return importlib.import_module(f"infwidth.{self.theory}")

    def network_door(self, part: str) -> Callable[..., Any]:
        """Return the function that makes the networks of a part, ``source`` or ``target``."""
        return getattr(importlib.import_module(f"infwidth.{self.networks}"), getattr(self, part))


def _pick(settings: Mapping[str, Any], arguments: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    return {
        argument: next((settings[key] for key in keys if settings[key] is not None), None)
        for argument, keys in arguments.items()
    }


def _as_named(*keys: str) -> dict[str, tuple[str, ...]]:
    return {key: (key,) for key in keys}


ENGINES = {
    "bayes": Engine(
        theory="theory.bayes",
        networks="networks.langevin",
        source="sample_source",
        target="sample_target",
        settings=Bayes,
        source_arguments=_as_named("inverse_temperature", "prior_precision", "sampler", "burn_in_time"),
        target_arguments=_as_named(
            "inverse_temperature", "prior_precision", "sampler", "burn_in_time", "sampling_time"
        ),
        network_only=("sampler", "burn_in_time", "sampling_time"),
        several_outputs=True,
        theory_observables=("leave_one_out", "log_evidence_density"),
    ),
    "flow": Engine(
        theory="theory.flow",
        networks="networks.gradient_flow",
        source="train_source",
        target="train_target",
        settings=Flow,
        source_arguments={"weight_decay": ("source_weight_decay", "weight_decay"), "time": ("source_time",)},
        target_arguments={"weight_decay": ("weight_decay",), "times": ("target_times",), "readout": ("readout",)},
        particle_settings=("particles", "replicas"),
        over_time=True,
        paired=True,
    ),
}
"""Name → engine; a name is what a configuration writes under ``training``."""
