"""What differs between two results or references, old beside new: verdicts, the numbers behind them, figures."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infwidth.analysis.claim_table import natural_key
from infwidth.analysis.claims import Verdict, together
from infwidth.analysis.verdict_files import read_verdict_file, verdict_files
from infwidth.io.atomic import reading
from infwidth.numerics.checks import InputError
from infwidth.pages.render import write_page

SMALLEST_CHANGE = 8
"""Of 255: by how much a pixel has to differ, as others' fonts round another way."""
SIDES = ("theory", "networks")


@dataclass(frozen=True)
class Pair:
    """A claim of both, or of one alone."""

    id: str
    old: Verdict | None
    new: Verdict | None


@dataclass(frozen=True)
class Picture:
    """A figure that differs: what it differs by, and both as data URIs, or None where it is not there."""

    name: str
    about: str
    old: str | None
    new: str | None
    share: float


@dataclass(frozen=True)
class Difference:
    """What differs.

    Attributes:
        changed: claims with another verdict.
        moved: with the same verdict, of other numbers.
        alone: claims that one alone has.
        figures: those that one alone has, then those that differ, by the share of their pixels.
        tables: names of tables that one alone has.
    """

    changed: list[Pair]
    moved: list[Pair]
    alone: list[Pair]
    figures: list[Picture]
    tables: list[str]

    def lines(self) -> Iterator[str]:
        """It in words, a line each; one line where nothing differs."""
        for pair in self.changed:
            yield f"{pair.id}: {_told(pair.old)} → {_told(pair.new)}"
        for pair in self.alone:
            yield f"{pair.id}: {'new, ' + _told(pair.new) if pair.new else 'no longer there, was ' + _told(pair.old)}"
        if self.moved:
            names = _some([pair.id for pair in self.moved])
            yield f"{len(self.moved)} claims of the same verdict have other numbers: {names}"
        for picture in self.figures:
            yield f"figure {picture.name}: {picture.about}"
        yield from self.tables
        if not (self.changed or self.alone or self.moved or self.figures or self.tables):
            yield "nothing differs: verdicts, their numbers, figures"


def compare_results(old: Path, new: Path) -> Difference:
    """Compare the claims, figures and names of tables of two results folders or references.

    A folder of pictures alone, as ``infwidth figures`` writes one, will do: what one of the two has none of is not
    compared.

    Raises:
        InputError: a folder is missing or holds nothing of these, a file is damaged, or both are the same folder.
    """
    for folder in (old, new):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; expected results or a reference; name one")
    if old.resolve() == new.resolve():
        raise InputError(f"{old} and {new}: the same folder; expected two; name another")
    claims, figures, tables = ([find(folder) for folder in (old, new)] for find in (_claims, _figures, _tables))
    for folder, *found in zip((old, new), claims, figures, tables, strict=True):
        if not any(found):
            raise InputError(f"{folder}: neither claims nor figures nor tables; expected results or a reference")
    pairs = _pairs(*claims) if all(claims) else []
    both = [pair for pair in pairs if pair.old and pair.new]
    changed = [pair for pair in both if pair.old.verdict != pair.new.verdict]
    return Difference(
        changed=changed,
        moved=[pair for pair in both if pair not in changed and _numbers(pair.old) != _numbers(pair.new)],
        alone=[pair for pair in pairs if pair not in both],
        figures=list(_pictures(*figures)) if all(figures) else [],
        tables=[
            f"table {name}: {'new' if name in tables[1] else 'no longer there'}"
            for name in sorted(tables[0] ^ tables[1])
            if all(tables)
        ],
    )


def write_difference(path: Path, old: Path, new: Path, found: Difference) -> None:
    """Write the page of a difference, whole in one file; see :func:`compare_results`."""
    write_page(
        path,
        "diff.html",
        old=str(old),
        new=str(new),
        lines=list(found.lines()),
        changed=found.changed,
        moved=found.moved,
        alone=found.alone,
        figures=found.figures,
    )


def _claims(folder: Path) -> dict[str, Verdict]:
    found = [verdict for path in verdict_files(folder) for verdict in read_verdict_file(path)]
    return {verdict.id: verdict for verdict in together(found)}


def _figures(folder: Path) -> dict[str, Path]:
    within = folder / "figures"
    return {path.stem: path for path in sorted((within if within.is_dir() else folder).glob("*.png"))}


def _tables(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("tables/*.csv")}


def _pairs(old: Mapping[str, Verdict], new: Mapping[str, Verdict]) -> list[Pair]:
    return [Pair(name, old.get(name), new.get(name)) for name in sorted({*old, *new}, key=natural_key)]


def _numbers(verdict: Verdict) -> list[tuple[object, ...]]:
    """What a claim rests on, to the digits that a page shows."""
    found = []
    for side in (verdict.theory, verdict.networks, verdict.as_dict()):
        values = [side[key] for key in ("value", "stderr", "lower", "upper")] if side else []
        shown = [None if value is None else f"{value:.4g}" for value in values]
        found.append((*shown, side["verdict"], side["seeds"]) if side else ())
    return [*found, (verdict.expected, verdict.statement)]


def _told(verdict: Verdict) -> str:
    """A verdict with the numbers of both sides."""
    sides = [(name, getattr(verdict, name)) for name in SIDES]
    told = [
        f"{name} {found['value']:.4g} ± {'?' if found['stderr'] is None else format(found['stderr'], '.2g')}"
        for name, found in sides
        if found and found["value"] is not None
    ]
    return f"{verdict.verdict} ({', '.join(told)})" if told else verdict.verdict


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _pictures(old: Mapping[str, Path], new: Mapping[str, Path]) -> Iterator[Picture]:
    found = []
    for name in sorted({*old, *new}):
        both = old.get(name), new.get(name)
        if None in both:
            about = "new" if both[0] is None else "no longer there"
            found.append(Picture(name, about, *(_uri(path) for path in both), share=2.0))
        elif both[0].read_bytes() != both[1].read_bytes():
            about, share = _unlike(*both)
            if share > 0:
                found.append(Picture(name, about, *(_uri(path) for path in both), share=share))
    yield from sorted(found, key=lambda picture: -picture.share)


def _unlike(old: Path, new: Path) -> tuple[str, float]:
    """What two pictures differ by, and the share of pixels that do."""
    one, other = _pixels(old), _pixels(new)
    if one.shape != other.shape:
        sizes = " → ".join(f"{shape[1]} × {shape[0]}" for shape in (one.shape, other.shape))
        return f"of another size, {sizes} pixels", 1.0
    share = float((np.abs(one.astype(int) - other).max(axis=2) > SMALLEST_CHANGE).mean())
    return f"{100 * share:.2g} % of the pixels differ", share


def _pixels(path: Path) -> np.ndarray:
    from PIL import Image

    with reading(path, "a picture (PNG)"), Image.open(io.BytesIO(path.read_bytes())) as image:
        return np.asarray(image.convert("RGB"))


def _uri(path: Path | None) -> str | None:
    return None if path is None else f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
