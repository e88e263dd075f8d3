"""Gradient-flow networks against facts worked out here, from the equations of docs/theory.md §2 alone."""

import warnings

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import erf

from infwidth.networks import gradient_flow
from infwidth.networks.gradient_flow import train_source, train_target
from infwidth.networks.two_layer import exponential_flow
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint, origin_weights
from infwidth.networks.two_layer.span import TrainingSpan
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask

PHI = {
    "linear": (lambda h: h, np.ones_like),
    "relu": (lambda h: np.maximum(h, 0), lambda h: (h > 0) * 1.0),
    "erf": (erf, lambda h: 2 / np.sqrt(np.pi) * np.exp(-h * h)),
}


def data(samples=6, dimension=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, dimension))
    return x, np.sin(x @ rng.standard_normal(dimension))


def random_source(width, dimension, seeds=1, seed=5):
    rng = np.random.default_rng(seed)
    hidden, readout = rng.standard_normal((seeds, width, dimension)), rng.standard_normal((seeds, width))
    status = (Status.CONVERGED,) * seeds
    return SourceNetworks(torch.from_numpy(hidden), torch.from_numpy(readout), status, np.zeros(seeds, int))


def flow_by_scipy(readout, hidden, anchor, x, y, x_test, times, activation, gamma, decay, delta, rtol=1e-10):
    """Integrate (7) literally; returns f on x_test, (T, Pt), and the final weights."""
    phi, slope = PHI[activation]
    width, dimension = hidden.shape

    def unpack(u):
        return u[:width], u[width:].reshape(width, dimension)

    def right_side(_, u):
        w, weights = unpack(u)
        h = weights @ x.T / dimension**0.5
        error = y - w @ phi(h) / (gamma * width)
        pull = (w[:, None] * slope(h) * error) @ x / dimension**0.5
        motion = gamma * pull - decay * weights - delta * (weights - anchor)
        return np.concatenate([gamma * phi(h) @ error - decay * w, motion.ravel()])

    start = np.concatenate([readout, hidden.ravel()])
    u = solve_ivp(right_side, (0, times[-1]), start, "DOP853", t_eval=times, rtol=rtol, atol=rtol).y.T
    outputs = [unpack(v)[0] @ phi(unpack(v)[1] @ x_test.T / dimension**0.5) / (gamma * width) for v in u]
    return np.array(outputs), unpack(u[-1])


def target(source, x, y, x_test, *points, times=(0.5, 2.0), activation="erf", decay=0.1, seeds=None, **options):
    seeds = range(len(source.hidden)) if seeds is None else seeds
    return train_target(
        source, x, y, x_test, points=points, activation=activation, weight_decay=decay, times=times, seeds=seeds,
        **options,
    )  # fmt: skip


def target_start(source, x, seed=0):
    """The duplicated weights a target starts from, read off a target trained for no time at all."""
    kept = {}

    def spy(batch, *_, **__):
        kept["readout"], kept["hidden"] = batch.readout[0].numpy(), batch.hidden[0].mT.numpy()
        raise StopIteration

    original, gradient_flow.integrate = gradient_flow.integrate, spy
    try:
        with pytest.raises(StopIteration):
            target(source, x, np.zeros(len(x)), x, TargetPoint(0.0, 1.0), seeds=[seed])
    finally:
        gradient_flow.integrate = original
    return kept["readout"], kept["hidden"]


@pytest.mark.parametrize(("samples", "dimension"), [(6, 4), (3, 7)])
def test_output_is_zero_at_the_start(samples, dimension):
    x, y = data(samples, dimension)
    common = {"activation": "relu", "weight_decay": 0.1, "seeds": [0, 1]}
    source = train_source(x, y, source_strength=0.3, time=0.0, width=16, **common)
    h = torch.einsum("bnd,pd->bnp", source.hidden, torch.from_numpy(x)) / dimension**0.5
    assert float(torch.einsum("bn,bnp->bp", source.readout, h.clamp(min=0)).abs().max()) < 1e-13
    points = [TargetPoint(0, 0.3, "scratch"), TargetPoint(5, 0.3), TargetPoint(5, 0.3, "source", "random")]
    answer = train_target(source, x, y, x, points=points, times=[0.0], **common)
    assert np.abs(answer.prediction).max() < 1e-13
    assert np.abs(answer.train_prediction).max() < 1e-13


