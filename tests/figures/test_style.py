"""What users call their data is no formula."""

import pandas as pd
import pytest
from matplotlib.lines import Line2D

from infwidth.figures.parts.style import new_figure, save_figure


@pytest.mark.parametrize("name", ["$x_{", "a $\\frac$ b", "$$", "costs $5", "C:\\$data^^.npz", "100 % & # ~ _ ^ {}"])
def test_names_with_dollars_are_drawn_as_they_are(tmp_path, name):
    figure, ((axes, other),) = new_figure(1, 2)
    figure.suptitle(name)
    axes.set_title(name)
    axes.set_title(name, loc="left")
    axes.text(0.1, 0.1, name)
    other.annotate(name, (0.5, 0.5))
    other.legend(handles=[Line2D([], [], label=name)], title=name)
    figure.legend(handles=[Line2D([], [], label=name)])
    axes.plot([1, 2], [1, 1e5])
    axes.set_yscale("log")
    axes.set_ylabel("$|f_H - f_\\infty|$")  # our own formulas stay formulas
    paths = {kind: tmp_path / f"x.{kind}" for kind in ("pdf", "png", "csv")}
    save_figure(figure, pd.DataFrame({"dataset": [name]}), paths)
    assert all(path.stat().st_size for path in paths.values())
    assert axes.title.get_text() == name
    assert axes.yaxis.label.get_parse_math()
    assert all(tick.label1.get_parse_math() for tick in axes.yaxis.get_major_ticks())


def test_panels_are_laid_out_once(tmp_path, monkeypatch):
    """Both files show the same layout, and it is made for one of them."""
    figure, _ = new_figure(1, 2)
    times, lay_out = [], figure.get_layout_engine().execute
    monkeypatch.setattr(figure.get_layout_engine(), "execute", lambda drawn: times.append(lay_out(drawn)))
    save_figure(figure, pd.DataFrame(), {kind: tmp_path / f"figure.{kind}" for kind in ("pdf", "png", "csv")})
    assert len(times) == 1
