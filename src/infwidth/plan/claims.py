"""The files of claims held against the presets, before a run."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infwidth.analysis.claim_file import Claim, check_claims
from infwidth.figures.catalogue import FIGURES
from infwidth.numerics.checks import InputError

CLAIMS = Path("config/claims.yaml")
MOST = 100_000
"""Bytes of claims that one job may be told: Linux takes 131,072 an argument."""


def check_run_claims(config: Mapping[str, Any] | None = None, path: Path = CLAIMS) -> list[Claim]:
    """Check the files of claims of a run, whose experiments and figures have to be those of a preset or of ``config``.

    Args:
        config: a resolved configuration, if any, which may name a file of its own, about its own experiments.
        path: the file of claims. Presets are those in ``config`` and those beside it.

    Raises:
        InputError: one line for each thing that is wrong; see :func:`infwidth.analysis.claim_file.check_claims`.
    """
    config = config or {}
    sections: dict[str, set[str]] = defaultdict(set, figures=set(FIGURES))  # one that no preset draws is no typo
    for found in (config, preset_names(CLAIMS.parent), preset_names(path.parent)):
        for name in ("experiments", "studies", "figures"):
            sections[name] |= set(found.get(name, ()))
    claims = check_claims(path, sections["experiments"] | sections["studies"], sections["figures"])
    if config.get("claims"):
        own = check_claims(config["claims"], {*config["experiments"], *config["studies"]}, sections["figures"])
        taken = {claim.id for claim in claims} & {claim.id for claim in own}
        if taken:
            names = ", ".join(sorted(taken))
            raise InputError(f"{config['claims']}: claim {names}: also in {path}; expected each id once; rename yours")
        claims += own
    return claims


def by_experiment(claims: Iterable[Claim]) -> dict[str, list[dict[str, Any]]]:
    """Experiment → the claims on it, as parameters of the job that judges them; empty for one without.

    Raises:
        InputError: more on one than a job's command line holds.
    """
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for claim in claims:
        found[claim.experiment].append(asdict(claim))
    for experiment, told in found.items():
        if len(json.dumps(told, ensure_ascii=False).encode()) > MOST:
            raise InputError(
                f"claims on {experiment}: {len(told)}; expected fewer, as a job is told them in {MOST:,} bytes; make "
                "those of some an experiment of its own that `extends` this one"
            )
    return found


def preset_names(folder: Path) -> dict[str, set[str]]:
    """Section → its keys, over all presets of a folder.

    They are read off the text: to parse every preset would take longer than all the rest of a plan.
    """
    found = defaultdict(set)
    for path in sorted(folder.glob("*.yaml")):
        section = ""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):  # an editor's lock, or what nobody has asked for: no preset
            continue
        for line in text.splitlines():
            key = re.match(r"( {2})?(\w+):", line)
            if key and not key[1]:
                section = key[2]
            elif key:
                found[section].add(key[2])
    return dict(found)


def holds_claims(path: Path) -> bool:
    """Whether a file holds a list, as that of claims does, and no configuration's keys."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):  # the reader of configurations says what is wrong
        return False
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith(("#", "---"))), "")
    return first.startswith(("- ", "[")) or first == "-"
