"""The command that makes data of the form in which a user's own come."""

from __future__ import annotations

import click


@click.command("example-data")
@click.argument("folder")
def example_data(folder: str) -> None:
    """Write source.npz, target.npz and test.npz into FOLDER: data to try config/mine.yaml and `advise` on."""
    from infwidth.tasks.example_data import write_example

    click.echo(write_example(folder))
