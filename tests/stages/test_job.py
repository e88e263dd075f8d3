"""What every stage does around its body: outputs, manifest, log, one clear line for each failure."""

import errno
import json

import numpy as np
import pytest
from click.testing import CliRunner

from infwidth.io.atomic import read_arrays, write_arrays
from infwidth.io.tables import make_table, read_table, write_table
from infwidth.io.whole import check_whole, read_manifest
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.stages import collect
from infwidth.stages.parts import job as job_module
from infwidth.stages.parts.job import stage


def command(body):
    body.__module__ = collect.__name__
    return stage(body)


def test_a_stage_writes_log_and_manifest(tmp_path):
    def body(job):
        job.outputs["x"].write_text(job.params["word"])
        job.facts["residual"] = 1e-9

    options = [
        f"--output=x={tmp_path / 'x'}",
        f"--output=manifest={tmp_path / 'm.json'}",
        f"--log={tmp_path / 'l.log'}",
    ]
    done = CliRunner().invoke(command(body), ['--params={"word": "α", "seeds": {"0": 7}}', *options])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "x").read_text() == "α"
    manifest = json.loads((tmp_path / "m.json").read_text())
    assert manifest["parameters"]["seeds"] == {"0": 7}
    assert manifest["facts"] == {"residual": 1e-9}
    assert {"commit", "versions", "wall_time_seconds", "python"} <= set(manifest)
    assert "done in" in (tmp_path / "l.log").read_text()


def fail_with(error, tmp_path):
    def body(job):
        raise error

    params = '{"experiment": "lin", "cell": "n_target=4"}'
    done = CliRunner().invoke(command(body), [f"--params={params}", f"--log={tmp_path / 'l.log'}"])
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    return line, (tmp_path / "l.log").read_text()


def test_known_failures_are_one_line_naming_the_cell(tmp_path):
    line, _ = fail_with(InputError("x = 3: expected 2; change it"), tmp_path)
    assert line == "error: collect lin n_target=4: x = 3: expected 2; change it"
    line, log = fail_with(UnconvergedError("δ = 1", Status.DIVERGED), tmp_path)
    assert "δ = 1: diverged; reduce" in line
    assert "Traceback" not in log


def test_unknown_failures_keep_their_traceback_in_the_log(tmp_path):
    line, log = fail_with(KeyError("surprise"), tmp_path)
    assert "KeyError" in line
    assert "l.log" in line
    assert "Traceback" in log


def test_what_the_machine_refuses_is_one_line_without_a_traceback(tmp_path):
    for error, words in [
        (OSError(errno.ENOSPC, "No space left on device", "results/x.npz"), "results/x.npz: No space left on device"),
        (MemoryError("Unable to allocate 3 TiB"), "out of memory"),
        (RuntimeError("CUDA out of memory.\nTried to allocate"), "out of memory"),
    ]:
        line, log = fail_with(error, tmp_path)
        assert f"error: collect lin n_target=4: {words}" in line
        assert "Traceback" not in log


def test_a_log_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(command(lambda job: None), [f"--log={tmp_path / 'file/below/x.log'}"])
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert "file" in line
    assert "Traceback" not in line


def test_the_manifest_holds_a_checksum_of_every_output(tmp_path):
    def body(job):
        for name in ("a", "b"):
            job.outputs[name].write_text(name)

    outputs = [f"--output={name}={tmp_path / f'x.{name}'}" for name in ("a", "b")]
    done = CliRunner().invoke(command(body), [*outputs, f"--output=manifest={tmp_path / 'x.manifest.json'}"])
    assert done.exit_code == 0, done.output
    kept = read_manifest(tmp_path / "x.manifest.json")["outputs"]
    assert {name: entry["bytes"] for name, entry in kept.items()} == {"x.a": 1, "x.b": 1}
    check_whole(tmp_path / "x.a")
    (tmp_path / "x.a").write_text("c")
    with pytest.raises(InputError, match="content has changed"):
        check_whole(tmp_path / "x.a")


def test_collect_joins_tables_in_one_order(tmp_path):
    base = {"experiment": "e", "dataset": "d", "condition": "transfer", "metric": "test_loss", "value": 1.0,
            "stderr": 0.0, "status": "converged"}  # fmt: skip
    for kind in ("theory", "network"):
        write_table(tmp_path / f"{kind}.csv", make_table([{**base, "kind": kind, "seed": seed} for seed in (1, 0)]))
    columns = {"experiment": ["e"] * 3, "kind": ["theory", "network", "network"], "width": [np.inf, 50.0, 100.0]}
    shown = {"kernel": np.ones((3, 4, 4)), "density": np.arange(6.0).reshape(3, 2), "edges": np.arange(3.0)}
    write_arrays(tmp_path / "theory.npz", {key: np.array(value) for key, value in (columns | shown).items()})
    write_arrays(tmp_path / "network.npz", {})
    paths = [tmp_path / f"{kind}.{suffix}" for kind in ("theory", "network") for suffix in ("csv", "npz")]
    inputs = [f"--input={i}={path}" for i, path in enumerate(paths)]
    outputs = [f"--output=table={tmp_path / 'all.csv'}", f"--output=arrays={tmp_path / 'all.npz'}"]
    done = CliRunner().invoke(collect.main, [*inputs, *outputs])
    assert done.exit_code == 0, done.output
    table = read_table(tmp_path / "all.csv")
    assert list(zip(table["kind"], table["seed"], strict=True)) == [
        ("network", 0), ("network", 1), ("theory", 0), ("theory", 1)
    ]  # fmt: skip
    arrays = read_arrays(tmp_path / "all.npz")  # of the networks the widest is kept
    assert arrays["width"].tolist() == [np.inf, 100.0]
    assert arrays["density"].tolist() == [[0, 1], [4, 5]]


def test_the_log_of_a_long_job_says_how_far_it_is(tmp_path, monkeypatch):
    """Also where no terminal shows it."""
    seconds = iter(range(0, 10_000, 2))
    monkeypatch.setattr(job_module.time, "monotonic", lambda: float(next(seconds)))

    def body(job):
        show = job.progress()
        for part in range(101):
            show(part / 100)

    path = tmp_path / "l.log"
    done = CliRunner().invoke(command(body), [f"--log={path}"])
    assert done.exit_code == 0, done.output
    said = [line for line in path.read_text().splitlines() if "left" in line]
    assert 3 <= len(said) <= 7
    assert "collect: 2 %, about 0:04:54 (h:mm:ss) left" in said[0]
