"""How a job is handed to the run's fork server (:mod:`infwidth.stages.parts.fork_server`).

Every job's process reads this module: it imports little.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

SERVER = "INFWIDTH_FORK_SERVER"
"""Environment variable with the name of the server's socket, where there is one; ``off`` where none is wanted."""
OFF = "off"
REFUSED, TAKEN = b"r", b"t"
"""What the server answers to a request."""
KILLED = 128 + 9
"""Exit status, as a shell has it, of a job that ended without one of its own: SIGKILL comes where memory is out."""

_READ_AT_IMPORT = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_", "NUMEXPR_"),
    *("TORCH", "PYTORCH_", "CUDA_", "MPL", "MATPLOTLIB", "PYTHON", "LD_"),
)
"""How the names of environment variables begin that libraries read once, when they are imported or first used."""


def run(stage: str, arguments: list[str]) -> int | None:
    """Run a stage in a fork of the server.

    Args:
        stage: name of the stage.
        arguments: of its command line.

    Returns:
        Its exit status; None where there is no server or it would not do, and nothing has been run.
    """
    server = os.environ.get(SERVER, OFF)
    if server == OFF:
        return None
    import socket

    request = {
        "process": fingerprint(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "stage": stage,
        "arguments": arguments,
    }
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect("\0" + server)
            if not is_own(connection):
                return None
            socket.send_fds(connection, [TAKEN], [0, 1, 2])
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = connection.recv(1)
        except OSError:
            return None
        if answer != TAKEN:
            return None
        try:
            ended = connection.recv(1)
        except OSError:
            ended = b""
        return ended[0] if ended else KILLED


def fingerprint() -> list[Any]:
    """What a fork inherits and can't change: the interpreter, where it finds modules, settings read at import.

    Files are named as they are on the disk, so that an environment is itself by any link to it.
    """
    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith(_READ_AT_IMPORT))
    interpreter, *modules = map(os.path.realpath, (sys.executable, *sys.path))
    return [interpreter, sys.version, modules, list(map(list, settings))]


def is_own(connection: socket.socket) -> bool:
    """Whether the other end belongs to the same user; sockets without a file have no permissions."""
    from socket import SO_PEERCRED, SOL_SOCKET

    found = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)
    return int.from_bytes(found[4:8], sys.byteorder) == os.getuid()
