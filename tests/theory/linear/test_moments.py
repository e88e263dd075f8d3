import numpy as np
import pytest
from builders import train_neurons
from scipy.integrate import solve_ivp

from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status
from infwidth.theory.linear import integrators
from infwidth.theory.linear.integrators import COLUMNS, _extrapolate, dormand_prince
from infwidth.theory.linear.moment_path import integrate_moments
from infwidth.theory.linear.moments import AnchoredFlow, Moments
from infwidth.theory.linear.residual_flow import ResidualFlow

D = 6
RATES = {"strength": 0.9, "readout_decay": 0.11, "hidden_decay": 0.07}
NETWORK = {"strength": 0.9, "decays": (0.11, 0.07), "rtol": 1e-12, "atol": 1e-13}


def data(seed, samples):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((samples, D)) / np.sqrt(D), rng.standard_normal(samples)


def empirical(w, hidden, anchor):
    n = len(w)
    return Moments(
        readout_moment=w @ w / n,
        predictor=w @ hidden / n,
        hidden_moment=hidden.T @ hidden / n,
        cross=hidden.T @ anchor / n,
        anchor_readout=w @ anchor / n,
        anchor_moment=anchor.T @ anchor / n,
    )


@pytest.mark.parametrize("method", ["explicit", "implicit"])
@pytest.mark.parametrize("width", [20, 64])
@pytest.mark.parametrize("coupling", [0.0, 2.0])
def test_exact_for_finite_networks_from_their_own_moments(width, coupling, method):
    rng = np.random.default_rng(width)
    (x1, y1), (x2, y2) = data(1, 14), data(2, 5)
    times = np.array([0.5, 2.0, 6.0])
    tight = {**RATES, "rtol": 1e-11, "method": method}

    w, hidden = rng.standard_normal(width), rng.standard_normal((width, D))
    source = train_neurons(w, hidden, x1, y1, times, **NETWORK)
    moments = integrate_moments(empirical(w, hidden, hidden), x1, y1, times, **tight).moments
    for (w_t, h_t), m in zip(source, moments, strict=True):
        np.testing.assert_allclose(m.predictor, w_t @ h_t / width, atol=1e-8)
        np.testing.assert_allclose(m.hidden_moment, h_t.T @ h_t / width, atol=1e-8)

    anchor, fresh = source[-1][1], rng.standard_normal(width)
    start = empirical(fresh, anchor, anchor)
    # The target starts from the theory's own source, not from the network's.
    start = Moments(
        start.readout_moment,
        start.predictor,
        *(moments[-1].hidden_moment,) * 2,
        start.anchor_readout,
        moments[-1].hidden_moment,
    )
    target = train_neurons(fresh, anchor, x2, y2, times, coupling=coupling, **NETWORK)
    path = integrate_moments(start, x2, y2, times, elastic_coupling=coupling, **tight)
    for (w_t, h_t), m in zip(target, path.moments, strict=True):
        exact = empirical(w_t, h_t, anchor)
        for name in ("readout_moment", "predictor", "hidden_moment", "cross", "anchor_readout"):
            np.testing.assert_allclose(getattr(m, name), getattr(exact, name), atol=1e-8, err_msg=name)


def test_any_start_and_restart():
    # From the moments at t = 1 the run to t = 3 goes on as if it had not been cut, anchor and all.
    x, y = data(3, 7)
    anchor = np.diag(np.linspace(0.5, 2, D))
    kw = {**RATES, "elastic_coupling": 1.7, "rtol": 1e-10}
    whole = integrate_moments(Moments.fresh_readout(anchor), x, y, [1.0, 3.0], **kw).moments
    rest = integrate_moments(whole[0], x, y, [2.0], **kw).moments[0]
    for name in ("readout_moment", "predictor", "hidden_moment", "cross", "anchor_readout"):
        np.testing.assert_allclose(getattr(rest, name), getattr(whole[1], name), atol=1e-8, err_msg=name)


def stiff_case(method, rtol, coupling=300.0, end=3.0):
    x, y = data(3, 7)
    anchor = np.diag(np.linspace(0.5, 2, D))
    path = integrate_moments(
        Moments.fresh_readout(anchor), x, y, [end], elastic_coupling=coupling, rtol=rtol, method=method, **RATES
    )
    assert path.status is Status.CONVERGED
    return path.moments[0].predictor, path.evaluations


