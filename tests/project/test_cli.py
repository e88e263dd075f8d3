"""What a person types."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from infwidth.analysis.claims import Verdict
from infwidth.cli import main
from infwidth.cli.verdicts import summary, undrawn_line
from infwidth.io.yaml import read_yaml
from infwidth.plan.config import load_config
from infwidth.plan.run_record import record_configuration


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_check_says_what_a_preset_holds(root, monkeypatch):
    monkeypatch.chdir(root)
    done = invoke("check", "config/ci.yaml")
    assert done.exit_code == 0
    assert "experiments (linear_bayes, " in done.output
    assert "results/ci/" in done.output


def test_resolve_prints_the_whole_and_results_the_folder(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    for name in ("ci", "config/ci.yaml"):
        done = invoke("resolve", name)
        assert done.exit_code == 0
        assert read_yaml(done.output, name) == load_config("config/ci.yaml")
    for name, folder in (("ci", "results/ci"), ("config/study.yaml", "results/study"), ("default", "results")):
        assert invoke("results", name).output == f"{folder}\n"
    (tmp_path / "mine.yaml").write_text(f"extends: {root}/config/ci.yaml\npreset: own\n", encoding="utf-8")
    assert invoke("results", str(tmp_path / "mine.yaml")).output == "results/own\n"
    assert "did you mean 'study'" in invoke("resolve", "stdy").output


@pytest.mark.parametrize("arguments", [["check"], ["check", "config/claims.yaml"], ["keys"], ["resolve", "ci"]])
def test_what_solves_nothing_imports_nothing_that_does(root, arguments):
    """A configuration and its claims are checked within half a second, before anything else is known to be needed."""
    code = (
        "import sys\nfrom infwidth.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "heavy = {'pandas', 'scipy', 'torch', 'matplotlib', 'snakemake', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


def test_check_reads_claims_too(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    assert "claims" in invoke("check", "config/claims.yaml").output
    text = (root / "config/claims.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(text.replace("relative_to: start", "relative_to: strat", 1), encoding="utf-8")
    done = invoke("check", str(tmp_path / "other.yaml"))
    assert done.exit_code == 1
    assert "claim T1.flow.train" in done.output
    assert len(done.output.splitlines()) == 1
    assert "did you mean 'start'?" in done.output


REFERENCE = "results/reference/ci"
NPZ = f"{REFERENCE}/tables/cifar_flow.npz"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "nowhere.yaml"), "nowhere.yaml: No such file"),
        (("check", "config/cii.yaml"), "did you mean 'ci'?"),
        (("check", NPZ), NPZ),
        (("check", "README.md"), "README.md"),
        (("check", "config"), "config: Is a directory"),
        (("check", "src/infwidth/__init__.py"), "__init__.py"),
        (("claims", "nowhere"), "run `make reproduce` first"),
        (("claims", REFERENCE, "--only", "linaer_bayes"), "did you mean 'linear_bayes'?"),
        (("claims", "results/ci", "--config", "config/study.yaml"), "config/study.yaml writes to results/study"),
        (("compare", "nowhere", "nowhere"), "no tables"),
        (("compare", "nowhere", REFERENCE), "nowhere/tables: no tables; expected a finished run"),
        (("compare", REFERENCE, "nowhere"), "nowhere/tables: no tables; expected a reference"),
        (("compare", REFERENCE), "its reference isn't known"),
        (("compare", REFERENCE, REFERENCE, "--skip", "cifar"), "--skip 'cifar': no such experiment"),
        (("compare", REFERENCE, REFERENCE, "--skip", "cifr_flow"), "did you mean 'cifar_flow'?"),
        (("diff", "nowhere", REFERENCE), "nowhere: no such folder"),
        (("diff", REFERENCE, REFERENCE), "the same folder"),
        (("diff", REFERENCE, "src"), "src: neither claims nor figures"),
        (("diff", REFERENCE), "Missing argument 'NEW'"),
        (("diff", REFERENCE, "results/reference/default", "--to", "README.md/x.html"), "README.md"),
        (("reference", "results", "--config", "config/ci.yaml"), "config/ci.yaml writes to results/ci"),
        (("reference", "nowhere"), "its reference isn't known"),
        (("figures", "nowhere"), "nowhere/tables: no tables; expected a reference"),
        (("figures", REFERENCE, "to", "--config", "README.md"), "README.md"),
        (("figures", REFERENCE, "README.md", "--config", "config/ci.yaml"), "README.md"),
        (("plan", "--config", "config/nope.yaml"), "presets are default, ci, mine, paper, study"),
        (("plan", "--only", "liner"), "liner"),
        (("plan", "--images", "nowhere.npz"), "nowhere.npz: no such file"),
        (("plan", "--text", "nowhere.txt"), "nowhere.txt: no such file"),
        *(((command, "--", "zzz"), "zzz: no rule makes it") for command in ("plan", "run", "decide")),
        (("plan", "--", "--zzz"), "unrecognized arguments: --zzz"),
        (("run", "--", "--zzz"), "unrecognized arguments: --zzz"),
        (("run", "--results", "elsewhere"), "config/config.yaml writes to results"),
        (("run", "--config", "config/claims.yaml"), ""),
        *((("run", "--cores", cores), f"--cores {cores}: expected") for cores in ("0", "-1", "abc", "1.5", "", "1e9")),
        *((("plan", "--cores", cores), f"--cores {cores}: expected") for cores in ("0", "²", "٣")),
        (("cite", "nowhere"), "no claims"),
        *(
            ((command, "README.md"), "README.md: a file; expected the folder of")
            for command in ("claims", "cite", "compare", "reference", "figures")
        ),
        (("compare", REFERENCE, "README.md"), "README.md: a file; expected the folder of"),
        (("diff", REFERENCE, "README.md"), "README.md"),
        (("clams",), "Did you mean 'claims'?"),
        (("claims", "a", "b"), "unexpected extra argument"),
    ],
)
def test_errors_are_one_line(root, monkeypatch, arguments, words):
    monkeypatch.chdir(root)
    done = invoke(*arguments)
    assert done.exit_code in (1, 2)
    assert words in done.output
    assert len(done.output.splitlines()) == 1
    assert len(done.output) < 1000
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_errors_of_a_configuration_are_as_many_lines(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    config = yaml.safe_load((root / "config/config.yaml").read_text(encoding="utf-8"))
    config |= {"seed": -1, "nope": 3, "device": []}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for command in (["check"], ["plan", "--config"], ["run", "--config"]):
        done = invoke(*command, str(tmp_path / "mine.yaml"))
        assert done.exit_code == 1
        assert len(done.output.splitlines()) == 3, done.output


@pytest.mark.parametrize("command", ["check", "figures", "claims", "run", "plan", "compare", "reference"])
def test_outside_the_root_commands_say_where_it_is(root, monkeypatch, tmp_path, command):
    monkeypatch.chdir(root / "src")
    assert f"`cd {root}` first" in invoke(command).output
    monkeypatch.chdir(tmp_path)
    done = invoke(command)
    assert done.exit_code == 1
    assert "expected the repository's root" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "plan", "decide"])
def test_where_no_records_can_be_kept_nothing_is_begun(root, monkeypatch, command):
    def refuse(dir):
        raise OSError(errno.EROFS, "Read-only file system", f"{dir}/tmp123")

    monkeypatch.chdir(root)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    done = invoke(command, "--config", "config/ci.yaml")
    assert done.exit_code == 1
    (line,) = [line for line in done.output.splitlines() if "warning" not in line]
    assert line == "Error: .snakemake: Read-only file system; make it writable for you, and readable, or work elsewhere"


def test_all_cores_are_counted(root, monkeypatch):
    monkeypatch.chdir(root)
    here = len(os.sched_getaffinity(0))
    assert f"on {here} cores" in invoke("plan", "--only", "adamstar_dual", "--cores", "all").output


def test_reference_figures_redraw_without_solving(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    done = invoke("figures", "results/reference/ci", str(tmp_path))  # by the preset of that name
    assert done.exit_code == 0, done.output
    assert {path.stem for path in tmp_path.glob("*.pdf")} == {"verdicts", *load_config("config/ci.yaml")["figures"]}


def test_figures_of_a_folder_that_no_preset_is_called_by_ask_for_its_configuration(root, monkeypatch, tmp_path):
    """They are never drawn by what another configuration shows."""
    monkeypatch.chdir(root)
    shutil.copytree("results/reference/ci", tmp_path / "others")
    manifest = tmp_path / "others/manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    facts.pop("configuration", None)  # as references had it that name none
    manifest.write_text(json.dumps(facts), encoding="utf-8")
    done = invoke("figures", str(tmp_path / "others"), str(tmp_path / "drawn"))
    assert done.exit_code == 1
    assert "name --config" in done.output
    assert not (tmp_path / "drawn").exists()


def test_claims_compare_and_cite_read_a_run(root, monkeypatch):
    monkeypatch.chdir(root)
    reference = "results/reference/ci"
    assert "claims:" in invoke("claims", reference).output
    assert "T1.bayes" not in invoke("claims", reference, "--only", "adamstar").output
    assert "agrees" in invoke("compare", reference, reference).output
    assert "2507.04448" in invoke("cite", reference).output


def test_package_names_resolve_lazily_and_unknown_ones_name_the_choices():
    import infwidth.tasks

    assert callable(infwidth.tasks.linear)
    with pytest.raises(AttributeError, match="it has TransferTask, arrays, hermite, images, linear"):
        infwidth.tasks.lineal  # noqa: B018


@pytest.fixture
def two_sets(tmp_path, monkeypatch):
    """A source and a target of one linear rule, in a folder that is the working one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((125, 6, 5))
    y = x.reshape(len(x), -1) @ rng.standard_normal(30)
    np.savez("a.npz", x=x[:100], y=y[:100] > 0)
    np.savez("b.npz", x=x[100:], y=y[100:])
    return tmp_path


