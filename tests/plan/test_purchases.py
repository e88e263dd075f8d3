"""What is bought to decide claims: enough, the cheapest, the theory's first, and nothing on the bound."""

import numpy as np
import pytest

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.claims import judge_all
from infwidth.io.tables import make_table
from infwidth.plan.purchases import Cost, Hanging, Part, Stock, addition, buy, costs, hanging

STUDY = {"seeds": 4, "theory_seeds": None, "seeds_per_job": 2, "added": []}
TRANSFER = {
    "data_seeds": 4, "theory_data_seeds": None, "network_seeds": 1, "seeds_per_job": 8, "added": []
}  # fmt: skip
PRICE = Cost(Part(1.0, 2.0), Part(10.0, 4.0), per_job=8)


def rows(kind, change, noise, seeds=4, start=0, stderr=0.0):
    random = np.random.default_rng(start)
    return [
        {"experiment": "e", "kind": kind, "dataset": "d", "condition": "transfer", "elastic_coupling": float(i),
         "width": 10.0, "seed": seed, "metric": "test_loss", "stderr": stderr, "status": "converged",
         "value": 1 + i * change + noise * random.standard_normal()}
        for seed in range(seeds) for i in (0, 1)
    ]  # fmt: skip


def claim(**at):
    where = [{"condition": "transfer", "elastic_coupling": i, **at} for i in (1, 0)]
    arguments = {"metric": "test_loss", "at": where[0], "versus": where[1]}
    return Claim("c", "s", "e", "relative_change", arguments, {"below": 0})


def hangs(claims, table, settings=TRANSFER, looks=1):
    at = {"theory": looks, "networks": looks}
    return list(hanging(claims, judge_all(claims, table, looks=at), table, settings, at))


def test_theory_is_bought_for_what_theory_can_tell_and_networks_for_the_rest():
    table = make_table([*rows("theory", -0.05, 0.05), *rows("network", -0.05, 0.05, start=1)])
    (found,) = hangs([claim()], table)
    stocks = {(stock.theory > 4, stock.data_sets > 4) for stock in found.wanted}
    assert stocks == {(True, False), (True, True)}
    bought = buy([found], {"e": Stock(4, 4)}, {"e": PRICE}, 1e6)
    assert bought["e"].data_sets == 4 < bought["e"].theory
    assert addition(bought["e"], Stock(4, 4), TRANSFER) == {"theory_data_seeds": bought["e"].theory - 4}


def test_a_theory_that_has_spoken_buys_no_more_of_itself():
    table = make_table([*rows("theory", -0.5, 0.01), *rows("network", -0.05, 0.05, start=1)])
    (found,) = hangs([claim()], table)
    assert all(stock.data_sets > 4 or stock.networks > 1 for stock in found.wanted)


def test_networks_on_each_data_set_are_an_option_where_sampling_is_what_scatters():
    noisy = make_table(rows("network", -0.06, 0.06, start=5, stderr=0.059))
    quiet = make_table(rows("network", -0.06, 0.06, start=5))
    for table, options in ((noisy, 2), (quiet, 1)):
        (found,) = hangs([claim(kind="network")], table)
        assert len(found.wanted) == options
    more = next(stock for stock in hangs([claim(kind="network")], noisy)[0].wanted if stock.networks > 1)
    dear = Cost(Part(1000.0, 0.0), Part(10.0, 4.0), per_job=8)  # the theory of a data set more
    bought = buy(hangs([claim(kind="network")], noisy), {"e": Stock(4, 4)}, {"e": dear}, 1e6)
    assert bought["e"] == Stock(4, 4, min(more.networks, 4))
    assert addition(bought["e"], Stock(4, 4), TRANSFER) == {"network_seeds": bought["e"].networks - 1}


def test_on_the_bound_nothing_is_bought_and_the_reason_is_said():
    table = rows("network", 0.0, 0.0)
    for row in table:
        row["value"] += (0.05 if row["seed"] % 2 else -0.05) * row["elastic_coupling"]
    (found,) = hangs([claim(kind="network")], make_table(table))
    assert found.wanted == ()
    assert "lies on the bound" in found.reason
    assert buy([found], {"e": Stock(4, 4)}, {"e": PRICE}, 1e9) == {}


def test_a_claim_has_so_many_looks_and_no_more():
    table = make_table(rows("network", -0.06, 0.06, start=5))
    (found,) = hangs([claim(kind="network")], table, looks=6)
    assert (found.wanted, found.reason) == ((), "6 looks were taken")


