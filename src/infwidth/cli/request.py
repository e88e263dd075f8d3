"""What commands that run the workflow are asked for: a configuration and what the command line puts in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from infwidth.cli.places import DEFAULT_CONFIG, place, read_run
from infwidth.numerics.checks import InputError


@dataclass(frozen=True)
class Request:
    """What is to be run: a configuration and what the command line puts in it.

    Attributes:
        config: path of the configuration file.
        results: the folder where results are expected, or empty.
        only: experiments whose name begins so; all of them if empty.
        images: path of CIFAR-10 images; as configured if empty.
        text: path of C4 text; as configured if empty.
        cores: jobs that run at a time.
    """

    config: str
    results: str
    only: str
    images: str
    text: str
    cores: int

    def read(self) -> tuple[dict[str, Any], str]:
        """Return the resolved configuration and the folder of its results, warn of its demands; raises InputError."""
        from infwidth.plan.claims import check_run_claims
        from infwidth.plan.demand import cautions
        from infwidth.plan.inputs import check_files

        config = read_run(self.config, **self.given())
        sized = check_files(config)
        check_run_claims(config)
        for line in cautions(sized):
            click.echo(f"infwidth: warning: {line}", err=True)
        return config, place(config, self.config, self.results)

    def read_again(self) -> dict[str, Any]:
        """The configuration as it is by now, with what was added since."""
        return read_run(self.config, **self.given())

    def given(self) -> dict[str, Any]:
        """The keys of the configuration that the command line gives."""
        keys: dict[str, Any] = {}
        if self.only:
            keys["only"] = self.only
        if self.images:
            keys["images"] = {"dataset": "cifar10", "path": self.images}
        if self.text:
            keys["text"] = {"dataset": "c4", "path": self.text}
        return keys

    def flags(self) -> list[str]:
        """What `infwidth run` takes to ask for the same."""
        given = {"config": self.config, "results": self.results, "only": self.only, "images": self.images}
        given |= {"text": self.text, "cores": str(self.cores)}
        return [f"--{name}={value}" for name, value in given.items() if value]

    def options(self) -> list[str]:
        """The same as arguments of Snakemake; JSON, so that a path may hold quotes, braces and spaces.

        Other arguments come before them: several values may follow ``--configfile``.
        """
        from infwidth.plan.config import preset_file

        values = {key: json.dumps(value, ensure_ascii=False) for key, value in self.given().items()}
        config = ["--config", *(f"{key}={value}" for key, value in values.items())] if values else []
        return ["--cores", str(self.cores), "--configfile", str(preset_file(self.config)), *config]


def _cores(_context: click.Context, _option: click.Parameter, text: str) -> int:
    """Read a number of cores; ``all`` is as many as this process may use."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if text == "all":
        return here
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 1:
        raise InputError(f"--cores {text}: expected a whole number ≥ 1 or all (here {here}); change it")
    return int(text)


_OPTIONS = (
    click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="the configuration"),
    click.option("--results", default="", help="the folder that its `preset:` names; refused if that is another"),
    click.option("--only", default="", help="experiments whose name begins so"),
    click.option("--images", default="", help="folder or .npz of CIFAR-10, in place of the configured one"),
    click.option("--text", default="", help=".jsonl(.gz) of C4, in place of the configured one"),
    click.option("--cores", default="2", show_default=True, callback=_cores, help="jobs that run at a time, or all"),
    click.argument("arguments", nargs=-1, type=click.UNPROCESSED),
)


def takes_request(body: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the options of a :class:`Request`, and arguments for Snakemake after ``--``."""

    def command(arguments: tuple[str, ...], **options: Any) -> None:
        asked = {field.name: options.pop(field.name) for field in fields(Request)}
        body(Request(**asked), arguments, **options)

    command.__name__, command.__doc__ = body.__name__, body.__doc__
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