def test_advise_prints_a_table_and_a_sentence_and_draws(two_sets):
    done = invoke("advise", "a.npz", "b.npz", "--activation", "linear", "--output", "made/here")
    assert done.exit_code == 0, done.output
    assert "Tie the target to the source with δ =" in done.output
    assert "100 %" in done.output
    assert "Overlap of source and target: " in done.output
    table = pd.read_csv(two_sets / "made/here/advice.csv")
    assert list(table["elastic_coupling"]) == [0, 1, 10, 100, np.inf]
    assert all((two_sets / f"made/here/advice.{kind}").stat().st_size > 5000 for kind in ("pdf", "png"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.npz", "none.npz"], "none.npz: no such file"),
        (["a.npz", "b.npz", "--couplings", "1,x"], "--couplings = '1,x': expected numbers"),
        (["a.npz", "b.npz", "--couplings", "-1"], "elastic_coupling = -1"),
        (["a.npz", "b.npz", "--couplings", ""], "--couplings = '': expected numbers"),
        (["a.npz", "b.npz", "--couplings", "0"], "couplings = [0]: expected a δ > 0"),
        (["a.npz", "b.npz", "--output", "a\0b"], "can't be written to (embedded null byte)"),
        (["a.npz", "b.npz", "--activation", "tahn"], "activation = 'tahn': expected one of"),
        (["a.npz", "b.npz", "--particles", "0"], "'--particles': 0 is not in the range"),
        (["a.npz", "b.npz", "--particles", "3"], "particles = 3: expected a whole number ≥ 128"),
        (["a.npz", "b.npz", "--source-strength", "0"], "source_strength = 0"),
        (["a.npz", "b.npz", "--output", "a.npz"], "--output = a.npz: can't be written to (File exists)"),
    ],
)
def test_bad_calls_of_advise_end_in_one_line(two_sets, arguments, words):
    done = invoke("advise", *arguments)
    assert done.exit_code in (1, 2)
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
        (["--classes"], "b.npz, y: 25 classes; expected at most 20"),
        (["--output", "taken"], "--output = taken: taken/advice.csv is a folder"),
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