@pytest.mark.parametrize("coupling", [1.0, 300.0])
def test_two_integrators_agree(coupling):
    explicit, _ = stiff_case("explicit", 1e-9, coupling)
    implicit, _ = stiff_case("implicit", 1e-9, coupling)
    np.testing.assert_allclose(implicit, explicit, rtol=1e-7)


def test_implicit_cost_does_not_grow_with_the_coupling():
    assert stiff_case("implicit", 1e-8, 1e5)[1] < 2 * stiff_case("implicit", 1e-8, 1.0)[1]


def test_explicit_error_follows_the_tolerance():
    exact, _ = stiff_case("explicit", 1e-12, 1.0)
    tolerances = np.array([1e-4, 1e-5, 1e-6, 1e-7, 1e-8])
    errors = [np.linalg.norm(stiff_case("explicit", rtol, 1.0)[0] - exact) for rtol in tolerances]
    assert np.polyfit(np.log(tolerances), np.log(errors), 1)[0] == pytest.approx(1, abs=0.3)


def test_implicit_extrapolation_has_its_order():
    x, y = data(3, 7)
    flow = AnchoredFlow(Moments.fresh_readout(np.diag(np.linspace(0.5, 2, D))), x, y, 0.9, 1.0, 0.11, 0.07)
    end = 0.5
    exact = dormand_prince(flow, flow.start, np.array([end]), rtol=1e-13, max_evaluations=10**6).states[0]
    counts, errors = np.array([12, 16, 24, 32]), []
    for count in counts:
        state, h = flow.start, end / count
        for i in range(count):
            state, _ = _extrapolate(flow, i * h, state, h)
        errors.append(np.linalg.norm(state - exact))
    assert errors[-1] > 1e-12  # not yet round-off
    assert np.polyfit(np.log(counts), np.log(errors), 1)[0] == pytest.approx(-COLUMNS, abs=0.7)


@pytest.mark.parametrize("kind", [AnchoredFlow, ResidualFlow])
@pytest.mark.parametrize("together", [1, 3])
def test_runs_of_substeps_side_by_side_are_those_one_by_one(kind, together, monkeypatch):
    x, y = data(4, 5)
    flow = kind(Moments.fresh_readout(np.diag(np.linspace(0.5, 2, D))), x, y, 0.9, 30.0, 0.11, 0.07)
    state, found = flow.start + 0.1 * np.random.default_rng(0).standard_normal(len(flow.start)), []
    for runs in (COLUMNS, together):
        monkeypatch.setattr(integrators, "TOGETHER", runs * len(state))
        found.append(np.array(_extrapolate(flow, 0.2, state, 0.1)))
    np.testing.assert_allclose(found[1], found[0], atol=1e-11)
    assert np.abs(found[0][0] - state).max() > 0.1


def test_jacobian_solver_matches_finite_differences():
    x, y = data(4, 9)
    rng = np.random.default_rng(0)
    flow = AnchoredFlow(Moments.fresh_readout(np.diag(np.linspace(0.5, 2, D))), x, y, 0.9, 1.7, 0.11, 0.07)
    state, vector = rng.standard_normal((2, len(flow.start)))
    time, step, h = 0.3, 0.05, 1e-6
    solved = flow.implicit_solver(time, state, np.array([step]))(vector[None])[0]
    along = (flow.derivative(time, state + h * solved) - flow.derivative(time, state - h * solved)) / (2 * h)
    np.testing.assert_allclose(solved - step * along, vector, atol=1e-7)


@pytest.mark.parametrize("method", ["explicit", "implicit"])
def test_running_out_of_evaluations_keeps_what_was_reached(method):
    x, y = data(3, 7)
    kw = {**RATES, "max_evaluations": 200, "method": method}
    path = integrate_moments(Moments.fresh_readout(np.eye(D)), x, y, [0.0, 0.01, 1e4], **kw)
    assert path.status is Status.STALLED
    assert len(path.moments) == 2


@pytest.mark.parametrize("times", [[], [1.0, 1.0], [-1.0], [np.inf]])
def test_bad_times(times):
    with pytest.raises(InputError, match="times"):
        integrate_moments(Moments.fresh_readout(np.eye(D)), *data(3, 7), times, **RATES)


