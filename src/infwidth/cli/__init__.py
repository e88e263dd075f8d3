"""What a person types: ``infwidth …``."""

import signal


def main() -> None:
    """Run a command; Ctrl-C ends it without a traceback, also while it is imported and when it is done."""
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so in the background of a script
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from infwidth.cli.commands import infwidth

    try:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        infwidth()
    finally:
        if heeded:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
