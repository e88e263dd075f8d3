"""Time the trainings of finite networks against those of an earlier revision, in one process.

    OMP_NUM_THREADS=1 python benchmarks/networks.py [--against REVISION] [--repeats 9] [--part PART] [--activation NAME]

Writes benchmarks/results/networks.json. Each ratio is an earlier run's seconds over ours, the median over pairs timed
in turn (process time, so that a busy machine does not spoil them), on the same data and seeds. ``flow``: gradient flow
of source and target networks, per width N. ``hmc``: posterior sampling of sources. ``posterior``: of targets of the
default's linear experiments' size, with answers on 1,000 test points. ``language``: training of a transformer.
``ablation``: small image classifiers of one start, by every optimiser at three rates. ``real_transfer``: choices of
sources and δ on five problems of digits, with judges. ``averaged``: the linear theory of 384 data sets.
``matmul_ratio``: a step of the flow over its bare matrix products, without an earlier revision.
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
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from report import RESULTS, write

ROOT = Path(__file__).parents[1]
MODULES = {
    "gradient_flow": "networks.gradient_flow",
    "langevin": "networks.langevin",
    "ensemble": "networks.two_layer.ensemble",
    "flow": "networks.two_layer.exponential_flow",
    "training": "networks.transformer.training",
    "language": "studies.language",
    "text": "tasks.text",
    "architecture": "studies.architecture",
    "real_transfer": "studies.real_transfer",
    "averaged": "studies.averaged",
}
SAMPLES, DIMENSION = 60, 20
ACTIVATIONS = ("relu", "erf", "linear")


def load(source: Path | None) -> SimpleNamespace:
    """Import the modules of a source tree (None: the one installed) beside whatever others are loaded."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "infwidth"}
    if source is not None:
        sys.path.insert(0, str(source))
    try:
        found = {name: importlib.import_module(f"infwidth.{path}") for name, path in MODULES.items()}
    finally:
        if source is not None:
            sys.path.remove(str(source))
            for name in [name for name in sys.modules if name.partition(".")[0] == "infwidth"]:
                del sys.modules[name]
        sys.modules.update(kept)
    return SimpleNamespace(**found)


def load_revision(revision: str, folder: str) -> SimpleNamespace:
    archive = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return load(Path(folder) / "src")


def data_sets(count: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, SAMPLES, DIMENSION))
    return x, np.sin(1.3 * x[..., 0]), rng.standard_normal((count, 100, DIMENSION))


def flow_run(code: SimpleNamespace, width: int, activation: str, dtype: torch.dtype) -> Callable[[], object]:
    x, y, x_test = data_sets(8 if width < 1000 else 4)
    common = {"activation": activation, "weight_decay": 0.05, "seeds": range(len(x)), "dtype": dtype}

    def act() -> object:
        source = code.gradient_flow.train_source(x, y, source_strength=0.5, time=1.0, width=width, **common)
        points = [code.ensemble.TargetPoint(delta, 0.5) for delta in (0.0, 10.0)]
        return code.gradient_flow.train_target(source, x, -y, x_test, points=points, times=[0.3, 1.0], **common)

    return act


def hmc_run(code: SimpleNamespace, width: int, activation: str, dtype: torch.dtype) -> Callable[[], object]:
    x, y, _ = data_sets(8 if width < 1000 else 4)

    def act() -> object:
        return code.langevin.sample_source(
            x, y, activation=activation, source_strength=0.5, inverse_temperature=20.0, width=width,
            seeds=range(len(x)), burn_in_time=6.0, dtype=dtype,
        )  # fmt: skip

    return act


def posterior_run(code: SimpleNamespace, width: int, activation: str, dtype: torch.dtype) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    x, x_test = rng.standard_normal((20, 40)), rng.standard_normal((1000, 40))
    networks = 4000 // width
    hidden, readout = rng.standard_normal((networks, width, 40)), rng.standard_normal((networks, width))
    weights = [torch.from_numpy(array).to(dtype) for array in (hidden, readout)]
    points = [code.ensemble.TargetPoint(delta, 0.5) for delta in (0.0, 10.0)]

    def act() -> object:
        source = code.ensemble.SourceNetworks(*weights, ("converged",) * networks, np.zeros(networks, int))
        return code.langevin.sample_target(
            source, x, x[:, 0], x_test, points=points, activation=activation, inverse_temperature=20.0,
            burn_in_time=4.0, sampling_time=16.0, seeds=range(networks), dtype=dtype,
        )  # fmt: skip

    return act


def language_run(code: SimpleNamespace, optimiser: str, width: int) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 256, size).astype(np.uint16) for size in (40_000, 8_000, 8_000)]
    task = code.text.TextTask(*parts, vocabulary=256, label="noise", unit="byte")

    def act() -> object:
        model, movers = code.language.make_variant(
            optimiser, width, vocabulary=256, context=64, model_width=64, layers=2, heads=4, activation="relu",
            learning_rate=0.3, backbone_rate=1e-3, beta2=0.99, seed=0,
        )  # fmt: skip
        return code.training.train(
            model, task, steps=30, batch=16, context=64, optimisers=movers, seed=0, evaluate_every=30, final_windows=16
        )

    return act


def ablation_run(code: SimpleNamespace, architecture: str) -> Callable[[], object]:
    return lambda: code.architecture.run(seed=0, steps=20, architectures=[architecture], infinite=False)


