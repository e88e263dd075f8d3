"""Theory against networks on linear tasks: two codes that share nothing above tasks and numerics."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from infwidth.analysis.claim_file import check_claims
from infwidth.analysis.claims import judge
from infwidth.analysis.decision import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED
from infwidth.io.tables import read_table, select
from infwidth.networks import gradient_flow, langevin
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.numerics.seeds import generator
from infwidth.plan.config import load_config
from infwidth.plan.transfer import Plan
from infwidth.tasks.linear_tasks import linear
from infwidth.theory import bayes, flow
from infwidth.theory.linear.moment_path import integrate_moments
from infwidth.theory.linear.moments import Moments
from infwidth.theory.linear.posterior import solve_posterior

COUPLINGS = (0.0, 1.0, 10.0, 100.0)
FLOW = {"activation": "linear", "source_strength": 0.6, "target_strength": 0.6, "weight_decay": 0.02}


def small_task(seed=0, **changes):
    sizes = {"dimension": 12, "overlap": 0.8, "n_source": 40, "n_target": 8, "n_test": 200}
    return linear(**{**sizes, **changes}, seed=seed)


def test_langevin_agrees_with_the_saddle_point():
    """Test loss of the posterior mean at every δ within 4 standard errors, and within 3 %."""
    task = small_task(dimension=20, n_source=60, n_target=10)
    settings = {"activation": "linear", "source_strength": 1.0, "target_strength": 0.5, "elastic_coupling": COUPLINGS}
    theory = bayes.solve(task, inverse_temperature=20.0, **settings)
    networks = langevin.run(
        task,
        inverse_temperature=20.0,
        width=800,
        seeds=range(6),
        burn_in_time=40.0,
        sampling_time=200.0,
        dtype=torch.float32,
        **settings,
    )
    z = (networks.test_loss - theory.test_loss) / networks.stderr["test_loss"]
    assert np.all(np.abs(z) < 4), z
    assert np.allclose(networks.test_loss, theory.test_loss, rtol=0.03)
    assert np.ptp(theory.test_loss) > 0.2 * theory.test_loss.max()  # the curve the two agree on is not flat


@pytest.mark.parametrize(("start", "anchor"), [("source", "source"), ("source", "random"), ("scratch", "source")])
def test_trained_networks_extrapolate_to_the_moment_equations(start, anchor):
    """Test losses of N = 100 … 800, extrapolated in 1/N, meet the theory within 4 standard errors."""
    task = small_task()
    settings = {**FLOW, "elastic_coupling": (0.0, 2.0, math.inf), "source_time": 8.0, "target_times": (0.5, 3.0, 10.0)}
    theory = flow.solve(task, start=start, anchor=anchor, **settings)
    widths = (100, 200, 400, 800)
    runs = [
        gradient_flow.run(task, start=start, anchor=anchor, width=n, seeds=range(n, n + 16), **settings) for n in widths
    ]
    losses = np.stack([run.test_loss for run in runs])
    errors = np.stack([run.stderr["test_loss"] for run in runs])
    design = np.stack([np.ones(len(widths)), 1 / np.array(widths)], axis=1)
    for point in np.ndindex(theory.test_loss.shape):
        weights = 1 / errors[(slice(None), *point)]
        covariance = np.linalg.inv((design * weights[:, None]).T @ (design * weights[:, None]))
        limit = (covariance @ design.T @ (weights**2 * losses[(slice(None), *point)]))[0]
        # the integrator of the networks is good to .3 % (DEFAULT_SAFETY); the rest is the width
        allowed = 4 * math.sqrt(covariance[0, 0]) + 3e-3 * theory.test_loss[point]
        assert abs(limit - theory.test_loss[point]) < allowed, (point, limit, theory.test_loss[point])


@pytest.mark.parametrize("width", [20, 64])
def test_moment_equations_are_exact_at_every_width(width):
    """The networks' own integrator converges to the moment equations started from its networks' moments."""
    task = small_task(dimension=6, n_source=15, n_target=4, n_test=30)
    times, coupling, decay, strength = (0.4, 1.0), 1.5, FLOW["weight_decay"], FLOW["target_strength"]
    point = TargetPoint(coupling, strength)
    source = gradient_flow.train_source(
        task.x_source, task.y_source, activation="linear", source_strength=0.6, weight_decay=decay, time=2.0,
        width=width, seeds=[3],
    )  # fmt: skip
    hidden = source.hidden[0].numpy()
    readout = generator(3, "target readout").standard_normal(width)  # as the network draws it
    moments = replace(Moments.fresh_readout(hidden.T @ hidden / width), readout_moment=float(np.mean(readout**2)))
    exact = integrate_moments(
        moments, task.x_target / math.sqrt(6), task.y_target, np.array(times), strength=strength,
        elastic_coupling=coupling, readout_decay=decay, hidden_decay=decay, rtol=1e-11,
    )  # fmt: skip
    wanted = np.stack([task.x_test @ m.predictor / (strength * math.sqrt(6)) for m in exact.moments])

    def networks(safety):
        return gradient_flow.train_target(
            source, task.x_target, task.y_target, task.x_test, points=[point], activation="linear",
            weight_decay=decay, times=times, seeds=[3], safety=safety,
        ).prediction[0, 0]  # fmt: skip

    runs = [networks(safety) for safety in (8e-3, 4e-3, 2e-3)]
    errors = [np.abs(run - wanted).max() for run in runs]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)
    assert math.log2(errors[1] / errors[2]) == pytest.approx(2.0, abs=0.1)
    coarse, fine = runs[1] + (runs[1] - runs[0]) / 3, runs[2] + (runs[2] - runs[1]) / 3
    assert np.abs(fine + (fine - coarse) / 7 - wanted).max() < 1e-8


def untilted_losses(task, experiment, coupling):
    """Losses of the Bayesian theory without the target's tilt, the factor exp(γ²(g·φ)²/2λ) of eq. (2)."""
    beta, root_d = experiment["training"]["bayes"]["inverse_temperature"], math.sqrt(task.dimension)
    source = solve_posterior(
        task.x_source / root_d, task.y_source, strength=experiment["source_strength"][0], inverse_temperature=beta,
        readout_precision=1.0, hidden_precision=1.0,
    )  # fmt: skip
    hidden = np.eye(task.dimension) / (1 + coupling) + (coupling / (1 + coupling)) ** 2 * source.hidden_moment
    x, x_test = task.x_target / root_d, task.x_test / root_d
    dual = np.linalg.solve(x @ hidden @ x.T + np.eye(len(x)) / beta, task.y_target)
    return {
        "train_loss": np.mean((dual / beta) ** 2),
        "test_loss": np.mean((x_test @ hidden @ x.T @ dual - task.y_test) ** 2),
    }


