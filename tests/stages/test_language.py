"""Language studies: variants that differ in one thing, the rule for learning rates, and jobs that are killed."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from infwidth.io.atomic import write_arrays
from infwidth.io.checkpoints import Checkpoint
from infwidth.io.tables import read_table, select
from infwidth.numerics.losses import FAR
from infwidth.stages import language, text
from infwidth.studies.language import make_variant

SHAPE = {"vocabulary": 11, "context": 8, "model_width": 12, "layers": 2, "heads": 2, "activation": "relu"}
RATES = {"learning_rate": 0.1, "backbone_rate": 0.003, "beta2": 0.999}


def variant(optimiser, width=16, seed=3, **changes):
    return make_variant(optimiser, width, seed=seed, **(SHAPE | RATES | changes))


def params(optimiser="frozen_adam", width=16, rates=(0.1, 1.0), **changes):
    settings = {key: value for key, value in SHAPE.items() if key != "vocabulary"}
    settings |= {
        "batch": 4,
        "steps": 24,
        "sweep_steps": 12,
        "warmup": 4,
        "backbone_rate": 0.003,
        "beta2": 0.99,
        "final_windows": 2048,
        "precision": "float32",
    }
    return {
        "experiment": "lang", "cell": "a", "study": "language", "optimiser": optimiser, "width": width,
        "learning_rates": list(rates), "seeds": {"0": 1, "1": 2}, "sweep_seed": 9, "device": "cpu",
        "settings": settings,
    } | changes  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    parts = {part: 3 * np.arange(size) % 11 for part, size in (("train", 2000), ("validation", 200), ("test", 200))}
    write_arrays(tmp_path / "tokens.npz", parts | {"vocabulary": 11, "label": "a cycle", "unit": "byte"})
    return tmp_path


def options(folder, job):
    out = folder / "results/language/lang/a.csv"
    return [f"--params={json.dumps(job)}", f"--input=data={folder / 'tokens.npz'}", f"--output=table={out}"], out


def run(folder, **changes):
    arguments, out = options(folder, params(**changes))
    done = CliRunner().invoke(language.main, arguments)
    assert done.exit_code == 0, done.output
    return read_table(out)


ABSURD = [
    {"optimiser": "sgd", "width": "inf", "rates": (1e12,)}, {"optimiser": "adam_star", "rates": (1e-12, 1e12)},
    {"of_settings": {"backbone_rate": 1e12}}, {"of_settings": {"backbone_rate": 1e-12, "beta2": 1e-12}},
    {"of_settings": {"warmup": 10**12, "batch": 1, "context": 1}},
]  # fmt: skip


@pytest.mark.parametrize("change", ABSURD)
def test_rates_that_nobody_means_have_a_status_or_a_loss_that_can_be(folder, change):
    job = dict(change)
    settings = params()["settings"] | {"steps": 6, "sweep_steps": 4, "final_windows": 64} | job.pop("of_settings", {})
    found = run(folder, **job, settings=settings)
    ended = found[found["status"] == "converged"]
    assert (ended["value"] <= FAR * math.log(11)).all()
    assert settings["backbone_rate"] < 1 or (found["status"] == "diverged").all()


class TestVariants:
    def test_they_compute_the_same_before_training(self):
        tokens = torch.arange(8)[None]
        shown = {name: variant(name)[0](tokens) for name in ("unfrozen_adam", "frozen_adam", "adam_star", "sgd")}
        shown["dual"] = variant("adam_star", np.inf)[0](tokens)
        for logits in shown.values():
            torch.testing.assert_close(logits, shown["sgd"])

    def test_the_same_features_in_frozen_and_unfrozen_blocks(self):
        blocks = [variant(name)[0].mlp_blocks() for name in ("unfrozen_adam", "adam_star")]
        for trained, frozen in zip(*blocks, strict=True):
            assert torch.equal(trained.hidden, frozen.hidden)

    def test_only_unfrozen_moves_the_first_layer_and_each_weight_has_one_mover(self):
        for name in ("unfrozen_adam", "frozen_adam", "adam_star", "momentum", "no_mlp"):
            model, movers = variant(name)
            moved = [id(w) for mover in movers for group in mover.param_groups for w in group["params"]]
            assert len(moved) == len(set(moved))
            assert set(moved) == {id(w) for w in model.parameters()}
            assert any("hidden" in key for key, _ in model.named_parameters()) == (name == "unfrozen_adam")

    def test_frozen_adam_is_torchs_adam_on_the_readout(self):
        tokens = torch.arange(8)[None]
        model, movers = variant("frozen_adam")
        twin, _ = variant("frozen_adam")
        adam = torch.optim.Adam(
            [block.readout for block in twin.mlp_blocks()], lr=0.1, eps=1e-8 / 16
        )  # ε is in units of G
        for _ in range(3):
            for net, mine in ((model, movers[1]), (twin, adam)):
                net.zero_grad()
                torch.nn.functional.cross_entropy(net(tokens)[0], tokens[0].flip(0)).backward()
                mine.step()
        for one, other in zip(model.mlp_blocks(), twin.mlp_blocks(), strict=True):
            torch.testing.assert_close(one.readout, other.readout, rtol=1e-4, atol=1e-5)


class TestStage:
    def test_the_least_loss_of_the_sweep_is_taken(self, folder):
        table = run(folder, rates=(0.1, 1e4))
        sweep = select(table, metric="sweep_loss", seed=0).set_index("learning_rate")["value"]
        assert sweep[0.1] < sweep[1e4]
        final = select(table, metric="test_loss")
        assert final["learning_rate"].tolist() == [0.1, 0.1]
        assert final["time"].tolist() == [24, 24]
        assert final["value"].nunique() == 2
        curve = select(table, metric="validation_loss", seed=0)
        assert curve["time"].tolist() == [*range(2, 25, 2)]

    def test_one_rate_needs_no_sweep_and_no_blocks_need_no_rate(self, folder):
        assert select(run(folder, rates=(0.1,)), metric="sweep_loss").empty
        table = run(folder, optimiser="no_mlp", width=None, rates=())
        assert table["learning_rate"].isna().all()
        assert table["width"].isna().all()

    @pytest.mark.parametrize("rates", [(1e36,), (1e35, 1e36)])
    @pytest.mark.parametrize("steps", [24, 10])
    def test_where_every_training_diverges_the_rows_say_so(self, folder, rates, steps):
        """Also at once, before any point of a curve, so that no checkpoint was ever written."""
        settings = params()["settings"] | {"backbone_rate": 1e30, "steps": steps, "sweep_steps": steps}
        table = run(folder, optimiser="sgd", rates=rates, settings=settings)
        assert set(table["status"]) == {"diverged"}
        assert set(select(table, metric="test_loss")["seed"]) == {0, 1}
        assert len(select(table, metric="sweep_loss")) == (0 if len(rates) == 1 else 4)
        assert not np.isfinite(table["value"]).any()

    def test_rates_that_print_alike_are_trainings_of_their_own(self, folder, monkeypatch):
        names = []
        monkeypatch.setattr(Checkpoint, "due", property(lambda self: names.append(self.path.name) or True))
        rates = (0.1, 0.1 * (1 + 1e-9), float(np.nextafter(0.1, 1)))
        table = run(folder, rates=rates)
        assert select(table, metric="sweep_loss", seed=0)["learning_rate"].nunique() == 3
        assert len({name for name in names if "sweep" in name}) == 3

    def test_infinite_width_is_theory(self, folder):
        table = run(folder, optimiser="adam_star", width="inf", rates=(0.1,))
        assert set(table["kind"]) == {"theory"}
        assert np.isinf(table["width"]).all()

    def test_a_killed_job_goes_on_and_ends_in_the_same_numbers(self, folder):
        whole = run(folder)
        arguments, out = options(folder, params())
        out.unlink()
        # every point of the curve is written, and the job is killed in the second seed's training
        code = """
