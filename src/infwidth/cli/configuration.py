"""Commands on configurations."""

from __future__ import annotations

from pathlib import Path

import click

from infwidth.cli.places import DEFAULT_CONFIG, check_root, read_config


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
    click.echo(f"{config} is valid: {plan.describe()}; results go to {plan.results}/")


@click.command()
def keys() -> None:
    """Print the table of configuration keys that config/README.md holds."""
    from infwidth.plan.config import load_schema
    from infwidth.plan.config_keys import key_table

    check_root()
    click.echo(key_table(load_schema()))
