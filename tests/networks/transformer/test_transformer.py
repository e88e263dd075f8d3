"""The transformer, its trained block, and the training loop: the same bits after a kill."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from infwidth.io.checkpoints import Checkpoint
from infwidth.networks.transformer.model import TrainedReadout, Transformer
from infwidth.networks.transformer.training import batch_at, evaluate, train
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status
from infwidth.tasks.text import TextTask, text_task

V, T, D = 11, 8, 12


def readout(layer):
    return TrainedReadout(D, D, width=16, seed=layer)


def model(make_mlp=readout, **changes):
    return Transformer(V, T, **({"model_width": D, "layers": 2, "heads": 3, "make_mlp": make_mlp, "seed": 5} | changes))


def task(seed=0):
    """A noisy cycle: the next token is one more, four times in five."""
    rng = np.random.default_rng(seed)
    tokens = np.cumsum(np.where(rng.random(4000) < 0.8, 1, rng.integers(0, V, 4000))) % V
    return TextTask(tokens[:3000], tokens[3000:3500], tokens[3500:], vocabulary=V)


def adam(net, lr=3e-3):
    return torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=lr)


def optimisers(net):
    """Two, as in the study: Adam on the rest, momentum on the blocks."""
    blocks = [p for block in net.mlp_blocks() for p in block.parameters()]
    return [torch.optim.Adam(net.backbone_parameters(), lr=3e-3), torch.optim.SGD(blocks, lr=0.5, momentum=0.9)]


SETTINGS = {"steps": 24, "batch": 4, "context": T, "seed": 3, "evaluate_every": 5, "warmup": 10}


def run(net=None, *, optimisers=optimisers, on=None, **changes):
    net = model() if net is None else net
    return net, train(net, task() if on is None else on, optimisers=optimisers(net), **(SETTINGS | changes))


def same_bits(first, second):
    states = first.state_dict(), second.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def same_history(first, second):
    for name in ("steps", "train_loss", "validation_loss"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(first.test.window_losses, second.test.window_losses)
    assert (first.validation.mean_loss, first.test.mean_loss) == (second.validation.mean_loss, second.test.mean_loss)


class TestTransformer:
    def test_no_token_sees_a_later_one(self):
        net = model()
        nn.init.normal_(net.mlp_blocks()[0].readout)
        tokens = torch.randint(0, V, (3, T), generator=torch.Generator().manual_seed(0))
        changed = tokens.clone()
        changed[:, 5:] = (changed[:, 5:] + 1) % V
        before, after = net(tokens), net(changed)
        assert before.shape == (3, T, V)
        torch.testing.assert_close(before[:, :5], after[:, :5])
        assert not torch.allclose(before[:, 5:], after[:, 5:])
        torch.testing.assert_close(net(tokens[:, :5]), before[:, :5])

    def test_blocks_are_plugged_in_per_layer_and_see_rows(self):
        seen = []

        class Block(nn.Module):
            def forward(self, x):
                seen.append(x.shape)
                return torch.zeros_like(x)

        blocks = [None, Block(), Block()]
        net = model(lambda layer: blocks[layer], layers=3)
        assert net.mlp_blocks() == blocks[1:]
        tokens = torch.zeros(2, T, dtype=torch.long)
        out = net(tokens)
        assert seen == [(2 * T, D)] * 2
        torch.testing.assert_close(out, model(lambda layer: None, layers=3)(tokens))

    def test_the_rest_starts_alike_whatever_the_blocks(self):
        whole, without, wide = (
            model(),
            model(lambda layer: None),
            model(lambda i: TrainedReadout(D, D, width=9, seed=i)),
        )
        named = dict(without.named_parameters())
        for name, value in without.state_dict().items():
            assert torch.equal(value, whole.state_dict()[name])
            assert torch.equal(value, wide.state_dict()[name])
        rest = whole.backbone_parameters()
        blocks = [p for block in whole.mlp_blocks() for p in block.parameters()]
        assert len(rest) + len(blocks) == len(list(whole.parameters()))
        assert len(rest) == len(named) + 2 * 2  # and the norms before the blocks
        assert not torch.equal(model(seed=6).positions, whole.positions)
        global_state = torch.get_rng_state()
        model()
        assert torch.equal(torch.get_rng_state(), global_state)

    def test_first_prediction_is_nearly_uniform(self):
        logits = model()(torch.randint(0, V, (4, T)))
        assert logits.std() < 0.6

    @pytest.mark.parametrize(
        ("changes", "match"),
        [({"heads": 5}, "heads = 5: expected a divisor of model_width = 12"), ({"layers": 0}, "layers = 0"),
         ({"heads": 0}, "heads = 0"), ({"seed": -1}, "seed = -1")],
    )  # fmt: skip
    def test_bad_arguments(self, changes, match):
        with pytest.raises(InputError, match=match):
            model(**changes)


class TestTrainedReadout:
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize("activation", ["relu", "erf", "linear"])
    def test_is_the_formula(self, activation, bias):
        block = TrainedReadout(7, 3, width=20, activation=activation, bias=bias, seed=0).double()
        x = torch.randn(4, 5, 7, dtype=torch.float64)
        assert not block(x).any()
        nn.init.normal_(block.readout)
        h = x @ block.hidden[:, :7].T / 7**0.5 + (block.hidden[:, 7] if bias else 0)
        features = {"relu": 2**0.5 * h.relu(), "erf": h.erf(), "linear": h}[activation]
        torch.testing.assert_close(block(x), features @ block.readout.T / 20)

    def test_features_have_the_arc_cosine_kernel(self):
        x = torch.randn(2, 7, generator=torch.Generator().manual_seed(1))
        block = TrainedReadout(7, 100_000, width=1, seed=0)  # shapes only
        width = 200_000
        block = TrainedReadout(7, 1, width=width, seed=0)
        features = 2**0.5 * (x @ block.hidden.T / 7**0.5).relu()
        found = features[0] @ features[1] / width
        norms = x.norm(dim=1)
        angle = torch.arccos(x[0] @ x[1] / norms.prod())
        expected = norms.prod() / (torch.pi * 7) * (angle.sin() + (torch.pi - angle) * angle.cos())
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0)

    def test_bad_arguments(self):
        with pytest.raises(InputError, match="width = 0"):
            TrainedReadout(7, 3, width=0, seed=0)
        with pytest.raises(InputError, match=r"activation = 'rely': .*did you mean 'relu'"):
            TrainedReadout(7, 3, width=2, activation="rely", seed=0)


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
        assert f"not finite at step {history.diverged_at};" in history.message
        assert "reduce the learning rate" in history.message
        assert history.validation.mean_loss == history.test.mean_loss == np.inf
        assert np.isnan(history.validation.stderr)
        assert len(history.steps) == len(history.validation_loss) == history.diverged_at // 5

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

    def test_killed_process(self, tmp_path):
        code = f"""
import importlib.util, sys, time, torch
torch.set_num_threads(1)
spec = importlib.util.spec_from_file_location("tests_of_transformer", {str(__file__)!r})
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
kept = tests.Checkpoint("a.pt", "key", interval=0)
def progress(fraction):
    if sys.argv[1] == "first" and fraction > 0.5:
        print("training", flush=True)
        time.sleep(60)
net, _ = tests.run(checkpoint=kept, progress=progress)
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