@pytest.mark.parametrize("activation", ["linear", "relu", "erf"])
@pytest.mark.parametrize("delta", [0.0, 3.0])
def test_agrees_with_the_literal_flow(activation, delta):
    x, y = data()
    x_test, _ = data(9, seed=1)
    source, times = random_source(10, 4), np.array([0.3, 1.0, 4.0])
    answer = target(source, x, y, x_test, TargetPoint(delta, 0.7), times=times, activation=activation, safety=0.01)
    readout, hidden = target_start(source, x)
    # ReLU's kinks stop an adaptive method from reaching tight tolerances.
    rtol = 1e-6 if activation == "relu" else 1e-10
    exact, weights = flow_by_scipy(readout, hidden, hidden, x, y, x_test, times, activation, 0.7, 0.1, delta, rtol)
    np.testing.assert_allclose(answer.prediction[0, 0], exact, atol=5e-4 if activation == "relu" else 5e-5)
    features = PHI[activation][0](weights[1] @ x.T / 2)
    np.testing.assert_allclose(answer.kernel[0, 0], features.T @ features / 20, rtol=3e-3, atol=3e-3)
    assert answer.status == ((Status.CONVERGED,),)


def test_source_agrees_with_the_literal_flow():
    x, y = data()
    common = {"activation": "erf", "source_strength": 0.5, "weight_decay": 0.2, "width": 12, "seeds": [3]}
    start = train_source(x, y, time=0.0, **common)
    w, weights = start.readout[0].numpy(), start.hidden[0].numpy()
    np.testing.assert_array_equal(w[:6], -w[6:])
    end = train_source(x, y, time=3.0, safety=0.02, **common)
    _, (w, weights) = flow_by_scipy(w, weights, weights, x, y, x, np.array([3.0]), "erf", 0.5, 0.2, 0.0)
    np.testing.assert_allclose(end.readout[0], w, atol=2e-4)
    np.testing.assert_allclose(end.hidden[0], weights, atol=2e-4)


def test_second_order_convergence():
    x, y = data()
    source, times = random_source(8, 4), np.array([1.5])
    readout, hidden = target_start(source, x)
    exact, _ = flow_by_scipy(readout, hidden, hidden, x, y, x, times, "erf", 0.8, 0.1, 2.0, 1e-12)
    safeties = np.array([0.2, 0.1, 0.05, 0.025])
    errors, steps = [], []
    for safety in safeties:
        answer = target(source, x, y, x, TargetPoint(2.0, 0.8), times=times, safety=safety)
        errors.append(np.abs(answer.prediction[0, 0] - exact).max())
        steps.append(int(answer.steps[0, 0]))
    slope = np.polyfit(np.log(1 / np.array(steps)), np.log(errors), 1)[0]
    assert slope == pytest.approx(2.0, abs=0.2)
    assert answer.residual[0, 0] < 0.01


def test_exponential_weights_at_small_large_and_infinite_rates():
    rates = torch.tensor([0.0, 1e-9, 0.049, 0.051, 3.0, 200.0, torch.inf], dtype=torch.float64)
    decay, once, twice = exponential_flow.exponential_weights(rates, torch.ones_like(rates))
    for rate, values in zip(rates[:-1], torch.stack([decay, once, twice], 1), strict=False):
        block = np.zeros((3, 3))  # expm of the augmented matrix holds the phi functions
        block[0] = [-float(rate), 1, 0]
        block[1, 2] = 1
        np.testing.assert_allclose(values, expm(block)[0], rtol=1e-10, atol=1e-15)
    assert (decay[-1], once[-1], twice[-1]) == (0, 0, 0)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_frozen_layer_is_the_limit_of_strong_coupling(activation):
    x, y = data()
    source = random_source(20, 4)
    points = [TargetPoint(delta, 0.5) for delta in (100.0, 1000.0, 10000.0, np.inf)]
    answer = target(source, x, y, x, *points, times=[0.5, 3.0], activation=activation, safety=0.005)
    gaps = np.abs(answer.prediction[0, :3] - answer.prediction[0, 3]).max((1, 2))
    assert np.polyfit(np.log([100, 1000, 10000]), np.log(gaps), 1)[0] == pytest.approx(-1, abs=0.1)
    # Frozen features: df/dt = ΦΔ − λf with f(0) = 0 is solved by the matrix exponential.
    phi = PHI[activation][0](source.hidden[0].numpy() @ x.T / 2)
    kernel = phi.T @ phi / 20
    matrix = kernel + 0.1 * np.eye(6)
    for t, f in zip(answer.times, answer.prediction[0, 3], strict=True):
        np.testing.assert_allclose(f, (np.eye(6) - expm(-matrix * t)) @ np.linalg.solve(matrix, kernel @ y), atol=1e-4)


