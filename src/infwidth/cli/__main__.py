"""``python -m infwidth.cli …`` is ``infwidth …``."""

import infwidth.cli

if __name__ == "__main__":
    infwidth.cli.main()