@pytest.mark.parametrize("end", [1e7, 1e9, 1e15, 1e30])
def test_without_decay_a_course_that_fits_its_data_stays_where_it_is(end):
    """What is left of its motion is rounding: no later time changes the state, or takes longer."""
    rng = np.random.default_rng(4)
    design, labels = rng.standard_normal((6, 10)) / np.sqrt(10), rng.standard_normal(6)
    start = Moments.fresh_readout(np.eye(10))
    early, late = (
        integrate_moments(start, design, labels, np.array([t]), strength=0.7, method="implicit") for t in (1e5, end)
    )
    assert late.status is Status.CONVERGED
    assert late.evaluations < 5000
    np.testing.assert_allclose(late.moments[0].predictor, early.moments[0].predictor, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(design @ late.moments[0].predictor / 0.7, labels, atol=1e-9)


def reduced_course(predictor, hidden, readout, inputs, strength, decayed):
    """The course once the data are fitted, in units of the decay's time, λt, as λ → 0.

    The weights move along what fits the data: the push s = λσ is the multiplier that keeps them there.
    """
    d, response = len(predictor), inputs.T

    def derivative(_, state):
        u, q, a = state[:d], state[d:-1].reshape(d, d), state[-1]
        kernel = q + a * np.eye(d)
        sigma = response @ np.linalg.solve(response.T @ kernel @ response, response.T @ (2 * u))
        tied = np.outer(sigma, u)
        return np.concatenate([kernel @ sigma - 2 * u, (tied + tied.T - 2 * q).ravel(), [2 * sigma @ u - 2 * a]])

    start = np.concatenate([predictor, hidden.ravel(), [readout]])
    found = solve_ivp(derivative, (0, decayed[-1]), start, "DOP853", t_eval=decayed, rtol=1e-11, atol=1e-13)
    return found.y.T


@pytest.mark.parametrize("decay", [1e-8, 1e-10, 1e-14])
@pytest.mark.parametrize(("strength", "samples"), [(0.4, 3), (2.0, 4)])
def test_decay_that_is_slow_moves_the_weights_along_what_fits(decay, strength, samples):
    x, y = data(5, samples)
    start = Moments.fresh_readout(np.diag(np.linspace(0.5, 2, D)))
    (fitted,) = integrate_moments(start, x, y, [1e3], strength=strength, rtol=1e-11).moments
    decayed = np.array([0.01, 0.5, 3.0, 30.0])
    exact = reduced_course(fitted.predictor, fitted.hidden_moment, fitted.readout_moment, x, strength, decayed)
    path = integrate_moments(
        start, x, y, decayed / decay, strength=strength, readout_decay=decay, hidden_decay=decay, rtol=1e-9
    )
    assert path.status is Status.CONVERGED
    assert path.evaluations < 10_000
    for moments, state in zip(path.moments, exact, strict=True):
        np.testing.assert_allclose(moments.predictor, state[:D], atol=2e-6)
        np.testing.assert_allclose(moments.hidden_moment.ravel(), state[D:-1], atol=2e-6)
        assert moments.readout_moment == pytest.approx(state[-1], abs=2e-6)


@pytest.mark.parametrize("decay", [0.0, 1e-200, 1e-30])
@pytest.mark.parametrize("coupling", [1e-6, 1.0, 1e6])
def test_a_tie_without_decay_draws_the_weights_back_to_the_anchor(decay, coupling):
    """What stays is the readout that fits the data on the anchor's features, at every later time."""
    x, y = data(6, 4)
    anchor = np.diag(np.linspace(0.5, 2, D))
    options = {"strength": 0.7, "elastic_coupling": coupling, "readout_decay": decay, "hidden_decay": decay}
    path = integrate_moments(Moments.fresh_readout(anchor), x, y, [1e10, 1e15, 1e18], **options)
    assert path.status is Status.CONVERGED
    assert path.evaluations < 10_000
    fit = 0.7 * anchor @ x.T @ np.linalg.solve(x @ anchor @ x.T, y)
    for moments in path.moments:
        np.testing.assert_allclose(moments.predictor, fit, atol=1e-6)
        np.testing.assert_allclose(moments.hidden_moment, anchor, atol=1e-6)


def test_jacobian_solver_with_the_residual_matches_finite_differences():
    x, y = data(4, 4)
    rng = np.random.default_rng(0)
    flow = ResidualFlow(Moments.fresh_readout(np.diag(np.linspace(0.5, 2, D))), x, y, 0.9, 1.7, 0.11, 0.07)
    state, vector = rng.standard_normal((2, len(flow.start)))
    time, step, h = 0.3, 0.05, 1e-6
    solved = flow.implicit_solver(time, state, np.array([step]))(vector[None])[0]
    along = (flow.derivative(time, state + h * solved) - flow.derivative(time, state - h * solved)) / (2 * h)
    np.testing.assert_allclose(solved - step * along, vector, atol=1e-7)
