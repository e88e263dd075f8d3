"""A fork server: one process of a run imports other people's packages once, and each job is a fork of it.

Importing torch, pandas and the like costs a job up to two seconds, often more than its work. The server holds nothing
of this project, so that a job reads the project's own code when it starts, as it would in a process of its own; and it
has one thread, so that forking it is safe, or gives up. The process that was started for a job
(:mod:`infwidth.stages.__main__`) hands over arguments, environment and streams and waits; the two end together. Where
there is no server, or one whose libraries were imported under other settings, that process does the job itself.

Linux alone has what this needs: sockets without a file, and a signal when the other end of one is gone.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from infwidth.stages.parts.forked import OFF, REFUSED, SERVER, TAKEN, fingerprint, is_own

WORTHWHILE = 4
"""Jobs from which on a server saves more than its own imports cost."""

_TRAINERS = "source target language study"
_READERS = "collect judge claims verdicts figure"
_PRELOADED = (
    ("click numpy tqdm boltons.fileutils importlib.metadata annotated_types multiprocessing.synchronize", ""),
    ("pandas pandas.io.formats.csvs", f"{_TRAINERS} theory {_READERS}"),
    ("torch", f"{_TRAINERS} theory"),
    ("scipy.linalg.lapack scipy.special scipy.optimize.elementwise scipy.integrate", "theory study"),
    ("torch._dynamo", "language study"),  # which torch's optimisers import
    ("scipy.stats ruamel.yaml", "judge claims figure"),
    ("matplotlib.pyplot matplotlib.backends.backend_agg matplotlib.backends.backend_pdf seaborn", "verdicts figure"),
)
"""What is imported, in this order, and for jobs of which rules; of any if none is named."""
_ONE_THREAD = ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
"""What Snakemake sets, each with _THREADS or _NUM_THREADS, for a job of one thread."""
_NO_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""What else keeps libraries from starting threads: pyarrow's, which pandas imports where there is one."""


def start(rules: Sequence[str]) -> None:
    """Start a server that ends with this process, and name it in the environment of the jobs to come.

    Args:
        rules: that of each job; too few are not worth a server.
    """
    if os.environ.get(SERVER) == OFF or sys.platform != "linux" or len(rules) < WORTHWHILE:
        os.environ.pop(SERVER, None)  # no other run's
        return
    names = (f"{name}_THREADS" if name.endswith("MAXIMUM") else f"{name}_NUM_THREADS" for name in _ONE_THREAD)
    environment = os.environ | dict.fromkeys(names, "1") | _NO_THREADS
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")  # the system finds a name
        listener.listen(128)  # jobs wait here while the server imports
        descriptor = listener.fileno()
        # Ctrl-C is for the jobs and the run, which may have some to end before it ends itself
        command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", __name__]
        command += [str(descriptor), str(os.getpid()), *sorted(set(rules))]
        subprocess.Popen(command, env=environment, pass_fds=[descriptor], stdin=subprocess.DEVNULL)
        os.environ[SERVER] = listener.getsockname()[1:].decode()


def serve(listener: socket.socket, parent: int, rules: Collection[str]) -> None:
    """Fork a job for each connection, as long as the parent lives; not where a library has started threads.

    Args:
        listener: what jobs connect to.
        parent: process id of the run.
        rules: those of the jobs to come.
    """
    inherited = fingerprint()  # before libraries add to the environment
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the jobs here
    for modules, readers in _PRELOADED:
        for name in modules.split() if not readers or set(readers.split()) & set(rules) else ():
            with suppress(ImportError):  # the job that needs it says so
                importlib.import_module(name)
            if len(os.listdir("/proc/self/task")) > 1:  # a fork might wait for ever for what a thread held
                return
            _fork_waiting(listener, inherited, 0)  # they import the rest themselves
    gc.collect()
    gc.freeze()  # a child's collections leave shared memory alone
    while os.getppid() == parent:
        _fork_waiting(listener, inherited, 0.5)


def _fork_waiting(listener: socket.socket, inherited: list[Any], timeout: float) -> None:
    """Fork a process for each connection that is there, or comes within some seconds."""
    while select.select([listener], [], [], timeout)[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _job(connection, inherited)
        connection.close()
        timeout = 0


def _job(connection: socket.socket, inherited: list[Any]) -> None:
    """Be the process of one job; does not return."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if not is_own(connection):
            os._exit(1)
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as lines:
            request = json.loads(lines.readline())
        if request["process"] != inherited:
            connection.sendall(REFUSED)
            os._exit(0)
        connection.sendall(TAKEN)
        _end_with(connection)
        for own, given in enumerate(streams):
            os.dup2(given, own)
            os.close(given)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.argv = [sys.argv[0], *request["arguments"]]
        module = f"infwidth.stages.{request['stage']}"
        status = _status_of(lambda: importlib.import_module(module).main())
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        connection.sendall(bytes([status]))
    finally:
        os._exit(status)


def _end_with(connection: socket.socket) -> None:
    """Let the system end this process at once when the other end of a connection is gone, whatever it is doing.

    A thread that waits for that would come too late: the run removes a stopped job's files as soon as the process that
    it started is gone.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # which ends the process
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([connection], [], [], 0)[0]:  # it was gone before
        os._exit(1)


def _status_of(body: Callable[[], None]) -> int:
    """Call it; return the exit status that Python would end with."""
    try:
        body()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as own:
        serve(own, int(sys.argv[2]), sys.argv[3:])
