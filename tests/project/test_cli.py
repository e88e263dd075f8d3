"""What a person types."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from infwidth.cli import main
from infwidth.plan.config import load_config


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_check_says_what_a_preset_holds(root, monkeypatch):
    monkeypatch.chdir(root)
    done = invoke("check", "config/ci.yaml")
    assert done.exit_code == 0
    assert "experiments (linear_bayes, linear_flow" in done.output
    assert "results/ci/" in done.output


def test_check_reads_claims_too(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    assert "claims" in invoke("check", "config/claims.yaml").output
    text = (root / "config/claims.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(text.replace("relative_to: start", "relative_to: strat"), encoding="utf-8")
    done = invoke("check", str(tmp_path / "other.yaml"))
    assert done.exit_code == 1
    assert "claim T1.flow.train" in done.output
    assert len(done.output.splitlines()) == 1
    assert "did you mean 'start'?" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "nowhere.yaml"), "nowhere.yaml: No such file"),
        (("claims", "nowhere"), "run `make reproduce` first"),
        (("compare", "nowhere", "nowhere"), "no tables"),
        (("figures", "nowhere"), "renew the reference"),
    ],
)
def test_errors_are_one_line(root, monkeypatch, arguments, words):
    monkeypatch.chdir(root)
    done = invoke(*arguments)
    assert done.exit_code == 1
    assert words in done.output
    assert len(done.output.splitlines()) == 1


def test_reference_figures_redraw_without_solving(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    done = invoke("figures", "results/reference/ci", str(tmp_path), "--config", "config/ci.yaml")
    assert done.exit_code == 0, done.output
    assert {path.stem for path in tmp_path.glob("*.pdf")} == set(load_config("config/ci.yaml")["figures"])


def test_claims_compare_and_cite_read_a_run(root, monkeypatch):
    monkeypatch.chdir(root)
    reference = "results/reference/ci"
    assert "claims:" in invoke("claims", reference).output
    assert "agrees" in invoke("compare", reference, reference).output
    assert "2507.04448" in invoke("cite", reference).output


def test_package_names_resolve_lazily_and_unknown_ones_name_the_choices():
    import infwidth.tasks

    assert callable(infwidth.tasks.linear)
    with pytest.raises(AttributeError, match="it has TransferTask, hermite, images, linear"):
        infwidth.tasks.lineal  # noqa: B018


@pytest.fixture
def two_sets(tmp_path, monkeypatch):
    """A source and a target of one linear rule, in a folder that is the working one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((125, 4, 5))
    y = x.reshape(len(x), -1) @ rng.standard_normal(20)
    np.savez("a.npz", x=x[:100], y=y[:100] > 0)
    np.savez("b.npz", x=x[100:], y=y[100:])
    return tmp_path


def test_advise_prints_a_table_and_a_sentence_and_draws(two_sets):
    done = invoke("advise", "a.npz", "b.npz", "--activation", "linear", "--output", "made/here")
    assert done.exit_code == 0, done.output
    assert "Tie the target to the source with δ =" in done.output
    assert "100 %" in done.output
    table = pd.read_csv(two_sets / "made/here/advice.csv")
    assert list(table["elastic_coupling"]) == [0, 1, 10, 100, np.inf]
    assert all((two_sets / f"made/here/advice.{kind}").stat().st_size > 5000 for kind in ("pdf", "png"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.npz", "none.npz"], "none.npz: no such file"),
        (["a.npz", "b.npz", "--couplings", "1,x"], "--couplings = '1,x': expected numbers"),
        (["a.npz", "b.npz", "--couplings", "-1"], "elastic_coupling = -1"),
        (["a.npz", "b.npz", "--activation", "tanh"], "activation = 'tanh': expected one of"),
        (["a.npz", "b.npz", "--particles", "3"], "particles = 3: expected a whole number ≥ 128"),
        (["a.npz", "b.npz", "--source-strength", "0"], "source_strength = 0"),
        (["a.npz", "b.npz", "--output", "a.npz"], "--output = a.npz: can't be written (File exists)"),
    ],
)
def test_bad_calls_of_advise_end_in_one_line(two_sets, arguments, words):
    done = invoke("advise", *arguments)
    assert done.exit_code == 1
    assert words in done.output
    assert len(done.output.splitlines()) == 1


def test_advise_says_how_labels_were_read_and_what_is_a_copy(two_sets):
    with np.load("b.npz") as archive:
        x, y = archive["x"], archive["y"]
    whole = np.round(3 * y / np.abs(y).max())
    np.savez("c.npz", x=np.concatenate([x, x[:5]]), y=np.concatenate([whole, whole[:5]]))
    settings = ["--activation", "linear", "--couplings", "inf"]
    done = invoke("advise", "a.npz", "c.npz", *settings)
    assert done.exit_code == 1
    assert "--regression" in done.output
    done = invoke("advise", "a.npz", "c.npz", "--regression", *settings, "--output", "a.csv/~")
    assert done.exit_code == 0, done.output
    for words in (
        "a.npz, y: two classes, False → −1",
        "c.npz, y: numbers from",
        "a regression, standardised",
        "target: 5 of 30 samples are copies (x[25] of x[0], x[26] of x[1], x[27] of x[2], …)",
    ):
        assert words in done.output


def test_a_set_against_itself_is_no_transfer(two_sets):
    done = invoke("advise", "b.npz", "b.npz", "--activation", "linear")
    assert done.exit_code == 0, done.output
    assert "Can't tell: 25 of 25 target samples are the source's, too" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--classes"], "b.npz, y: 25 classes; expected two"),
        (["--particles", "0", "--activation", "erf"], "particles = 0: expected a whole number"),
        (["--output", "taken"], "--output = taken: can't be written (advice.csv is a folder)"),
    ],
)
def test_bad_options_of_advise_are_found_before_the_work(two_sets, arguments, words):
    (two_sets / "taken/advice.csv").mkdir(parents=True)
    done = invoke("advise", "a.npz", "b.npz", *arguments)
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {words}")
    assert len(done.output.splitlines()) == 1


def test_advise_takes_any_name(two_sets):
    (two_sets / "a.npz").rename(two_sets / "$a_{x}$ $.npz")
    (two_sets / "b.npz").rename(two_sets / "NA.npz")
    done = invoke("advise", "$a_{x}$ $.npz", "NA.npz", "--activation", "linear", "--couplings", "1")
    assert done.exit_code == 0, done.output