def test_no_coupling_ignores_the_anchor_and_scratch_ignores_the_coupling():
    x, y = data()
    source = random_source(12, 4)
    points = [TargetPoint(0.0, 0.5), TargetPoint(0.0, 0.5, "scratch"), TargetPoint(50.0, 0.5, "scratch")]
    free, scratch, scratch_coupled = target(source, x, y, x, *points, safety=0.05).prediction[0]
    np.testing.assert_allclose(scratch, scratch_coupled, atol=1e-13)
    assert np.abs(free - scratch).max() > 1e-3
    readout, hidden = target_start(source, x)
    exact, _ = flow_by_scipy(readout, hidden, 0 * hidden, x, y, x, np.array([0.5, 2.0]), "erf", 0.5, 0.1, 0.0)
    np.testing.assert_allclose(free, exact, atol=1e-3)


def test_lazy_limit_is_kernel_regression_with_decaying_kernels():
    x, y = data()
    source, decay = random_source(40, 4), 0.15
    readout, hidden = target_start(source, x)
    h = hidden @ x.T / 2
    gates = h > 0
    features = np.maximum(h, 0)
    frozen = features.T @ features / 80
    moving = (gates * readout[:, None] ** 2).T @ gates / 80 * (x @ x.T / 4)

    def right_side(t, f):
        return np.exp(-2 * decay * t) * (frozen + moving) @ (y - f) - 2 * decay * f

    times = np.array([0.5, 2.0, 5.0])
    exact = solve_ivp(right_side, (0, 5), np.zeros(6), t_eval=times, rtol=1e-10, atol=1e-12).y.T
    points = [TargetPoint(0.0, gamma) for gamma in (1e-2, 1e-4)]
    answer = target(source, x, y, x, *points, times=times, activation="relu", decay=decay, safety=0.02)
    far, near = np.abs(answer.prediction[0] - exact).max((1, 2))
    assert near < 3e-4
    assert far < 3e-2


def test_coordinate_check_across_widths():
    """µP: what a step does to outputs and preactivations does not depend on the width."""
    x, y = data(10, 5)
    widths, moved, size = [128, 256, 512, 1024, 2048], [], []
    for width in widths:
        common = {"activation": "relu", "source_strength": 0.5, "weight_decay": 0.05, "width": width, "seeds": range(8)}
        start, end = (train_source(x, y, time=time, **common) for time in (0.0, 2.0))
        inputs = torch.from_numpy(x) / 5**0.5
        moved.append(float(((end.hidden - start.hidden) @ inputs.T).square().mean().sqrt()))
        f = (end.readout[:, None] @ (end.hidden @ inputs.T).clamp(min=0)) / (0.5 * width)
        size.append(float(f.square().mean().sqrt()))
    for values in (moved, size):
        assert abs(np.polyfit(np.log(widths), np.log(values), 1)[0]) < 0.03


def test_a_network_is_the_same_alone_and_in_a_batch():
    sets = [data(5, 8, seed) for seed in range(3)]
    x, y = np.stack([s[0] for s in sets]), np.stack([s[1] for s in sets])
    common = {"activation": "relu", "weight_decay": 0.1}
    together = train_source(x, y, source_strength=0.8, time=2.0, width=20, seeds=[7, 8, 9], **common)
    points = [TargetPoint(1.0, 0.3), TargetPoint(30.0, 2.0), TargetPoint(0.0, 1.0, "scratch")]
    batch = train_target(together, x, y, x, points=points, times=[0.1, 3.0], seeds=[7, 8, 9], **common)
    alone = train_source(*sets[1], source_strength=0.8, time=2.0, width=20, seeds=[8], **common)
    np.testing.assert_allclose(alone.hidden[0], together.hidden[1], atol=1e-10)
    single = train_target(alone, *sets[1], sets[1][0], points=points[1:2], times=[0.1, 3.0], seeds=[8], **common)
    np.testing.assert_allclose(single.prediction[0, 0], batch.prediction[1, 1], atol=1e-9)
    assert single.steps[0, 0] == batch.steps[1, 1]


