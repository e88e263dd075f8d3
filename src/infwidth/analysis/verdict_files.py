"""Where the verdicts of a results folder lie, and how they are read."""

from __future__ import annotations

from pathlib import Path

from infwidth.analysis.claims import Verdict
from infwidth.io.atomic import read_json
from infwidth.numerics.checks import InputError


def verdict_files(results: str | Path) -> list[Path]:
    """The files that hold a folder's verdicts.

    An experiment's own file is newer than the whole table after a run of that experiment alone; a reference holds
    the table only.
    """
    own = [path for path in sorted(Path(results).glob("claims/*.json")) if not path.stem.endswith(".manifest")]
    return own or [path for path in [Path(results) / "claims.json"] if path.exists()]


def read_verdict_file(path: Path) -> list[Verdict]:
    """Read the verdicts of one file; raises InputError where it is damaged or holds something else."""
    try:
        return [Verdict(**entry) for entry in read_json(path)]
    except TypeError as error:
        raise InputError(f"{path}: not verdicts ({error}); remove it and run `make reproduce` again") from error
