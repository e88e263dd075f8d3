"""Commands that run the workflow, or say what a run would do."""

from __future__ import annotations

import logging
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from infwidth.cli.places import planned
from infwidth.cli.request import Request, takes_request
from infwidth.io.failures import remedied
from infwidth.numerics.checks import InputError

_LEAST_MEMORY = 700 * 2**20
"""Bytes of addresses that a job's PyTorch takes before it does anything; Snakemake takes two thirds of that."""
_LEAST_FILES = 64
"""Files that may be open at a time: Snakemake alone holds half of that; short of them it ends in tracebacks."""
_MINUTES = click.FloatRange(min=0)


@click.command()
@click.option("--decide", "minutes", type=_MINUTES, default=0.0, help="minutes to decide more claims in afterwards")
@takes_request
def run(request: Request, arguments: tuple[str, ...], minutes: float) -> None:
    """Make what is missing, from data to report, and sum up; ARGUMENTS (after --) go to Snakemake."""
    _run(request, arguments, minutes)


@click.command()
@click.option("--minutes", type=_MINUTES, default=10.0, show_default=True, help="how long to go on")
@takes_request
def decide(request: Request, arguments: tuple[str, ...], minutes: float) -> None:
    """Add data sets, or networks on each, to experiments whose claims are undecided, until they are.

    The run is finished first, if it isn't. What is bought next is what decides a claim at the least cost; the error of
    verdicts is spent over the looks at the data. What was added stays: later runs make and judge it too.
    """
    _run(request, arguments, minutes)


def _run(request: Request, arguments: tuple[str, ...], minutes: float) -> None:
    """Run, decide if there are minutes for it, and sum up."""
    from infwidth.cli.verdicts import added_line, leftover_line, read_verdicts, summary, undrawn_line
    from infwidth.plan.config import preset_file
    from infwidth.plan.run_lock import hold
    from infwidth.plan.run_record import record_configuration

    config, results = request.read()
    _check_machine()
    hold(results)
    record_configuration(results, [preset_file(request.config)])
    names = planned(config)
    before = read_verdicts(results, names, lenient=True)
    _make_caches_writable()
    _make(request, arguments)
    if "--touch" in arguments:
        return
    if minutes > 0:
        from infwidth.cli.looks import look_on

        look_on(request, Path(results), minutes, lambda *targets: _make(request, arguments, *targets))
        _make(request, arguments)
    after = [v for v in read_verdicts(results, names, lenient=True) if v.experiment.startswith(request.only)]
    table = " ".join(["infwidth claims", results, *(["--only", request.only] if request.only else [])])
    where = f"{results}/index.html shows it all, figure by figure; every claim: {table}"
    grown = request.read_again()
    lines = [*summary(before, after), undrawn_line(grown), added_line(grown, results), leftover_line(results, names)]
    lines.append(where)
    for line in filter(None, lines):
        click.echo(line)


def _make(request: Request, arguments: Sequence[str], *targets: str) -> None:
    """Let Snakemake make some files, or all there are; a failure ends the process."""
    code = _snakemake([*targets, *arguments, *_logger(arguments), *request.options()])
    if code:
        if arguments:  # they may ask for what no rule makes: then it is they that are wrong
            _output_of(*arguments, "--dry-run", "--quiet", "all", *request.options())
        click.echo("infwidth: not finished; the same command goes on from here", err=True)
        sys.exit(code)


@click.command()
@click.option("--pieces", default="", help="divide the run into commands of at most so long, e.g. 10min")
@takes_request
def plan(request: Request, arguments: tuple[str, ...], pieces: str) -> None:
    """Show what a run would do, how many jobs and the expected minutes; ARGUMENTS (after --) go to Snakemake."""
    from infwidth.plan.pieces import seconds_of
    from infwidth.plan.timing import announcement

    most = seconds_of(pieces) if pieces else None
    config, results = request.read()
    _check_machine()
    _make_caches_writable()
    output = _output_of(*arguments, "--dry-run", "--quiet", "host", *request.options())
    benchmarks = re.findall(r"benchmark: (\S+)", output)
    if most is not None:
        for line in _piece_commands(request, config, results, benchmarks, most):
            click.echo(line)
        return
    for rule, count in Counter(path.split("/benchmarks/")[1].split("/")[0] for path in benchmarks).items():
        click.echo(f"{rule.removesuffix('.tsv'):<8} {count:>4}")
    click.echo(announcement(benchmarks, request.cores))


