"""Time the theories against those of an earlier revision, in one process.

    OMP_NUM_THREADS=1 python benchmarks/theory.py [--against REVISION] [--repeats 5] [--part particles|…]

Writes benchmarks/results/theory.json. Each ratio is an earlier run's seconds over ours, the median over pairs timed
in turn (process time, so that a busy machine does not spoil them), on the same task and seeds. ``particles``: gradient
flow of infinitely wide nonlinear networks, source and three couplings. ``population``: their Bayesian posterior, source
and two couplings, as bound by the sampler. ``linear``: further couplings of linear networks' posterior at P = 120, in
milliseconds a point, and the moment equations of their gradient flow at D = 400, in seconds.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from networks import ROOT, compare
from report import write

COUPLINGS = [0.0, 1.0, 10.0]


class Code:
    """The package of one source tree, beside whatever other is loaded."""

    def __init__(self, source: Path):
        """Take the folder that holds the package."""
        self.source, self.modules = source, {}

    def __call__(self, act: Callable[[Callable[[str], ModuleType]], object]) -> object:
        """Run act(find) where modules that it finds, or imports as it runs, are this tree's."""
        kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "infwidth"}
        sys.modules.update(self.modules)
        sys.path.insert(0, str(self.source))
        try:
            return act(lambda name: importlib.import_module(f"infwidth.{name}"))
        finally:
            sys.path.remove(str(self.source))
            self.modules = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("infwidth")}
            sys.modules.update(kept)


def revision(name: str, folder: str) -> Code:
    archive = subprocess.run(["git", "archive", name, "src"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return Code(Path(folder) / "src")


def data(find: Callable[[str], ModuleType], source: int, target: int, dimension: int) -> object:
    """He1 → He2 of one direction, where δ matters."""
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(dimension)
    direction /= np.linalg.norm(direction)
    inputs = [rng.standard_normal((count, dimension)) for count in (source, target, 500)]
    projected = [x @ direction for x in inputs]
    labels = [projected[0], *((z**2 - 1) / np.sqrt(2) for z in projected[1:])]
    arrays = [array for pair in zip(inputs, labels, strict=True) for array in pair]
    return find("tasks.transfer_task").TransferTask(*arrays)


def particles(activation: str, samples: int, dimension: int, count: int) -> Callable:
    return lambda find: find("theory.flow").solve(
        data(find, 2 * samples, samples, dimension), activation=activation, elastic_coupling=COUPLINGS,
        source_strength=0.3, target_strength=0.3, weight_decay=0.05, source_time=5.0, target_times=[1.0, 10.0],
        particles=count, replicas=2,
    )  # fmt: skip


def population(activation: str, samples: int, dimension: int, count: int | None) -> Callable:
    return lambda find: find("theory.bayes").solve(
        find("tasks.linear_tasks").linear(
            n_source=100, n_target=samples, dimension=dimension, overlap=0.6, n_test=500, seed=0
        ),
        activation=activation,
        elastic_coupling=[0.0, 10.0],
        source_strength=1.0,
        target_strength=1.0,
        inverse_temperature=20.0,
        particles=count,
        strict=False,
    )


def posterior(find: Callable[[str], ModuleType]) -> object:
    couplings = np.geomspace(0.1, 100, 200)
    task = data(find, 120, 20, 40)
    return find("theory.bayes").solve(
        task,
        activation="linear",
        elastic_coupling=couplings,
        source_strength=0.4,
        target_strength=0.4,
        inverse_temperature=20.0,
    )


def moments(find: Callable[[str], ModuleType]) -> object:
    return find("theory.flow").solve(
        data(find, 200, 60, 400),
        activation="linear",
        elastic_coupling=10.0,
        source_strength=1.0,
        target_strength=1.0,
        weight_decay=0.05,
        source_time=10.0,
        target_times=[10.0],
    )


CASES = {
    "particles": {
        f"{activation}, P = {samples}, D = {dimension}, S = {count}": particles(activation, samples, dimension, count)
        for activation, samples, dimension, count in (
            ("relu", 60, 20, 1024),
            ("erf", 60, 20, 1024),
            ("relu", 100, 200, 1024),
            ("relu", 60, 20, 8192),
        )
    },
    "population": {
        f"{activation}, P = {samples}, D = {dimension}": population(activation, samples, dimension, count)
        for activation, samples, dimension, count in (("relu", 40, 25, None), ("erf", 40, 25, None))
    },
    "linear": {"posterior of 200 couplings": posterior, "moments": moments},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="09d7e29", help="revision to compare with")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--part", choices=CASES, help="run one part and keep the others of the file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = Path(__file__).parent / "results" / "theory.json"
    report = json.loads(path.read_text()) if arguments.part and path.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        trees = revision(arguments.against, folder), Code(ROOT / "src")
        for part, cases in CASES.items():
            if arguments.part not in (None, part):
                continue
            report[part] = {"against": arguments.against}
            for name, act in cases.items():
                acts = (lambda tree=tree, act=act: tree(act) for tree in trees)
                report[part][name] = compare(*acts, arguments.repeats)
                print(part, name, report[part][name], flush=True)
    write("theory", report)


if __name__ == "__main__":
    main()
