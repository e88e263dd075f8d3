"""Batches: rows of whatever holds them, chunks, progress."""

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch

from infwidth.numerics.batching import Batch, halving, per_chunk, take
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.progress import FIRST_LOOK, MANY_STEPS, Counter, Foresight, part_of, shown


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


def test_subnormal_numbers_are_zero_inside_a_loop_alone():
    def half_of_tiny():
        return torch.full((), torch.finfo(torch.float32).tiny).mul(0.5).item()

    @efficient_loop()
    def within(fail: bool):
        with efficient_loop():
            assert half_of_tiny() == 0
        assert half_of_tiny() == 0  # the inner one's end is not the outer one's
        if fail:
            raise ArithmeticError

    for fail in (False, True):
        with pytest.raises(ArithmeticError) if fail else nullcontext():
            within(fail)
        assert half_of_tiny() > 0


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


@pytest.mark.parametrize(
    ("worst", "said_at"), [(0, FIRST_LOOK), (FIRST_LOOK, FIRST_LOOK), (5 * FIRST_LOOK, 8 * FIRST_LOOK)]
)
def test_many_steps_ahead_are_said_once_and_early(worst, said_at):
    """Steps grow short at some step; it is said before as many again are done."""
    foresight = Foresight("a flow", "wait")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for done in range(1, 20 * FIRST_LOOK):
            foresight.look(done, lambda done=done: MANY_STEPS if done >= worst else MANY_STEPS / 2)
            assert bool(caught) == (done >= said_at)
    (said,) = caught
    assert str(said.message).startswith("a flow: ")
    assert str(said.message).endswith("(h:mm:ss); wait")


def test_progress_is_shown_on_a_terminal_alone(capsys):
    with shown(None, "work") as show:
        assert show is None  # captured: no terminal
    with shown(fractions := [], "work") as show:
        assert show is fractions
    assert capsys.readouterr().err == ""


def test_a_batch_that_does_not_fit_is_halved_until_it_does():
    batch, tried = Inner(torch.arange(7.0)[:, None], None), []

    def work(some, first):
        tried.append((first, len(some.weights)))
        if len(some.weights) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return first, some.weights[:, 0].tolist()

    assert halving(work, batch, 7) == [(0, [0.0]), (1, [1.0, 2]), (3, [3.0, 4]), (5, [5.0, 6])]
    assert tried[:3] == [(0, 7), (0, 3), (0, 1)]


def test_one_network_that_does_not_fit_is_an_error_and_so_is_any_other_failure():
    batch, tried = Inner(torch.zeros(4, 1), None), []

    def fail(error):
        def work(some, first):
            tried.append(len(some.weights))
            raise error

        return work

    with pytest.raises(torch.OutOfMemoryError):
        halving(fail(torch.OutOfMemoryError("CUDA out of memory")), batch, 4)
    assert tried == [4, 2, 1]
    with pytest.raises(RuntimeError, match="shapes"):
        halving(fail(RuntimeError("shapes")), batch, 4)
    assert tried == [4, 2, 1, 4]


@pytest.mark.parametrize(("free", "size"), [(80 * 2**30, 8), (2 * 2**30, 1), (2**20, 1), (8 * 2**30, 4)])
def test_chunks_on_a_gpu_follow_its_free_memory(monkeypatch, free, size):
    """No GPU is needed for that: what is free is what the system says it is."""
    like = SimpleNamespace(is_cuda=True, device="cuda:0", element_size=lambda: 4)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 2**30))
    chunks = per_chunk(8, 2**13, 2**12, like)  # 128 MiB a network
    assert {len(chunk) for chunk in chunks} == {size}
    assert [k for chunk in chunks for k in chunk] == list(range(8))