def without_tilt(table, plan):
    """The table with the theory's losses replaced by those of :func:`untilted_losses`."""
    experiment = plan.config["experiments"]["linear_bayes"]
    changed = table.copy()
    for cell_name in plan.target_data_cells("linear_bayes"):
        job = plan.data_parameters("linear_bayes", cell_name, "target")
        for seed, derived in job["seeds"].items():
            task = linear(**job["task"], seed=derived)
            where = {"kind": "theory", "overlap": job["task"]["overlap"], "seed": seed}
            where |= {"metric": ["train_loss", "test_loss"]}
            for index, row in select(table, **where).iterrows():
                changed.loc[index, "value"] = untilted_losses(task, experiment, row["elastic_coupling"])[row["metric"]]
    return changed


def with_deviation(table):
    """The table with the deviation of its networks' width, as the right theory would predict it: N (E_N − E_∞)."""
    keys = ["dataset", "condition", "overlap", "n_source", "n_target", "source_strength", "target_strength"]
    keys += ["elastic_coupling", "seed", "metric"]
    theory = select(table, kind="theory", metric=["train_loss", "test_loss"])
    networks = select(table, kind="network")[[*keys, "value", "width"]]
    both = theory.merge(networks, on=keys, suffixes=("", "_network"))
    mean = both.assign(off=both["value_network"] - both["value"]).groupby([*keys[:-2], "metric"], dropna=False)["off"]
    predicted = both.assign(value=both["width_network"] * mean.transform("mean"), metric=both["metric"] + "_deviation")
    return pd.concat([without_deviation(table), predicted[table.columns]], ignore_index=True)


def without_deviation(table):
    """The table without what the theory itself predicts, which it does of the test loss alone."""
    return table[~table["metric"].isin(["train_loss_deviation", "test_loss_deviation"])]


def test_negative_control_a_theory_without_the_tilt_is_not_reproduced(root):
    """The agreement claim must notice when the theory's feature learning on the target is taken out."""
    config = load_config(root / "config/ci.yaml")
    table = read_table(root / "results/reference/ci/tables/linear_bayes.csv")
    table = table[table["seed"].isin(select(table, kind="network")["seed"])]  # the theory has more data sets
    (claim,) = [claim for claim in check_claims(root / "config/claims.yaml") if claim.id == "T1.bayes"]
    assert judge(claim, table).verdict == REPRODUCED
    lacking = without_tilt(table, Plan(config))
    # of one width alone it might be the width's; with the deviation of that width predicted it can't
    assert judge(claim, without_deviation(lacking)).verdict == INCONCLUSIVE
    assert judge(claim, without_deviation(lacking)).lower > 0.05
    assert judge(claim, with_deviation(table)).verdict == REPRODUCED
    predicted = select(with_deviation(table), metric=["train_loss_deviation", "test_loss_deviation"])
    assert judge(claim, pd.concat([without_deviation(lacking), predicted], ignore_index=True)).verdict == NOT_REPRODUCED