def test_training_in_the_span_of_few_inputs_is_exact(monkeypatch):
    x, y = data(5, 12)
    x_test, _ = data(9, 12, seed=1)
    points = [
        TargetPoint(2.0, 0.5),
        TargetPoint(np.inf, 0.5),
        TargetPoint(0.0, 0.5, "scratch"),
        TargetPoint(2.0, 0.5, "source", "random"),
    ]
    common = {"activation": "erf", "weight_decay": 0.3, "seeds": [0, 1]}

    def both():
        source = train_source(x, y, source_strength=0.7, time=1.5, width=10, **common)
        return source.hidden, train_target(source, x, y, x_test, points=points, times=[0.0, 0.7, 2.0], **common)

    hidden, reduced = both()
    for module in ("gradient_flow", "two_layer.starts"):
        monkeypatch.setattr(f"infwidth.networks.{module}.training_span", lambda _: TrainingSpan(None))
    full_hidden, full = both()
    np.testing.assert_allclose(hidden, full_hidden, atol=1e-10)
    np.testing.assert_allclose(reduced.prediction, full.prediction, atol=1e-10)
    np.testing.assert_allclose(reduced.kernel, full.kernel, atol=1e-10)


def test_random_anchor_keeps_the_norms():
    source = random_source(12, 4)
    anchor = origin_weights(source, 0, 3, "random")
    torch.testing.assert_close(anchor.norm(dim=1), source.hidden[0].norm(dim=1))
    assert not torch.allclose(anchor, source.hidden[0])


def small_task():
    x, y = data()
    return TransferTask(x, y, x, y, x, y)


RUN = {"activation": "relu", "source_strength": 0.5, "weight_decay": 0.1, "source_time": 1.0, "width": 20}


def test_run_averages_over_seeds_and_couplings():
    task = small_task()
    common = RUN | {"target_strength": 0.5, "target_times": [0.0, 1.0], "seeds": (0, 1, 2)}
    several = gradient_flow.run(task, elastic_coupling=[0.0, 2.0], **common)
    assert several.test_loss.shape == (2, 2)
    assert several.prediction.shape == (2, 2, 6)
    assert several.kernel.shape == (2, 6, 6)
    assert several.status == (Status.CONVERGED, Status.CONVERGED)
    one = gradient_flow.run(task, elastic_coupling=2.0, **common)
    np.testing.assert_allclose(one.test_loss, several.test_loss[1], atol=1e-10)
    np.testing.assert_allclose(one.test_loss[0], np.mean(task.y_test**2))
    assert one.stderr["test_loss"].shape == (2,)
    assert one.stderr["test_loss"][1] > 0
    alone = gradient_flow.run(task, elastic_coupling=2.0, **common | {"seeds": (0,)})
    assert np.isnan(alone.stderr["test_loss"]).all()


def test_divergence_is_found_and_named():
    task = small_task()
    common = RUN | {"target_strength": 0.25, "elastic_coupling": 3.0, "target_times": [1e4], "source_time": 0.0}
    with pytest.raises(UnconvergedError, match=r"seed 0, δ=3, γ=0.25.*diverged"):
        gradient_flow.run(task, safety=1e6, **common)
    loose = gradient_flow.run(task, safety=1e6, strict=False, **common)
    assert loose.status is Status.DIVERGED
    assert np.isnan(loose.test_loss).all()


def test_a_step_somewhat_too_long_is_halved_and_recovers():
    x, y = data()
    source = random_source(12, 4)
    fine, coarse = (target(source, x, y, x, TargetPoint(1.0, 0.5), safety=s, times=[20.0]) for s in (0.1, 8.0))
    assert coarse.status == ((Status.CONVERGED,),)
    np.testing.assert_allclose(coarse.prediction, fine.prediction, atol=0.05)


