"""Time ADAM* against torch's Adam, and training steps of frozen features against those of trained ones.

    OMP_NUM_THREADS=1 python benchmarks/adam_star.py [--repeats 15]

Writes benchmarks/results/adam_star.json. ``optimiser_step``: an AdamStar step over one of torch.optim.Adam, at its
defaults and fused, for one or many readouts E × H. ``training_step``: forward, backward and step of a FrozenReadout
under AdamStar over those of a trained rival of that width, for inputs with gradients (a block inside a network) and
without (a first block); the rival is a TrainedReadout under Adam, or ``plain``: Linear, ReLU, Linear under fused Adam.
Each ratio is the median over pairs, timed in turn; seconds are process time, so that a busy machine does not spoil
them. The allocator is told to keep memory: else Adam's temporaries, of M's size, cost it page faults at every step,
several times its arithmetic (under glibc). ``dual_step`` has no rival: seconds of a DualReadout's training step at so
many examples seen.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from report import write
from torch import nn

from infwidth.adam_ntk.adam_star import AdamStar
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.networks.transformer.model import TrainedReadout

READOUTS = (
    *((1, *shape) for shape in ((64, 64), (64, 256), (64, 1024), (64, 4096), (256, 1024), (256, 4096), (256, 16384))),
    *((64, 16, 64), (64, 16, 256), (12, 64, 256), (12, 256, 1024), (256, 8, 32)),
)
BLOCKS = ((64, 256), (64, 1024), (64, 4096), (256, 1024), (256, 4096))
EXAMPLES = 512
SEEN = (8_192, 65_536)


def seconds(act: Callable[[], object], calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        act()
    return (time.process_time() - started) / calls


def compare(ours: Callable[[], object], theirs: Callable[[], object], repeats: int, budget: float = 0.05) -> dict:
    calls = max(1, round(budget / max(seconds(ours, 2), seconds(theirs, 2), 1e-9)))
    pairs = np.array(
        [
            [seconds(act, calls) for act in ((ours, theirs) if turn % 2 else (theirs, ours))][:: 1 if turn % 2 else -1]
            for turn in range(repeats)
        ]
    )
    ratios = pairs[:, 0] / pairs[:, 1]
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "quartiles": np.quantile(ratios, (0.25, 0.75)).round(3).tolist(),
        "microseconds": (1e6 * np.median(pairs, 0)).round(1).tolist(),
    }


def optimiser_step(readouts: int, outputs: int, width: int, fused: bool, repeats: int) -> dict:
    acts = []
    for make in (AdamStar, partial(torch.optim.Adam, fused=fused)):
        weights = [nn.Parameter(torch.zeros(outputs, width)) for _ in range(readouts)]
        for weight in weights:
            weight.grad = torch.randn(outputs, width, generator=torch.Generator().manual_seed(0))
        acts.append(make(weights, lr=1e-3).step)
    shape = {"readouts": readouts, "outputs": outputs, "width": width}
    return shape | {"fused": fused} | compare(*acts, repeats)


def training_step(size: int, width: int, inner: bool, plain: bool, repeats: int) -> dict:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(EXAMPLES, size, generator=random).requires_grad_(inner)
    target = torch.randn(EXAMPLES, size, generator=random)

    def trainer(block: nn.Module, optimiser: torch.optim.Optimizer) -> Callable[[], None]:
        def act() -> None:
            x.grad = None
            optimiser.zero_grad()
            (block(x) - target).square().mean().backward()
            optimiser.step()

        return act

    frozen = FrozenReadout(size, size, width=width, seed=0)
    trained: nn.Module = TrainedReadout(size, size, width=width, seed=0)
    if plain:
        layers = nn.Linear(size, width, bias=False), nn.Linear(width, size, bias=False)
        trained = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    acts = (
        trainer(frozen, AdamStar(frozen.parameters(), lr=1e-2)),
        trainer(trained, torch.optim.Adam(trained.parameters(), lr=1e-3, fused=plain)),
    )
    return {"size": size, "width": width, "inner": inner, "plain": plain} | compare(*acts, repeats)


def dual_step(size: int, seen: int, repeats: int) -> dict:
    random = torch.Generator().manual_seed(0)
    block = DualReadout(size, size, lr=1e-3)
    target = torch.randn(EXAMPLES, size, generator=random)

    def act() -> None:
        x = torch.randn(EXAMPLES, size, generator=random, requires_grad=True)
        (block(x) - target).square().mean().backward()
        block.step()

    while len(block.inputs) < seen:
        act()
    return {"size": size, "examples": EXAMPLES, "seen": seen, "seconds": round(seconds(act, max(2, repeats // 3)), 4)}


def keep_memory() -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    keep_memory()
    report = {
        "optimiser_step": [optimiser_step(*shape, fused, repeats) for shape in READOUTS for fused in (False, True)],
        "training_step": [
            training_step(*shape, inner, plain, repeats)
            for shape in BLOCKS
            for inner in (True, False)
            for plain in (False, True)
        ],
        "dual_step": [dual_step(64, seen, repeats) for seen in SEEN],
        "examples": EXAMPLES,
        "dtype": "float32",
    }
    path = write("adam_star", report)
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
