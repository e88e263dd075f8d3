"""``python -m infwidth.cli …`` is ``infwidth …``."""

from infwidth.__main__ import main

if __name__ == "__main__":
    main()
