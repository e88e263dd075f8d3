"""The command that advises on a user's own data."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from infwidth.io.reading import at_home
from infwidth.numerics.checks import InputError


@click.command()
@click.argument("source")
@click.argument("target", required=False)
@click.option("--activation", default="erf", show_default=True, help="linear, relu or erf")
@click.option(
    "--source-strength", type=float, help="γ̄, feature-learning strength on the source; by default 5/√D, at most 1"
)
@click.option("--target-strength", type=float, help="γ, that on the target; likewise")
@click.option("--inverse-temperature", type=float, default=10.0, show_default=True, help="β; 1/β is a ridge")
@click.option("--couplings", help="values of δ to compare; 0,1,10,100,inf by default, of many samples fewer")
@click.option("--particles", type=click.IntRange(min=1), help="of the theory; by default as many as the samples need")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="of the theory's particles and of subsets"
)
@click.option("--output", default="advice", show_default=True, help="folder that receives table and figure")
@click.option("--classes", "labels", flag_value="classes", help="labels are classes, also where they are whole numbers")
@click.option("--regression", "labels", flag_value="regression", help="labels are numbers, also where they are whole")
@click.option("--weights", help="FILE[:LAYER] of a network trained on the source, in place of SOURCE")
@click.option("--readout", help="that network's last layer in the same file, for the scale of linear and ReLU networks")
def advise(
    source: str,
    target: str | None,
    couplings: str | None,
    output: str,
    labels: str | None,
    weights: str | None,
    readout: str | None,
    **settings: object,
) -> None:
    """Predict how strongly a target network should be tied to its source, from two labelled data sets.

    SOURCE and TARGET are .npz files with keys x (samples first) and y (classes, or numbers, one or several a sample).
    With --weights there is a TARGET only, with inputs as that network takes them; FILE is an .npz or torch state_dict.
    """
    from contextlib import ExitStack

    from tqdm import tqdm

    from infwidth.applied.advice import advise as predict
    from infwidth.applied.overlap import data_overlap
    from infwidth.applied.verdict import in_percent
    from infwidth.figures.advice import draw
    from infwidth.figures.parts.style import save_figure
    from infwidth.tasks.own_data import data_for_weights, own_data

    try:
        values = [float(value) for value in couplings.split(",")] if couplings is not None else None
    except ValueError:
        raise InputError(f"--couplings = {couplings!r}: expected numbers like 0,1,10,inf; correct it") from None
    if (target is None) != (weights is not None):
        found, remedy = (f"--weights = {weights}", "leave SOURCE out") if weights else ("TARGET", "name both files")
        raise InputError(f"{found}: expected SOURCE and TARGET, or a TARGET and --weights; {remedy}")
    if readout is not None and weights is None:
        raise InputError(f"--readout = {readout}: expected with --weights; name the network's file, or leave it out")
    if weights is None:
        data = own_data(source, target, labels=labels or "auto")
    else:
        data = data_for_weights(source, weights, readout=readout, labels=labels or "auto")
    paths = _paths(output)
    bar, notes = None, list(data.notes)

    def tell() -> None:
        while notes:
            click.echo(notes.pop(0))

    def show(fraction: float) -> None:
        nonlocal bar
        if bar is None:  # only now are the arguments known to be good, and an error would stand alone
            tell()
            look = "{desc}: {percentage:3.0f} %, {remaining} left"
            bar = ending.enter_context(tqdm(total=1.0, desc="theory", bar_format=look))
        bar.n = fraction
        bar.refresh()

    with ExitStack() as ending:
        found = predict(data, couplings=values, progress=show, **settings)
    notes += found.notes
    tell()
    signs = {"gain": "+", "gain_stderr": "", "error": "", "error_stderr": ""}
    known = found.table.notna()
    percent = {
        name: [f"{in_percent(value, sign)}%" for value in found.table[name]]
        for name, sign in signs.items()
        if name in found.table
    }
    shown = found.table.assign(**percent).where(known, None)  # what could not be told
    click.echo(shown.to_string(index=False, float_format="{:.4g}".format, na_rep="–"))
    click.echo(found.sentence)
    click.echo(data_overlap(data).sentence)
    # files come last: what took minutes is said by then, whatever the disk takes
    save_figure(draw(found.table, found.smaller, found.recommended, data.label, found.n_target), found.table, paths)
    click.echo(f"{paths['csv']}, .pdf, .png")


def _paths(output: str) -> dict[str, Path]:
    """Where table and figure go; raises InputError, before minutes of work for them, if they can't."""
    folder = at_home(output)
    paths = {kind: folder / f"advice.{kind}" for kind in ("pdf", "png", "csv")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"1")  # which a full disk refuses
    except (OSError, ValueError) as error:  # ValueError: of a character that no path has
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"--output = {output}: can't be written to ({why}); expected a folder's path; choose another"
        ) from None
    for path in paths.values():
        if path.is_dir():
            raise InputError(f"--output = {output}: {path} is a folder; expected a file's place; choose another folder")
    return paths
