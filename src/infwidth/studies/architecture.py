"""Does ADAM* keep up with Adam on other architectures? An ablation of what moves a block of frozen features.

Two architectures classify images through one block y = M g(x)/H (docs/theory.md §4): an ``mlp``, the block on the image
itself, and a ``cnn``, two convolutions, trained by torch's Adam, before it.
Only what moves the block differs: Adam on its features as well (``unfrozen``), Adam on its readout (``adam``), ADAM*
and ADAM* with one part changed. Each has its learning rate tuned on validation images, with as many trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from infwidth.adam_ntk.adam_star import OPTIMISERS, make_optimiser
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.studies.classifiers import ARCHITECTURES, Classifier, UnfrozenReadout
from infwidth.studies.images import ImageSample, draw_images
from infwidth.studies.readout_training import (
    check_names,
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
    counter = Counter(progress, len(architectures) * (len(names) * len(factors) + 1))
    rows: list[dict[str, Any]] = []
    for architecture in architectures:
        best: dict[str, float] = {}
        shared = {"dataset": data.name, "condition": architecture, "time": float(steps)}
        finite, limit = {"kind": "network", "width": float(width)}, {"kind": "theory", "width": math.inf}
        for name in names:
            found = {}
            for factor in factors:
                found[middle[name] * factor] = runner.train(architecture, name, middle[name] * factor)
                counter.advance()
            best[name] = min(found, key=lambda rate, found=found: _order(found[rate].validation_loss))
            which = shared | finite | {"optimiser": name}
            rows += [
                which | {"learning_rate": rate, "metric": "sweep_loss"} | measured(outcome.validation_loss)
                for rate, outcome in found.items()
            ]
            rows += _final(which, best[name], found[best[name]])
        if infinite and "adam_star" in best:
            outcome = runner.train(architecture, "adam_star", best["adam_star"], infinite=True)
            rows += _final(shared | limit | {"optimiser": "adam_star"}, best["adam_star"], outcome)
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

    def train(self, architecture: str, name: str, rate: float, *, infinite: bool = False) -> Outcome:
        """Train one from the same start and on the same batches as all others, in single precision."""
        x, y = self.data.x.float(), self.data.y.float()
        outputs, seed = y.shape[1], derive_seed(self.seed, "architecture")

        def make_block(inputs: int) -> nn.Module:
            if infinite:
                return DualReadout(inputs, outputs, bias=True, optimizer=name, lr=rate)
            kind = UnfrozenReadout if name == UNFROZEN else FrozenReadout
            return kind(inputs, outputs, width=self.width, bias=True, seed=seed)

        model = Classifier(architecture, self.data.shape, make_block, seed)
        optimisers = list(self._optimisers(model, name, rate))
        for rows in self.batches:
            for optimiser in optimisers:
                optimiser.zero_grad()
            loss = training_loss(model(x[rows]), y[rows], "cross_entropy")
            if not loss.isfinite():
                break
            loss.backward()
            for optimiser in optimisers:
                optimiser.step()
        model.eval()
        with torch.no_grad():
            # what follows the training samples is for validation
            validation = mean_loss(model(x[self.samples :]), y[self.samples :], "cross_entropy")
            logits, wanted = model(self.data.x_test.float()), self.data.y_test.float()
        test = mean_loss(logits, wanted, "cross_entropy")
        wrong = (logits.argmax(1) != wanted.argmax(1)).double().mean()
        return Outcome(validation, test, wrong if test.isfinite() else torch.tensor(math.nan))

    def _optimisers(self, model: Classifier, name: str, rate: float) -> Iterable[Any]:
        convolutions = list(model.backbone.parameters())
        if convolutions:
            yield torch.optim.Adam(convolutions, lr=self.backbone_rate)
        if isinstance(model.block, DualReadout):
            yield model.block
        elif name == UNFROZEN:
            yield torch.optim.Adam(model.block.parameters(), lr=rate)
        else:
            decay = {"weight_decay": self.weight_decay} if name == "adamw_star" else {}
            yield make_optimiser("adam" if name == FROZEN else name, model.block.parameters(), rate, **decay)
