"""What differs between two results: verdicts, numbers, figures, what one alone has; and what is no results."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infwidth.io.atomic import read_json, write_json
from infwidth.numerics.checks import InputError
from infwidth.pages.difference import compare_results, write_difference


@pytest.fixture
def pair(tmp_path, root):
    """Two copies of the ci reference, the second to be altered."""
    reference = root / "results/reference/ci"
    for name in ("old", "new"):
        shutil.copytree(reference, tmp_path / name, ignore=lambda _, names: [n for n in names if n.endswith(".npz")])
    return tmp_path / "old", tmp_path / "new"


def alter(folder: Path, **changes):
    """Change claims by id: a mapping of what is other, or None to remove one."""
    claims = [one for one in read_json(folder / "claims.json") if changes.get(one["id"], {}) is not None]
    write_json(folder / "claims.json", [one | (changes.get(one["id"]) or {}) for one in claims])


def paint(path, rows, by):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).copy()
    pixels[:rows] = np.clip(pixels[:rows].astype(int) - by, 0, 255)
    Image.fromarray(pixels).save(path)


def test_equal_results_differ_in_nothing(pair):
    assert list(compare_results(*pair).lines()) == ["nothing differs: verdicts, their numbers, figures"]


def test_what_differs_is_named_with_its_numbers(pair, tmp_path):
    old, new = pair
    claims = {one["id"]: one for one in read_json(new / "claims.json")}
    flipped, moved, gone = [name for name, one in claims.items() if one["verdict"] == "reproduced"][:3]
    side = "networks" if claims[flipped]["networks"] else "theory"
    other = claims[flipped][side] | {"value": 0.123, "stderr": 0.045, "verdict": "inconclusive"}
    alter(new, **{flipped: {"verdict": "inconclusive", side: other}, gone: None})
    of = "networks" if claims[moved]["networks"] else "theory"
    alter(new, **{moved: {of: claims[moved][of] | {"lower": -77.0}}})
    paint(new / "figures/linear_delta.png", 50, 90)
    paint(new / "figures/expectation.png", 50, 3)  # no eye sees that
    (new / "figures/bayes_delta.png").rename(new / "figures/<b>.png")
    (new / "tables/phases.csv").unlink()
    found = compare_results(old, new)
    assert [one.id for one in found.changed] == [flipped]
    assert [one.id for one in found.moved] == [moved]
    assert [one.id for one in found.alone] == [gone]
    assert [one.name for one in found.figures] == ["<b>", "bayes_delta", "linear_delta"]
    lines = "\n".join(found.lines())
    assert f"{flipped}: reproduced (" in lines
    assert f"{side} 0.123 ± 0.045" in lines
    assert "table phases: no longer there" in lines
    page = tmp_path / "diff.html"
    write_difference(page, old, new, found)
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64") == 4
    assert "<b>" not in text
    assert "-77" in text.replace("−", "-")


def test_pictures_alone_are_compared(pair):
    old, new = pair
    paint(new / "figures/linear_delta.png", 50, 90)
    assert [one.name for one in compare_results(old, new / "figures").figures] == ["linear_delta"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda new: shutil.rmtree(new), "no such folder"),
        (lambda new: (shutil.rmtree(new), new.mkdir()), "neither claims nor figures"),
        (lambda new: (new / "claims.json").write_text("{"), "can't be read"),
        (lambda new: write_json(new / "claims.json", [{"id": "a"}]), "not verdicts"),
        (lambda new: (new / "figures/linear_delta.png").write_text("no picture"), "a picture"),
        (lambda new: (shutil.rmtree(new), new.symlink_to(new.with_name("old"))), "the same folder"),
    ],
)
def test_what_is_no_result_is_said_in_one_line(pair, spoil, words):
    spoil(pair[1])
    with pytest.raises(InputError, match=words) as caught:
        compare_results(*pair)
    assert len(str(caught.value).splitlines()) == 1