def test_the_cheapest_claims_come_first_and_what_one_bought_the_next_has_free():
    stocks = {"e": Stock(4, 4), "f": Stock(4, 4)}
    claims = [
        Hanging("dear", "f", (Stock(40, 40),)),
        Hanging("cheap", "e", (Stock(8, 8),)),
        Hanging("beside", "e", (Stock(7, 7),)),
    ]
    spent = PRICE.of(Stock(8, 8), Stock(4, 4))
    assert spent == 4 + 2 + 40 + 4
    assert buy(claims, stocks, {"e": PRICE, "f": PRICE}, spent) == {"e": Stock(8, 8)}
    assert buy(claims, stocks, {"e": PRICE, "f": PRICE}, spent - 1) == {"e": Stock(7, 7)}
    assert buy(claims, stocks, {"e": PRICE, "f": PRICE}, 0.0) == {}


def test_a_first_part_is_bought_only_of_what_could_be_had_whole():
    claims, stocks = [Hanging("c", "e", (Stock(100, 100),))], {"e": Stock(4, 4)}
    whole = PRICE.of(Stock(100, 100), Stock(4, 4))
    assert buy(claims, stocks, {"e": PRICE}, whole) == {"e": Stock(16, 16)}
    assert buy(claims, stocks, {"e": PRICE}, whole - 1) == {}


def test_a_job_costs_its_start_once():
    jobs = {"data/e/x": 2.0, "theory/e/x": 10.0, "theory/f/x": 1.0, "source/e/x": 6.0, "target/e/x": 12.0,
            "target/f/x": 3.0, "figure/e": 0.5}  # fmt: skip
    found = costs(jobs, "e", TRANSFER)
    assert found == Cost(Part((10 - 1) / 4, 2.0 + 1.0), Part((1 + 9) / 4, 5.0 + 3.0), 8)
    assert found.of(Stock(8, 8), Stock(4, 4)) == 9 + 3 + 10 + 8
    assert found.of(Stock(4, 4, 2), Stock(4, 4, 1)) == 10 + 8
    study = costs({"study/e/a": 5.0, "study/e/b": 5.0, "study/f/a": 1.0}, "e", STUDY)
    assert study.of(Stock(7, 7), Stock(4, 4)) == 3 * 2.0 + 2 * 1.0
    with pytest.raises(ValueError, match="no job of it was timed"):
        costs(jobs, "g", TRANSFER)


def test_a_study_whose_theory_is_solved_alone_buys_repetitions_of_both():
    """What the theory has more says nothing of networks, and its jobs not what they cost."""
    settings = STUDY | {"theory_seeds": 9}
    assert Stock.of(settings) == Stock(theory=9, data_sets=4)
    jobs = {f"study/e/seeds={name}": seconds for name, seconds in (("0-1", 5.0), ("2-3", 5.0), ("4-5", 99.0))}
    assert costs({**jobs, "study/f/a": 1.0}, "e", settings).of(Stock(12, 7), Stock(9, 4)) == 3 * 2.0 + 2 * 1.0
    table = make_table([*rows("theory", -0.05, 0.2, seeds=9), *rows("network", -0.05, 0.2, start=1)])
    (found,) = hangs([claim()], table, settings)
    assert {stock.theory - stock.data_sets for stock in found.wanted} == {5}
    for stock in found.wanted:
        assert addition(stock, Stock(9, 4), settings) == stock.theory - 9 > 0


def test_looking_again_and_again_ends_and_seldom_errs_on_the_bound():
    """The whole of it in numbers: buy, draw, look, until decided, on the bound, or so many looks."""
    random, wrong, ends = np.random.default_rng(0), 0, 0
    trials = 60
    for _ in range(trials):
        values, settings = [], STUDY | {"seeds_per_job": 4, "added": []}
        for look in range(1, 8):
            count = settings["seeds"] + sum(settings["added"])
            values += [random.standard_normal(2) for _ in range(count - len(values))]
            table = make_table(
                {"experiment": "e", "kind": "network", "dataset": "d", "condition": "transfer", "width": 10.0,
                 "elastic_coupling": float(i), "seed": seed, "metric": "test_loss", "stderr": 0.0,
                 "status": "converged", "value": 1 + 0.05 * both[i]}
                for seed, both in enumerate(values) for i in (0, 1)
            )  # fmt: skip
            found = hangs([claim(kind="network")], table, settings, look)
            stock = Stock.of(settings)
            bought = buy(found, {"e": stock}, {"e": PRICE}, 5e3)
            if not bought:
                ends += 1
                wrong += not found
                break
            settings["added"].append(addition(bought["e"], stock, settings))
    assert ends == trials
    assert wrong / trials < 0.12  # 5 % and three standard errors
