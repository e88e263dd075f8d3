"""Training of a language model, readable in one sitting: any model, any optimisers, one sequence of batches a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from infwidth.io.checkpoints import Checkpoint
from infwidth.numerics.checks import InputError, check_count
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.losses import FAR
from infwidth.numerics.progress import Progress
from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status
from infwidth.tasks.text import TextTask

CURVE_WINDOWS = 256
"""Validation windows of a point of the loss curve."""
FINAL_WINDOWS = 2048
"""Windows, at most, of the final validation and test losses."""


class Updater(Protocol):
    """What moves a part of the model: a torch optimiser, or a module that keeps its own coefficients.

    It has ``param_groups`` with an ``lr`` each, as torch's optimisers do, or else a number ``lr`` of its own.
    """

    def step(self) -> Any:
        """Move, by the gradients of the last backward pass."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return all that the next steps depend on."""

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Take over what ``state_dict`` returned."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The loss over fixed windows of one part of the text.

    Attributes:
        mean_loss: mean cross-entropy, in nats per token; inf for a diverged model.
        stderr: standard error of that mean over windows (of the text, not of training); NaN for a diverged model.
        window_losses: mean loss of each window, (n,): for paired comparisons of models on the same windows.
    """

    mean_loss: float
    stderr: float
    window_losses: np.ndarray


@dataclass(frozen=True, eq=False)
class TrainingHistory:
    """How a training went.

    Attributes:
        steps: steps done at each point of the curve, (K,).
        train_loss: mean loss of the batches since the point before, (K,), in nats per token.
        validation_loss: over at most ``CURVE_WINDOWS`` windows, the last that of ``validation``, (K,).
        validation: over at most ``final_windows`` windows, after the last step.
        test: likewise; NaN where it was not asked for.
        status: converged (all steps were done) or diverged.
        diverged_at: the step, counted from 0, whose batch had a loss beyond ``FAR`` log V or not finite; ``steps``
            where only the final losses were; None if none.
    """

    steps: np.ndarray
    train_loss: np.ndarray
    validation_loss: np.ndarray
    validation: Evaluation
    test: Evaluation
    status: Status
    diverged_at: int | None = None

    @property
    def message(self) -> str:
        """One line on how it ended; empty if it didn't diverge."""
        if self.diverged_at is None:
            return ""
        return f"loss beyond all bounds at step {self.diverged_at}; reduce the learning rate or lengthen the warm-up"


def batch_at(tokens: np.ndarray, step: int, *, batch: int, context: int, seed: int) -> np.ndarray:
    """Return the windows of one step, which depend on seed and step alone: every model sees the same ones.

    Args:
        tokens: training part, (n,), n > context.
        step: number of the step, from 0.
        batch: windows B, drawn with equal chances, with replacement.
        context: tokens T a window, and one more to predict.
        seed: whole number ≥ 0.

    Returns:
        Tokens, (B, T + 1), int64.
    """
    starts = generator(seed, "batch", step).integers(0, len(tokens) - context, batch)
    return _windows(tokens, starts, context)


