"""A job in a fork of the server is the job in a process of its own: streams, exit status, failures, the way it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infwidth.stages.parts import fork_server
from infwidth.stages.parts.forked import KILLED, OFF, SERVER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is a server on Linux alone")
PATIENCE = 60  # seconds; on an idle machine nothing takes more than two
START = """
import sys, time
from infwidth.stages.parts import fork_server
fork_server.start(["claims"] * 9)
import os
print(os.environ["INFWIDTH_FORK_SERVER"], flush=True)
time.sleep(600)
"""
THREADS = ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def children(pid):
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(scope="module")
def environment():
    """What Snakemake gives a job of one thread."""
    return os.environ | {f"{name}_THREADS": "1" for name in THREADS}


@pytest.fixture
def parent(environment):
    """A run that has started a server, and nothing else."""
    started = subprocess.Popen([sys.executable, "-c", START], env=environment, stdout=subprocess.PIPE, text=True)
    started.name = started.stdout.readline().strip()
    yield started
    started.kill()
    started.wait()


@pytest.fixture
def server(parent):
    return until(lambda: children(parent.pid))[0]


def job(environment, *arguments, name=None, **options):
    named = {SERVER: OFF if name is None else name}
    return subprocess.Popen(
        [sys.executable, "-m", "infwidth.stages", *arguments],
        **{"env": environment | named, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options,
    )


@pytest.fixture
def waiting(tmp_path):
    """Arguments of a job that goes on for as long as nobody writes what it reads."""
    os.mkfifo(tmp_path / "pipe.json")
    return ["claims", f"--input=0={tmp_path / 'pipe.json'}", f"--output=json={tmp_path / 'x.json'}"]


def test_a_job_ends_as_it_would_alone(environment, parent, tmp_path):
    """The same exit status, lines and files, for jobs that fail and one that does not."""
    (tmp_path / "0.json").write_text("[]")
    written = [f"--output=json={tmp_path / 'claims.json'}", f"--output=markdown={tmp_path / 'claims.md'}"]
    for arguments in (
        ["claims", f"--input=0={tmp_path / '0.json'}", *written],
        ["claims", "--input=0=nowhere/none.json", *written],
        ["figure", '--params={"figure": "none"}', f"--log={tmp_path / 'l.log'}"],
        ["claims", "--surplus"],
        ["none"],
    ):
        seen = []
        for name in (None, parent.name):
            done = job(environment, *arguments, name=name, cwd=tmp_path)
            out, err = done.communicate(timeout=PATIENCE)
            files = {path.name: path.read_bytes() for path in tmp_path.glob("claims.*")}
            last = [line for line in err.splitlines() if line[:3] != "202"][-1:]  # not those with a time
            seen.append((done.returncode, out, last, files))
        assert seen[0] == seen[1]


def test_a_job_is_a_fork_of_the_server(environment, parent, server, waiting):
    one, other = (job(environment, *waiting, name=parent.name) for _ in range(2))
    forks = until(lambda: children(server) if len(children(server)) == 2 else None)
    one.kill()  # as Snakemake kills a job, or the system what has taken too much memory
    until(lambda: sum(map(is_gone, forks)) == 1)
    assert other.poll() is None
    (left,) = [pid for pid in forks if not is_gone(pid)]
    os.kill(left, signal.SIGKILL)
    assert other.wait(PATIENCE) == KILLED
    one.wait()


def test_an_environment_is_itself_by_a_link_to_it(environment, parent, server, waiting, tmp_path):
    (tmp_path / "linked").symlink_to(sys.prefix)
    python = tmp_path / "linked" / Path(sys.executable).relative_to(sys.prefix)
    named = environment | {SERVER: parent.name}
    done = subprocess.Popen([python, "-m", "infwidth.stages", *waiting], env=named)
    until(lambda: children(server))
    done.kill()
    done.wait()


def test_server_and_jobs_end_with_the_run(environment, parent, server, waiting):
    done = job(environment | {"INFWIDTH_RUN": str(parent.pid)}, *waiting, name=parent.name)
    forks = until(lambda: children(server))
    parent.kill()
    parent.wait()
    assert done.wait(PATIENCE) != 0
    until(lambda: all(map(is_gone, [server, *forks])))


def test_ctrl_c_leaves_the_server_to_the_run(environment, parent, server, waiting):
    done = job(environment, *waiting, name=parent.name)
    until(lambda: children(server))
    os.kill(server, signal.SIGINT)
    assert done.poll() is None
    again = job(environment, *waiting, name=parent.name)
    until(lambda: len(children(server)) == 2)
    for one in (done, again):
        one.kill()
        one.wait()


def test_without_a_server_that_fits_a_job_runs_in_its_own_process(environment, parent, server, tmp_path):
    def run(name, **settings):
        done = job(environment | settings, "claims", "--input=0=nowhere/none.json", name=name, cwd=tmp_path)
        return done.communicate(timeout=PATIENCE)[1].splitlines()[-1], done.returncode

    alone = run(None)
    assert "nowhere/none.json" in alone[0]
    assert run("gone") == alone
    assert run(parent.name, OMP_NUM_THREADS="2") == alone  # read by libraries when they are imported
    os.kill(server, signal.SIGKILL)
    until(lambda: is_gone(server))
    assert run(parent.name) == alone


@pytest.mark.parametrize(("value", "jobs"), [(OFF, 9), ("another-runs", fork_server.WORTHWHILE - 1)])
def test_no_server_where_none_is_wanted_or_too_few_jobs_would_use_it(monkeypatch, value, jobs):
    monkeypatch.setenv(SERVER, value)
    monkeypatch.setattr(subprocess, "Popen", None)
    fork_server.start(["claims"] * jobs)
    assert SERVER not in os.environ


@pytest.mark.parametrize(
    ("library", "serves"),
    [("import threading; threading.Event()", True), ("import threading; threading.Timer(99, id).start()", False)],
)
def test_it_gives_up_where_a_library_starts_threads(environment, tmp_path, library, serves):
    (tmp_path / "library.py").write_text(library)
    code = "import os, socket; from infwidth.stages.parts import fork_server as f; f._PRELOADED = (('library', ''),); "
    code += "f._fork_waiting = lambda *_: os._exit(9); f.serve(socket.socket(), os.getppid(), ['claims']); os._exit(0)"
    path = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code], env=environment | {"PYTHONPATH": path}, check=False)
    assert done.returncode == (9 if serves else 0)


def test_every_rule_finds_its_libraries(root):
    """Names of rules, and of modules, that nothing has would preload nothing."""
    rules = {path.stem for path in (root / "src/infwidth/stages").glob("*.py")}
    for modules, readers in fork_server._PRELOADED:
        assert {*readers.split()} <= rules
        for name in modules.split():
            __import__(name)
