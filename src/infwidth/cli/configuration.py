"""Commands on configurations."""

from __future__ import annotations

import click

from infwidth.cli.places import DEFAULT_CONFIG, check_root, read_config


@click.command()
@click.argument("config", default=DEFAULT_CONFIG)
def check(config: str) -> None:
    """Validate a configuration file, one line an error."""
    from infwidth.plan.transfer import Plan

    plan = Plan(read_config(config))
    click.echo(f"{config} is valid: {plan.describe()}; results go to {plan.results}/")


@click.command()
def keys() -> None:
    """Print the table of configuration keys that config/README.md holds."""
    from infwidth.plan.config import load_schema
    from infwidth.plan.config_keys import key_table

    check_root()
    click.echo(key_table(load_schema()))