def test_single_precision_agrees():
    x, y = data()
    source = random_source(12, 4)
    double = target(source, x, y, x, TargetPoint(10.0, 0.5))
    single = target(source, x, y, x, TargetPoint(10.0, 0.5), dtype=torch.float32)
    np.testing.assert_allclose(single.prediction, double.prediction, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 21}, "even"),
        ({"activation": "tahn"}, "activation"),
        ({"target_times": [1.0, 1.0]}, "increasing"),
        ({"elastic_coupling": -1.0}, "elastic_coupling"),
        ({"start": "sauce"}, "did you mean 'source'"),
        ({"seeds": ()}, "seeds"),
    ],
)
def test_bad_input_is_one_line(change, message):
    arguments = RUN | {"target_strength": 0.5, "elastic_coupling": 1.0, "target_times": [1.0]} | change
    with pytest.raises(InputError, match=message) as caught:
        gradient_flow.run(small_task(), **arguments)
    assert "\n" not in str(caught.value)


def test_progress_ends_at_one():
    seen = []
    gradient_flow.run(small_task(), elastic_coupling=1.0, target_strength=0.5, target_times=[1.0],
                      progress=seen.append, **RUN)  # fmt: skip
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


def test_what_runs_out_of_memory_is_halved_and_ends_as_it_would_have(monkeypatch):
    """Without a GPU: batches above two networks fail where they have done and stored everything."""
    real, arguments = gradient_flow.integrate, RUN | {"width": 20, "seeds": (0, 1, 2)}
    arguments |= {"target_strength": 0.5, "elastic_coupling": (0.0, 1.0), "target_times": [0.0, 1.0]}
    whole, sizes = gradient_flow.run(small_task(), **arguments), []

    def short_of_memory(batch, *more, **options):
        found = real(batch, *more, **options)
        sizes.append(len(batch.strength))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    monkeypatch.setattr(gradient_flow, "integrate", short_of_memory)
    halved = gradient_flow.run(small_task(), **arguments)
    assert sizes == [3, 1, 2, 6, 3, 1, 2, 3, 1, 2]
    np.testing.assert_array_equal(halved.prediction, whole.prediction)
    np.testing.assert_array_equal(halved.kernel, whole.kernel)
    assert halved.status == whole.status


def test_a_halved_chunk_is_observed_once(monkeypatch):
    x, y = data()
    points, seen = [TargetPoint(0.0, 0.5), TargetPoint(1.0, 0.5)], []
    options = {"activation": "relu", "weight_decay": 0.1, "times": [0.0, 1.0], "seeds": (0, 1)}
    source = random_source(12, 4, seeds=2)
    real = gradient_flow.integrate

    def short_of_memory(batch, *more, **rest):
        found = real(batch, *more, **rest)
        if len(batch.strength) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    monkeypatch.setattr(gradient_flow, "integrate", short_of_memory)
    show = lambda one: seen.append((one.replica, one.coupling_index, one.time_index))  # noqa: E731
    train_target(source, x, y, x, points=points, observe=show, **options)
    assert sorted(seen) == [(b, g, t) for b in (0, 1) for g in (0, 1) for t in (0, 1)]


@pytest.mark.parametrize(("activation", "decay", "scale"), [("softplus", 1e60, 1e-200), ("erf", 3.0, 1.0)])
def test_weights_at_rest_reach_any_time_at_once(activation, decay, scale):
    x, y = data()
    y = scale * y
    settings = {"activation": activation, "source_strength": 1.0, "weight_decay": decay, "width": 8, "seeds": (0, 1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        early, late = (train_source(x, y, time=time, **settings) for time in (1e3, 1e6))
    assert late.status == early.status == (Status.CONVERGED,) * 2
    assert int(late.steps.max()) < 20_000
    torch.testing.assert_close(late.hidden, early.hidden, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(late.readout, early.readout, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("activation", "strength"), [("linear", 1e3), ("erf", 3e2), ("tanh", 1e2)])
def test_a_flow_that_grows_stiff_says_on_its_way_how_far_it_is(activation, strength, monkeypatch):
    from infwidth.numerics import progress

    x, y = data()
    settings = {"activation": activation, "weight_decay": 0.1, "width": 8, "seeds": (0, 1), "time": 2.0}
    monkeypatch.setattr(progress, "MANY_STEPS", 300)
    with pytest.warns(UserWarning, match=r"gradient flow: \d+ steps are done .* left, about .*; to be faster, reduce"):
        train_source(x, y, source_strength=strength, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_source(x, y, source_strength=1.0, **settings)
