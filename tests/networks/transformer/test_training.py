"""The training loop: what it does, what it refuses, the same bits after a kill."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from language_builders import SETTINGS, D, T, V, adam, model, optimisers, run, same_bits, same_history, task
from torch import nn

from infwidth.io.checkpoints import Checkpoint
from infwidth.networks.transformer.model import TrainedReadout, Transformer
from infwidth.networks.transformer.training import batch_at, evaluate, train
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status
from infwidth.tasks.text import TextTask, text_task


class TestTraining:
    def test_learns_and_reports_it(self):
        fractions = []
        _, history = run(
            steps=150, progress=fractions.append, on=task(), evaluate_every=40, optimisers=lambda n: [adam(n)]
        )
        entropy = -(0.8 + 0.2 / V) * np.log(0.8 + 0.2 / V) - (V - 1) * 0.2 / V * np.log(0.2 / V)
        assert history.status is Status.CONVERGED
        assert history.message == ""
        assert history.steps.tolist() == [40, 80, 120, 150]
        assert history.train_loss[0] > history.train_loss[-1]
        assert history.validation_loss[-1] == history.validation.mean_loss  # all windows fit
        assert len(history.validation.window_losses) == 499 // T
        assert history.test.mean_loss == pytest.approx(history.test.window_losses.mean())
        assert history.test.stderr == pytest.approx(
            history.test.window_losses.std(ddof=1) / len(history.test.window_losses) ** 0.5
        )
        assert entropy - 0.1 < history.validation.mean_loss < 0.75 * np.log(V)
        assert fractions == pytest.approx(np.arange(1, 151) / 150)

    def test_the_choice_of_a_rate_measures_the_final_validation_loss_alone(self):
        whole, some = (run(steps=20, evaluate_every=5, only_validation=only)[1] for only in (False, True))
        assert some.validation.mean_loss == whole.validation.mean_loss == some.validation_loss[-1]
        assert some.train_loss.tolist() == whole.train_loss.tolist()
        assert some.status is Status.CONVERGED
        assert np.isnan([*some.validation_loss[:-1], some.test.mean_loss]).all()

    def test_batches_depend_on_seed_and_step_alone(self):
        tokens = task().train
        batch = batch_at(tokens, 7, batch=4, context=T, seed=3)
        assert batch.shape == (4, T + 1)
        assert np.array_equal(batch, batch_at(tokens, 7, batch=4, context=T, seed=3))
        assert not np.array_equal(batch, batch_at(tokens, 8, batch=4, context=T, seed=3))
        assert not np.array_equal(batch, batch_at(tokens, 7, batch=4, context=T, seed=4))
        text = " ".join(map(str, tokens))
        assert all(" ".join(map(str, row)) in text for row in batch)

        seen = []

        class Spy(Transformer):
            def forward(self, tokens):
                if self.training:
                    seen.append(tokens.clone())
                return super().forward(tokens)

        for width in (1, 16):
            net = Spy(
                V,
                T,
                model_width=D,
                layers=1,
                heads=1,
                make_mlp=lambda i, h=width: TrainedReadout(D, D, width=h, seed=i),
            )
            torch.manual_seed(width)
            run(net, steps=6)
        assert all(torch.equal(*pair) for pair in zip(seen[:6], seen[6:], strict=True))
        assert np.array_equal(seen[2], batch_at(tokens, 2, batch=4, context=T, seed=3)[:, :-1])

    def test_warm_up_scales_every_rate(self):
        rates = []

        class Own:
            lr = 2.0

            def step(self):
                rates.append((self.adam.param_groups[0]["lr"], self.lr))

            def zero_grad(self):
                pass

            def state_dict(self):
                return {}

            load_state_dict = zero_grad

        net, own = model(), Own()
        own.adam = adam(net, lr=0.004)
        run(net, optimisers=lambda _: [own.adam, own], steps=6, warmup=4)
        np.testing.assert_allclose(rates, np.outer([0.25, 0.5, 0.75, 1, 1, 1], [0.004, 2]))

    def test_windows_are_even_and_apart(self):
        starts = []

        class Spy(nn.Module):
            def forward(self, tokens):
                starts.extend(tokens[:, 0].tolist())
                return torch.zeros(*tokens.shape, 200)

        tokens = np.arange(200)
        found = evaluate(Spy(), tokens, windows=5, batch=2, context=8)
        assert starts == [0, 47, 95, 143, 191]
        assert found.mean_loss == pytest.approx(np.log(200))
        starts.clear()
        evaluate(Spy(), tokens[:17], windows=5, batch=2, context=8)
        assert starts == [0, 8]

    def test_too_large_a_rate_diverges_without_an_exception(self):
        def reckless(net):
            return [torch.optim.SGD(net.parameters(), lr=1e12)]

        _net, history = run(optimisers=reckless, warmup=0, steps=60)
        assert history.status is Status.DIVERGED
        assert 1 <= history.diverged_at < 60
        assert f"beyond all bounds at step {history.diverged_at};" in history.message
        assert "reduce the learning rate" in history.message
        assert history.validation.mean_loss == history.test.mean_loss == np.inf
        assert np.isnan(history.validation.stderr)
        assert len(history.steps) == len(history.validation_loss) == history.diverged_at // 5

    def test_a_loss_that_is_finite_but_far_has_diverged(self):
        class Thrown(torch.optim.SGD):
            def step(self, closure=None):
                for p in self.param_groups[0]["params"]:
                    p.data.mul_(30.0)

        _net, history = run(optimisers=lambda net: [Thrown(net.parameters(), lr=0.1)], warmup=0)
        assert history.status is Status.DIVERGED
        assert np.isfinite(history.train_loss).all()
        assert history.test.mean_loss == np.inf

    def test_divergence_in_the_last_step(self):
        class Breaks(torch.optim.SGD):
            def step(self):
                super().step()
                net.positions.data.fill_(torch.nan)

        net = model()
        _, history = run(net, optimisers=lambda n: [Breaks(n.parameters(), lr=0.1)], steps=1)
        assert (history.status, history.diverged_at) == (Status.DIVERGED, 1)
        assert history.test.mean_loss == np.inf

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"steps": 0}, "steps = 0"),
            ({"batch": 0}, "batch = 0"),
            ({"evaluate_every": 0}, "evaluate_every = 0"),
            ({"context": 0}, "context = 0"),
            ({"context": T + 1}, "context = 9: expected ≤ 8, the model's"),
            ({"context": 300}, "validation part has 500 bytes, expected ≥ 601"),
            ({"optimisers": lambda net: optimisers(net)[:1]}, "leave 4 trainable parameters out, layers.0.mlp.hidden"),
            ({"optimisers": lambda net: [adam(net), net]}, "hold a Transformer: expected param_groups, or a number lr"),
        ],
    )
    def test_bad_arguments(self, changes, match):
        with pytest.raises(InputError, match=match):
            run(**changes)

    def test_vocabulary_of_the_text(self):
        large = TextTask(np.arange(200), np.arange(50), np.arange(50), vocabulary=200)
        with pytest.raises(InputError, match="model's vocabulary = 11: expected ≥ 200"):
            run(on=large)


class Coefficients(nn.Module):
    """A block that moves itself, with a memory that grows and random steps: what a kernel block may do."""

    lr = 0.3

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.zeros(D, D))
        self.register_buffer("past", torch.zeros(0, D, D))
        self.seen = None

    def forward(self, x):
        out = x @ self.weight
        if torch.is_grad_enabled():
            out = out + torch.zeros(D, requires_grad=True)
            out.retain_grad()
            self.seen = x.detach(), out
        return out

    def step(self):
        x, out = self.seen
        self.past = torch.cat([self.past, (x.T @ out.grad)[None]])
        self.weight = self.weight - self.lr * (self.past.mean(0) + 0.01 * torch.randn(D, D))

    def _load_from_state_dict(self, state, prefix, *rest):
        self.past = state[prefix + "past"].clone()
        super()._load_from_state_dict(state, prefix, *rest)


class Killed(Exception):
    """Stands for whatever ends a job."""


def kill_at(step):
    def progress(fraction):
        if round(fraction * SETTINGS["steps"]) == step:
            raise Killed

    return progress


def self_moving():
    torch.manual_seed(1)
    return model(lambda layer: Coefficients())


def and_blocks(net):
    return [adam(net), *net.mlp_blocks()]


class TestResume:
    @pytest.mark.parametrize(("make", "using"), [(model, optimisers), (self_moving, and_blocks)])
    @pytest.mark.parametrize("step", [3, 5, 13, 24])
    def test_killed_training_ends_in_the_same_bits(self, tmp_path, make, using, step):
        whole, expected = run(make(), optimisers=using)
        checkpoint = Checkpoint(tmp_path / "a.pt", "key", interval=0)
        with pytest.raises(Killed):
            run(make(), optimisers=using, checkpoint=checkpoint, progress=kill_at(step))
        assert checkpoint.path.exists() == (step >= 5)
        fractions = []
        net = make()
        torch.manual_seed(99)  # another process has another state
        if step < 5:
            torch.manual_seed(1)
        net, history = run(net, optimisers=using, checkpoint=checkpoint, progress=fractions.append)
        kept = step if step == 24 else step // 5 * 5
        assert len(fractions) == 24 - kept
        same_bits(net, whole)
        same_history(history, expected)
        checkpoint.path.unlink(missing_ok=True)

    def test_killed_twice_and_foreign_checkpoints(self, tmp_path):
        whole, expected = run()
        for step in (7, 18):
            with pytest.raises(Killed):
                run(checkpoint=Checkpoint(tmp_path / "a.pt", "key", interval=0), progress=kill_at(step))
        net, history = run(checkpoint=Checkpoint(tmp_path / "a.pt", "key", interval=0))
        same_bits(net, whole)
        same_history(history, expected)
        with pytest.warns(UserWarning, match="other parameters, data or code"):
            net, history = run(checkpoint=Checkpoint(tmp_path / "a.pt", "other key", interval=0))
        same_bits(net, whole)
        same_history(history, expected)

    def test_not_due_is_not_written(self, tmp_path):
        checkpoint = Checkpoint(tmp_path / "a.pt", "key", interval=np.inf)
        with pytest.raises(Killed):
            run(checkpoint=checkpoint, progress=kill_at(23))
        assert not checkpoint.path.exists()
        run(checkpoint=checkpoint)  # at the end it is: the caller may have more to do before its output is in place
        assert checkpoint.path.exists()

    def test_killed_process(self, tmp_path, root):
        code = f"""
