"""What a person types: ``infwidth …``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click

from infwidth.numerics.checks import InputError


class _OneLineErrors(click.Group):
    """Bad input ends in one line, not a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_OneLineErrors)
@click.version_option(package_name="infwidth")
def main() -> None:
    """Theory of learning in infinitely wide networks, beside finite networks. Run in the repository's root."""


@main.command()
@click.argument("config", default="config/config.yaml")
def check(config: str) -> None:
    """Validate a configuration file, or one of claims, one line an error."""
    from infwidth.plan.claims import check_run_claims, holds_claims
    from infwidth.plan.config import load_config
    from infwidth.plan.transfer import Plan

    if holds_claims(Path(config)):
        click.echo(f"{config} is valid: {len(check_run_claims(path=Path(config)))} claims")
        return
    plan = Plan(load_config(config))
    click.echo(f"{config} is valid: {plan.describe()}; results go to {plan.results}/")


@main.command()
def keys() -> None:
    """Print the table of configuration keys that config/README.md holds."""
    from infwidth.plan.config import load_schema
    from infwidth.plan.config_keys import key_table

    click.echo(key_table(load_schema()))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def plan(arguments: tuple[str, ...]) -> None:
    """Show what a run would do, how many jobs and the expected minutes; ARGUMENTS go to Snakemake."""
    from infwidth.plan.timing import announcement

    command = ["snakemake", "--dry-run", "--quiet", "host", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        click.echo(done.stdout, err=True)
        sys.exit(done.returncode)
    benchmarks = re.findall(r"benchmark: (\S+)", done.stdout)
    for rule, count in Counter(path.split("/benchmarks/")[1].split("/")[0] for path in benchmarks).items():
        click.echo(f"{rule.removesuffix('.tsv'):<8} {count:>4}")
    cores = re.search(r"--cores[= ](\d+)", " ".join(arguments))
    click.echo(announcement(benchmarks, int(cores[1]) if cores else 1))


@main.command()
@click.argument("results", default="results")
@click.option("--only", default="", help="experiments whose name begins so")
def claims(results: str, only: str) -> None:
    """Print the claim table of a run."""
    from infwidth.analysis.claims import Verdict, as_text

    # an experiment's own verdicts are newer than the whole table after a run of that experiment alone
    paths = [path for path in sorted(Path(results).glob("claims/*.json")) if "manifest" not in path.name]
    paths = paths or [path for path in [Path(results) / "claims.json"] if path.exists()]
    if not paths:
        raise InputError(f"{results}: no claims; expected a finished run; run `make reproduce` first")
    entries = [entry for path in paths for entry in json.loads(path.read_text(encoding="utf-8"))]
    click.echo(as_text([Verdict(**entry) for entry in entries if entry["experiment"].startswith(only)]))


@main.command()
@click.argument("results", default="results")
@click.argument("reference", default="results/reference/default")
@click.option("--skip", multiple=True, help="an experiment to leave out; may be repeated")
def compare(results: str, reference: str, skip: tuple[str, ...]) -> None:
    """Compare the tables of a run with a reference; fail on drift."""
    from infwidth.plan.reference import compare as differences

    lines = list(differences(Path(results), Path(reference), skip))
    for line in lines[:50]:
        click.echo(f"drift: {line}", err=True)
    if len(lines) > 50:
        click.echo(f"… and {len(lines) - 50} more", err=True)
    if lines:
        raise click.ClickException(
            f"{len(lines)} rows drifted from {reference}; renew it with `make reference` if meant"
        )
    click.echo(f"{results} agrees with {reference}")


@main.command()
@click.argument("results", default="results")
@click.argument("reference", default="results/reference/default")
@click.option("--only", default="", help="experiments whose name begins so; the rest of the reference stays")
def reference(results: str, reference: str, only: str) -> None:
    """Replace a reference by a run, on purpose."""
    from infwidth.plan.reference import make_reference

    files = make_reference(Path(results), Path(reference), only)
    click.echo(f"{reference}: {len(files)} files, {sum(path.stat().st_size for path in files) // 1024} kB; commit them")


@main.command()
@click.argument("reference", default="results/reference/default")
@click.argument("to", default="results/redrawn")
@click.option("--config", default="config/config.yaml", help="the preset's file, which says what each figure shows")
def figures(reference: str, to: str, config: str) -> None:
    """Redraw the figures from a reference's tables, solving nothing."""
    from infwidth.figures.draw import draw_figure
    from infwidth.plan.config import load_config

    missing = []
    for figure, experiments in load_config(config)["figures"].items():
        tables = [Path(reference) / "tables" / f"{experiment}.csv" for experiment in experiments]
        absent = [f"{table}: missing; {figure} needs it" for table in tables if not table.exists()]
        if absent:  # the others can be drawn all the same
            missing += absent
            continue
        paths = {kind: Path(to) / f"{figure}.{kind}" for kind in ("pdf", "png", "csv")}
        draw_figure(figure, tables, paths)
        click.echo(str(paths["pdf"]))
    if missing:
        raise InputError("; ".join([*missing, "renew the reference with `make reference`"]))


@main.command()
@click.argument("results", default="results")
def cite(results: str) -> None:
    """Print what to cite for what a run used."""
    from infwidth.analysis.citations import citations
    from infwidth.io.tables import read_table

    tables = [read_table(path) for path in sorted(Path(results).glob("tables/*.csv"))]
    verdicts = Path(results) / "claims.json"
    papers = (
        {entry["paper"] for entry in json.loads(verdicts.read_text(encoding="utf-8"))}
        if verdicts.exists()
        else set("TS")
    )
    for line in citations(papers, {dataset for table in tables for dataset in table["dataset"].unique()}):
        click.echo(line)


@main.command()
@click.argument("source")
@click.argument("target")
@click.option("--activation", default="erf", show_default=True, help="linear, relu or erf")
@click.option("--source-strength", type=float, help="γ̄, feature-learning strength on the source; 5/√D by default")
@click.option("--target-strength", type=float, help="γ, that on the target; 5/√D by default")
@click.option("--inverse-temperature", type=float, default=10.0, show_default=True, help="β; 1/β is a ridge")
@click.option("--couplings", help="values of δ to compare; 0,1,10,100,inf by default, without 100 from 250 samples on")
@click.option("--particles", type=int, help="of the theory; by default as many as the samples need")
@click.option("--seed", type=int, default=0, show_default=True, help="of the theory's particles and of subsets")
@click.option("--output", default="advice", show_default=True, help="folder that receives table and figure")
def advise(source: str, target: str, couplings: str | None, output: str, **settings: object) -> None:
    """Predict how strongly a target network should be tied to its source, from two labelled data sets.

    SOURCE and TARGET are .npz files with keys x (samples first) and y (two classes, or numbers).
    """
    from contextlib import ExitStack

    from tqdm import tqdm

    from infwidth.applied.advice import advise as predict
    from infwidth.figures.advice import draw
    from infwidth.figures.parts.style import save_figure
    from infwidth.tasks.own_data import own_data

    try:
        values = [float(value) for value in couplings.split(",")] if couplings else None
    except ValueError:
        raise InputError(f"--couplings = {couplings!r}: expected numbers like 0,1,10,inf; correct it") from None
    data = own_data(source, target)
    folder = Path(output)
    try:  # before minutes of work for it
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--output = {output}: can't be made ({error.strerror}); expected a folder's path; choose another"
        ) from None
    bar = None

    def show(fraction: float) -> None:
        nonlocal bar
        if bar is None:  # only now are the arguments known to be good, and an error would stand alone
            look = "{desc}: {percentage:3.0f} %, {remaining} left"
            bar = ending.enter_context(tqdm(total=1.0, desc="theory", bar_format=look))
        bar.n = fraction
        bar.refresh()

    with ExitStack() as ending:
        found = predict(data, couplings=values, progress=show, **settings)
    figure = draw(found.table, found.smaller, found.recommended, data.label, len(data.y_target))
    save_figure(figure, found.table, {kind: folder / f"advice.{kind}" for kind in ("pdf", "png", "csv")})
    percent = {column: found.table[column].map("{:+.1%}".format) for column in ("gain", "gain_stderr")}
    click.echo(found.table.assign(**percent).to_string(index=False, float_format="{:.4g}".format))
    click.echo(found.sentence)
    click.echo(f"{folder}/advice.csv, .pdf, .png")
