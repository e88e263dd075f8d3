"""Activations, seeds, checks, statuses."""

import importlib
import pickle
import pkgutil

import numpy as np
import pytest
import torch

import infwidth
from infwidth.numerics.activations import ACTIVATIONS, get_activation
from infwidth.numerics.checks import InputError, check_choice, check_count, check_number
from infwidth.numerics.losses import class_error, classification_error
from infwidth.numerics.seeds import derive_seed, generator
from infwidth.numerics.status import Status, UnconvergedError, best, tied, worst


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=lambda activation: activation.name)
def test_activations_are_what_they_say(activation):
    h = torch.linspace(-3, 3, 40, dtype=torch.float64)  # misses the kink at 0
    step = 1e-6
    slope = (activation.value(h + step) - activation.value(h - step)) / (2 * step)
    assert torch.allclose(activation.derivative(h), slope, atol=1e-8)
    assert activation.derivative(h).shape == h.shape
    if activation.homogeneity is not None:
        assert torch.allclose(activation.value(2.5 * h), 2.5**activation.homogeneity * activation.value(h))
    large = torch.tensor([1e3, 1e6], dtype=torch.float64)
    growth = activation.value(large)
    assert float(growth[1] / growth[0]) == pytest.approx(10.0 ** (3 * activation.growth))


def test_unknown_activation_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'relu'"):
        get_activation("relo")


def test_seeds_depend_on_every_part_and_its_type():
    seeds = {derive_seed(*path) for path in ((0, "a"), (1, "a"), (0, "b"), ("0", "a"), (0, "a", 0), (0, "a/0"))}
    assert len(seeds) == 6
    assert derive_seed(0, "a") == derive_seed(0, "a")
    assert np.array_equal(generator(3, "x").standard_normal(4), generator(3, "x").standard_normal(4))


@pytest.mark.parametrize("value", [float("nan"), -1.0, "2", None, True, float("inf")])
def test_bad_numbers_name_argument_value_and_range(value):
    with pytest.raises(InputError, match=r"^δ = .*: expected a number ≥ 0; "):
        check_number("δ", value, minimum=0)


def test_number_ranges():
    assert check_number("δ", float("inf"), minimum=0, allow_inf=True) == float("inf")
    with pytest.raises(InputError, match="> 0"):
        check_number("γ", 0.0, minimum=0, open_minimum=True)
    with pytest.raises(InputError, match=r"\[-1, 1\]"):
        check_number("α", 1.5, minimum=-1, maximum=1)
    with pytest.raises(InputError, match="whole number ≥ 1"):
        check_count("N", 0)
    with pytest.raises(InputError, match="whole number"):
        check_count("N", 2.5)
    assert check_choice("a", "x", ["x"]) == "x"


def test_the_worst_status_names_a_mean():
    assert worst([Status.CONVERGED, Status.UNMIXED, Status.STALLED]) is Status.UNMIXED
    assert worst([Status.UNMIXED, Status.DIVERGED]) is Status.DIVERGED
    assert best([Status.UNMIXED, Status.DIVERGED]) is Status.UNMIXED


@pytest.mark.parametrize("source", [None, *Status])
@pytest.mark.parametrize("target", Status)
def test_a_target_is_no_better_than_the_source_it_is_tied_to(source, target):
    found = tied(source, target)
    assert found is (target if source is None else worst([source, target]))
    assert found is not Status.CONVERGED or {source, target} <= {None, Status.CONVERGED}


def test_every_status_has_a_remedy_and_errors_end_with_it():
    for status in Status:
        assert status.remedy
        assert str(UnconvergedError("δ = 3", status)).endswith(status.remedy)


def test_what_is_no_number_is_refused_on_one_line():
    found = [np.ones(3), np.ones((1, 1)), np.array([2.0]), [1.0], torch.ones(2), 1j, np.complex64(1), np.True_]
    for value in (*found, b"2", np.array("2"), None, {}, np.datetime64("2020-01-01")):
        with pytest.raises(InputError, match=r"^γ = .*; pass a number") as caught:
            check_number("γ", value, minimum=0)
        assert len(str(caught.value)) < 200
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError, match=r"^particles = "):
            check_count("particles", value)
        with pytest.raises(InputError, match=r"^activation = "):
            check_choice("activation", value, ACTIVATIONS)
    with pytest.raises(InputError, match=r"^γ = 1000.*…: expected"):
        check_number("γ", 10**400)
    for value in (np.float32(2), np.array(2), torch.tensor(2.0), 2):
        assert check_number("γ", value, minimum=0) == 2.0
    with pytest.raises(InputError, match="expected"):
        check_number("β", 12, maximum=10, allow_inf=True)


