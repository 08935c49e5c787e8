import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text

from hmmrnn.figures import dwell_figure, symbol_color, to_svg, trajectory_figure, transition_figure
from hmmrnn.figures.style import decade

from .contrast import contrast, luminance
from .records import fidelity, portrait

LIGHT, DARK = "#ffffff", "#14171a"


def test_eight_symbols_have_different_colours_that_show_on_light_and_dark_pages():
    colors = [symbol_color(symbol) for symbol in range(8)]
    assert len(set(colors)) == 8
    for color in colors:
        assert contrast(color, LIGHT) > 2
        assert contrast(color, DARK) > 3


def test_the_first_colours_differ_in_lightness_or_blue_for_the_colour_blind():
    """Red-green blindness leaves luminance and the blue-yellow axis: no two may agree in both."""
    seen = [(luminance(symbol_color(s)), to_rgb(symbol_color(s))[2]) for s in range(6)]
    for i, one in enumerate(seen):
        for other in seen[:i]:
            assert np.hypot(*(np.array(one) - other)) > 0.1


def test_a_symbol_has_one_colour_in_all_figures():
    record = fidelity(3)
    panels = dwell_figure(record).axes
    for axes in transition_figure(record).axes:
        for symbol in range(3):
            for label in (axes.get_xticklabels()[symbol], axes.get_yticklabels()[symbol]):
                assert label.get_text() == str(symbol)
                assert label.get_color() == symbol_color(symbol)
    for symbol in range(3):
        assert panels[symbol].lines[1].get_color() == symbol_color(symbol)
        titles = [t for t in panels[symbol].findobj(Text) if t.get_text() == f"symbol {symbol}"]
        assert [title.get_color() for title in titles] == [symbol_color(symbol)]
    lines = trajectory_figure(portrait(symbols=(2, 0))).axes[0].collections[0]
    first, second = (to_hex(color).upper() for color in lines.get_colors()[:2])
    assert (first, second) == (symbol_color(2), symbol_color(0))


def test_drawing_leaves_the_global_settings_alone():
    before = dict(matplotlib.rcParams)
    to_svg(dwell_figure(fidelity()), "dwell")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (0.01, "0.01"),
        (-0.1, "\N{MINUS SIGN}0.1"),
        (1000, "1000"),
        (1e-5, "10⁻⁵"),
        (1e12, "10¹²"),
        (-1e-3, "\N{MINUS SIGN}10⁻³"),
    ],
)
def test_decades_are_plain_text(value, text):
    assert decade(value) == text