import sys, time, torch
sys.path.insert(0, {str(root / "tests")!r})
from infwidth.io.checkpoints import Checkpoint
from language_builders import run
torch.set_num_threads(1)
kept = Checkpoint("a.pt", "key", interval=0)
def progress(fraction):
    if sys.argv[1] == "first" and fraction > 0.5:
        print("training", flush=True)
        time.sleep(60)
net, _ = run(checkpoint=kept, progress=progress)
torch.save(net.state_dict(), "final.pt")
kept.path.unlink(missing_ok=True)
"""
        command = [sys.executable, "-c", code]
        with subprocess.Popen([*command, "first"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "training\n"
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert (tmp_path / "a.pt").exists()
        assert not (tmp_path / "final.pt").exists()
        # a part file that the kill may leave stops nothing
        (tmp_path / "a.pt.part").write_bytes(b"half")
        subprocess.run([*command, "second"], cwd=tmp_path, check=True, timeout=60)
        assert not (tmp_path / "a.pt").exists()
        whole, _ = run()
        found = torch.load(tmp_path / "final.pt")
        assert all(torch.equal(value, found[name]) for name, value in whole.state_dict().items())


@pytest.mark.skipif("INFWIDTH_TEST_TEXT" not in os.environ, reason="INFWIDTH_TEST_TEXT names no file of text")
def test_real_text_is_learned():
    text = text_task(path=os.environ["INFWIDTH_TEST_TEXT"], context=32)
    net = Transformer(
        256, 32, model_width=32, layers=1, heads=2, make_mlp=lambda i: TrainedReadout(32, 32, width=32, seed=i)
    )
    begun = time.process_time()
    history = train(net, text, steps=150, batch=8, context=32, optimisers=[adam(net)], seed=0, evaluate_every=150)
    assert history.validation.mean_loss < 2.9  # single letters' frequencies give 3.1
    assert time.process_time() - begun < 20
