"""The file of claims: templates, sentences that say their bounds, and every slip found before a run."""

import json
import re

import pytest

from infwidth.analysis.claim_file import Claim, check_claims
from infwidth.analysis.claim_statistics import STATISTICS
from infwidth.analysis.claim_table import as_text
from infwidth.io.tables import VOCABULARY, read_table
from infwidth.io.yaml import dump_yaml, load_yaml
from infwidth.numerics.checks import InputError
from infwidth.plan.claims import by_experiment, check_run_claims, holds_claims, preset_names
from infwidth.plan.config import resolve_config

CHANGE = {
    "id": "T2.x",
    "paper": "T",
    "statement": "It falls.",
    "figure": "linear_delta",
    "experiment": "linear_bayes",
    "statistic": "relative_change",
    "arguments": {"metric": "test_loss", "at": {"kind": "network"}, "versus": {"kind": "theory"}},
    "expect": {"below": 0},
}
AGREEMENT = CHANGE | {"statistic": "disagreement", "arguments": {"metric": "test_loss", "where": {}}}
POWER = CHANGE | {"statistic": "power_law", "arguments": {"metric": "bias", "along": "width", "where": {}}}


def write(folder, *entries):
    path = folder / "mine.yaml"
    path.write_text(dump_yaml(list(entries)), encoding="utf-8")
    return path


def lines_of(path, **known):
    with pytest.raises(InputError) as caught:
        check_claims(path, **known)
    return str(caught.value).splitlines()


def arguments(entry, **changes):
    return entry | {"arguments": entry["arguments"] | changes}


