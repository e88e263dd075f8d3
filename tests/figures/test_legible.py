"""Every figure of the committed references can be read: no keys where words belong, no text on text or off the page."""

import itertools
import re

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from infwidth.analysis.claims import Verdict
from infwidth.figures.draw import draw_tables
from infwidth.figures.parts.style import PAGE, new_figure, settle
from infwidth.figures.verdicts import draw as draw_verdicts
from infwidth.io.atomic import read_json
from infwidth.plan.config import load_config
from infwidth.plan.titles import experiment_titles

CONFIGS = {"default": "config/config.yaml", "study": "config/study.yaml"}
SMALLEST = 5.0
"""Points, at the size of print."""


def texts(figure):
    """Texts that are drawn, with their boxes in pixels."""
    settle(figure)
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    hidden = {text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in undrawn(axes, axis)}
    drawn = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent(renderer)) for text in drawn if text not in hidden]


def undrawn(axes, axis):
    """Texts of an axis that is switched off, and labels of ticks beyond its limits."""
    if not (axes.get_visible() and axes.axison):
        return axis.findobj(Text)
    low, high = sorted(axis.get_view_interval())
    slack = 1e-6 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    beyond = [tick for tick in ticks if not low - slack <= tick.get_loc() <= high + slack]
    return [text for tick in beyond for text in (tick.label1, tick.label2)]


def faults(figure, keys=()):
    found = texts(figure)
    page = figure.bbox.padded(1)
    for text, box in found:
        if box.x0 < page.x0 or box.x1 > page.x1 or box.y0 < page.y0 or box.y1 > page.y1:
            yield f"{text.get_text()!r} goes off the page"
        if text.get_fontsize() < SMALLEST:
            yield f"{text.get_text()!r} is set in {text.get_fontsize():.1f} points"
    for (one, box), (other, others) in itertools.combinations(found, 2):
        width = min(box.x1, others.x1) - max(box.x0, others.x0)
        height = min(box.y1, others.y1) - max(box.y0, others.y0)
        if width > 1 and height > 1:
            yield f"{one.get_text()!r} lies on {other.get_text()!r}"
    ticks = {text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in axis.get_ticklabels()}
    for text in {text for text, _ in found} - ticks:
        words = re.findall(r"[a-z]\w*_\w+", re.sub(r"\$.*?\$", "", text.get_text()))
        words += [key for key in keys if key in text.get_text().split()]
        if words:
            yield f"{text.get_text()!r} names {words}"
    if figure.get_size_inches()[0] > PAGE + 0.01:
        yield f"{figure.get_size_inches()[0]:.1f} inches wide"


def drawn(root):
    for preset, path in CONFIGS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            config = load_config(path)
        reference = root / "results/reference" / preset
        for figure, experiments in config["figures"].items():
            tables = [reference / f"tables/{name}.csv" for name in experiments]
            if all(table.exists() for table in tables):
                yield preset, figure, tables, experiment_titles(config, experiments)


@pytest.mark.parametrize("preset", CONFIGS)
def test_figures_of_references_can_be_read(preset, root):
    wrong, count = [], 0
    for of, name, tables, titles in drawn(root):
        if of == preset:
            figure, _ = draw_tables(name, tables, titles)
            wrong += [f"{name}: {fault}" for fault in faults(figure, {*titles} - {"phases", "averaged"})]
            count += 1
            plt.close(figure)
    verdicts = [Verdict(**entry) for entry in read_json(root / f"results/reference/{preset}/claims.json")]
    figure, _ = draw_verdicts(verdicts)
    wrong += [f"verdicts: {fault}" for fault in faults(figure)]
    plt.close(figure)
    assert count > 15
    assert wrong == []


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda axes: axes.set_title("bayes_relu"), "names"),
        (lambda axes: [axes.text(0.5, 0.5, word) for word in ("one", "two")], "lies on"),
        (lambda axes: axes.text(0.5, 0.5, "tiny", fontsize=3), "points"),
        (lambda axes: axes.text(3, 0.5, "far", transform=axes.transAxes), "off the page"),
    ],
)
def test_what_cannot_be_read_is_found(spoil, fault):
    figure, ((axes, _),) = new_figure(1, 2)
    axes.set_title("a title")
    assert list(faults(figure)) == []
    spoil(axes)
    assert any(fault in line for line in faults(figure))
    plt.close(figure)
