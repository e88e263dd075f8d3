"""What every stage shares: its command line, log, progress, manifest, and errors as one line."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from infwidth.io.failures import machine_failure
from infwidth.io.manifest import write_manifest
from infwidth.io.reading import describe
from infwidth.io.whole import require_manifest
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import UnconvergedError

log = logging.getLogger("infwidth")

LOGGED = 5.0
"""Seconds after which a job's log says how far it is, and again whenever that time has doubled."""
_WRITTEN = (".csv", ".npz", ".json")
"""What jobs write for each other."""


@dataclass
class Job:
    """One run of a stage.

    Attributes:
        name: what messages call it: stage, experiment and cell.
        params: its resolved parameters.
        inputs: name → path of what it reads.
        outputs: name → path of what it writes; ``manifest`` is written for it.
        facts: what it adds to its manifest.
    """

    name: str
    params: dict[str, Any]
    inputs: dict[str, Path]
    outputs: dict[str, Path]
    facts: dict[str, Any] = field(default_factory=dict)

    def progress(self) -> Callable[[float], None]:
        """Return a callable that shows, on a terminal, the fraction done and the time left; the log has them anyway."""
        look = "{desc}: {percentage:3.0f} %, {remaining} left"
        # None: silent unless stderr is a terminal; a run that shows bars of its own there says so
        bar = tqdm(total=1.0, desc=self.name, disable="TQDM_DISABLE" in os.environ or None, bar_format=look)
        begun, due = time.monotonic(), LOGGED

        def show(fraction: float) -> None:
            nonlocal due
            bar.n = fraction
            bar.refresh()
            spent = time.monotonic() - begun
            if spent >= due and 0 < fraction < 1:
                due = 2 * spent
                left = timedelta(seconds=round(spent * (1 - fraction) / fraction))
                log.info("%s: %.0f %%, about %s (h:mm:ss) left", self.name, 100 * fraction, left)

        return show


def stage(body: Callable[[Job], None]) -> Callable[[], None]:
    """Make the command of a stage: ``python -m infwidth.stages.x --params JSON --input n=p --output n=p --log p``."""
    title = Path(sys.modules[body.__module__].__file__ or "").stem

    @click.command(help=body.__doc__)
    @click.option("--params", default="{}", callback=lambda _c, _p, text: json.loads(text), help="parameters, JSON")
    @click.option("--input", "inputs", multiple=True, help="name=path of a file to read")
    @click.option("--output", "outputs", multiple=True, help="name=path of a file to write")
    @click.option("--log", "log_path", default=None, help="where the log goes")
    def command(params: dict[str, Any], inputs: tuple[str], outputs: tuple[str], log_path: str | None) -> None:
        name = " ".join([title, *(str(params[key]) for key in ("experiment", "cell", "figure") if key in params)])
        job = Job(name, params, _paths(inputs), _paths(outputs))
        try:
            _log_to(log_path)
            _run(body, job, title)
        except (InputError, UnconvergedError) as error:
            _fail(f"{name}: {error}")
        except Exception as error:
            refused = machine_failure(error)
            if refused:
                _fail(f"{name}: {refused}")
            log.error(traceback.format_exc())
            _fail(f"{name}: {describe(error)}; see {log_path or 'above'} for the traceback")

    return command


def _run(body: Callable[[Job], None], job: Job, title: str) -> None:
    """Run a stage's body and write its manifest."""
    started = time.perf_counter()
    log.info("%s: started with %s", job.name, json.dumps(job.params, ensure_ascii=False))
    if "manifest" in job.outputs:  # part of a run, where whatever other jobs wrote has one too
        for path in job.inputs.values():
            if path.suffix in _WRITTEN:
                require_manifest(path)
    body(job)
    seconds = time.perf_counter() - started
    if "manifest" in job.outputs:
        written = [path for name, path in job.outputs.items() if name != "manifest"]
        write_manifest(
            job.outputs["manifest"],
            **{"outputs": written, "stage": title, "params": job.params, "wall_time": seconds, "facts": job.facts},
        )
    log.info("%s: done in %.1f s", job.name, seconds)


def _paths(pairs: tuple[str, ...]) -> dict[str, Path]:
    """Split name=path."""
    return {name: Path(path) for name, path in (pair.split("=", 1) for pair in pairs)}


def _log_to(path: str | None) -> None:
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    logging.raiseExceptions = False  # a full disk that takes no log line ends the job by itself, in one line
    logging.basicConfig(handlers=[handler], level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    logging.captureWarnings(True)


def _fail(line: str) -> None:
    log.error("error: %s", line)  # the last line of the log: what the run repeats at its end
    click.echo(f"error: {line}", err=True)
    sys.exit(1)