SLIPS = {
    "argument misspelt": (arguments(CHANGE, vs={}), "arguments.vs: unknown to relative_change"),
    "argument missing": (CHANGE | {"arguments": {"metric": "bias", "at": {}}}, "arguments.versus: missing"),
    "no arguments": (CHANGE | {"arguments": None}, "arguments = None"),
    "word misspelt": (arguments(AGREEMENT, relative_to="strat"), "did you mean 'start'?"),
    "metric misspelt": (arguments(CHANGE, metric="test_los"), "did you mean 'test_loss'?"),
    "metric of rows misspelt": (arguments(CHANGE, at={"metric": "sampled"}), "arguments.at.metric = 'sampled'"),
    "several metrics where one is": (arguments(CHANGE, metric=["test_loss"]), "arguments.metric = ['test_loss']"),
    "metric in a list misspelt": (arguments(AGREEMENT, metric=["test_loss", "trian_loss"]), "'trian_loss'"),
    "column misspelt": (arguments(CHANGE, at={"elastic_copling": 1}), "did you mean 'elastic_coupling'?"),
    "column not to choose by": (arguments(CHANGE, at={"value": 1}), "arguments.at.value: no such column"),
    "condition misspelt": (arguments(CHANGE, at={"condition": "scrach"}), "did you mean 'scratch'?"),
    "optimiser misspelt": (arguments(CHANGE, at={"optimiser": ["sgd", "addam"]}), "did you mean 'adam'?"),
    "kind misspelt": (arguments(CHANGE, versus={"kind": "networks"}), "did you mean 'network'?"),
    "text for a number": (arguments(CHANGE, at={"width": "500"}), "arguments.at.width = '500': expected a number"),
    "number for text": (arguments(CHANGE, at={"dataset": 3}), "arguments.at.dataset = 3: expected text"),
    "truth for a number": (arguments(CHANGE, at={"width": True}), "arguments.at.width = True"),
    "no value at all": (arguments(CHANGE, at={"width": []}), "at least one value"),
    "rows no mapping": (arguments(CHANGE, at="network"), "arguments.at = 'network': expected columns"),
    "axis misspelt": (arguments(POWER, along="widht"), "did you mean 'width'?"),
    "axis of text": (arguments(POWER, along="condition"), "arguments.along = 'condition'"),
    "axis held fixed": (arguments(POWER, where={"width": 64}), "expected several values along width"),
    "pair of one": (
        CHANGE | {"statistic": "change_of_effect", "arguments": {"metric": "bias", "first": [{}], "second": [{}, {}]}},
        "arguments.first = [{}]: expected two choices",
    ),
    "flag no flag": (
        CHANGE
        | {"statistic": "share_of_change",
           "arguments": {"metric": "test_loss", "part": {}, "whole": {}, "base": {}, "rises": "up"}},
        "arguments.rises = 'up': expected true or false",
    ),
    "criterion misspelt": (
        CHANGE | {"statistic": "choice_excess", "arguments": {"criterion": "evidence", "versus": None}},
        "arguments.criterion = 'evidence'",
    ),
    "statistic misspelt": (CHANGE | {"statistic": "relative_chang"}, "did you mean 'relative_change'?"),
    "statistic a list": (CHANGE | {"statistic": ["relative_change"]}, "statistic = ['relative_change']"),
    "bounds the wrong way": (CHANGE | {"expect": {"above": 1, "below": 0}}, "expected above < below"),
    "bounds equal": (CHANGE | {"expect": {"above": 1, "below": 1}}, "expected above < below"),
    "bound misspelt": (CHANGE | {"expect": {"blow": 0}}, "expected above and/or below"),
    "bound of text": (CHANGE | {"expect": {"below": "5 %"}}, "expect.below = '5 %'"),
    "bound NaN": (CHANGE | {"expect": {"below": float("nan")}}, "expect.below = nan"),
    "no bound": (CHANGE | {"expect": {}}, "expected above and/or below"),
    "paper unknown": (CHANGE | {"paper": "U"}, "paper = 'U': expected one of T, S, own"),
    "data set misspelt": (CHANGE | {"dataset": "CIFAR10"}, "did you mean 'CIFAR-10'?"),
    "experiment unknown": (CHANGE | {"experiment": "linear_baies"}, "did you mean 'linear_bayes'?"),
    "figure unknown": (CHANGE | {"figure": "linear_dleta"}, "did you mean 'linear_delta'?"),
    "key misspelt": (CHANGE | {"expects": {}}, "did you mean 'expect'?"),
    "key missing": ({key: value for key, value in CHANGE.items() if key != "expect"}, "expect: missing"),
    "a paper's claim without its figure": ({key: CHANGE[key] for key in CHANGE if key != "figure"}, "figure = ''"),
    "id with spaces": (CHANGE | {"id": "T 2"}, "id = 'T 2'"),
    "statement empty": (CHANGE | {"statement": " "}, "statement = ' '"),
    "no claim": ("T1", "'T1': expected a claim's keys"),
    "name that stands for nothing": (CHANGE | {"statement": "{blow:%}"}, "{blow:%}: stands for nothing"),
    "each no list": (CHANGE | {"each": {"a": 1}}, "each = {'a': 1}: expected a list"),
    "each used nowhere": (CHANGE | {"each": [{"overlap": 1}]}, "each: overlap: used nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line_before_any_job(slip, tmp_path):
    entry, expected = SLIPS[slip]
    known = {"experiments": {"linear_bayes"}, "figures": {"linear_delta"}}
    (line,) = lines_of(write(tmp_path, POWER | {"id": "T9"}, entry), **known)
    assert expected in line
    assert str(tmp_path) in line


def test_all_slips_are_told_at_once(tmp_path):
    bad = [arguments(CHANGE, metric="tets_loss", at={"widht": 1}) | {"id": "a"}, CHANGE | {"id": "b", "paper": 1}]
    assert len(lines_of(write(tmp_path, *bad, CHANGE, CHANGE))) == 4
    (line,) = lines_of(write(tmp_path, CHANGE, CHANGE))
    assert "claim T2.x: found 2 times" in line


@pytest.mark.parametrize("text", ["{a: 1}", "- [", "T1", ""])
def test_a_file_of_something_else(text, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    (line,) = lines_of(tmp_path / "mine.yaml")
    assert "mine.yaml" in line


def test_every_statistic_says_what_its_arguments_may_be(tmp_path):
    """A statistic whose argument had no check would take anything."""
    for name, statistic in STATISTICS.items():
        names = list(statistic.__annotations__)[1:-1]
        found = lines_of(
            write(tmp_path, CHANGE | {"statistic": name, "arguments": dict.fromkeys(names, 3.5j.__repr__())})
        )
        assert len(found) == len(names), name


def test_a_template_stands_for_a_claim_a_line_and_says_its_bounds(tmp_path):
    template = CHANGE | {
        "id": "T3.{experiment}.{overlap}",
        "each": [
            {"experiment": "linear_bayes", "overlap": 0.3, "of": "x"},
            {"experiment": "linear_flow", "overlap": 1, "of": "{1,5}", "expect": {"above": -0.25}, "figure": "f"},
        ],
        "arguments": {"metric": "test_loss", "at": {"overlap": "{overlap}"}, "versus": {"overlap": ["{overlap}", 0]}},
        "expect": {"above": -0.055},
        "statement": "At α = {overlap} of {of} above {above:%}, falls by less than {above:|%|}, H^{above}, {1,5}.",
    }
    first, second = check_claims(write(tmp_path, template))
    assert (first.id, second.id) == ("T3.linear_bayes.0.3", "T3.linear_flow.1")
    assert first.statement == "At α = 0.3 of x above −5.5 %, falls by less than 5.5 %, H^−0.055, {1,5}."
    assert "above −25 %" in second.statement
    assert first.arguments["at"]["overlap"] == 0.3
    assert second.arguments["versus"]["overlap"] == [1, 0]
    assert (first.figure, second.figure) == ("linear_delta", "f")


def test_the_projects_claims_are_right(root):
    claims = check_run_claims(path=root / "config/claims.yaml")
    assert len(claims) > 100
    assert all((root / f"src/infwidth/figures/{claim.figure}.py").exists() for claim in claims)
    assert not any("{" in claim.id for claim in claims)


def test_names_of_presets_are_those_that_a_parser_finds(root):
    found = preset_names(root / "config")
    for name in ("experiments", "studies", "figures"):
        presets = [load_yaml(path) for path in (root / "config").glob("*.yaml")]
        parsed = [set(preset.get(name) or {}) for preset in presets if isinstance(preset, dict)]
        assert found[name] == set().union(*parsed)


def test_a_file_of_claims_is_told_from_a_configuration(root, tmp_path):
    assert holds_claims(root / "config/claims.yaml")
    assert not holds_claims(root / "config/config.yaml")
    assert not holds_claims(tmp_path / "none.yaml")


def test_the_vocabulary_holds_every_word_of_the_references(root):
    for path in (root / "results/reference").glob("*/tables/*.csv"):
        table = read_table(path)
        for column, words in VOCABULARY.items():
            assert set(table[column].dropna()) <= set(words), (path, column)


OWN = {key: CHANGE[key] for key in ("id", "statement", "statistic", "arguments", "expect")} | {"experiment": "lin"}


def test_more_claims_than_a_job_can_be_told(tmp_path):
    many = [OWN | {"id": f"mine.{number}", "statement": 99 * "long "} for number in range(200)]
    claims = check_claims(write(tmp_path, *many))
    found = by_experiment(claims[:50])
    assert (len(found["lin"]), found["other"]) == (50, [])
    with pytest.raises(InputError, match=r"claims on lin: 200; expected fewer.*extends"):
        by_experiment(claims)


def test_claims_of_ones_own_are_about_ones_own_experiments(root, tmp_path, small_config, monkeypatch):
    monkeypatch.chdir(root)
    config = resolve_config(small_config | {"claims": str(write(tmp_path, OWN | {"id": "mine"}))})
    mine = check_run_claims(config)[-1]
    assert (mine.id, mine.paper, mine.figure) == ("mine", "own", "")
    (declared,) = by_experiment(check_run_claims(config))["lin"]  # as its judge gets it
    assert Claim(**json.loads(json.dumps(declared))) == mine
    for entry, words in (
        (OWN | {"experiment": "linear_bayes"}, "claim T2.x: experiment = 'linear_bayes': no preset has it"),
        (OWN | {"id": "T1.bayes"}, "claim T1.bayes: also in config/claims.yaml"),
        (OWN | {"figure": "nope"}, "figure = 'nope'"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            check_run_claims(config | {"claims": str(write(tmp_path, entry))})
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        check_run_claims(config | {"claims": "nowhere.yaml"})


def test_a_figure_that_no_preset_draws_is_no_typo(root, tmp_path, small_config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    about = {"claims": None, **small_config}
    check_run_claims(about, write(tmp_path, CHANGE | {"experiment": "lin", "figure": "omega_support"}))
    with pytest.raises(InputError, match=r"figure = 'omega_suport': .* did you mean 'omega_support'"):
        check_run_claims(about, write(tmp_path, CHANGE | {"experiment": "lin", "figure": "omega_suport"}))


def test_without_claims_a_run_says_so():
    assert "no claim is about these experiments" in as_text([])


def test_the_example_of_the_documentation_is_right(root, tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", (root / "docs/claims.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_claims.yaml").write_text(example, encoding="utf-8")
    claims = check_claims(tmp_path / "my_claims.yaml", experiments={"my_experiment"})
    assert [claim.id for claim in claims] == ["mine.falls.0.3", "mine.falls.0.9"]
    assert claims[0].statement == "At α = 0.3 the test loss falls by over 10 % from δ = 0 to 10."


@pytest.mark.parametrize("number", [10**400, -(10**309), [0, 10**400]])
@pytest.mark.parametrize("place", ["expect", "arguments", "each"])
def test_numbers_beyond_floats_are_refused_in_a_short_line(tmp_path, place, number):
    at = {"kind": "network", "dimension": number}
    change = {
        "expect": {"expect": {"above": number}},
        "arguments": {"arguments": CHANGE["arguments"] | {"at": at}},
        "each": {"each": [{"size": number}], "statement": "It falls at {size}."},
    }[place]
    (line,) = lines_of(write(tmp_path, CHANGE | change))
    assert "expected numbers of a size below 1e308" in line
    assert len(line) < 400


def test_pages_of_text_are_shown_by_their_ends(tmp_path):
    (line,) = lines_of(write(tmp_path, CHANGE | {"paper": "1" * 4000}))
    assert "expected one of T, S, own" in line
    assert len(line) < 400


def test_files_beside_presets_that_are_none_hinder_nobody(tmp_path):
    (tmp_path / "mine.yaml").write_text("experiments:\n  lin:\n", encoding="utf-8")
    (tmp_path / ".#mine.yaml").symlink_to("user@host.1234")  # an editor's lock
    (tmp_path / "latin.yaml").write_bytes(b"# \xe9\n")
    (tmp_path / "folder.yaml").mkdir()
    assert preset_names(tmp_path) == {"experiments": {"lin"}}
