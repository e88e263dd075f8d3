"""Batches: rows of whatever holds them, chunks, progress."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch

from infwidth.numerics.batching import Batch, per_chunk, take
from infwidth.numerics.progress import Counter, part_of, shown


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@dataclass(frozen=True)
class Inner(Batch):
    weights: torch.Tensor
    anchor: torch.Tensor | None


@dataclass
class Outer(Batch):
    inner: Inner
    pair: Pair
    names: list
    plain: tuple


def test_rows_are_taken_from_whatever_holds_them():
    def rows(*shape):
        return torch.arange(float(3 * torch.Size(shape).numel())).view(3, *shape)

    whole = Outer(Inner(rows(2), None), Pair(rows(), rows(2, 2)), ["a", "b", "c"], (rows(), rows(1)))
    some = take(whole, torch.tensor([2, 0]))
    assert isinstance(some, Outer)
    assert isinstance(some.pair, Pair)
    assert some.names == ["c", "a"]
    assert some.inner.anchor is None
    for part, all_rows in (
        (some.inner.weights, rows(2)),
        (some.pair.second, rows(2, 2)),
        (some.plain[1], rows(1)),
    ):
        assert torch.equal(part, all_rows[[2, 0]])
    assert len(whole.names) == 3  # the whole is as it was


@pytest.mark.parametrize(("networks", "width", "samples"), [(1, 10, 10), (7, 1000, 60), (5, 10**6, 100), (300, 8, 4)])
def test_chunks_hold_every_network_once_and_fit(networks, width, samples):
    for dtype in (torch.float32, torch.float64):
        like = torch.zeros((), dtype=dtype)
        chunks = per_chunk(networks, width, samples, like)
        assert [row for chunk in chunks for row in chunk] == list(range(networks))
        size = width * samples * like.element_size()
        assert all(len(chunk) == 1 or len(chunk) * size <= 2**21 for chunk in chunks)
        assert len(chunks) <= 1 + 2 * networks * size / 2**21 + (size > 2**20) * networks


def test_progress_of_parts():
    fractions = []
    counter = Counter(fractions.append, 2)
    counter.advance()
    counter.advance()
    part_of(fractions.append, 1, 4)(0.5)
    assert fractions == [0.5, 1.0, 0.375]
    assert part_of(None, 0, 2) is None
    Counter(None, 1).advance()


def test_progress_is_shown_on_a_terminal_alone(capsys):
    with shown(None, "work") as show:
        assert show is None  # captured: no terminal
    with shown(fractions := [], "work") as show:
        assert show is fractions
    assert capsys.readouterr().err == ""
