"""Time the theories against those of an earlier revision, in two processes that take turns.

    OMP_NUM_THREADS=1 python benchmarks/theory.py [--against REVISION] [--repeats 3] [--part PART]

Writes benchmarks/results/theory.json. Each ratio is an earlier run's seconds over ours, the median over pairs timed
in turn (process time, so that a busy machine does not spoil them), on the same task and seeds. ``particles``: gradient
flow of infinitely wide nonlinear networks, source and three couplings. ``population``: their Bayesian posterior, source
and two couplings. ``linear``: 200 couplings of linear networks' posterior at P = 120, and the moment equations of their
gradient flow at D = 400. ``recent`` is compared with the revision that first had all of it: the finite width of linear
flows, transfer and control, source and four couplings; the posterior of erf networks at P = 80; ReLU flows on a task of
3,072 inputs, three lines of one coupling; a hundred linear tasks whose test points are the population. ``stiff``: the
study of failures, most of which are late times of linear flows at large δ, and such flows' moment equations alone.
``decay``: a flow whose source decays by e⁻²⁰, to numbers that some processors are slow with. ``verdicts``: those on an
experiment of the default's reference, claims read and judged.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
COUPLINGS = [0.0, 1.0, 10.0]


class Code:
    """The package of one source tree in a process of its own: what one revision sets for a process serves no other."""

    def __init__(self, source: Path):
        """Take the folder that holds the package."""
        command = [sys.executable, __file__, "--serve"]
        environment = os.environ | {"PYTHONPATH": str(source)}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, part: str, case: str) -> float:
        """Process time of one run of a case."""
        self.process.stdin.write(json.dumps([part, case]) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        """Let the process end."""
        self.process.communicate()


def serve() -> None:
    """Run the cases that standard input names, and answer with seconds."""
    for line in sys.stdin:
        part, case = json.loads(line)
        started = time.process_time()
        CASES[part][case](lambda name: importlib.import_module(f"infwidth.{name}"))
        print(time.process_time() - started, flush=True)


def compare(theirs: Code, ours: Code, part: str, case: str, repeats: int) -> dict:
    """Ratios of pairs run in turn, after one run each to warm up."""
    pairs = []
    for turn in range(repeats + 1):
        order = (theirs, ours) if turn % 2 else (ours, theirs)
        found = [code.seconds(part, case) for code in order]
        pairs.append(found if turn % 2 else found[::-1])
    pairs = np.array(pairs[1:])
    ratios = pairs[:, 0] / pairs[:, 1]
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "quartiles": np.quantile(ratios, (0.25, 0.75)).round(3).tolist(),
        "seconds": np.median(pairs, 0).round(4).tolist(),
    }


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


def population(activation: str, samples: int, dimension: int) -> Callable:
    def act(find: Callable[[str], ModuleType]) -> object:
        task = find("tasks.linear_tasks").linear(
            n_source=100, n_target=samples, dimension=dimension, overlap=0.6, n_test=500, seed=0
        )
        return find("theory.bayes").solve(
            task, activation=activation, elastic_coupling=[0.0, 10.0], source_strength=1.0, target_strength=1.0,
            inverse_temperature=20.0, strict=False,
        )  # fmt: skip

    return act


def posterior(find: Callable[[str], ModuleType]) -> object:
    return find("theory.bayes").solve(
        data(find, 120, 20, 40), activation="linear", elastic_coupling=np.geomspace(0.1, 100, 200),
        source_strength=0.4, target_strength=0.4, inverse_temperature=20.0,
    )  # fmt: skip


def moments(find: Callable[[str], ModuleType]) -> object:
    return find("theory.flow").solve(
        data(find, 200, 60, 400), activation="linear", elastic_coupling=10.0, source_strength=1.0,
        target_strength=1.0, weight_decay=0.05, source_time=10.0, target_times=[10.0],
    )  # fmt: skip


def width(find: Callable[[str], ModuleType]) -> None:
    task = find("tasks.linear_tasks").linear(n_source=90, n_target=15, dimension=30, overlap=0.9, n_test=500, seed=0)
    sources = {}
    for anchor in ("source", "random"):
        solution = find("theory.flow").solve(
            task, activation="linear", elastic_coupling=[0.0, 1.0, 10.0, 100.0], source_strength=0.5477,
            target_strength=0.5477, weight_decay=0.003, source_time=20.0, anchor=anchor, sources=sources,
            target_times=[0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20],
        )  # fmt: skip
        assert solution.finite_width.total.shape == (4, 9)


def rich_posterior(find: Callable[[str], ModuleType]) -> object:
    return find("theory.bayes").solve(
        data(find, 120, 80, 20), activation="erf", elastic_coupling=[0.0, 10.0], source_strength=1.0,
        target_strength=1.0, inverse_temperature=20.0, particles=4096, strict=False,
    )  # fmt: skip


def high_dimension(find: Callable[[str], ModuleType]) -> None:
    task, sources = data(find, 200, 50, 3072), {}
    for protocol in ({}, {"start": "scratch"}, {"anchor": "random"}):
        find("theory.flow").solve(
            task, activation="relu", elastic_coupling=10.0, source_strength=0.3, target_strength=0.3, replicas=2,
            weight_decay=0.1, source_time=5.0, target_times=[5.0], particles=512, sources=sources, **protocol,
        )  # fmt: skip


def decayed(find: Callable[[str], ModuleType]) -> None:
    find("theory.flow").solve(
        data(find, 200, 50, 3072), activation="relu", elastic_coupling=[1.0, 10.0], source_strength=0.3,
        target_strength=0.3, weight_decay=0.1, source_weight_decay=1.0, source_time=20.0, target_times=[20.0],
        anchor="random", particles=512, replicas=2,
    )  # fmt: skip


def populations(find: Callable[[str], ModuleType]) -> None:
    for seed in range(100):
        find("studies.populations").population(200, 0.5, (100, 50), seed)


def failures(find: Callable[[str], ModuleType]) -> None:
    find("studies.failure_signatures").run(seed=0, target_strength=[1])


def verdicts(find: Callable[[str], ModuleType]) -> None:
    claims = find("analysis.claim_file").check_claims(ROOT / "config/claims.yaml")
    table = find("io.tables").read_table(ROOT / "results/reference/default/tables/richness_scarce.csv")
    find("analysis.claims").judge_all([one for one in claims if one.experiment == "richness_scarce"], table)


def stiff(dimension: int) -> Callable:
    def act(find: Callable[[str], ModuleType]) -> None:
        rng = np.random.default_rng(0)
        inputs, labels = rng.standard_normal((dimension // 2, dimension)), rng.standard_normal(dimension // 2)
        find("theory.linear.moment_path").integrate_moments(
            find("theory.linear.moments").Moments.fresh_readout(np.eye(dimension)), inputs / dimension**0.5, labels,
            np.array([20.0]), strength=0.5, elastic_coupling=100.0, readout_decay=0.02, hidden_decay=0.02,
        )  # fmt: skip

    return act


CASES = {
    "linear": {"posterior of 200 couplings": posterior, "moment equations, D = 400": moments},
    "particles": {
        f"{activation}, P = {samples}, D = {dimension}, S = {count}": particles(activation, samples, dimension, count)
        for activation, samples, dimension, count in (
            ("relu", 60, 20, 1024),
            ("erf", 60, 20, 1024),
            ("relu", 100, 200, 1024),
        )
    },
    "population": {f"{activation}, P = 40, D = 25": population(activation, 40, 25) for activation in ("relu", "erf")},
    "recent": {
        "finite width of linear flows, D = 30": width,
        "erf, P = 80, D = 20, S = 4096": rich_posterior,
        "relu flow, P = 50, D = 3072": high_dimension,
        "linear tasks of the population, D = 200": populations,
    },
    "stiff": {"failures of transfer, D = 20": failures}
    | {f"moment equations, D = {dimension}": stiff(dimension) for dimension in (20, 50, 100)},
    "decay": {"relu flow, P = 50, D = 3072, random anchor": decayed},
    "verdicts": {"richness_scarce of the default": verdicts},
}
AGAINST = dict.fromkeys(CASES, "09d7e29") | {
    "recent": "303ce1c",
    "stiff": "1cec6de",
    "verdicts": "1cec6de",
    "decay": "3c6adfd",
}
"""The revision that a part is compared with."""


def compare_part(part: str, against: str, repeats: int) -> dict:
    """All cases of a part beside an earlier revision."""
    found = {"against": against, "repeats": repeats}
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", against, "src"], cwd=ROOT, check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(folder, filter="data")
        theirs, ours = Code(Path(folder) / "src"), Code(ROOT / "src")
        for case in CASES[part]:
            found[case] = compare(theirs, ours, part, case, repeats)
            print(part, case, found[case], flush=True)
        theirs.end(), ours.end()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="revision to compare with; each part has its own")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=CASES, help="run one part and keep the others of the file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.serve:
        serve()
        return
    path = Path(__file__).parent / "results" / "theory.json"
    report = json.loads(path.read_text()) if arguments.part and path.exists() else {}
    report["environment"] = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    for part in CASES:
        if arguments.part in (None, part):
            report[part] = compare_part(part, arguments.against or AGAINST[part], arguments.repeats)
            path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
