"""Run every benchmark, or those that are named, each in a process of its own with one thread.

    python benchmarks [NAME …]

Each writes benchmarks/results/NAME.json with its environment: versions, CPU, threads, commit. ``make bench`` is this.
Calibrations, which tell no time, are run by their names alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
CALIBRATIONS = {"claim_intervals", "finite_width"}
NEEDS = {"lazy_kernels": "neural_tangents"}
"""What a benchmark compares with, where that is no dependency of this project's."""


def names() -> list[str]:
    """Every benchmark here."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ("__main__", "report"))


def main() -> None:
    """Run them one after the other; ends with those that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *names()], metavar="NAME", help=", ".join(names()))
    given = parser.parse_args().names
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    failed = []
    for name in given or [name for name in names() if name not in CALIBRATIONS]:
        if name in NEEDS and not given and importlib.util.find_spec(NEEDS[name]) is None:
            print(f"bench: {name}: left out, {NEEDS[name]} is not installed", flush=True)
            continue
        started = time.monotonic()
        done = subprocess.run([sys.executable, HERE / f"{name}.py"], env=environment, check=False)
        print(f"bench: {name}: {time.monotonic() - started:.0f} s", flush=True)
        failed += [name] if done.returncode else []
    if failed:
        sys.exit(f"bench: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
