"""Commands on configurations."""

from __future__ import annotations

from pathlib import Path

import click

from infwidth.cli.places import DEFAULT_CONFIG, read_config


@click.command()
@click.argument("config", default=DEFAULT_CONFIG)
def check(config: str) -> None:
    """Validate a configuration file, or one of claims, one line an error."""
    from infwidth.plan.claims import check_run_claims, holds_claims
    from infwidth.plan.transfer import Plan

    if holds_claims(Path(config)):
        click.echo(f"{config} is valid: {len(check_run_claims(path=Path(config)))} claims")
        return
    plan = Plan(read_config(config))
    check_run_claims(plan.config)
    click.echo(f"{config} is valid: {plan.describe()}; results go to {plan.results}/")


@click.command()
def keys() -> None:
    """Print the table of configuration keys that config/README.md holds."""
    from infwidth.plan.config_keys import key_table

    click.echo(key_table())


@click.command()
@click.argument("config", default=DEFAULT_CONFIG)
def resolve(config: str) -> None:
    """Print a whole configuration, with what it extends and every default; CONFIG is a file or a preset's name."""
    from infwidth.io.yaml import dump_yaml

    click.echo(dump_yaml(read_config(config)), nl=False)


@click.command("results")
@click.argument("config", default=DEFAULT_CONFIG)
def results_place(config: str) -> None:
    """Print the folder that the results of a configuration go to; CONFIG is a file or a preset's name."""
    from infwidth.plan.config import results_folder

    click.echo(results_folder(read_config(config)))
