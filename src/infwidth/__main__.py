"""Where ``infwidth …`` and ``python -m infwidth …`` start: Ctrl-C is no traceback, from the first import to the end."""

import signal


def main() -> None:
    """Run the command line (:mod:`infwidth.cli`), which answers Ctrl-C itself once it is imported."""
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so in the background of a script
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from infwidth import cli

    try:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main()
    finally:
        if heeded:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
