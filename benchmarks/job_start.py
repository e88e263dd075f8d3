"""What a job costs to start: as a fork of the run's server, and as a process of its own.

    OMP_NUM_THREADS=1 python benchmarks/job_start.py [--repeats 7]

Writes benchmarks/results/job_start.json. Each job asks for the help of its stage, which imports all that the stage
imports, after what its solver or trainer imports; seconds of the processor are those of everything that is started,
the server's share among them, medians over turns. The server's own imports are listed beside them, once a run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from report import write

from infwidth.stages.parts import fork_server
from infwidth.stages.parts.forked import OFF, SERVER

STAGES = ("data", "source", "target", "theory", "language", "study", "collect", "judge", "figure", "claims")
TICKS = os.sysconf("SC_CLK_TCK")
THREADS = ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")


def spent(pid: int) -> float:
    """Seconds of the processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(stage: str, server: str) -> float:
    """Seconds from start to end of one job."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "infwidth.stages", stage, "--help"]
    subprocess.run(command, env=os.environ | {SERVER: server}, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure the stages in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    os.environ.update({f"{name}_THREADS": "1" for name in THREADS})
    fork_server.start(STAGES)
    server = os.environ[SERVER]
    run("claims", server)
    me = os.getpid()
    children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
    while spent(int(children[0])) != (before := spent(int(children[0]))) or before < 0.5:
        time.sleep(1)
    time.sleep(3)
    rows = {}
    for stage in STAGES:
        pairs = [(run(stage, OFF), run(stage, server)) for _ in range(repeats)]
        alone, forked = (median(times) for times in zip(*pairs, strict=True))
        ratio = median(one / other for one, other in pairs)
        rows[stage] = {"process": round(alone, 3), "fork": round(forked, 3), "ratio": round(ratio, 1)}
        print(stage, rows[stage], flush=True)
    write("job_start", {"wall_seconds": rows, "server_processor_seconds": round(spent(int(children[0])), 2)})


if __name__ == "__main__":
    main()
