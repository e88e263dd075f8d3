"""``python -m infwidth.cli …`` is ``infwidth …``."""

from infwidth.cli import main

if __name__ == "__main__":
    main()