import sys, torch
torch.set_num_threads(1)
from infwidth.io.checkpoints import Checkpoint
from infwidth.stages import language
Checkpoint.due = property(lambda self: True)
kept = Checkpoint.save
def save(self, state):
    kept(self, state)
    if sys.argv[1] == "first" and self.path.name == "seed-1.pt" and state["step"] == 12:
        print("here", flush=True)
        __import__("time").sleep(60)
Checkpoint.save = save
train = language.train
def counted(*args, **options):
    shown = options.pop("progress")
    return train(*args, progress=lambda f: (print("step", flush=True), shown(f)), **options)
language.train = counted
sys.argv[1:] = sys.argv[2:] if sys.argv[1] != "first" else sys.argv[1:]
language.main(sys.argv[2:] if sys.argv[1] == "first" else sys.argv[1:])
"""
        command = [sys.executable, "-c", code]
        with subprocess.Popen([*command, "first", *arguments], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line == "here\n":
                    break
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert not out.exists()
        folder_of_checkpoints = out.parents[2] / "checkpoints/lang/a"
        assert len(list(folder_of_checkpoints.glob("*.pt"))) == 4
        started = time.monotonic()
        done = subprocess.run([*command, "second", *arguments], capture_output=True, text=True, check=True, timeout=60)
        assert time.monotonic() - started < 50
        assert done.stdout.count("step") == 12  # the second half of the last training alone
        assert not folder_of_checkpoints.exists()
        assert read_table(out).equals(whole)


def test_text_stage(tmp_path):
    job = {"experiment": "lang", "dataset": "cpython", "path": None, "max_bytes": 4000, "tokenizer": "bytes",
           "vocabulary": 4096, "context": 16}  # fmt: skip
    done = CliRunner().invoke(text.main, [f"--params={json.dumps(job)}", f"--output=data={tmp_path / 't.npz'}"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(
        text.main, [f"--params={json.dumps(job | {'max_bytes': 300})}", f"--output=data={tmp_path / 'u.npz'}"]
    )
    assert done.exit_code == 1
    line = done.output.splitlines()[-1]
    assert "expected ≥ 33 for a context of 16; take a longer text" in line
    assert not (tmp_path / "u.npz").exists()


def test_seeds_that_are_added_are_those_of_one_run_with_all(folder):
    """They train at the rate that the first seeds' sweep chose, and repeat none of it."""
    whole = run(folder, seeds={"0": 1, "1": 2, "2": 3})
    run(folder)
    out = folder / "results/language/lang"
    (out / "a.csv").rename(folder / "first.csv")
    arguments, made = options(folder, params(seeds={"2": 3}))
    done = CliRunner().invoke(language.main, [*arguments, f"--input=swept={folder / 'first.csv'}"])
    assert done.exit_code == 0, done.output
    added = read_table(made)
    expected = whole[whole["seed"] == 2].reset_index(drop=True)
    assert added.equals(expected)
