"""``python -m infwidth.stages NAME …``: how the workflow starts a stage.

Nothing is imported before the two ends of a job are in place: Ctrl-C ends it without a traceback, and a job whose run
was killed ends too, rather than write beside the run that takes its place.
"""

import signal

if __name__ == "__main__":  # before other imports take their time
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the workflow holds it back until here

import importlib
import os
import sys
import threading
import time

RUN = "INFWIDTH_RUN"
"""Environment variable with the process id of the run's main process, where there is one on this machine."""


def _end_with(run: int) -> None:
    """End this process when that of the run is gone."""
    while True:
        try:
            os.kill(run, 0)  # asks for nothing but whether it is there
        except PermissionError:
            pass  # it is
        except ProcessLookupError:
            os._exit(1)
        time.sleep(0.5)


if __name__ == "__main__":
    if os.environ.get(RUN):
        threading.Thread(target=_end_with, args=[int(os.environ[RUN])], daemon=True).start()
    name = sys.argv.pop(1)
    status = importlib.import_module("infwidth.stages.parts.forked").run(name, sys.argv[1:])
    if status is not None:
        os._exit(status)  # nothing is left to be done here
    try:
        stage = importlib.import_module(f"infwidth.stages.{name}")
    except (ImportError, MemoryError, OSError) as error:  # too little memory for a library's code
        from infwidth.io.failures import machine_failure

        refused = machine_failure(error)
        if refused is None:
            raise
        sys.exit(f"error: {name}: {refused}")
    stage.main()
