"""Runs that are killed at random points are taken up by the same command, and end in the tables of one left alone."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from .conftest import TRAINED, linear

CONFIG = {"preset": "default", "experiments": {"flow": linear(TRAINED)}}
# how a run is ended, and whether its jobs are sent the signal too, as by Ctrl-C or a closed terminal
ENDS = [
    (signal.SIGKILL, "alone"),
    (signal.SIGKILL, "all"),
    (signal.SIGHUP, "alone"),
    (signal.SIGHUP, "all"),
    (signal.SIGINT, "all"),
    (signal.SIGTERM, "alone"),
    (signal.SIGTERM, "all"),
    (signal.SIGINT, "alone"),
]
PATIENCE = 120  # seconds; on an idle machine nothing takes more than three


def heed_signals():
    """What runs the tests may ignore them, as nohup does, and children inherit that."""
    for sent in (signal.SIGHUP, signal.SIGINT):
        signal.signal(sent, signal.SIG_DFL)


def start(project, log, by="", **variables):
    command = [by, "reproduce"] if by else [sys.executable, "-m", "infwidth", "run"]
    options = {"stdout": log, "stderr": subprocess.STDOUT, "start_new_session": True, "preexec_fn": heed_signals}
    return subprocess.Popen(command, cwd=project.root, env=project.environment | variables, **options)


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_empty(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def results(project):
    """What a run is about: tables, their arrays, figures' numbers, verdicts."""
    folder = project.root / "results"
    paths = [path for part in ("tables/*.csv", "tables/*.npz", "claims/*.json") for path in folder.glob(part)]
    return {path.name: path.read_bytes() for path in paths if "manifest" not in path.name}


@pytest.fixture(scope="module")
def undisturbed(make_project):
    project = make_project(CONFIG)
    project.run()
    return results(project)


def test_a_run_killed_again_and_again_ends_in_the_same_tables(make_project, undisturbed, tmp_path):
    project, draw, interrupted = make_project(CONFIG), random.Random(20), 0
    order = draw.sample(ENDS, len(ENDS))
    for number, (sent, to) in enumerate(order):
        path = tmp_path / f"{number}.log"
        with open(path, "wb") as log:
            # forks do all jobs within a second, so they come last
            run = start(project, log, INFWIDTH_FORK_SERVER="off" if number < len(order) - 2 else "on")

            def finished(path=path, run=run):
                return run.poll() is not None or re.search(r"^\[", path.read_text(encoding="utf-8"), re.MULTILINE)

            until(finished)  # at least one job, so that all ends come at different points
            time.sleep(draw.uniform(0, 0.1))
            if run.poll() is None:
                (os.kill if to == "alone" else os.killpg)(run.pid, sent)
                interrupted += 1
            run.wait(PATIENCE)
        text = path.read_text(encoding="utf-8")
        assert "Traceback" not in text, (sent, to, text)
        if run.returncode == 0 and "claims:" in text:
            break
    assert interrupted >= 5
    last = project.infwidth("run")
    assert last.returncode == 0, last.stdout + last.stderr
    assert results(project) == undisturbed


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's env holds signals back")
@pytest.mark.parametrize("delay", [0.005, 0.01, 0.02])
def test_ctrl_c_ends_a_job_without_a_word_while_its_interpreter_starts(make_project, tmp_path, delay):
    project = make_project(CONFIG)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n(sleep {delay}; kill -INT $$) &\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{project.environment['PATH']}"
    done = project.infwidth("run", "--only=flow", INFWIDTH_FORK_SERVER="off", PATH=path)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "stopped: data flow" in done.stderr


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_ctrl_c_when_all_is_done_is_no_traceback(delay):
    """Python waits for threads when it ends."""
    code = (
        "import os, signal, sys, threading, time\n"
        f"threading.Timer({delay} + 0.2, os.kill, [os.getpid(), signal.SIGINT]).start()\n"
        f"threading.Thread(target=time.sleep, args=[{delay} + 0.5]).start()\n"
        "import infwidth.__main__\n"
        "sys.argv = ['infwidth', '--version']\n"
        "infwidth.__main__.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", preexec_fn=heed_signals)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


@pytest.mark.parametrize(("server", "sent"), [("on", "SIGKILL"), ("off", "SIGABRT")])
def test_a_job_that_the_system_ends_is_said_with_the_remedy(make_project, server, sent):
    """Where memory is out, the system kills, and libraries abort; of neither is there a word in the job's log."""
    project = make_project(CONFIG)
    theory = project.root / "src/infwidth/stages/theory.py"
    text = theory.read_text(encoding="utf-8")
    ending = f"    import os, signal\n    os.kill(os.getpid(), signal.{sent})\n"
    head = "def main(job: Job) -> None:\n"
    assert head in text
    theory.write_text(text.replace(head, head + ending), encoding="utf-8")
    done = project.infwidth("run", INFWIDTH_FORK_SERVER=server)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("failed: theory flow")]
    assert said
    assert all("ended by SIG" in line and "more memory" in line for line in said)
    assert "stopped" not in done.stderr


@pytest.mark.parametrize("limit", ["-v 400000", "-n 10", "-n 24"])
def test_too_little_for_any_run_is_said_before_libraries_abort_or_tell_it_in_tracebacks(make_project, limit):
    project = make_project(CONFIG)
    shell = f"ulimit {limit}; exec {sys.executable} -m infwidth"
    for command in ("run", "plan", "decide"):
        options = {"cwd": project.root, "env": project.environment, "capture_output": True, "encoding": "utf-8"}
        done = subprocess.run(["bash", "-c", f"{shell} {command}"], **options)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"Error: ulimit {limit.replace(' ', ' = ')}: expected at least ")
        assert "raise it" in line
    assert not (project.root / "results").exists()


@pytest.mark.parametrize(("by", "sent"), [("", signal.SIGKILL), ("make", signal.SIGTERM)])
def test_jobs_end_with_their_run(make_project, tmp_path, by, sent):
    project = make_project(CONFIG)
    project.make("help")  # puts the commands where make finds them
    with open(tmp_path / "log", "wb") as log:
        run = start(project, log, by)
        logs = project.root / "results/logs"
        until(lambda: list(logs.rglob("*.log")))  # a job has begun
        os.kill(run.pid, sent)
        run.wait(PATIENCE)
    until(lambda: is_empty(run.pid))


def test_a_second_run_of_the_same_results_is_refused_in_one_line(make_project, tmp_path):
    project = make_project(CONFIG)
    with open(tmp_path / "log", "wb") as log:
        run = start(project, log)
        try:
            until((project.root / "results/.lock").exists)
            second = project.infwidth("run")
            plain = project.snakemake("--forceall")
            assert run.poll() is None
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait(PATIENCE)
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith("Error: results: another run is making it")
    assert plain.returncode != 0
    assert "another run is making it" in plain.stderr
    assert "Traceback" not in plain.stderr
