"""Does ADAM* keep up with Adam on other architectures? An ablation of what moves a block of frozen features.

Two architectures classify images through one block y = M g(x)/H (docs/theory.md §4): an ``mlp``, the block on the image
itself, and a ``cnn``, two convolutions, trained by torch's Adam, before it.
Only what moves the block differs: Adam on its features as well (``unfrozen``), Adam on its readout (``adam``), ADAM*
and ADAM* with one part changed. Each has its learning rate tuned on validation images, with as many trials. Those that
start from the same weights are trained side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from infwidth.adam_ntk.adam_star import OPTIMISERS, make_optimiser
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.studies.classifiers import ARCHITECTURES, Classifiers, Readouts
from infwidth.studies.images import ImageSample, draw_images
from infwidth.studies.readout_training import (
    check_names,
    gone_far,
    mean_loss,
    measured,
    minibatches,
    rate_of,
    training_loss,
)

UNFROZEN, FROZEN = "unfrozen_adam", "frozen_adam"
LEARNING_RATES = {
    UNFROZEN: 0.15,
    FROZEN: 1.5,
    "adam_star": 1.5,
    "rmsprop_star": 1.0,
    "adamw_star": 1.5,
    "adam_star_layer": 2.0,
    "adagrad_star": 10.0,
    "momentum": 30.0,
    "sgd": 15.0,
}
AT_ONCE = 256
"""Images that trained classifiers see at once."""


@dataclass(frozen=True)
class Outcome:
    """Losses of one trained classifier, NaN where it diverged: on validation and test images, and the test error."""

    validation_loss: Tensor
    test_loss: Tensor
    test_error: Tensor


def run(
    *,
    seed: int,
    dataset: str = "digits",
    dataset_path: str | Path | None = None,
    samples: int = 1000,
    validation_samples: int = 400,
    test_samples: int | None = None,
    architectures: Sequence[str] = ARCHITECTURES,
    optimisers: Sequence[str] = tuple(LEARNING_RATES),
    learning_rates: Mapping[str, float] = LEARNING_RATES,
    rates: Sequence[float] = (0.3, 1.0, 3.0),
    weight_decay: float = 0.001,
    backbone_rate: float = 0.003,
    width: int = 256,
    batch: int = 32,
    steps: int = 150,
    infinite: bool = True,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Tune and train every variant on images, by the cross-entropy.

    Args:
        seed: whole number ≥ 0 that images, their order and all weights derive from.
        dataset: "digits", "cifar10" or "auto"; see ``load_images`` in infwidth.tasks.image_sources.
        dataset_path: where the images are, as there.
        samples: training images.
        validation_samples: others, by whose loss the learning rate is chosen.
        test_samples: test images; None takes all.
        architectures: "mlp" or "cnn", the table's condition.
        optimisers: names in ``OPTIMISERS``; "frozen_adam", Adam; or "unfrozen_adam", torch's on readout and features.
        learning_rates: optimiser → rate in the middle of those tried.
        rates: factors on it that are tried, the same for all.
        weight_decay: λ of ``adamw_star``, decoupled: M shrinks by the learning rate times it at each step.
        backbone_rate: rate of torch's Adam on the convolutions, in all variants.
        width: H of the block.
        batch: images a step.
        steps: training steps.
        infinite: whether ADAM*, if among the optimisers, is also trained at width ∞, at the rate chosen for it.
        progress: called with the fraction done.

    Returns:
        Rows with metric ``sweep_loss``, on the validation images, at every learning rate, and ``test_loss`` and
        ``test_error`` at the one chosen. Diverged trainings have that status and value NaN.

    Raises:
        InputError: a setting is out of range or unknown, or there are too few images.
    """
    architectures = check_names("architectures", architectures, ARCHITECTURES)
    names = check_names("optimisers", optimisers, [UNFROZEN, FROZEN, *OPTIMISERS])
    middle = {name: rate_of(learning_rates, name) for name in names}
    factors = _factors(rates)
    check_number("backbone_rate", backbone_rate, minimum=0.0)
    check_number("weight_decay", weight_decay, minimum=0.0)
    check_count("width", width)
    check_count("validation_samples", validation_samples)
    data = draw_images(
        dataset,
        dataset_path,
        samples=check_count("samples", samples) + validation_samples,
        test_samples=test_samples,
        seed=seed,
    )
    batches = minibatches(samples, batch, steps, seed, "architecture batches")
    runner = _Runner(data, samples, batches, width, backbone_rate, weight_decay, seed)
    ways = [(name, middle[name] * factor) for name in names for factor in factors]
    stacks = [
        stack
        for stack in ([way for way in ways if (way[0] == UNFROZEN) is trained] for trained in (True, False))
        if stack
    ]
    counter = Counter(progress, len(architectures) * (len(stacks) + 1))
    rows: list[dict[str, Any]] = []
    for architecture in architectures:
        found: dict[tuple[str, float], Outcome] = {}
        for stack in stacks:
            found |= runner.train(architecture, stack)
            counter.advance()
        shared = {"dataset": data.name, "condition": architecture, "time": float(steps)}
        finite, limit = {"kind": "network", "width": float(width)}, {"kind": "theory", "width": math.inf}
        for name in names:
            tried = {rate: outcome for (which, rate), outcome in found.items() if which == name}
            best = min(tried, key=lambda rate, tried=tried: _order(tried[rate].validation_loss))
            which = shared | finite | {"optimiser": name}
            rows += [
                which | {"learning_rate": rate, "metric": "sweep_loss"} | measured(outcome.validation_loss)
                for rate, outcome in tried.items()
            ]
            rows += _final(which, best, tried[best])
            if infinite and name == "adam_star":
                of_limit = runner.train_limit(architecture, name, best)
                rows += _final(shared | limit | {"optimiser": name}, best, of_limit)
        counter.advance()
    return rows


