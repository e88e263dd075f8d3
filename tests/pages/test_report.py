"""The report: every figure with its verdicts, data and minutes; what is missing; names that are markup; a browser."""

import html
import json
import re
import shutil
import subprocess
import sys

import pytest

from infwidth.figures.catalogue import FIGURES
from infwidth.io.atomic import read_json, write_json
from infwidth.pages.report import write_report
from infwidth.plan.config import load_config
from infwidth.plan.report import report_parameters
from infwidth.plan.transfer import Plan

needs_browser = pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), reason="no browser"
)


@pytest.fixture
def run(tmp_path, root):
    """A results folder as a run of the default preset leaves it, from its reference."""

    def make(only=None, dataset=None):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            plan = Plan(load_config("config/config.yaml", given={"only": only} if only else {}))
        reference, names = root / "results/reference/default", [*plan.experiments, *plan.studies]
        verdicts = read_json(reference / "claims.json")
        for folder in ("tables", "figures", "claims", "benchmarks/target/linear_bayes"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            text = (reference / f"tables/{name}.csv").read_text(encoding="utf-8")
            (tmp_path / f"tables/{name}.csv").write_text(text.replace(*dataset) if dataset else text, encoding="utf-8")
            write_json(tmp_path / f"claims/{name}.json", [one for one in verdicts if one["experiment"] == name])
        for name in [*plan.figures, *([] if only else ["verdicts"])]:
            shutil.copy(reference / f"figures/{name}.png", tmp_path / "figures")
            for kind in ("pdf", "csv"):
                (tmp_path / f"figures/{name}.{kind}").touch()
        if not only:
            for name in ("claims.md", "claims.json"):
                shutil.copy(reference / name, tmp_path)
        (tmp_path / "benchmarks/target/linear_bayes/c.tsv").write_text("s\th:m:s\n90.0\t0:01:30\n", encoding="utf-8")
        return plan, tmp_path / "index.html"

    return make


def text_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8").split("</style>")[1]).split())


def looked_at(root, page):
    done = subprocess.run(
        [sys.executable, root / "docs/look.py", page], capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout


@needs_browser
def test_the_page_shows_every_figure_and_claim_and_opens_in_a_browser(run, root):
    plan, page = run()
    write_report(page, report_parameters(plan))
    source, text = page.read_text(encoding="utf-8"), text_of(page)
    assert [name for name in plan.figures if f'src="figures/{name}.png"' not in source] == []
    assert source.index("figures/verdicts.png") < source.index("figures/linear_delta.png")
    verdicts = read_json(page.parent / "claims.json")
    assert [one["id"] for one in verdicts if f'id="{one["id"]}"' not in source] == []
    one = next(verdict for verdict in verdicts if verdict["id"] == "T3.linear_bayes")
    for side in ("theory", "networks"):
        assert f"{one[side]['value']:.4g} ± {one[side]['stderr']:.4g}" in text
        assert f"[{one[side]['lower']:.4g}, {one[side]['upper']:.4g}]".replace("-", "−") in text
    assert "1.5 min of one core" in text
    assert "STAND-IN" not in text
    assert "Missing" not in text
    assert looked_at(root, page) == (0, "1 pages looked at: nothing wrong\n")


@needs_browser
def test_a_picture_or_link_that_leads_nowhere_is_found(run, root):
    plan, page = run()
    write_report(page, report_parameters(plan))
    (page.parent / "figures/linear_delta.pdf").unlink()
    (page.parent / "figures/finite_width.png").write_text("no picture")
    code, said = looked_at(root, page)
    assert code == 1
    assert "linear_delta.pdf" in said
    assert "finite_width.png" in said


def test_a_partial_run_says_what_is_missing(run):
    plan, page = run(only="linear_flow")
    write_report(page, report_parameters(plan))
    text = text_of(page)
    assert "A partial run" in text
    assert "cifar_flow" in text.split("Missing")[1].split(".")[0]
    assert "not run yet: linear_width; `make reproduce ONLY=linear_width` runs it" in text
    assert "not run yet: linear_bayes, linear_spectrum; `make reproduce` runs them" in text
    assert "claims.md" not in text
    assert 'src="figures/linear_dynamics.png"' in page.read_text(encoding="utf-8")


def test_a_figure_of_an_earlier_run_says_so(run):
    run()
    plan, page = run(only="linear_flow")
    write_report(page, report_parameters(plan))
    sections = page.read_text(encoding="utf-8").split("<section>")
    assert {"Of an earlier run" in one for one in sections if 'id="linear_dynamics"' in one} == {False}
    assert {"Of an earlier run" in one for one in sections if 'id="linear_delta"' in one} == {True}


@pytest.mark.parametrize(
    ("of", "stands", "wanted"), [("CIFAR-10", "digits", "CIFAR-10"), ("C4", "Python's texts", "C4")]
)
def test_stand_ins_are_shouted(run, of, stands, wanted):
    plan, page = run(dataset=(of, f"{stands} (fallback for {wanted})"))
    write_report(page, report_parameters(plan))
    text = text_of(page).replace("&#39;", "'")
    assert text.count(f"STAND-IN DATA: {stands} in place of {wanted}") > 1  # at the top, and where it is shown


def test_names_that_are_markup_are_shown_as_they_are(run):
    plan, page = run(dataset=("linear teachers", '<script>alert("1")</script> & co'))
    parameters = json.loads(json.dumps(report_parameters(plan)))
    parameters["titles"]["linear_bayes"] = "<b>bold</b> {{ 7 * 7 }}"
    path = page.parent / "claims/linear_bayes.json"
    claims = read_json(path)
    write_json(path, [one | {"statement": "<img src=x onerror=alert(1)>", "id": 'T"><i>'} for one in claims[:1]])
    write_report(page, parameters)
    source = page.read_text(encoding="utf-8")
    for markup in ("<script>alert", "<b>bold", "<img src=x", "<i>"):
        assert markup not in source
    assert "{{ 7 * 7 }}" in source


def test_headings_are_short_and_tell_figures_apart():
    headings = [figure.heading for figure in FIGURES.values()]
    assert len({*headings}) == len(headings)
    assert [heading for heading in headings if not 8 <= len(heading) <= 45 or "_" in heading] == []
    assert all(figure.about != figure.heading for figure in FIGURES.values())


def test_a_heading_is_followed_by_what_the_figure_shows(run):
    plan, page = run()
    write_report(page, report_parameters(plan))
    source = html.unescape(page.read_text(encoding="utf-8"))
    for name in plan.figures:
        figure = FIGURES[name]
        assert f'<h2 id="{name}">{figure.heading}</h2>' in source
        assert f'<li><a href="#{name}">{figure.heading}</a>' in source
        assert f"<p>{figure.about[0].upper()}{figure.about[1:]}.</p>" in source