def _piece_commands(
    request: Request, config: dict[str, Any], results: str, benchmarks: Sequence[str], most: float
) -> Iterator[str]:
    """The commands that together are a run, each of at most so many seconds as far as times are known."""
    from infwidth.plan.pieces import cells_to_run, pieces
    from infwidth.plan.timing import job_seconds
    from infwidth.plan.transfer import Plan

    cells = cells_to_run(Plan(config), [path.split("/benchmarks/")[1].removesuffix(".tsv") for path in benchmarks])
    command = shlex.join(["infwidth", "run", *request.flags()])
    for piece in pieces(cells, job_seconds(results), most, request.cores):
        yield f"{command} -- {shlex.join(f'{results}/{cell}.csv' for cell in piece)}"
    yield command  # tables, claims, figures, report


def _output_of(*arguments: str) -> str:
    """What a process of Snakemake's writes; raises InputError with what it says is wrong."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    done = subprocess.run(command, check=False, **streams)
    if done.returncode:
        raise InputError(_gist(done.stdout))
    return done.stdout


def _gist(output: str) -> str:
    """What Snakemake says is wrong, without its header, the exception's name and where in the Snakefile it was."""
    unknown = re.search(r"No rule to produce (\S+)", output)
    if unknown:
        return f"{unknown[1]}: no rule makes it; expected a file of these results, or Snakemake's options; correct it"
    lines = [line.strip() for line in output.splitlines()]
    usage = [line.split(": error: ", 1)[1] for line in lines if ": error: " in line]
    heads = [i for i, line in enumerate(lines) if re.match(r"(\w+(Exception|Error)\b.*|Error): *$", line)]
    said = takewhile(lambda line: line and not line.startswith('File "'), lines[heads[0] + 1 :]) if heads else []
    raised = [remedied(line) for line in lines if re.match(r"\w+(Exception|Error): .", line)][-1:]  # a traceback's end
    return "\n".join(usage or list(said) or raised or filter(None, lines))


def _snakemake(arguments: list[str]) -> int:
    """Run Snakemake in this process, whose signals and lock are then the run's; return its exit status.

    Raises:
        InputError: Snakemake does not know an argument, and says so in two screens of usage.
    """
    from snakemake.cli import args_to_api, parse_args, print_exception

    logging.raiseExceptions = False  # a full disk that takes no log line is reported once, by what needed it
    try:
        with redirect_stderr(StringIO()) as said:
            parser, args = parse_args(arguments)
    except SystemExit as end:
        if end.code:
            raise InputError(_gist(said.getvalue())) from None
        return 0
    try:
        return int(not args_to_api(args, parser))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:  # as Snakemake's own entry point has it
        print_exception(error)
        return 1


def _logger(arguments: Sequence[str]) -> list[str]:
    """Let Snakemake show bars on a terminal, elsewhere one line a finished job, unless another logger is asked for."""
    if any(argument.split("=")[0] == "--logger" for argument in arguments):
        return []
    from infwidth.cli.loggers import register

    register()
    if not sys.stderr.isatty():
        return ["--logger", "lines"]
    os.environ["TQDM_DISABLE"] = "1"  # the jobs' own bars would write into these
    return ["--logger", "bars"]


def _check_machine() -> None:
    """Raise InputError or OSError where Snakemake could keep no records, or a library would end this process mutely."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= allowed < _LEAST_MEMORY:
        raise InputError(
            f"ulimit -v = {allowed // 1024}: expected at least {_LEAST_MEMORY // 1024}, as the libraries of a run take "
            "that much by themselves; raise it (ulimit -v unlimited), or take a machine with more memory"
        )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < _LEAST_FILES:
        raise InputError(f"ulimit -n = {files}: expected at least {_LEAST_FILES} open files; raise it (ulimit -n 1024)")
    records = Path(".snakemake")
    records.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=records):
            pass
    except OSError as error:  # which names the file
        raise OSError(error.errno, error.strerror, str(records)) from error


def _make_caches_writable() -> None:
    """Where the home folder can't be written to, let Snakemake, matplotlib and the like keep their caches elsewhere."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            return
    except (OSError, RuntimeError):  # RuntimeError: no home at all
        os.environ["XDG_CACHE_HOME"] = str(Path(".snakemake", "cache").resolve())
        os.environ.setdefault("MPLCONFIGDIR", str(Path(".snakemake", "cache", "matplotlib").resolve()))