def _factors(rates: Sequence[float]) -> list[float]:
    if isinstance(rates, str) or not isinstance(rates, Sequence) or not rates:
        raise InputError(f"rates = {rates!r}: expected a list of factors > 0; change it")
    return [check_number(f"rates[{i}]", rate, minimum=0.0, open_minimum=True) for i, rate in enumerate(rates)]


def _order(loss: Tensor) -> float:
    return loss.item() if loss.isfinite() else math.inf


def _final(which: Mapping[str, Any], rate: float, outcome: Outcome) -> list[dict[str, Any]]:
    values = {"test_loss": outcome.test_loss, "test_error": outcome.test_error}
    return [{**which, "learning_rate": rate, "metric": metric} | measured(value) for metric, value in values.items()]


@dataclass(frozen=True, eq=False)
class _Runner:
    """Trains classifiers that differ in architecture, optimiser and rate alone."""

    data: ImageSample
    samples: int
    batches: Sequence[Tensor]
    width: int
    backbone_rate: float
    weight_decay: float
    seed: int

    def train(self, architecture: str, ways: Sequence[tuple[str, float]]) -> dict[tuple[str, float], Outcome]:
        """Train one for each optimiser and rate, side by side: either all ``UNFROZEN`` or none of them."""
        trained = ways[0][0] == UNFROZEN
        settings = {"width": self.width, "count": len(ways), "train_features": trained, "seed": self._root}
        model = self._model(architecture, lambda *sizes: Readouts(*sizes, **settings), len(ways))
        found = self._train(model, [*self._movers(ways, model.block)])
        return dict(zip(ways, found, strict=True))

    def train_limit(self, architecture: str, name: str, rate: float) -> Outcome:
        """Train the one whose block is infinitely wide."""
        model = self._model(architecture, lambda *sizes: DualReadout(*sizes, bias=True, optimizer=name, lr=rate), 1)
        return self._train(model, [model.block])[0]

    @property
    def _root(self) -> int:
        return derive_seed(self.seed, "architecture")

    def _model(self, architecture: str, make_block: Callable[[int, int], nn.Module], count: int) -> Classifiers:
        outputs = self.data.y.shape[1]
        shape = self.data.shape
        return Classifiers(architecture, shape, lambda d: make_block(d, outputs), count=count, seed=self._root)

    def _movers(self, ways: Sequence[tuple[str, float]], block: Readouts) -> Iterator[Any]:
        """What moves the blocks: an optimiser for all rates of a name."""
        by_name = itertools.groupby(enumerate(ways), key=lambda way: way[1][0])
        for name, some in by_name:
            places, rates = zip(*((place, rate) for place, (_, rate) in some), strict=True)
            groups = [{"params": [block.readouts[k]], "lr": rate} for k, rate in zip(places, rates, strict=True)]
            if name == UNFROZEN:
                for group, place in zip(groups, places, strict=True):
                    group["params"].append(block.hidden[place])
                yield torch.optim.Adam(groups, fused=True)
            else:
                decay = {"weight_decay": self.weight_decay} if name == "adamw_star" else {}
                yield make_optimiser("adam" if name == FROZEN else name, groups, rates[0], **decay)

    @efficient_loop()
    def _train(self, model: Classifiers, movers: list[Any]) -> list[Outcome]:
        """Train classifiers from the same start and on the same batches as all others, in single precision."""
        x, y = self.data.x.float(), self.data.y.float()
        convolutions = list(model.backbone.parameters())
        if convolutions:
            movers = [torch.optim.Adam(convolutions, lr=self.backbone_rate, fused=True), *movers]
        going = torch.tensor(True)
        for rows in self.batches:
            for mover in movers:
                mover.zero_grad()
            losses = training_loss(model(x[rows]), y[rows], "cross_entropy")
            going = going & losses.isfinite()
            if not going.any():
                break
            losses.sum().backward()  # no network enters another's loss
            for mover in movers:
                mover.step()
        model.eval()
        # what follows the training samples is for validation
        of_validation = self._logits(model, x[self.samples :])
        logits, wanted = self._logits(model, self.data.x_test.float()), self.data.y_test.float()
        validation = mean_loss(of_validation, y[self.samples :], "cross_entropy")
        test = mean_loss(logits, wanted, "cross_entropy")
        wrong = (logits.argmax(-1) != wanted.argmax(-1)).double().mean(-1)
        seen = self.batches[-1]
        # not by what was trained on alone, which a cross-entropy separates at any step
        judged = ((of_validation, y[self.samples :]), (logits, wanted), (self._logits(model, x[seen]), y[seen]))
        lost = ~going | torch.stack([gone_far(*one, "cross_entropy") for one in judged]).any(0)
        found = (values.masked_fill(lost, math.nan) for values in (validation, test, wrong))
        return [Outcome(*values) for values in zip(*found, strict=True)]

    def _logits(self, model: Classifiers, x: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([model(some) for some in x.split(AT_ONCE)], 1)
