"""What a person types."""

import pytest
from click.testing import CliRunner

from infwidth.cli import main
from infwidth.io.config import load_config


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_check_says_what_a_preset_holds(root, monkeypatch):
    monkeypatch.chdir(root)
    done = invoke("check", "config/ci.yaml")
    assert done.exit_code == 0
    assert "experiments (linear_bayes, linear_flow" in done.output
    assert "results/ci/" in done.output


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