def evaluate(
    model: nn.Module, tokens: np.ndarray, *, windows: int, batch: int, context: int, device: str = "cpu"
) -> Evaluation:
    """Return the loss over evenly spaced windows that don't overlap.

    Args:
        model: tokens (B, T) → logits (B, T, V); put into evaluation mode.
        tokens: a part of a text, (n,), n ≥ 2 · context + 1.
        windows: how many ≥ 2, or as many as there are room for.
        batch: windows at once.
        context: tokens T a window.
        device: where the model is.

    Returns:
        The loss; inf where that of any window isn't finite.
    """
    room = len(tokens) - 1
    count = min(windows, room // context)
    starts = np.arange(count) * (room - context) // (count - 1)
    model.eval()
    losses = []
    with torch.no_grad():
        for some in np.split(starts, range(batch, count, batch)):
            loss = _losses(model, _windows(tokens, some, context), device)
            losses.append(loss.unflatten(0, (len(some), context)).mean(1).double().cpu().numpy())
    found = np.concatenate(losses)
    if not np.isfinite(found).all():
        return Evaluation(math.inf, math.nan, found)
    return Evaluation(float(found.mean()), float(found.std(ddof=1) / math.sqrt(count)), found)


@efficient_loop()
def train(
    model: nn.Module,
    task: TextTask,
    *,
    steps: int,
    batch: int,
    context: int,
    optimisers: Sequence[Updater],
    seed: int,
    evaluate_every: int,
    warmup: int = 50,
    final_windows: int = FINAL_WINDOWS,
    only_validation: bool = False,
    checkpoint: Checkpoint | None = None,
    progress: Progress = None,
    device: str = "cpu",
) -> TrainingHistory:
    """Train a language model in place, by the mean cross-entropy of batches of windows.

    Every learning rate is multiplied by min(1, (step + 1) / warmup): a linear warm-up, then constant. With a
    checkpoint, a killed training called again with a model and optimisers made as before goes on where it was and ends
    in the same bits (on a CPU, with as many threads).

    Args:
        model: tokens (B, T) → logits (B, T, V), V ≥ ``task.vocabulary``.
        task: the text.
        steps: how many ≥ 1.
        batch: windows B ≥ 1 a step.
        context: tokens T ≥ 1 a window.
        optimisers: what moves the model; every trainable parameter belongs to one of them, or to a module among them.
        seed: whole number ≥ 0 that the batches derive from, and nothing else does.
        evaluate_every: steps ≥ 1 between points of the curve; the last step adds one.
        warmup: steps ≥ 0.
        final_windows: windows ≥ 2, at most, of the final validation and test losses.
        only_validation: measure the final validation loss alone, all that the choice of a learning rate needs, and
            not that of the test part or of the curve's other points, which are NaN.
        checkpoint: where the state is kept, written at points of the curve when it is due, and at the end; the caller
            discards it once the outcome is stored.
        progress: called after each step with the fraction done, 0 … 1.
        device: where to train; the model is moved there, so optimisers that hold state must be new.

    Returns:
        Loss curve and final losses. A loss beyond ``FAR`` log V ends the training as diverged and raises nothing.

    Raises:
        InputError: a number out of range, a text too short for the context, a trainable parameter that no optimiser
            moves, or an optimiser without a learning rate.
    """
    check_count("steps", steps)
    check_count("batch", batch)
    check_count("evaluate_every", evaluate_every)
    check_count("warmup", warmup, minimum=0)
    check_count("final_windows", final_windows, minimum=2)
    check_count("seed", seed, minimum=0)
    task.check_context(context)
    _check_model(model, task, context)
    model.to(device)
    rates = [_Rate(optimiser) for optimiser in optimisers]
    _check_all_move(model, optimisers)
    seen: dict[str, Any] = {"batch": batch, "context": context, "device": device}
    curve: list[list[float]] = []  # (steps, train loss, validation loss) a point
    recent: list[float] = []  # losses since the last point
    far = FAR * math.log(task.vocabulary)
    start = 0
    state = None if checkpoint is None else checkpoint.load(device)
    if state is not None:
        _restore(state, model, optimisers)
        start, curve = state["step"], state["curve"]

    for step in range(start, steps):
        model.train()
        for rate in rates:
            rate.scale(min(1.0, (step + 1) / warmup) if warmup else 1.0)
        windows = batch_at(task.train, step, batch=batch, context=context, seed=seed)
        loss = _losses(model, windows, device).mean()
        recent.append(loss.item())
        if not recent[-1] <= far:
            return _history(curve, _DIVERGED, _DIVERGED, step)
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        done = step + 1
        if done % evaluate_every == 0 or done == steps:
            curve.append([done, float(np.mean(recent)), math.nan])
            recent.clear()
            if done < steps and not only_validation:
                point = evaluate(model, task.validation, windows=CURVE_WINDOWS, **seen)
                curve[-1][2] = point.mean_loss
            if checkpoint is not None and (checkpoint.due or done == steps):
                checkpoint.save(_state(done, curve, model, optimisers))
        if progress is not None:
            progress(done / steps)

    validation = evaluate(model, task.validation, windows=final_windows, **seen)
    test = _UNKNOWN if only_validation else evaluate(model, task.test, windows=final_windows, **seen)
    curve[-1][2] = validation.mean_loss
    sound = validation.mean_loss <= far and (only_validation or test.mean_loss <= far)
    return _history(curve, validation, test, None) if sound else _history(curve, _DIVERGED, _DIVERGED, steps)


_DIVERGED, _UNKNOWN = (Evaluation(loss, math.nan, np.zeros(0)) for loss in (math.inf, math.nan))


def _history(curve: list[list[float]], validation: Evaluation, test: Evaluation, at: int | None) -> TrainingHistory:
    done, trained, validated = np.array(curve, dtype=np.float64).reshape(-1, 3).T
    status = Status.CONVERGED if at is None else Status.DIVERGED
    return TrainingHistory(done.astype(np.int64), trained, validated, validation, test, status, at)


def _windows(tokens: np.ndarray, starts: np.ndarray, context: int) -> np.ndarray:
    return tokens[starts[:, None] + np.arange(context + 1)].astype(np.int64)


def _losses(model: nn.Module, windows: np.ndarray, device: str) -> Tensor:
    """Cross-entropy of every token after the first of each window, (B · T,)."""
    tokens = torch.from_numpy(windows).to(device)
    logits = model(tokens[:, :-1])
    return cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")


class _Rate:
    """The learning rates of one optimiser, as they were handed over."""

    def __init__(self, optimiser: Updater):
        groups = getattr(optimiser, "param_groups", None)
        if groups is None and not isinstance(getattr(optimiser, "lr", None), int | float):
            raise InputError(
                f"optimisers hold a {type(optimiser).__name__}: expected param_groups, or a number lr, for the "
                "warm-up to scale; add one"
            )
        self.optimiser = optimiser
        self.base = [optimiser.lr] if groups is None else [group["lr"] for group in groups]

    def scale(self, factor: float) -> None:
        """Set every rate to ``factor`` of what it was handed over as."""
        groups = getattr(self.optimiser, "param_groups", None)
        if groups is None:
            self.optimiser.lr = factor * self.base[0]
        else:
            for group, base in zip(groups, self.base, strict=True):
                group["lr"] = factor * base


def _check_model(model: nn.Module, task: TextTask, context: int) -> None:
    vocabulary, longest = getattr(model, "vocabulary", task.vocabulary), getattr(model, "context", context)
    if vocabulary < task.vocabulary:
        raise InputError(
            f"the model's vocabulary = {vocabulary}: expected ≥ {task.vocabulary}, the text's; make the model with that"
        )
    if longest < context:
        raise InputError(f"context = {context}: expected ≤ {longest}, the model's; reduce it or make a longer model")


def _check_all_move(model: nn.Module, optimisers: Sequence[Updater]) -> None:
    moved = {id(weight) for optimiser in optimisers for weight in _parameters(optimiser)}
    left = [name for name, weight in model.named_parameters() if weight.requires_grad and id(weight) not in moved]
    if left:
        raise InputError(
            f"optimisers leave {len(left)} trainable parameters out, {left[0]} first: expected each in one of them; "
            "add an optimiser, or freeze them with requires_grad_(False)"
        )


def _parameters(optimiser: Updater) -> Iterator[nn.Parameter]:
    if isinstance(optimiser, nn.Module):
        yield from optimiser.parameters()
    for group in getattr(optimiser, "param_groups", []):
        yield from group["params"]


def _kept_by_model(model: nn.Module, optimiser: Updater) -> bool:
    """Whether the model's own state holds the optimiser's: it is one of its modules."""
    return any(optimiser is module for module in model.modules())


def _state(step: int, curve: list[list[float]], model: nn.Module, optimisers: Sequence[Updater]) -> dict[str, Any]:
    return {
        "step": step,
        "curve": curve,
        "model": model.state_dict(),
        "optimisers": [None if _kept_by_model(model, one) else one.state_dict() for one in optimisers],
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore(state: Mapping[str, Any], model: nn.Module, optimisers: Sequence[Updater]) -> None:
    model.load_state_dict(state["model"])
    for optimiser, kept in zip(optimisers, state["optimisers"], strict=True):
        if kept is not None:
            optimiser.load_state_dict(kept)
    torch.set_rng_state(state["rng"].cpu())
    if state["cuda_rng"]:
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda_rng"]])
