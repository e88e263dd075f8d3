"""Checkpoints: whole, keyed, and ignored where they don't belong."""

import os
import time

import pytest
import torch
from builders import imported

from infwidth.io.checkpoints import Checkpoint, digest_files
from infwidth.numerics.checks import InputError

KEY = {"parameters": {"width": 4, "rate": 0.1}, "data": "ab12", "source": "cd34"}


def state(size=1000):
    return {
        "step": 7,
        "curve": [[1.0, 2.0, float("nan")]],
        "model": {"weight": torch.arange(size, dtype=torch.float32), "half": torch.ones(3, dtype=torch.bfloat16)},
        "optimisers": [None, {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}],
        "rng": torch.get_rng_state(),
    }


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "kept" / "a.pt", KEY)


def test_module_level_imports_are_light():
    assert imported("infwidth.io.checkpoints", "torch") == []


def test_state_comes_back_whatever_the_order_of_the_key(checkpoint, recwarn):
    assert checkpoint.load() is None  # nothing there is no reason to warn
    checkpoint.save(state())
    found = Checkpoint(checkpoint.path, dict(reversed(KEY.items()))).load()
    assert found["step"] == 7
    assert found["curve"][0][:2] == [1.0, 2.0]
    assert torch.equal(found["model"]["weight"], state()["model"]["weight"])
    assert found["model"]["half"].dtype == torch.bfloat16
    assert found["optimisers"] == state()["optimisers"]
    assert torch.equal(found["rng"], state()["rng"])
    assert not recwarn


@pytest.mark.parametrize(
    "change", [{"source": "other"}, {"data": "other"}, {"parameters": {"width": 5, "rate": 0.1}}, {"extra": None}]
)
def test_other_key_is_ignored_with_a_warning(checkpoint, change):
    checkpoint.save(state())
    other = Checkpoint(checkpoint.path, KEY | change)
    with pytest.warns(UserWarning, match="belongs to other parameters, data or code; ignored") as caught:
        assert other.load() is None
    assert str(checkpoint.path) in str(caught[0].message)
    other.save({"step": 1})  # and then written over
    assert other.load() == {"step": 1}


def damage(how, raw):
    if how == "flipped":
        middle = len(raw) // 2
        return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]
    return {"cut": raw[: len(raw) * 2 // 3], "empty": b"", "foreign": b"PK" + raw, "header": raw[:100]}[how]


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "foreign", "header"])
def test_damaged_file_is_ignored_with_a_warning(checkpoint, how):
    checkpoint.save(state())
    checkpoint.path.write_bytes(damage(how, checkpoint.path.read_bytes()))
    with pytest.warns(UserWarning, match=r"damaged|no checkpoint of this version"):
        assert checkpoint.load() is None


def test_unreadable_path_and_unreadable_content_are_ignored(tmp_path, monkeypatch):
    (tmp_path / "folder.pt").mkdir()
    with pytest.warns(UserWarning, match="can't be read"):
        assert Checkpoint(tmp_path / "folder.pt", KEY).load() is None

    checkpoint = Checkpoint(tmp_path / "a.pt", KEY)
    checkpoint.save({"object": Checkpoint})  # a class: loading it would run code, so it is refused
    with pytest.warns(UserWarning, match="this torch can't read it"):
        assert checkpoint.load() is None


def test_failed_write_leaves_the_old_state(checkpoint, monkeypatch):
    checkpoint.save({"step": 1})

    def fail(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            checkpoint.save({"step": 2})
    assert checkpoint.load() == {"step": 1}


def test_due(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "a.pt", "key", interval=10)
    assert not checkpoint.due
    now[0] += 10
    assert checkpoint.due
    checkpoint.save({})
    assert not checkpoint.due
    assert Checkpoint(tmp_path / "a.pt", "key", interval=0).due


def test_bad_arguments(tmp_path):
    with pytest.raises(InputError, match="not JSON serializable"):
        Checkpoint(tmp_path / "a.pt", {"width": object()})
    with pytest.raises(InputError, match="interval = -1"):
        Checkpoint(tmp_path / "a.pt", "key", interval=-1)


def test_digest_of_files_depends_on_content_alone(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(content)
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    assert digest_files([a, b]) == digest_files([str(c), b])
    assert len({digest_files(some) for some in ([a], [a, b], [b, a], [])}) == 4