def study_run(code: SimpleNamespace, study: str) -> Callable[[], object]:
    return lambda: getattr(code, study).run(seed=0, **STUDIES[study])


def compare(theirs: Callable[[], object], ours: Callable[[], object], repeats: int) -> dict:
    def seconds(act: Callable[[], object]) -> float:
        started = time.process_time()
        act()
        return time.process_time() - started

    theirs(), ours()
    pairs = np.array(
        [
            [seconds(act) for act in ((theirs, ours) if turn % 2 else (ours, theirs))][:: 1 if turn % 2 else -1]
            for turn in range(repeats)
        ]
    )
    ratios = pairs[:, 0] / pairs[:, 1]
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "quartiles": np.quantile(ratios, (0.25, 0.75)).round(3).tolist(),
        "seconds": np.median(pairs, 0).round(3).tolist(),
    }


def matmul_ratio(width: int, dtype: torch.dtype, repeats: int) -> dict:
    """A step of as many networks as run together over the two products of each of its two evaluations."""
    code = load(None)
    networks = 2**21 // (width * SAMPLES * torch.finfo(dtype).bits // 8)
    x, y, _ = data_sets(networks)
    inputs = torch.from_numpy(x).to(dtype)
    hidden, gates = (torch.randn(networks, rows, width, dtype=dtype) for rows in (DIMENSION, SAMPLES))
    out, back = torch.empty_like(gates), torch.empty_like(hidden)
    common = {"activation": "relu", "source_strength": 0.5, "weight_decay": 0.05, "width": width, "dtype": dtype}

    def train(end: float) -> tuple[float, int]:
        started = time.process_time()
        steps = code.gradient_flow.train_source(x, y, time=end, seeds=range(networks), **common).steps
        return time.process_time() - started, int(steps.max())

    def products() -> float:
        started = time.process_time()
        for _ in range(100):
            torch.bmm(inputs, hidden, out=out)
            torch.bmm(inputs.mT, gates, out=back)
        return (time.process_time() - started) / 50

    products(), train(1.0)
    found = []
    for _ in range(repeats):
        (short, few), (long, many) = train(1.0), train(4.0)  # what both do before the first step drops out
        found.append(((long - short) / (many - few), products()))
    step, bare = np.array(found).T
    return {
        "networks": networks,
        "ratio": round(float(np.median(step / bare)), 3),
        "quartiles": np.quantile(step / bare, (0.25, 0.75)).round(3).tolist(),
        "microseconds": (1e6 * np.median(found, 0)).round(1).tolist(),
    }


ON_NETWORKS = {"flow": flow_run, "hmc": hmc_run, "posterior": posterior_run}
STUDIES = {"real_transfer": {"activation": "linear", "width": 48}, "averaged": {"dimensions": (24,)}}
PARTS = (*ON_NETWORKS, "language", "ablation", *STUDIES, "matmul_ratio")
AGAINST = dict.fromkeys(PARTS, "09d7e29") | dict.fromkeys(STUDIES, "b8dd467")
"""The revision that a part is compared with; studies' is the first that had all of them as they are."""
TRANSFORMERS = (("unfrozen_adam", 256), ("frozen_adam", 256), ("adam_star", 256), ("adam_star", 1024))


def rows_of(part: str, activations: Sequence[str], theirs: SimpleNamespace, repeats: int) -> Iterator[dict]:
    """What is compared in a part."""
    ours, types = load(None), (torch.float32, torch.float64)
    if part == "language":
        for optimiser, width in TRANSFORMERS:
            acts = (language_run(code, optimiser, width) for code in (theirs, ours))
            yield {"optimiser": optimiser, "width": width} | compare(*acts, repeats)
    elif part == "ablation":
        for architecture in ("mlp", "cnn"):
            acts = (ablation_run(code, architecture) for code in (theirs, ours))
            yield {"architecture": architecture} | compare(*acts, repeats)
    elif part in STUDIES:
        yield compare(*(study_run(code, part) for code in (theirs, ours)), repeats)
    elif part == "matmul_ratio":
        for dtype in types:
            yield {"width": 2000, "dtype": str(dtype).removeprefix("torch.")} | matmul_ratio(2000, dtype, repeats)
    else:
        for activation, width, dtype in product(activations, (500, 2000), types):
            what = {"activation": activation, "width": width, "dtype": str(dtype).removeprefix("torch.")}
            acts = (ON_NETWORKS[part](code, width, activation, dtype) for code in (theirs, ours))
            yield what | compare(*acts, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="revision to compare with, in place of each part's own")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--part", choices=PARTS, help="run one part and keep the others of the file")
    parser.add_argument("--activation", choices=ACTIVATIONS, help="of one activation, likewise")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path, whole = RESULTS / "networks.json", not (arguments.part or arguments.activation)
    report = {"against": {}} if whole else json.loads(path.read_text(encoding="utf-8"))
    for part in [arguments.part] if arguments.part else PARTS:
        with tempfile.TemporaryDirectory() as folder:
            report["against"][part] = revision = arguments.against or AGAINST[part]
            theirs = load_revision(revision, folder)
            activations = [arguments.activation] if arguments.activation else ACTIVATIONS
            rows = [row for row in report.get(part, []) if row.get("activation", activations[0]) not in activations]
            for row in rows_of(part, activations, theirs, arguments.repeats):
                print(part, row, flush=True)
                rows.append(row)
            report[part] = rows
    write("networks", report | {"samples": SAMPLES, "dimension": DIMENSION})


if __name__ == "__main__":
    main()
