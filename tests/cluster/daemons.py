"""A Slurm of one node on this machine, for as long as a test lasts: munged, slurmctld, slurmd."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
INSTALL = "apt-get install slurm-wlm munge"
PATIENCE = 60

CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
TaskPlugin=task/none
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def _path() -> str:
    """Where daemons are looked for: the PATH of users often lacks the folders of those."""
    found = os.environ["PATH"]
    return os.pathsep.join([found, "/usr/sbin", "/sbin"]) if "/usr/bin" in found.split(os.pathsep) else found


def missing() -> list[str]:
    """What of Slurm is not installed."""
    path = _path()
    return [name for name in DAEMONS if shutil.which(name, path=path) is None]


@contextlib.contextmanager
def slurm():
    """Start the daemons in a folder of their own; yield the environment in which Slurm's commands find them.

    They, and no others, are stopped in the end.
    """
    started = []
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(_stop, started)
        folder.chmod(0o755)
        path = _path()
        environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{folder / 'bin'}:{path}"}
        _write_configuration(folder)
        _write_commands(folder, path)

        def start(name, *arguments, **options):
            output = stack.enter_context(open(folder / f"{name}.out", "wb"))
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            started.append(
                subprocess.Popen(
                    [shutil.which(name, path=path), *arguments],
                    env=environment,
                    start_new_session=True,
                    **streams,
                    **options,
                )
            )

        place = folder / "munge"
        files = [f"--{kind}-file={place / kind}" for kind in ("key", "pid", "log", "seed")]
        owner = {"user": "munge", "group": "munge", "extra_groups": []} if os.getuid() == 0 else {}
        start("munged", "--foreground", f"--socket={place / 'socket'}", *files, **owner)
        _until((place / "socket").exists, folder)
        start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        start("slurmd", "-D", "-f", str(folder / "slurm.conf"), "-N", _host())

        def idle():
            state = ["sinfo", "--noheader", "--format=%t"]
            done = subprocess.run(state, env=environment, capture_output=True, text=True, check=False)
            return done.stdout.strip() == "idle"

        _until(idle, folder)
        yield environment


def _host():
    return socket.gethostname().split(".")[0]


def _write_configuration(folder):
    """The folders, munge's key and slurm.conf."""
    munge = folder / "munge"
    for one in (munge, folder / "state", folder / "spool"):
        one.mkdir(mode=0o755)
    (munge / "key").write_bytes(secrets.token_bytes(128))
    (munge / "key").chmod(0o400)
    if os.getuid() == 0:
        for one in (munge, munge / "key"):
            shutil.chown(one, "munge", "munge")
    values = {
        "folder": folder,
        "host": _host(),
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "ports": _free_ports(2),
        "cpus": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
    }
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**values), encoding="utf-8")


def _write_commands(folder, path):
    """Commands that a job calls, whose environment Snakemake's executor clears of the variables of Slurm."""
    (folder / "bin").mkdir()
    for name in ("srun", "squeue", "scancel", "sbatch"):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nSLURM_CONF="{folder}/slurm.conf" exec {shutil.which(name, path=path)} "$@"\n')
        script.chmod(0o755)


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _until(condition, folder):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            said = {
                path.name: path.read_text(errors="replace")[-1000:] for path in folder.glob("*.*") if path.is_file()
            }
            raise RuntimeError(f"Slurm did not start within {PATIENCE} s: {said}")
        time.sleep(0.2)


def _stop(started):
    """End the daemons, the last first; each leads processes of its own, and with slurmd's end its job steps."""
    for one in reversed(started):
        with contextlib.suppress(ProcessLookupError):
            one.send_signal(signal.SIGTERM)
        try:
            one.wait(20)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()