def test_every_exception_of_ours_survives_pickling():
    for module in pkgutil.walk_packages(infwidth.__path__, "infwidth."):
        importlib.import_module(module.name)
    ours, todo = [], [Exception]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        ours += [kind] if kind.__module__.startswith("infwidth") else []
    assert {InputError, UnconvergedError} <= set(ours)
    for kind in ours:
        error = kind("δ = 3", Status.STALLED) if kind is UnconvergedError else kind("δ = 3")
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (kind, str(error), vars(error))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_an_output_below_rounding_is_no_class(precision):
    eps = np.finfo(precision).eps
    labels = np.array([1.0, 1.0, -1.0, -1.0])
    for noise in (0.0, 0.3 * eps, -20 * eps):
        assert classification_error(np.full(4, noise), labels, dtype=precision) == {"test_error": 0.5}
    f = np.array([2000 * eps, -1.0, -2000 * eps, 0.1 * eps])
    assert classification_error(f, labels, dtype=precision)["test_error"] == (0 + 1 + 0 + 0.5) / 4
    assert classification_error(f.astype(precision), labels)["test_error"] == (0 + 1 + 0 + 0.5) / 4
    assert classification_error(f, 2 * labels) == {}


def test_classes_of_several_outputs_are_the_largest():
    labels = np.array([[2.0, -1, -1], [-1, 2, -1], [-1, -1, 2], [2, -1, -1]])
    right, tied, all_tied, wrong = [0.3, 0.1, -9], [1, 1, 0], [0, 0, 1e-17], [0, 1, 0.9]
    assert class_error(np.array([right, tied, all_tied, wrong]), labels) == pytest.approx((0 + 1 / 2 + 2 / 3 + 1) / 4)
    assert class_error(np.array([tied]), labels[2:3]) == 1.0  # the right one is not among the largest
    assert class_error(labels, labels + 1e-15) == 0.0
    assert class_error(np.array([0.2, -1.0]), np.array([1.0, 1.0])) == 0.5
    for regression in (np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 2.0, 0.0]]), np.array([[1.0]])):
        assert np.isnan(class_error(regression, regression))
    assert np.isnan(class_error(np.array([1.0, 0.5]), np.array([1.0, 0.5])))
    assert np.isnan(class_error(np.full((4, 3), np.nan), labels))


def test_a_network_that_diverged_has_no_error_rate():
    f = np.array([[np.nan, np.nan], [1.0, -1.0]])
    np.testing.assert_array_equal(classification_error(f, np.array([1.0, -1.0]))["test_error"], [np.nan, 0.0])
    labels = np.array([[2.0, -1, -1], [-1, 2, -1]])
    found = classification_error(np.stack([labels, np.nan * labels]), labels, several_outputs=True)
    np.testing.assert_array_equal(found["test_error"], [0.0, np.nan])


def test_error_rates_of_a_batch_are_those_of_each():
    """Networks × points × times of one set of labels a network, whose axes broadcast."""
    rng = np.random.default_rng(0)
    labels = np.sqrt(3) * (np.eye(3)[rng.integers(3, size=(2, 1, 1, 9))] - 1 / 3)
    f = rng.standard_normal((2, 4, 5, 9, 3))
    found = classification_error(f, labels, several_outputs=True, dtype="float32")["test_error"]
    expected = [
        [[class_error(one, of[0, 0]) for one in row] for row in each] for each, of in zip(f, labels, strict=True)
    ]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("name", ["relu", "erf", "tanh", "gelu", "softplus"])
def test_activations_know_their_slope_growth_homogeneity_and_parity(name):
    import torch

    from infwidth.numerics.activations import get_activation

    phi = get_activation(name)
    h = torch.linspace(-6, 6, 400, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(phi.value(h).sum(), h)
    h = h.detach()
    torch.testing.assert_close(phi.derivative(h), slope)
    torch.testing.assert_close(phi.gated(h, 3 * h), 3 * h * slope)
    for write, kept in (
        (lambda out: phi.value(h, out=out), phi.value(h)),
        (lambda out: phi.derivative(h, out=out), slope),
        (lambda out: phi.gated(h, 2 + h, out=out), (2 + h) * slope),
    ):
        out = torch.empty_like(h)
        assert write(out) is out
        torch.testing.assert_close(out, kept)
    far = phi.value(torch.tensor([-1e8, 1e8], dtype=torch.float64)) / 1e8**phi.growth
    assert torch.isfinite(far).all()
    assert far[1] == 1
    assert (phi.value(2 * h) == 2 * phi.value(h)).all() == (phi.homogeneity == 1)
    for dtype in (torch.float32, torch.float64):  # to the last digit: a population's moves rely on it
        assert torch.equal(phi.value(-h.to(dtype)), -phi.value(h.to(dtype))) == phi.odd