def test_an_output_that_cant_be_written_is_found_before_the_work(two_sets):
    (two_sets / "made/advice.pdf").mkdir(parents=True)
    done = invoke("advise", "a.npz", "b.npz", "--activation", "linear", "--output", "made")
    assert done.exit_code == 1
    assert "made/advice.pdf is a folder" in done.output
    assert "theory" not in done.output


@pytest.fixture
def renamed(root, tmp_path, monkeypatch):
    """A project whose configuration names `fresh`, and results that hold verdicts of it and of an older `stale`."""
    for name in ("Snakefile", "workflow", "config", "src"):
        (tmp_path / name).symlink_to(root / name)
    config = {
        "preset": "mine",
        "experiments": {
            "fresh": {
                "task": {"linear": {"dimension": 5, "overlap": 0, "n_source": 8, "n_target": 4, "n_test": 20}},
                "training": {"flow": {"weight_decay": 0.1, "source_time": 1, "target_times": [0, 1]}},
                **{"source_strength": 1.0, "target_strength": 1.0, "elastic_coupling": [0, 1], "width": 4},
            }
        },
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    folder = tmp_path / "results/mine/claims"
    folder.mkdir(parents=True)
    for name in ("fresh", "stale"):
        verdict = Verdict(f"T1.{name}", "T", "It agrees.", "f", name, "below 1", "reproduced", 0.5, 0.1, 3).as_dict()
        (folder / f"{name}.json").write_text(json.dumps([verdict]), encoding="utf-8")
        (folder / f"{name}.manifest.json").write_text('{"stage": "judge"}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_read_by_the_configuration_that_made_it(renamed):
    """Two files may bear one preset's name: the one that ran is written down, and without it --config is asked for."""
    (renamed / "config").unlink()
    shutil.copytree(renamed.joinpath("src").resolve().parent / "config", renamed / "config")
    other = yaml.safe_load((renamed / "mine.yaml").read_text(encoding="utf-8"))
    other["experiments"]["stale"] = other["experiments"].pop("fresh")
    (renamed / "config/mine.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    record_configuration("results/mine", [renamed / "mine.yaml"])
    assert "T1.fresh" in invoke("claims", "results/mine").output
    assert "T1.stale" not in invoke("claims", "results/mine").output
    record_configuration("results/mine", ["config/mine.yaml"])
    assert "T1.fresh" not in invoke("claims", "results/mine").output
    assert "T1.fresh" in invoke("claims", "results/mine", "--config", "mine.yaml").output
    for lost in (["gone.yaml"], ["mine.yaml", "config/mine.yaml"]):
        record_configuration("results/mine", lost)
        for command in ("claims", "compare", "cite"):
            done = invoke(command, "results/mine")
            assert done.exit_code == 1
            assert "; name --config" in done.output
    Path("results/mine/made_by.yaml").write_text("configuration: 3\n", encoding="utf-8")
    assert "expected paths of configurations; remove the file" in invoke("claims", "results/mine").output


@pytest.mark.parametrize("place", [["--config", "mine.yaml"], ["results/mine", "--config", "mine.yaml"]])
def test_verdicts_of_what_is_no_longer_planned_are_not_counted(renamed, place):
    done = invoke("claims", *place)
    assert done.exit_code == 0
    assert "T1.fresh" in done.output
    assert "T1.stale" not in done.output
    assert "1 claims: 1 reproduced" in done.output
    assert done.output.splitlines()[-1].startswith("results/mine also holds stale,")


def test_figures_that_a_part_of_the_run_leaves_out_are_named():
    config = {"experiments": {"a_wide": {}, "a_thin": {}, "b": {}}, "studies": {"c": {}}, "only": None}
    config["figures"] = {"both": ["a_wide", "b"], "three": ["a_thin", "b", "c"], "alone": ["a_wide"], "other": ["c"]}
    assert undrawn_line(config) is None
    line = undrawn_line(config | {"only": "a_"})
    assert "both (b), three (b, c);" in line
    assert not {"alone", "other"} & set(line.replace(";", "").split())
    assert undrawn_line(config | {"only": "c"}).startswith("not drawn, as they show others too: three (a_thin, b);")


def test_the_end_of_a_run_counts_verdicts_and_names_what_is_new():
    def verdict(name, found, experiment="e"):
        return Verdict(name, "T", "s", "f", experiment, "below 1", found, 0.5, 0.1, 3)

    before = [verdict("T2", "inconclusive"), verdict("T10", "reproduced"), verdict("T3", "reproduced")]
    after = [verdict("T2", "reproduced"), verdict("T10", "not reproduced"), verdict("T3", "reproduced")]
    lines = list(summary(before, [*after, verdict("T4", "reproduced")]))
    assert lines == [
        "4 claims: 3 reproduced, 1 not reproduced",
        "not reproduced: T10",
        "new: T2 is reproduced, was inconclusive",
        "new: T10 is not reproduced, was reproduced",
        "new: 1 claims judged for the first time",
    ]
    assert list(summary(after, after))[2:] == []
    assert list(summary([], [])) == ["0 claims: none is on these experiments"]


LOCALES = [
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LC_ALL": "en_US.ISO-8859-1", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
]


@pytest.mark.parametrize("locale", LOCALES, ids=str)
@pytest.mark.parametrize("arguments", [["claims", REFERENCE], ["keys"], ["check", "τ.yaml"]], ids=lambda a: a[0])
def test_any_locale_will_do(root, locale, arguments):
    command = [sys.executable, "-m", "infwidth", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), **locale}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
    assert done.returncode == (arguments[0] == "check")
    assert done.stdout or done.stderr.startswith(b"Error: ")


def test_advise_on_several_classes_says_how_often_they_are_wrong(two_sets):
    rng = np.random.default_rng(0)
    for name, count in (("c", 3), ("d", 4)):
        y = np.arange(60) % count
        np.savez(f"{name}.npz", x=2 * np.eye(6)[y] + rng.standard_normal((60, 6)), y=np.array(list("efgh"))[y])
    done = invoke("advise", "c.npz", "d.npz", "--activation", "linear", "--output", "made")
    assert done.exit_code == 0, done.output
    assert "d.npz, y: 4 classes, e (15 samples)" in done.output
    assert (pd.read_csv("made/advice.csv")["error"] < 0.5).all()


def test_advise_on_twenty_classes_with_a_source_of_seven(two_sets):
    """The most there may be, from files to table; the theory of all outputs is one."""
    rng = np.random.default_rng(0)
    for name, count, size in (("c", 7, 100), ("d", 20, 80)):
        y = np.arange(size) % count
        x = 2 * np.eye(20)[y] + 0.5 * rng.standard_normal((size, 20))
        np.savez(f"{name}.npz", x=x, y=np.array([f"class {i:02}" for i in range(20)])[y])
    call = ["advise", "c.npz", "d.npz", "--activation", "linear", "--output", "made"]
    done = invoke(*call, "--couplings", "1,inf")
    assert done.exit_code == 0, done.output
    assert "c.npz, y: 7 classes" in done.output
    assert "d.npz, y: 20 classes, class 00 (4 samples)" in done.output
    table = pd.read_csv("made/advice.csv")
    assert list(table["elastic_coupling"]) == [0, 1, np.inf]
    assert (table["status"] == "converged").all()
    assert (table["error"] < 0.5).all()  # chance is .95
    assert (table["loss"] < 0.95).all()  # that of no answer


def test_advise_balances_a_network_by_its_readout(two_sets):
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((200, 30))
    for name, factor in (("one", 1.0), ("other", 10.0)):
        np.savez(f"{name}.npz", first=factor * weights, last=np.ones(200) / 200 / factor)
    call = ["advise", "b.npz", "--readout", "last", "--activation", "linear", "--couplings", "1", "--output", "made"]
    tables = []
    for name in ("one", "other"):
        done = invoke(*call, "--weights", f"{name}.npz:first")
        assert done.exit_code == 0, done.output
        tables.append(pd.read_csv("made/advice.csv")["loss"])
    np.testing.assert_allclose(*tables, rtol=1e-6)
    for arguments, words in (
        (["advise", "a.npz", "b.npz", "--readout", "last"], "--readout = last: expected with --weights"),
        ([*call, "--weights", "one.npz:first", "--activation", "erf"], "'erf' isn't 1-homogeneous"),
        (
            [*call, "--weights", "one.npz:first", "--readout", "first"],
            "first: has shape (200, 30); expected (outputs, 200)",
        ),
    ):
        done = invoke(*arguments)
        assert done.exit_code == 1
        assert words in done.output
        assert len(done.output.splitlines()) == 1


def test_advise_takes_a_trained_network_for_the_source(two_sets):
    with np.load("b.npz") as target:
        rule = np.linalg.lstsq(target["x"].reshape(25, -1), target["y"], rcond=None)[0]
    weights = np.random.default_rng(1).standard_normal((400, 1)) * rule / np.linalg.norm(rule)
    np.savez("net.npz", first=weights, second=weights[:, :1])
    done = invoke("advise", "b.npz", "--weights", "net.npz:first", "--activation", "linear")
    assert done.exit_code == 0, done.output
    assert "net.npz:first: 400 neurons in place of source data" in done.output
    assert "Tie the target to the source" in done.output
    for arguments in (["b.npz"], ["a.npz", "b.npz", "--weights", "net.npz:first"]):
        done = invoke("advise", *arguments)
        assert done.exit_code == 1
        assert len(done.output.splitlines()) == 1
        assert "expected SOURCE and TARGET, or a TARGET and --weights" in done.output


def test_advice_is_said_before_a_full_disk_refuses_its_files(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "advice.pdf")

    rng = np.random.default_rng(5)
    for name, count in (("source", 30), ("target", 12)):
        np.savez(tmp_path / f"{name}.npz", x=rng.standard_normal((count, 3)), y=rng.standard_normal(count))
    monkeypatch.setattr("infwidth.figures.parts.style.save_figure", refuse)
    done = invoke("advise", *(str(tmp_path / f"{name}.npz") for name in ("source", "target")),
                  "--couplings", "0,1", "--output", str(tmp_path / "out"))  # fmt: skip
    assert done.exit_code == 1
    assert "Overlap of source and target" in done.output
    assert "advice.pdf: No space left on device; free some space" in done.output
