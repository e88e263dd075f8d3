"""A run in pieces: all cells once, none too long as far as times are known; what the scheduler and clusters hear."""

import pytest

from infwidth.io.job_times import write_seconds
from infwidth.numerics.checks import InputError
from infwidth.plan.config import resolve_config
from infwidth.plan.pieces import cells_to_run, pieces, seconds_of
from infwidth.plan.timing import Foreseen
from infwidth.plan.transfer import Plan


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10min", 600), ("1.5 h", 5400)])
def test_a_duration_is_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["10", "min", "-3min", "0s", "10 days", "1e3s"])
def test_what_is_no_duration_is_one_line(text):
    with pytest.raises(InputError, match="expected a duration such as 90s, 10min or 2h"):
        seconds_of(text)


def test_pieces_hold_every_cell_once_and_keep_the_limit():
    seconds = {f"theory/e/{k}": float(k) for k in range(1, 40)}
    jobs = {job: [job] for job in seconds}
    for cores in (1, 2):
        found = pieces(jobs, seconds, 60.0, cores)
        assert [cell for piece in found for cell in piece] == list(jobs)
        assert all(sum(seconds[cell] for cell in piece) <= 60 * cores for piece in found)
        assert len(found) < 1.5 * sum(seconds.values()) / (60 * cores) + 1


def test_a_source_counts_once_in_a_run_and_with_each_cell_that_waits_for_it():
    seconds = {"source/e/a": 50.0, "target/e/a1": 20.0, "target/e/a2": 30.0}
    jobs = {f"target/e/a{k}": ["source/e/a", f"target/e/a{k}"] for k in (1, 2)}
    assert pieces(jobs, seconds, 100.0, 1) == [["target/e/a1", "target/e/a2"]]
    assert pieces(jobs, seconds, 99.0, 1) == [["target/e/a1"], ["target/e/a2"]]
    assert pieces(jobs, seconds, 69.0, 9) == [["target/e/a1"], ["target/e/a2"]]  # one waits for the other


def test_what_was_never_timed_is_a_piece_by_itself():
    jobs = {f"theory/e/{k}": [f"theory/e/{k}"] for k in range(3)}
    assert pieces(jobs, {}, 60.0, 2) == [[job] for job in jobs]
    assert pieces(jobs, {"theory/other/x": 20.0}, 60.0, 1) == [list(jobs)]
    assert pieces({"theory/e/0": ["theory/e/0"]}, {"theory/e/0": 1e6}, 60.0, 1) == [["theory/e/0"]]
    assert pieces({}, {}, 60.0, 1) == []


def test_cells_come_with_the_source_they_wait_for(small_config):
    plan = Plan(resolve_config(small_config))
    targets = [f"target/lin/{cell}" for cell in plan.network_cells("lin")]
    (source,) = [f"source/lin/{cell}" for cell in plan.source_cells("lin")]
    theory = [f"theory/lin/{cell}" for cell in plan.theory_cells("lin")]
    found = cells_to_run(plan, [*targets, source, *theory, "collect/lin", "figure/linear_dynamics", "claims"])
    assert set(found) == {*targets, *theory}
    assert all(found[cell] == [source, cell] for cell in targets)
    assert cells_to_run(plan, targets[:1]) == {targets[0]: targets[:1]}  # the source is there


@pytest.fixture
def foreseen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seconds = {"source/e/a": 9.0, "target/e/a": 30.0, "target/e/b": 600.0, "theory/e/a": 45.0, "data/e/source/a": 0.2}
    write_seconds(tmp_path / "results/reference/mine/seconds.csv", seconds)
    return Foreseen("results/mine")


def test_what_a_run_waits_for_longest_begins_first(foreseen):
    jobs = ["data/e/source/a", "source/e/a", "target/e/b", "theory/e/a", "target/e/a", "collect/e"]
    found = [foreseen.priority(job) for job in jobs]
    assert found == [0.2 + 9 + 600, 9 + 600, 600, 45, 30, 0]
    assert foreseen.priority("source/e/new") == 9 + 600  # as long as the longest of its kind
    assert foreseen.priority("theory/other/a") == 0


def test_minutes_for_a_cluster_grow_with_what_a_job_took_and_with_each_attempt(foreseen):
    assert foreseen.minutes("source/e/a", 1) == 10
    assert foreseen.minutes("target/e/b", 1) == 40
    assert foreseen.minutes("target/e/b", 2) == 80
    assert foreseen.minutes("target/other/b", 1) == 120
