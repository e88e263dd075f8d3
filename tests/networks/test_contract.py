"""What every network engine owes: one set of tests that each inherits."""

import copy
import math
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch

from infwidth.networks import gradient_flow, langevin
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask

OBSERVABLES = ("prediction", "train_loss", "test_loss", "kernel")


def make_task(seed=0, samples=(9, 6, 5), dimension=4):
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(dimension)
    parts = [rng.standard_normal((n, dimension)) for n in samples]
    return TransferTask(*(part for x in parts for part in (x, np.sin(x @ direction))))


class Contract:
    """Arguments of ``run`` for a subclass, and what holds whatever they are."""

    engine = None
    arguments: ClassVar[dict] = {}
    hopeless: ClassVar[dict] = {}
    out_of_range: ClassVar[dict] = {}
    times: tuple[int, ...] = ()
    largest_loss = math.inf  # that a weak network converges to: a posterior's spread grows as its strength falls
    worker = ""  # what trains or samples a chunk, in the engine's module

    def run(self, task=None, **changes):
        common = {"activation": "relu", "source_strength": 0.6, "target_strength": 0.5, "elastic_coupling": 2.0}
        common |= {"width": 16, "seeds": (0, 1), "strict": False}
        return self.engine.run(make_task() if task is None else task, **common | self.arguments | changes)

    def trainers(self):
        names = ("train_source", "train_target") if self.times else ("sample_source", "sample_target")
        return (getattr(self.engine, name) for name in names)

    def own(self, part):
        """The arguments of one trainer."""
        return {}

    @pytest.mark.parametrize("activation", ["linear", "relu", "erf"])
    def test_shapes_with_and_without_an_axis_of_couplings(self, activation):
        task, couplings = make_task(), [0.0, 2.0, math.inf]
        one = self.run(task, activation=activation, elastic_coupling=2.0)
        several = self.run(task, activation=activation, elastic_coupling=couplings)
        shapes = {"prediction": (*self.times, 5), "train_loss": self.times, "test_loss": self.times, "kernel": (6, 6)}
        for name, shape in shapes.items():
            assert getattr(one, name).shape == one.stderr[name].shape == shape
            assert getattr(several, name).shape == several.stderr[name].shape == (3, *shape)
            np.testing.assert_allclose(getattr(several, name)[1], getattr(one, name), rtol=1e-9, atol=1e-9)
        assert isinstance(one.status, Status)
        assert len(several.status) == 3
        assert several.residual.shape == (3,)
        assert one.residual.shape == ()
        assert set(one.extras) == set(one.stderr) - set(OBSERVABLES)

    def test_means_and_errors_are_those_over_seeds(self):
        together = self.run(seeds=(0, 1, 2))
        alone = [self.run(seeds=(seed,)) for seed in (0, 1, 2)]
        for name in together.stderr:
            values = np.stack([getattr(one, name) for one in alone])
            np.testing.assert_allclose(getattr(together, name), values.mean(0), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(together.stderr[name], values.std(0, ddof=1) / 3**0.5, rtol=1e-6, atol=1e-8)
            assert np.isnan(alone[0].stderr[name]).all()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("width", [12, 100])
    def test_a_network_is_its_seed_and_data_to_the_last_bit(self, dtype, width):
        """At widths that are multiples of 4; odd numbers of samples and dimensions."""
        tasks = [make_task(seed, (7, 5, 3), 3) for seed in range(4)]
        x, y, x2, y2, test = (
            np.stack([getattr(one, name) for one in tasks])
            for name in ("x_source", "y_source", "x_target", "y_target", "x_test")
        )
        points = [TargetPoint(1.0, 0.5), TargetPoint(20.0, 0.8), TargetPoint(0.0, 0.5, "scratch")]
        source, target = self.trainers()
        common = {"activation": "erf", "dtype": dtype}

        def results(rows, points):
            seeds = [10 + row for row in rows]
            networks = source(
                x[rows], y[rows], source_strength=0.6, width=width, seeds=seeds, **common | self.own("source")
            )
            own = common | self.own("target")
            return networks, target(networks, x2[rows], y2[rows], test[rows], points=points, seeds=seeds, **own)

        networks, found = results([0, 1, 2, 3], points)
        for rows, some in (([2], [1]), ([1, 3], [0, 2]), ([3, 0, 1], [2])):
            fewer, answer = results(rows, [points[g] for g in some])
            assert torch.equal(fewer.hidden, networks.hidden[rows])
            assert torch.equal(fewer.readout, networks.readout[rows])
            for name in ("prediction", "train_prediction", "kernel", "steps"):
                np.testing.assert_array_equal(getattr(answer, name), getattr(found, name)[np.ix_(rows, some)])

    @pytest.mark.parametrize("width", [6, 14])
    def test_and_to_rounding_at_any_width(self, width):
        tasks = [make_task(seed, (7, 5, 3), 3) for seed in range(3)]
        x, y = (np.stack([getattr(one, name) for one in tasks]) for name in ("x_source", "y_source"))
        source, _ = self.trainers()
        common = {"activation": "erf", "source_strength": 0.6, "width": width, **self.own("source")}
        together = source(x, y, seeds=[0, 1, 2], **common)
        alone = source(x[1], y[1], seeds=[1], **common)
        torch.testing.assert_close(alone.hidden[0], together.hidden[1], rtol=1e-9, atol=1e-9)

    def test_frozen_and_free_are_the_ends_of_the_coupling(self):
        scratch = {"start": "scratch", "elastic_coupling": [0.0, 3.0]}
        free = self.run(**scratch)
        np.testing.assert_allclose(free.prediction[0], free.prediction[1], rtol=1e-9, atol=1e-9)
        tied = self.run(elastic_coupling=[1e12, math.inf])
        np.testing.assert_allclose(tied.kernel[0], tied.kernel[1], rtol=1e-3, atol=1e-4)

    def test_samples_of_the_test_set_may_come_in_any_order(self):
        task = make_task()
        order = np.random.default_rng(1).permutation(5)
        mixed = TransferTask(
            task.x_source, task.y_source, task.x_target, task.y_target, task.x_test[order], task.y_test[order]
        )
        plain, other = self.run(task), self.run(mixed)
        np.testing.assert_allclose(other.prediction, plain.prediction[..., order], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(other.test_loss, plain.test_loss, rtol=1e-9, atol=1e-9)

    def test_what_diverges_is_named_or_returned_without_numbers(self):
        hopeless: ClassVar[dict] = {"safety": 1e6, "elastic_coupling": [0.0, 1.0]} | self.hopeless
        found = self.run(**hopeless)
        assert found.status == (Status.DIVERGED,) * 2
        assert np.isnan(found.test_loss[..., -1] if self.times else found.test_loss).all()
        with pytest.raises(UnconvergedError, match=r"seed 0.*γ.*: diverged; ") as caught:
            self.run(strict=True, **hopeless)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("scale", [1e30, 1e160, 1e250])
    def test_labels_beyond_all_proportion_have_a_status_soon(self, scale):
        task = make_task()
        parts = task.x_source, scale * task.y_source, task.x_target, scale * task.y_target, task.x_test
        found = self.run(TransferTask(*parts, scale * task.y_test), elastic_coupling=[0.0, 1.0])
        assert Status.CONVERGED not in found.status

    @pytest.mark.parametrize("strength", [1e-200, 1e-100, 1e-30, 1e200])
    def test_strengths_beyond_all_proportion_have_a_status_soon(self, strength):
        found = self.run(target_strength=strength)
        assert found.status is not Status.CONVERGED or found.test_loss.max() < self.largest_loss

    @pytest.mark.parametrize(("inputs", "labels"), [(1e-300, 1e200), (1e-200, 1e300), (1.0, 1.0)])
    def test_whatever_leaves_the_range_of_numbers_has_a_status(self, inputs, labels):
        task = make_task()
        x, y = [inputs * task.x_source, inputs * task.x_target], [labels * task.y_source, labels * task.y_target]
        task = TransferTask(x[0], y[0], x[1], y[1], inputs * task.x_test, labels * task.y_test)
        found = self.run(task, elastic_coupling=[0.0, 1e20, math.inf], **self.out_of_range)
        assert len(found.status) == 3
        assert np.isfinite(found.test_loss).all() or Status.CONVERGED not in found.status

    def test_answers_are_copied(self):
        found = self.run()
        for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
            np.testing.assert_array_equal(other.prediction, found.prediction)
            assert other.status is found.status
        with pytest.raises(AttributeError, match="nothing"):
            found.nothing  # noqa: B018

    @pytest.mark.parametrize("change", [
        {"seeds": ()}, {"seeds": 3}, {"seeds": "01"}, {"seeds": (0.2, 0.7)}, {"seeds": (0, 0)}, {"seeds": (1, 2, 1)},
        {"seeds": (True, 2)}, {"seeds": np.array([0.0, 1.0])}, {"elastic_coupling": []},
        {"elastic_coupling": [1.0, -1.0]}, {"elastic_coupling": math.nan}, {"elastic_coupling": [[1.0], [2.0]]},
        {"safety": 0}, {"safety": math.nan}, {"safety": -0.4}, {"safety": "0.4"}, {"dtype": torch.int32},
        {"dtype": torch.float16}, {"dtype": "float64"}, {"dtype": None}, {"device": "gpu"}, {"device": "cuda:99"},
        {"device": 1.5}, {"source_strength": [0.5]}, {"source_strength": np.array([0.5, 0.7])},
        {"target_strength": np.array([0.5])}, {"target_strength": 0.0}, {"source_strength": math.inf},
        {"width": 4.0}, {"width": [16]}, {"activation": "tahn"}, {"anchor": "randon"}, {"start": None},
    ])  # fmt: skip
    def test_bad_arguments_are_one_line_before_anything_runs(self, change, monkeypatch):
        self.refused(change, monkeypatch)

    def refused(self, change, monkeypatch):
        monkeypatch.setattr(self.engine, self.worker, None)  # whatever would train or sample
        with pytest.raises(InputError) as caught:
            self.run(**change)
        message = str(caught.value)
        assert "\n" not in message
        assert "expected" in message
        assert len(message) < 300

    @pytest.mark.parametrize("spoil", [
        lambda x, y: (np.ma.masked_greater(x, 1.0), y), lambda x, y: (x + 1j, y), lambda x, y: (x.astype(str), y),
        lambda x, y: (x, y.astype("datetime64[s]")), lambda x, y: (np.where(x > 1, np.nan, x), y),
        lambda x, y: (x, np.where(y > 0, np.inf, y)), lambda x, y: (x, y[:-1]), lambda x, y: (x[:, 0], y),
        lambda x, y: (torch.tensor(x) + 1j, y), lambda x, y: (x[:0], y[:0]), lambda x, y: (x, np.ma.masked_less(y, 0)),
    ])  # fmt: skip
    def test_bad_data_are_one_line(self, spoil):
        source, _ = self.trainers()
        x, y = spoil(np.random.default_rng(0).standard_normal((6, 3)), np.linspace(-1, 1, 6) * 1e6)
        common = {"activation": "relu", "source_strength": 0.5, "width": 8, "seeds": [0]}
        with pytest.raises(InputError) as caught:
            source(x, y, **common | self.own("source"))
        assert "\n" not in str(caught.value)

    def test_progress_rises_to_one(self):
        seen = []
        self.run(progress=seen.append)
        assert seen[-1] == pytest.approx(1.0)
        assert seen == sorted(seen)


class TestGradientFlow(Contract):
    engine, worker, times, largest_loss = gradient_flow, "integrate", (3,), 10.0
    arguments: ClassVar[dict] = {"weight_decay": 0.1, "source_time": 1.0, "target_times": [0.0, 0.5, 2.0]}
    hopeless: ClassVar[dict] = {"target_times": [0.0, 1.0, 1e4], "source_time": 0.0}

    def own(self, part):
        return {"weight_decay": 0.1} | ({"time": 1.0} if part == "source" else {"times": [0.0, 2.0]})

    @pytest.mark.parametrize(
        "change",
        [
            {"weight_decay": -1.0}, {"weight_decay": math.nan, "source_weight_decay": 0.1}, {"source_time": math.inf},
            {"source_weight_decay": "a"}, {"target_times": []}, {"target_times": [1.0, 1.0]}, {"width": 15},
            {"target_times": [0.0, math.nan]}, {"target_times": ["a"]}, {"target_times": [-1.0, 0.0]},
            {"target_times": [1 + 1j]}, {"target_times": np.ma.masked_equal([1.0, 2.0], 2.0)},
        ],
    )  # fmt: skip
    def test_its_own_bad_arguments(self, change, monkeypatch):
        self.refused(change, monkeypatch)

    @pytest.mark.parametrize("activation", ["relu", "erf"])
    @pytest.mark.parametrize("start", ["source", "scratch"])
    def test_labels_of_the_other_sign_turn_the_function_over(self, activation, start):
        task = make_task()
        parts = task.x_source, task.y_source, task.x_target, -task.y_target, task.x_test, -task.y_test
        turned = TransferTask(*parts)  # of one source: its neurons meet the readouts drawn for them
        plain, other = (self.run(one, activation=activation, start=start) for one in (task, turned))
        np.testing.assert_allclose(other.prediction, -plain.prediction, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(other.test_loss, plain.test_loss, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_nothing_is_predicted_at_time_zero(self, dtype):
        found = self.run(width=1000, target_strength=1e-3, source_strength=1e-3, dtype=dtype)
        np.testing.assert_array_equal(found.prediction[0], 0.0)

    @pytest.mark.parametrize("part", ["source", "target", "both"])
    def test_labels_of_zero_are_learnt_at_once(self, part):
        task = make_task()
        y_source = 0 * task.y_source if part != "target" else task.y_source
        y_target = 0 * task.y_target if part != "source" else task.y_target
        found = self.run(TransferTask(task.x_source, y_source, task.x_target, y_target, task.x_test, task.y_test))
        assert found.status is Status.CONVERGED
        assert found.residual < 1
        if part != "source":
            np.testing.assert_allclose(found.prediction, 0, atol=1e-12)

    @pytest.mark.parametrize("scale", [1e-40, 1e-200])
    def test_labels_lost_in_rounding_are_not_converged_on(self, scale):
        task = make_task()
        tiny = TransferTask(
            task.x_source, task.y_source, task.x_target, scale * task.y_target, task.x_test, task.y_test
        )
        found = self.run(tiny)
        assert found.status is not Status.CONVERGED or found.residual < 1

    def test_the_scale_of_raw_inputs_is_said_before_the_start(self, monkeypatch):
        task = make_task(samples=(30, 20, 5), dimension=30)
        raw = TransferTask(*(200 * part if part.ndim == 2 else part for part in (
            task.x_source, task.y_source, task.x_target, task.y_target, task.x_test, task.y_test)))  # fmt: skip
        called = []
        monkeypatch.setattr(gradient_flow, "integrate", lambda *_, **__: called.append(1) or 1 / 0)
        said = pytest.warns(UserWarning, match=r"source's inputs have \|x\|² = .* D on average.*scale them")
        with said, pytest.raises(ZeroDivisionError):
            self.run(raw, source_time=10.0)
        with pytest.raises(InputError, match=r"steps to time .*expected at most 1e\+08"):
            self.run(raw, source_time=1e6)
        assert len(called) == 1

    def test_ordinary_inputs_raise_no_warning(self, recwarn):
        self.run(source_time=20.0)
        assert not recwarn.list


class SamplingContract(Contract):
    engine, worker = langevin, "sample"
    hopeless: ClassVar[dict] = {"inverse_temperature": 1e5, "source_strength": 1.0}
    out_of_range: ClassVar[dict] = {"inverse_temperature": 1e300, "prior_precision": 1e200}

    def own(self, part):
        own = {"inverse_temperature": 5.0, "burn_in_time": 4.0, "sampler": self.arguments["sampler"]}
        return own | ({} if part == "source" else {"sampling_time": 4.0})

    @pytest.mark.parametrize(
        "change",
        [
            {"sampling_time": math.nan}, {"sampling_time": 0.0}, {"sampling_time": math.inf}, {"sampling_time": "10"},
            {"burn_in_time": math.nan}, {"burn_in_time": -1.0}, {"inverse_temperature": 0.0}, {"sampler": "nuts"},
            {"prior_precision": [1.0]}, {"target_acceptance": 1.0}, {"target_acceptance": math.nan}, {"width": 0},
        ],
    )  # fmt: skip
    def test_its_own_bad_arguments(self, change, monkeypatch):
        self.refused(change, monkeypatch)

    def test_a_target_is_no_better_than_its_source(self, monkeypatch):
        original = langevin.sample

        def unmixed(*args, **options):
            found = original(*args, **options)
            object.__setattr__(found, "status", tuple(
                Status.UNMIXED if args[3] == "source chain" else Status.CONVERGED for _ in found.status
            ))  # fmt: skip
            return found

        monkeypatch.setattr(langevin, "sample", unmixed)
        assert self.run().status is Status.UNMIXED
        assert self.run(start="scratch").status is Status.CONVERGED


class TestHamiltonian(SamplingContract):
    arguments: ClassVar[dict] = {
        "sampler": "hmc",
        "inverse_temperature": 5.0,
        "burn_in_time": 4.0,
        "sampling_time": 4.0,
    }


class TestKinetic(SamplingContract):
    arguments: ClassVar[dict] = {
        "sampler": "langevin",
        "inverse_temperature": 5.0,
        "burn_in_time": 4.0,
        "sampling_time": 4.0,
    }
