"""What writing a figure costs when its panels are laid out for one of its files, against each of them.

    OMP_NUM_THREADS=1 python benchmarks/figures.py [--figures NAME …]

Writes benchmarks/results/figures.json: seconds of the processor for files of figures of the default reference, drawn
beforehand, the two ways in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from matplotlib.figure import Figure
from report import write

from infwidth.figures.draw import draw_tables
from infwidth.figures.parts.style import save_figure
from infwidth.plan.config import load_config

REFERENCE = Path("results/reference/default/tables")
SOME = ("linear_delta", "averaged_check", "hermite_dynamics", "delta_choice", "advice_calibration", "omega_support")


def seconds(name: str, experiments: list[str], *, once: bool) -> float:
    """Seconds for the files of one figure."""
    figure, plotted = draw_tables(name, [REFERENCE / f"{experiment}.csv" for experiment in experiments])
    released = Figure.set_layout_engine
    if not once:
        Figure.set_layout_engine = lambda *_: None
    try:
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            save_figure(figure, plotted, {kind: Path(folder, f"f.{kind}") for kind in ("pdf", "png", "csv")})
            return time.process_time() - started
    finally:
        Figure.set_layout_engine = released


def main() -> None:
    """Draw each figure both ways, once to warm up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", nargs="+", default=SOME)
    names, shown = parser.parse_args().figures, load_config("config/config.yaml")["figures"]
    seconds(names[0], shown[names[0]], once=True)
    rows = {name: [round(seconds(name, shown[name], once=once), 3) for once in (False, True)] for name in names}
    before, after = (sum(column) for column in zip(*rows.values(), strict=True))
    write("figures", {"ratio": round(before / after, 2), "each, once": rows})


if __name__ == "__main__":
    main()
