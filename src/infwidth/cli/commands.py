"""The commands of ``infwidth``, by name."""

import click

from infwidth.cli.advice import advise
from infwidth.cli.configuration import check, keys, resolve, results_place
from infwidth.cli.errors import OneLineErrors
from infwidth.cli.example_data import example_data
from infwidth.cli.results import cite, claims, compare, diff, figures, reference
from infwidth.cli.run import decide, plan, run

infwidth = click.version_option(package_name="infwidth")(
    OneLineErrors(
        name="infwidth",
        help="Theory of learning in infinitely wide networks, beside finite networks. Run in the repository's root.",
        commands=[
            run,
            decide,
            plan,
            claims,
            figures,
            compare,
            diff,
            reference,
            cite,
            check,
            resolve,
            results_place,
            keys,
            advise,
            example_data,
        ],
    )
)
