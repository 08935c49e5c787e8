import re
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from hmmrnn.figures import (
    dwell_figure,
    ngram_figure,
    save,
    to_svg,
    training_figure,
    trajectory_figure,
    transition_figure,
)

from .records import fidelity, fit, portrait, silent, still

SVG = "{http://www.w3.org/2000/svg}"


def figures(config, k=3):
    return {
        "training": training_figure(fit(config, [5.0, 2.0, 0.6, -0.1] * 10), 0.256),
        "transitions": transition_figure(fidelity(k)),
        "ngrams": ngram_figure(fidelity(k)),
        "dwell": dwell_figure(fidelity(k)),
        "trajectories": trajectory_figure(portrait(symbols=range(k))),
    }


@pytest.fixture(scope="module")
def svgs(smoke):
    return {name: to_svg(figure, name) for name, figure in figures(smoke).items()}


def test_svg_is_well_formed_and_takes_size_and_colour_from_the_page(svgs):
    for name, svg in svgs.items():
        root = ElementTree.fromstring(svg)
        assert root.tag == f"{SVG}svg", name
        assert root.get("viewBox")
        assert root.get("height") is None
        assert root.get("width") == "100%"
        assert root.get("role") == "img"
        assert len(root.get("aria-label")) > 20
        assert "currentColor" in svg
        assert "#010203" not in svg
        assert "DejaVu" not in svg


def test_svg_refers_to_nothing_outside(svgs):
    for svg in svgs.values():
        outside = re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
        assert "http" not in outside
        assert not re.search(r'href="(?!#)', svg)
        assert not re.search(r"<(style|script|metadata|image)\b|<!|<\?", svg)


def test_all_ids_of_one_page_differ_and_all_references_resolve(svgs):
    ids = [found for svg in svgs.values() for found in re.findall(r'\bid="([^"]*)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in svgs.values():
        inside = set(re.findall(r'\bid="([^"]*)"', svg))
        referred = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg))
        assert referred
        assert {a or b for a, b in referred} <= inside


def test_the_same_figure_gives_the_same_svg(svgs, smoke):
    for name, figure in figures(smoke).items():
        assert to_svg(figure, name) == svgs[name], name
        assert to_svg(figure, name) == svgs[name], name


def test_labels_stay_text(svgs):
    words = {
        "training": ["epoch", "loss", "volatility (per step)"],
        "transitions": ["present symbol", "next symbol"],
        "ngrams": ["probability of 3-gram, HMM", "probability of 3-gram, network"],
        "dwell": ["dwell time (steps)", "probability"],
        "trajectories": ["PC1 (53 % of variance)", "PC2 (16 % of variance)"],
    }
    for name, labels in words.items():
        found = {e.text for e in ElementTree.fromstring(svgs[name]).iter(f"{SVG}text")}
        assert set(labels) <= found, name


def test_save_writes_into_the_run_folder(tmp_path, svgs):
    path = save(tmp_path, "dwell", dwell_figure(fidelity(3)))
    assert path == tmp_path / "figures" / "dwell.svg"
    assert path.read_text() == svgs["dwell"]


@pytest.mark.parametrize("k", [2, 3, 8])
def test_no_text_is_tiny_or_covers_other_text(smoke, k):
    odd = {
        "silent transitions": transition_figure(silent(fidelity(k))),
        "silent dwell": dwell_figure(silent(fidelity(k))),
        "silent ngrams": ngram_figure(silent(fidelity(k))),
        "still": trajectory_figure(still(portrait())),
    }
    for name, figure in (figures(smoke, k) | odd).items():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        texts = shown_texts(figure)
        boxes = [t.get_window_extent(canvas.get_renderer()).shrunk(0.9, 0.8) for t in texts]
        assert len(texts) > 3
        for i, box in enumerate(boxes):
            assert texts[i].get_fontsize() >= 7.5
            inside = figure.bbox.padded(2)
            assert inside.contains(box.x0, box.y0), (name, texts[i])
            assert inside.contains(box.x1, box.y1), (name, texts[i])
            for j in range(i):
                assert not box.overlaps(boxes[j]), (name, texts[i], texts[j])


def shown_texts(figure):
    """All texts but those of hidden panels and of ticks out of sight."""
    found = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        if axes.get_visible():
            hidden = set()
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                for tick in axis.get_major_ticks():
                    if not low <= tick.get_loc() <= high:
                        hidden |= {tick.label1, tick.label2}
            found += [text for text in axes.findobj(Text) if text not in hidden]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def test_the_last_bits_of_a_layout_do_not_show():
    """A constrained layout comes out a little different from one process to the next."""
    one, two = trajectory_figure(portrait()), trajectory_figure(portrait())
    for axes in two.axes:
        x, y, width, height = axes.get_position().bounds
        axes.set_position((x, y + 1e-15, width, height + 1e-15))
    assert to_svg(one, "trajectories") == to_svg(two, "trajectories")
