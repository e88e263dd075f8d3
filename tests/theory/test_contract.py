"""What every theory engine owes, for every activation: one set of tests that each inherits."""

import math
import pickle
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from builders import changed, linear_teachers, shuffled

from infwidth.numerics.checks import InputError
from infwidth.numerics.observed import Observed
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.theory import bayes, flow

ACTIVATIONS = ("linear", "relu", "erf")
COUPLINGS = [0.0, 2.0, math.inf]


def make_task(seed=0, **sizes):
    return linear_teachers(seed, **{"dimension": 4, "n_source": 9, "n_target": 6, "n_test": 5} | sizes)


@pytest.fixture(params=ACTIVATIONS)
def activation(request):
    return request.param


class Contract:
    """Arguments of ``solve`` for a subclass, and what holds whatever they are."""

    engine = None
    arguments: ClassVar[dict] = {}
    sampled: ClassVar[dict] = {}  # of activations that particles stand for
    hopeless: ClassVar[dict] = {}  # what no solver can do in so few steps, and none of it is out of range
    times: tuple[int, ...] = ()

    def solve(self, task=None, activation="linear", **changes):
        common = {"source_strength": 0.6, "target_strength": 0.5, "elastic_coupling": 2.0, "strict": False}
        common |= self.arguments | ({} if activation == "linear" else self.sampled)
        return self.engine.solve(make_task() if task is None else task, activation=activation, **common | changes)

    def close(self, a, b, name="prediction", sign=1.0, pick=lambda values: values):
        """Equal where nothing is sampled, else within five of their standard errors, in the mean square."""
        one, two = getattr(a, name), pick(getattr(b, name))
        errors = [np.broadcast_to(a.stderr[name], one.shape), pick(np.broadcast_to(b.stderr[name], np.shape(two)))]
        scale = math.sqrt(np.mean(np.square(one)))
        noise = math.sqrt(np.mean(np.square(errors[0]) + np.square(errors[1])))
        assert math.sqrt(np.mean((one - sign * two) ** 2)) <= 1e-6 * scale + 5 * noise

    def test_shapes_with_and_without_an_axis_of_couplings(self, activation):
        one, several = self.solve(activation=activation), self.solve(activation=activation, elastic_coupling=COUPLINGS)
        shapes = {"prediction": (*self.times, 5), "train_loss": self.times, "test_loss": self.times, "kernel": (6, 6)}
        for name, shape in shapes.items():
            assert np.shape(getattr(one, name)) == shape
            assert np.shape(getattr(several, name)) == (3, *shape)
            # the order of sums is a batch's
            np.testing.assert_allclose(getattr(several, name)[1], getattr(one, name), rtol=1e-10, atol=1e-12)
            assert np.shape(one.stderr[name]) == (() if activation == "linear" else shape)
            assert np.shape(several.stderr[name]) == (() if activation == "linear" else (3, *shape))
        assert isinstance(one.status, Status)
        assert len(several.status) == 3
        for name in ("residual", "iterations"):
            assert np.shape(getattr(one, name)) == ()
            assert np.shape(getattr(several, name)) == (3,)
        assert np.all(np.linalg.eigvalsh(several.kernel) > -1e-10)

    def test_answers_survive_pickling(self, activation):
        found = self.solve(activation=activation, elastic_coupling=COUPLINGS)
        copy = pickle.loads(pickle.dumps(found))
        assert copy.status == found.status
        np.testing.assert_array_equal(copy.kernel, found.kernel)
        np.testing.assert_array_equal(copy.prediction, found.prediction)

    def test_numbers_depend_on_the_seed_alone(self, activation):
        first, again, other = (self.solve(activation=activation, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.prediction, again.prediction)
        assert (activation == "linear") == np.array_equal(first.prediction, other.prediction)

    def test_a_large_coupling_is_nearly_an_infinite_one(self, activation):
        found = self.solve(activation=activation, elastic_coupling=[1e6, math.inf])
        for name in ("prediction", "kernel"):
            large, frozen = getattr(found, name)
            noise = np.sqrt(np.mean(np.square(found.stderr[name]).sum() / max(1, np.size(found.stderr[name]) / 2)))
            assert np.sqrt(np.mean((large - frozen) ** 2)) < 1e-4 * np.abs(frozen).max() + 5 * noise

    def test_rotated_inputs(self, activation):
        task = make_task()
        rotation = np.linalg.qr(np.random.default_rng(5).standard_normal((4, 4)))[0]
        turned = self.solve(changed(task, inputs=lambda x: x @ rotation), activation)
        self.close(self.solve(task, activation), turned)

    def test_samples_in_another_order(self, activation):
        mixed, order = shuffled(make_task())
        plain, permuted = self.solve(activation=activation), self.solve(mixed, activation)
        self.close(permuted, plain)
        self.close(permuted, plain, "kernel", pick=lambda kernel: kernel[np.ix_(order, order)])

    def test_labels_of_the_other_sign(self, activation):
        flipped = self.solve(changed(make_task(), source_labels=np.negative, target_labels=np.negative), activation)
        self.close(self.solve(activation=activation), flipped, sign=-1.0)

    @pytest.mark.parametrize("which", ["source_labels", "target_labels"])
    def test_labels_of_zero_are_soon_learned(self, activation, which):
        task = changed(make_task(), **{which: lambda y: 0 * y})
        started = time.process_time()
        found = self.solve(task, activation, elastic_coupling=COUPLINGS)
        assert time.process_time() - started < 10  # 1 s
        assert found.status == (Status.CONVERGED,) * 3
        if which == "target_labels":
            np.testing.assert_allclose(found.prediction, 0, atol=1e-12)

    @pytest.mark.parametrize("exponent", [-200, 200])
    @pytest.mark.parametrize("which", ["source_strength", "target_strength", "source_labels", "target_labels"])
    def test_scales_out_of_range_have_a_status(self, activation, which, exponent):
        """Nothing raises, nothing warns (a RuntimeWarning of ours is an error here), nothing takes long."""
        task, options = make_task(), {}
        if "labels" in which:
            task = changed(task, **{which: lambda y: y * 10.0**exponent})
        else:
            options[which] = 10.0**exponent
        started = time.process_time()
        found = self.solve(task, activation, elastic_coupling=COUPLINGS, **options)
        assert time.process_time() - started < 30  # mostly far below 5 s
        assert np.shape(found.test_loss) == (3, *self.times)
        for i, status in enumerate(found.status):
            if status is Status.CONVERGED:
                for name in ("prediction", "train_loss", "test_loss", "kernel"):
                    assert np.isfinite(getattr(found, name)[i]).all()
        if which == "target_labels" and exponent >= 200:
            assert Status.CONVERGED not in found.status

    def test_one_coupling_does_not_lose_the_others(self, activation):
        among = self.solve(activation=activation, elastic_coupling=[2.0, 1e300, 0.0])
        assert among.status[0] is self.solve(activation=activation).status
        # but for rounding: a library may sum products of other sizes in another order
        alone = [self.solve(activation=activation, **own).prediction for own in ({}, {"elastic_coupling": 0.0})]
        np.testing.assert_allclose(among.prediction[[0, 2]], alone, rtol=1e-9, atol=1e-12)
        for name in among.stderr:
            assert np.shape(among.stderr[name])[:1] in ((), (3,))

    def test_unconverged_points_raise_or_are_marked(self, activation):
        found = self.solve(activation=activation, **self.hopeless)
        assert found.status is not Status.CONVERGED
        assert {"prediction", "train_loss", "test_loss", "kernel"} <= set(found.stderr)
        with pytest.raises(UnconvergedError, match=rf"elastic_coupling = 2: .*{found.status.value}; ") as caught:
            self.solve(activation=activation, strict=True, **self.hopeless)
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (str(copy), copy.status) == (str(caught.value), found.status)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"elastic_coupling": []}, "elastic_coupling"),
            ({"elastic_coupling": np.ones((2, 2))}, "elastic_coupling"),
            ({"elastic_coupling": "3"}, "elastic_coupling = '3'"),
            ({"elastic_coupling": None}, "elastic_coupling = None"),
            ({"elastic_coupling": [1.0, math.nan]}, "elastic_coupling = nan"),
            ({"source_strength": np.ones(2)}, "source_strength"),
            ({"target_strength": torch.ones(2)}, "target_strength"),
            ({"target_strength": 1j}, "target_strength"),
            ({"task": "linear"}, "task = 'linear'"),
            ({"seed": 0.5}, "seed = 0.5"),
            ({"particles": 2.5}, "particles = 2.5"),
            ({"activation": "swish"}, "activation = 'swish'"),
        ],
    )
    def test_bad_input_is_named_on_one_line(self, changes, message):
        for activation in ACTIVATIONS:
            with pytest.raises(InputError, match=message) as caught:
                self.solve(**{"activation": activation} | changes)
            assert "\n" not in str(caught.value)

    def test_a_device_that_is_not_there(self):
        for device in ("nowhere", "cuda:99", 1.5):
            with pytest.raises(InputError, match=r"device = .*pass 'cpu'"):
                self.solve(activation="relu", device=device)

    def test_observers_take_one_record(self):
        seen = []
        self.solve(activation="erf", elastic_coupling=COUPLINGS, observe=seen.append)
        assert all(isinstance(shown, Observed) for shown in seen)
        last = self.times[0] - 1 if self.times else 0
        assert {(shown.coupling_index, shown.time_index) for shown in seen} >= {
            (None, None),
            *((g, last) for g in range(3)),
        }
        for shown in seen:
            assert shown.preactivation.shape[1] == (9 if shown.coupling_index is None else 6)


