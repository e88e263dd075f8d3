"""Every figure of the committed references can be read: no keys where words belong, no text on text or off the page."""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import Collection, LineCollection, PathCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox

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
    scaled = axis.get_transform().transform  # what a logarithmic axis is even in
    low, high = sorted(scaled(axis.get_view_interval()))
    slack = 1e-6 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    beyond = [tick for tick in ticks if not low - slack <= scaled(tick.get_loc()) <= high + slack]
    return [text for tick in beyond for text in (tick.label1, tick.label2)]


def squares(places, sizes):
    """Squares of so many pixels about places (n, 2)."""
    at = [
        Affine2D().translate(-0.5, -0.5).scale(size).translate(*place)
        for place, size in zip(places, sizes, strict=True)
    ]
    return [Path.unit_rectangle().transformed(transform) for transform in at]


def drawn_paths(axes):
    """Lines, error bars, markers and bars of a panel, each with its paths in pixels."""
    dots = axes.figure.dpi / 72
    for line in filter(Line2D.get_visible, axes.lines):
        points = line.get_transform().transform(np.reshape(line.get_xydata(), (-1, 2)))
        if line.get_linestyle() != "None" and len(points) > 1:
            yield line, [Path(points)]
        if line.get_marker() not in ("None", "", None):
            yield line, squares(points, np.full(len(points), line.get_markersize() * dots))
    for artist in filter(Collection.get_visible, axes.collections):
        if isinstance(artist, LineCollection):
            yield artist, [artist.get_transform().transform_path(path) for path in artist.get_paths()]
        elif isinstance(artist, PathCollection):
            places = artist.get_offset_transform().transform(artist.get_offsets())
            yield artist, squares(places, dots * np.sqrt(np.resize(artist.get_sizes(), len(places))))
    for patch in axes.patches:
        if isinstance(patch, Rectangle) and patch.get_visible():
            yield patch, [patch.get_transform().transform_path(patch.get_path())]


def on_data(figure):
    """Words and legends inside a panel that lines, markers or the edges of bars run through."""
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        inside = axes.get_window_extent(renderer)
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in axes.texts if text.get_text().strip()]
        legend = axes.get_legend()
        if legend is not None:
            boxes.append((f"legend of {legend.get_texts()[0].get_text()}", legend.get_window_extent(renderer)))
        for words, box in boxes:
            seen = Bbox.intersection(box.padded(-1), inside)
            if seen is None:
                continue
            for artist, paths in drawn_paths(axes):
                if any(path.intersects_bbox(seen, filled=False) for path in paths):
                    yield f"{words!r} lies on {type(artist).__name__} in {axes.get_title()!r}"
                    break


def faults(figure, keys=()):
    found = texts(figure)
    yield from on_data(figure)
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
        (lambda axes: (axes.plot([0, 1], [0, 1]), axes.text(0.48, 0.5, "words")), "'words' lies on Line2D"),
        (lambda axes: (axes.plot([0, 1, 2], [1, 1.1, 1], "o"), axes.text(0.95, 1.1, "words")), "lies on Line2D"),
        (lambda axes: (axes.scatter([0, 1, 2], [1, 2, 1]), axes.text(0.95, 2, "words")), "lies on PathCollection"),
        (lambda axes: (axes.errorbar([0], [1], [1]), axes.text(-0.001, 0.5, "words")), "lies on LineCollection"),
        (lambda axes: (axes.axhline(0.5), axes.text(0.3, 0.49, "words")), "lies on Line2D"),
        (lambda axes: (axes.bar([0, 1], [1, 2]), axes.text(0.3, 0.5, "words")), "lies on Rectangle"),
        (lambda axes: (axes.plot([0, 1], [0, 1], label="a curve"), axes.legend(loc="center")), "legend of a curve"),
    ],
)
def test_what_cannot_be_read_is_found(spoil, fault):
    figure, ((axes, _),) = new_figure(1, 2)
    axes.set_title("a title")
    assert list(faults(figure)) == []
    spoil(axes)
    assert any(fault in line for line in faults(figure))
    plt.close(figure)


def test_words_beside_data_are_no_fault():
    figure, ((axes, other),) = new_figure(1, 2)
    axes.plot([0, 1], [0, 1], "o-", label="a curve")
    axes.text(0.5, 0.02, "below it")
    axes.legend(loc="upper left")
    other.bar([0, 1], [1, 2])
    other.text(0, 1.1, "above it", ha="center")
    other.text(1, 0.5, "inside", ha="center")
    assert list(faults(figure)) == []
