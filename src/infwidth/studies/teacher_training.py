"""One-neuron teachers on Gaussian inputs, and the network whose features train: what two studies share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.adam_ntk.random_features import draw_hidden, features
from infwidth.numerics.checks import check_count
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.seeds import derive_seed, generator
from infwidth.studies.readout_training import gone_far


@dataclass(frozen=True, eq=False)
class NeuronTask:
    """A rectified neuron to learn, y = √2 relu(u·x) with x ~ N(0, I_d): E y² = 1.

    Attributes:
        direction: u, (d,), of norm 1.
        x: training inputs, (n, d), float64.
        y: (n, 1).
        x_test: (m, d).
        y_test: (m, 1).
    """

    direction: Tensor
    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def neuron_task(
    dimension: int, *, samples: int, test_samples: int, seed: int, direction: Tensor | None = None
) -> NeuronTask:
    """Draw a task.

    Args:
        dimension: d ≥ 1.
        samples: n ≥ 1 training inputs.
        test_samples: m ≥ 1 others.
        seed: whole number ≥ 0 that inputs and direction derive from.
        direction: u, (d,), any norm but 0; None draws it evenly from the sphere.

    Raises:
        InputError: a number out of range.
    """
    d = check_count("dimension", dimension)
    for name, value in (("samples", samples), ("test_samples", test_samples)):
        check_count(name, value)
    check_count("seed", seed, minimum=0)

    def gaussian(rows: int, purpose: str) -> Tensor:
        return torch.from_numpy(generator(seed, purpose, d).standard_normal((rows, d)))

    u = gaussian(1, "teacher")[0] if direction is None else direction.double()
    u = u / u.norm()
    x, x_test = gaussian(samples, "teacher inputs"), gaussian(test_samples, "teacher test inputs")
    y, y_test = (math.sqrt(2) * (inputs @ u).relu()[:, None] for inputs in (x, x_test))
    return NeuronTask(u, x, y, x_test, y_test)


@efficient_loop()
def train_features(
    x: Tensor, y: Tensor, *, width: int, learning_rate: float, steps: int, batch: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Train the network y = M g/H with its features, by torch's Adam on M and ω: the control for frozen features.

    Args:
        x: (n, d).
        y: (n, E).
        width: H ≥ 1.
        learning_rate: of Adam, on M and ω as they are.
        steps: how many; the rate falls linearly to 0.
        batch: samples a step, drawn with replacement.
        seed: whole number ≥ 0 that ω and the batches derive from; ω starts where ``draw_hidden`` of it does.

    Returns:
        ω, (H, d), and M, (E, H), which start from Gaussian and 0; M is NaN where training diverged.

    Raises:
        InputError: a number out of range.
    """
    hidden = draw_hidden(width, x.shape[1], seed=seed).to(x.dtype).requires_grad_()
    readout = torch.zeros(y.shape[1], width, dtype=x.dtype, requires_grad=True)
    adam = torch.optim.Adam([hidden, readout], lr=learning_rate)
    random = torch.Generator().manual_seed(derive_seed(seed, "feature batches"))
    for step in range(check_count("steps", steps)):
        adam.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
        rows = torch.randint(len(x), (check_count("batch", batch),), generator=random)
        adam.zero_grad()
        found = features(x[rows], hidden, "relu") @ readout.T / width
        (0.5 * (found - y[rows]).square().sum(1).mean()).backward()
        adam.step()
    with torch.no_grad():
        lost = gone_far(features(x, hidden, "relu") @ readout.T / width, y, "squared")
    return hidden.detach(), readout.detach().masked_fill(lost, math.nan)