class TestBayes(Contract):
    engine = bayes
    arguments: ClassVar[dict] = {"inverse_temperature": 10.0}
    sampled: ClassVar[dict] = {"particles": 512, "evidence": False}
    hopeless: ClassVar[dict] = {"max_iterations": 1, "inverse_temperature": 1e4, "target_strength": 3.0}

    def test_without_coupling_the_source_does_not_matter(self, activation):
        task = make_task()
        other = changed(task, source_labels=lambda y: y[::-1] ** 2)
        first = self.solve(task, activation, elastic_coupling=0.0)
        second = self.solve(other, activation, elastic_coupling=0.0, source_strength=3.0)
        for name in ("prediction", "kernel", "leave_one_out", "domain_margin"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))

    def test_a_source_that_fails_leaves_training_from_scratch(self, activation):
        found = self.solve(activation=activation, elastic_coupling=[0.0, 1.0], source_strength=1e200)
        assert found.status[0] is Status.CONVERGED
        assert found.status[1] is not Status.CONVERGED

    def test_condensed_points_beside_others(self):
        even = make_task(dimension=10, n_source=40)
        task = replace(even, y_source=(even.x_source[:, 0] ** 2 - 1) / math.sqrt(2))
        rich = {"source_strength": 3.0, "inverse_temperature": 50.0}
        found = self.solve(task, "relu", elastic_coupling=[0.0, 10.0], **rich)
        assert found.status[0] is Status.CONVERGED
        assert found.status[1] is Status.CONDENSED
        assert np.isfinite(found.extras["gap"][0])
        assert np.isnan(found.extras["gap"][1])
        assert np.isnan(found.test_loss[1])


