"""Verdicts of a run: those that the present configuration plans, what lies beside them, and what a run changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infwidth.analysis.claim_table import natural_key
from infwidth.analysis.claims import Verdict
from infwidth.analysis.verdict_files import read_verdict_file, verdict_files
from infwidth.cli.places import check_folder
from infwidth.numerics.checks import InputError


def read_verdicts(results: str | Path, planned: Collection[str] | None, *, lenient: bool = False) -> list[Verdict]:
    """Read the verdicts of the planned experiments; of all with None.

    Raises:
        InputError: there are none, or a file is no verdicts, unless ``lenient``.
    """
    paths = verdict_files(results)
    verdicts = []
    for path in paths:
        try:
            verdicts += read_verdict_file(path)
        except InputError:
            if not lenient:  # before a run that makes it again
                raise
    if planned is not None:
        verdicts = [verdict for verdict in verdicts if verdict.experiment in planned]
    if not verdicts and not paths and not lenient:
        check_folder(results, "a finished run; run `make reproduce` first")
        raise InputError(f"{results}: no claims; expected a finished run; run `make reproduce` first")
    return verdicts


def leftover_line(results: str | Path, planned: Collection[str] | None) -> str | None:
    """One line that names experiments whose files an earlier configuration left in the folder, if there are any."""
    if planned is None:
        return None
    tables = {path.stem for path in Path(results).glob("tables/*.csv")}
    own = {path.stem for path in verdict_files(results)} - {"claims"}
    left = sorted((tables | own) - {*planned})
    if not left:
        return None
    return f"{results} also holds {', '.join(left)}, which the configuration no longer names: not counted"


def added_line(config: Mapping[str, Any], results: str | Path) -> str | None:
    """One line that names what `infwidth decide` added to a run, which it kept; None where it added nothing."""
    from infwidth.plan.additions import FILE, SECTIONS

    added = [
        f"{name} {_total(entry['added'])}"
        for section in SECTIONS
        for name, entry in config[section].items()
        if entry["added"]
    ]
    if not added:
        return None
    return f"{results}/{FILE} adds to what {config['preset']} says, and this run kept it: {'; '.join(added)}"


def undrawn_line(config: Mapping[str, Any]) -> str | None:
    """One line on the figures that `only` left out, as they show other experiments too; None where there are none."""
    from infwidth.plan.config import selected

    chosen = {*selected(config, "experiments"), *selected(config, "studies")}
    undrawn = [
        f"{name} ({', '.join(one for one in shown if one not in chosen)})"
        for name, shown in config["figures"].items()
        if not chosen.isdisjoint(shown) and not chosen.issuperset(shown)
    ]
    return f"not drawn, as they show others too: {', '.join(undrawn)}; without --only they are" if undrawn else None


def _total(added: Sequence[Any]) -> str:
    """What several looks added, in words."""
    if not isinstance(added[0], Mapping):
        return f"{sum(added)} seeds"
    words = {
        "theory_data_seeds": "data sets of the theory",
        "data_seeds": "data sets",
        "network_seeds": "networks each",
    }
    counts = {key: sum(more[key] or 0 for more in added) for key in words}
    return ", ".join(f"{count} {words[key]}" for key, count in counts.items() if count)


def summary(before: Sequence[Verdict], after: Sequence[Verdict]) -> Iterator[str]:
    """What a run found, in a few lines: claims by verdict, those that failed, and what is new since before it."""
    counts = Counter(verdict.verdict for verdict in after)
    found = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    yield f"{len(after)} claims: {found}" if after else "0 claims: none is on these experiments"
    failed = sorted({verdict.id for verdict in after if verdict.verdict == "not reproduced"}, key=natural_key)
    if failed:
        yield f"not reproduced: {', '.join(failed)}"
    old = {(verdict.id, verdict.experiment): verdict.verdict for verdict in before}
    changed = [v for v in after if old.get((v.id, v.experiment), v.verdict) != v.verdict]
    changed.sort(key=lambda verdict: natural_key(verdict.id))
    for verdict in changed[:_SHOWN]:
        yield f"new: {verdict.id} is {verdict.verdict}, was {old[verdict.id, verdict.experiment]}"
    if len(changed) > _SHOWN:
        yield f"new: … and {len(changed) - _SHOWN} more verdicts changed"
    first = sum((verdict.id, verdict.experiment) not in old for verdict in after)
    if first and old:
        yield f"new: {first} claims judged for the first time"


_SHOWN = 8
