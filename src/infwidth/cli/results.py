"""Commands on the results of a run, and on the committed references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from infwidth.cli.places import (
    DEFAULT_CONFIG,
    check_folder,
    check_names,
    config_of,
    config_of_reference,
    place,
    planned,
    read_config,
    read_run,
    reference_of,
)
from infwidth.numerics.checks import InputError

_config = click.option("--config", default="", help="the configuration whose results are meant; else the folder's")


@click.command()
@click.argument("results", default="")
@_config
@click.option("--only", default="", help="experiments whose name begins so")
def claims(results: str, config: str, only: str) -> None:
    """Print the claim table of a run."""
    from infwidth.analysis.claim_table import as_text
    from infwidth.cli.verdicts import leftover_line, read_verdicts

    results, made = _place(results, config)
    verdicts = read_verdicts(results, planned(made))
    if only:
        known = planned(made) or {verdict.experiment for verdict in verdicts}
        check_names("--only", [only], known, prefix=True)
    click.echo(as_text([verdict for verdict in verdicts if verdict.experiment.startswith(only)]))
    line = leftover_line(results, planned(made))
    if line:
        click.echo(line, err=True)


@click.command()
@click.argument("results", default="")
@click.argument("reference", default="")
@_config
@click.option("--skip", multiple=True, help="an experiment to leave out; may be repeated")
def compare(results: str, reference: str, config: str, skip: tuple[str, ...]) -> None:
    """Compare the tables of a run with a reference, by default its preset's; fail on drift."""
    from infwidth.plan.reference import compare as differences

    results, made = _place(results, config)
    reference = reference or str(reference_of(results))
    check_names("--skip", skip, _tables(reference, "a reference; make one with `make reference`"))
    _tables(results, "a finished run; run `make reproduce` first")
    grown = _grown(made)
    if grown:
        click.echo(f"{results} holds more than its preset says of {', '.join(grown)}: not compared", err=True)
    lines = list(differences(Path(results), Path(reference), (*skip, *grown), planned(made)))
    for line in lines[:50]:
        click.echo(f"drift: {line}", err=True)
    if len(lines) > 50:
        click.echo(f"… and {len(lines) - 50} more", err=True)
    if lines:
        raise click.ClickException(
            f"{len(lines)} rows drifted from {reference}; renew it with `make reference` if meant"
        )
    click.echo(f"{results} agrees with {reference}")


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--to", default="results/diff.html", show_default=True, help="the page")
def diff(old: str, new: str, to: str) -> None:
    """Put what differs between two results or references, OLD and NEW, into one page, and say it in Markdown."""
    from infwidth.pages.difference import compare_results, write_difference

    found = compare_results(Path(old), Path(new))
    write_difference(Path(to), Path(old), Path(new), found)
    click.echo(f"### {old} → {new}\n")
    for line in found.lines():
        click.echo(f"- {line}")
    click.echo(f"\nOld beside new: {to}")


@click.command()
@click.argument("results", default="")
@click.argument("reference", default="")
@_config
@click.option("--only", default="", help="experiments whose name begins so; the rest of the reference stays")
def reference(results: str, reference: str, config: str, only: str) -> None:
    """Replace a reference, by default its preset's, by a run, on purpose."""
    from infwidth.cli.verdicts import leftover_line
    from infwidth.plan.reference import make_reference
    from infwidth.plan.transfer import Plan

    results, made = _place(results, config)
    reference = reference or str(reference_of(results))
    if only and made:
        check_names("--only", [only], planned(made), prefix=True)
    grown = [name for name in _grown(made) if name.startswith(only)]
    if grown:
        raise InputError(
            f"{results}: {', '.join(grown)} hold what `infwidth decide` added; expected what the preset says; raise "
            f"its seeds, or remove {results}/added.yaml, and run again"
        )
    files = make_reference(Path(results), Path(reference), only, Plan(made) if made else None)
    click.echo(f"{reference}: {len(files)} files, {sum(path.stat().st_size for path in files) // 1024} kB; commit them")
    line = leftover_line(results, planned(made))
    if line:
        click.echo(line, err=True)


@click.command()
@click.argument("reference", default="")
@click.argument("to", default="")
@click.option(
    "--config", default="", help="what says what each figure shows; else the preset the reference is called by"
)
def figures(reference: str, to: str, config: str) -> None:
    """Redraw the figures from a reference's tables, solving nothing."""
    from infwidth.figures.draw import draw_figure
    from infwidth.figures.verdicts import draw_claims
    from infwidth.plan.titles import experiment_titles

    config = config or (config_of_reference(reference) if reference else DEFAULT_CONFIG)
    shown = read_config(config) if config else {}
    reference = reference or str(reference_of(place(shown, config)))
    _tables(reference, "a reference; make one with `make reference`")
    if not config:
        raise InputError(f"{reference}: no preset is called so; expected the configuration that made it; name --config")
    to = to or f"results/redrawn/{Path(reference).name}"
    missing = []
    if (Path(reference) / "claims.json").exists():
        paths = {kind: Path(to) / f"verdicts.{kind}" for kind in ("pdf", "png", "csv")}
        draw_claims(Path(reference) / "claims.json", paths)
        click.echo(str(paths["pdf"]))
    for figure, experiments in shown["figures"].items():
        tables = [Path(reference) / "tables" / f"{experiment}.csv" for experiment in experiments]
        absent = [f"{table}: missing; {figure} needs it" for table in tables if not table.exists()]
        if absent:  # the others can be drawn all the same
            missing += absent
            continue
        paths = {kind: Path(to) / f"{figure}.{kind}" for kind in ("pdf", "png", "csv")}
        draw_figure(figure, tables, paths, experiment_titles(shown, experiments))
        click.echo(str(paths["pdf"]))
    if missing:
        more = [f"and {len(missing) - 3} more"] if len(missing) > 3 else []
        raise InputError("; ".join([*missing[:3], *more, "renew the reference with `make reference`"]))


@click.command()
@click.argument("results", default="")
@_config
def cite(results: str, config: str) -> None:
    """Print what to cite for what a run used."""
    from infwidth.analysis.citations import citations
    from infwidth.cli.verdicts import read_verdicts
    from infwidth.io.tables import read_table

    results, made = _place(results, config)
    names = planned(made)
    paths = [path for path in sorted(Path(results).glob("tables/*.csv")) if names is None or path.stem in names]
    tables = [read_table(path) for path in paths]
    papers = {verdict.paper for verdict in read_verdicts(results, names)}
    for line in citations(papers, {dataset for table in tables for dataset in table["dataset"].unique()}):
        click.echo(line)


def _tables(folder: str, expected: str) -> list[str]:
    """Names of the tables in a folder; raises InputError if there are none."""
    check_folder(folder, expected)
    found = [path.stem for path in (Path(folder) / "tables").glob("*.csv")]
    if not found:
        raise InputError(f"{folder}/tables: no tables; expected {expected}")
    return found


def _grown(config: dict[str, Any] | None) -> list[str]:
    """Experiments to which something was added."""
    from infwidth.plan.additions import grown

    return [] if config is None else list(grown(config))


def _place(results: str, config: str) -> tuple[str, dict[str, Any] | None]:
    """The results folder meant, and the configuration that plans them, if that is known."""
    config = config or (config_of(results) if results else DEFAULT_CONFIG)
    if not config:
        return results, None
    made = read_run(config)
    return place(made, config, results), made