class TestFlow(Contract):
    engine = flow
    arguments: ClassVar[dict] = {"weight_decay": 0.05, "source_time": 2.0, "target_times": [0.0, 3.0]}
    sampled: ClassVar[dict] = {"particles": 64, "replicas": 3}
    hopeless: ClassVar[dict] = {"max_evaluations": 4, "target_times": [0.0, 1e3]}
    times = (2,)

    def test_from_scratch_neither_source_nor_coupling_matters(self, activation):
        found = self.solve(activation=activation, start="scratch", elastic_coupling=COUPLINGS)
        other = self.solve(activation=activation, start="scratch", elastic_coupling=0.0, source_strength=1e200)
        for prediction in found.prediction:
            np.testing.assert_array_equal(prediction, other.prediction)

    def test_the_end_of_frozen_features_is_exact(self, activation):
        known = {"elastic_coupling": math.inf, "target_times": [1e4, math.inf]}
        found = self.solve(activation=activation, **known)
        np.testing.assert_allclose(found.prediction[0], found.prediction[1], rtol=1e-9)
        kernel, labels = found.kernel, make_task().y_target
        ridge = kernel @ np.linalg.solve(kernel + 0.05 * np.eye(6), labels)
        if activation == "linear":
            assert found.train_loss[1] == pytest.approx(np.mean((ridge - labels) ** 2))
        else:
            with pytest.raises(InputError, match=r"target_times = inf: .*elastic_coupling = inf"):
                self.solve(activation=activation, **known | {"elastic_coupling": [1.0, math.inf]})
            with pytest.raises(InputError, match="source_time = inf"):
                self.solve(activation=activation, source_time=math.inf, elastic_coupling=math.inf)

    @pytest.mark.parametrize("late", [1e15])
    @pytest.mark.parametrize("decay", [0.02, 0.1])
    def test_a_linear_network_that_trains_for_ever_does_not_stay_on_the_saddle(self, late, decay):
        couplings = [0.0, 0.3, 20.0, math.inf]
        found = self.solve(elastic_coupling=couplings, target_times=[late, math.inf], weight_decay=decay)
        assert found.status == (Status.CONVERGED,) * 4
        np.testing.assert_allclose(found.prediction[:, 0], found.prediction[:, 1], atol=1e-6)
        assert (np.abs(found.prediction[:, 0]).max(-1) > 0.1).all()
        begun = self.solve(elastic_coupling=couplings, source_time=late, weight_decay=decay)
        ever = self.solve(elastic_coupling=couplings, source_time=math.inf, weight_decay=decay)
        np.testing.assert_allclose(begun.prediction, ever.prediction, atol=1e-6)

    @pytest.mark.parametrize("which", ["source_time", "target_times"])
    def test_particles_say_soon_that_they_cannot_wait_so_long(self, which):
        started = time.process_time()
        found = self.solve(activation="relu", **{which: 1e15 if which == "source_time" else [1.0, 1e15]})
        assert time.process_time() - started < 30  # 2 s, of a million evaluations allowed
        assert found.status in (Status.STALLED, Status.CONVERGED)

    @pytest.mark.parametrize("which", ["source_labels", "target_labels"])
    def test_labels_below_rounding_stall_at_once(self, which):
        task = changed(make_task(), **{which: lambda y: 1e-20 * y})
        found = self.solve(task, "erf")
        assert found.status is Status.STALLED
        assert found.iterations < 100


del Contract  # pytest would run it by itself
