import re
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from hmmrnn.dynamics.mean_shift_report import MeanShiftReport
from hmmrnn.dynamics.spectra import Spectrum
from hmmrnn.figures import symbol_color, to_svg
from hmmrnn.figures.local import (
    N_SHOWN,
    mean_shift_figure,
    spectra_figure,
)
from hmmrnn.figures.style import ZONE_COLORS
from hmmrnn.intervals import UNKNOWN, Estimate
from hmmrnn.recordings.residency_times import ZONES

from .contrast import contrast, luminance

LIGHT, DARK = "#ffffff", "#14171a"
COUNTS = Estimate.stack([Estimate(v, v - 0.1, v + 0.2) for v in (0.4, 1.1, 1.5, 0.3)])
UNKNOWN_COUNTS = Estimate.stack([UNKNOWN] * 4)


def spectrum(n_states=40, n_units=10, seed=0):
    """Conjugate pairs inside of the unit circle, and silent units."""
    rng = np.random.default_rng(seed)
    half = 0.95 * np.exp(1j * rng.uniform(0.05, 0.6, (n_states, n_units // 4)))
    silent = np.zeros((n_states, n_units - 2 * half.shape[1]))
    values = np.concatenate([half, half.conj(), silent], axis=1).astype(np.complex64)
    return Spectrum(values, np.zeros(n_states), np.zeros(n_states))


def report(n_units=12, n_steps=5):
    exact = np.linspace(0.01, 0.3, n_units)[np.random.default_rng(0).permutation(n_units)]
    falling = np.linspace(1, 0.6, n_steps)
    course = Estimate(falling, falling - 0.02, falling + 0.02)
    return MeanShiftReport(
        shift=Estimate(0.1, 0.09, 0.11),
        unit_shift=Estimate(exact, exact, exact),
        activity=Estimate(0.3, 0.2, 0.4),
        exact=exact,
        monte_carlo=exact + 0.01,
        monte_carlo_error=np.full(n_units, 0.005),
        share=course,
        alignment=course,
        linear_share=Estimate.stack([Estimate(0.0, 0.0, 0.05)] * n_steps),
        linear_spread=course,
        n_starts=8,
        n_draws=100,
    )


def nothing(record):
    """`record` of a network without noise."""
    empty = Estimate.stack([UNKNOWN] * len(record.share))
    zeros = np.zeros_like(record.exact)
    return record._replace(
        exact=zeros, monte_carlo=zeros, share=empty, alignment=empty, linear_share=empty
    )


def texts(figure):
    return " ".join(re.findall(r">([^<>]+)<", to_svg(figure, "local")))


def test_four_zones_have_colours_of_their_own_on_light_and_dark_pages():
    assert ZONES == ("cluster", "kick-zone", "transition", "other")
    symbols = [symbol_color(symbol) for symbol in range(8)]
    assert len({*symbols, *ZONE_COLORS}) == 12
    for color in ZONE_COLORS:
        assert contrast(color, LIGHT) > 2
        assert contrast(color, DARK) > 3
    seen = [(luminance(color), to_rgb(color)[2]) for color in ZONE_COLORS]
    for one, other in combinations(seen, 2):  # what red-green blindness leaves
        assert np.hypot(*(np.array(one) - other)) > 0.1


def test_eigenvalues_stand_where_they_map_to_in_the_colour_of_their_zone():
    found = spectrum()
    zones = np.arange(40) % 4
    points = {
        to_hex(line.get_color()).upper(): line.get_xydata()
        for line in spectra_figure(found, zones, COUNTS, COUNTS).axes[0].lines[:4]
    }
    for zone, color in enumerate(ZONE_COLORS):
        values = found.eigenvalues[zones == zone]
        mapped = (values - 1) / (values + 1)
        kept = mapped[(values.imag > 0)]
        expected = np.stack([kept.real, kept.imag], axis=1)
        np.testing.assert_allclose(points[color], expected, rtol=1e-5)


def test_many_states_stay_readable_and_small():
    found = spectrum(n_states=2_000, n_units=40)
    figure = spectra_figure(found, np.arange(2_000) % 4, COUNTS, COUNTS)
    for line in figure.axes[0].lines[:4]:
        assert len(line.get_xydata()) <= N_SHOWN
    assert len(to_svg(figure, "spectra")) < 400_000


def test_counts_have_whiskers_by_zone():
    lines = spectra_figure(spectrum(), np.zeros(40, int), COUNTS, COUNTS).axes[1].lines
    for i, found in enumerate([*COUNTS, *COUNTS]):
        whisker, dot = lines[2 * i : 2 * i + 2]
        np.testing.assert_allclose(whisker.get_ydata(), [found.low, found.high])
        np.testing.assert_allclose(dot.get_ydata(), [found.value])
        assert to_hex(dot.get_color()).upper() == ZONE_COLORS[i % 4]


def test_the_legend_names_only_zones_with_states():
    figure = spectra_figure(spectrum(), np.where(np.arange(40) < 20, 0, 2), COUNTS, COUNTS)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["cluster", "transition"]


def test_what_lies_outside_is_told():
    found = spectrum()
    values = found.eigenvalues.copy()
    values[:, 0] = -1.5  # maps to 5
    figure = spectra_figure(found._replace(eigenvalues=values), np.zeros(40, int), COUNTS, COUNTS)
    assert "lie outside" in texts(figure)
    assert "lie outside" not in texts(spectra_figure(found, np.zeros(40, int), COUNTS, COUNTS))


@pytest.mark.parametrize("value", [0, np.nan])
def test_spectra_without_a_value_give_a_note(value):
    found = spectrum()
    found = found._replace(eigenvalues=np.full_like(found.eigenvalues, value))
    shown = texts(spectra_figure(found, np.full(40, 3), UNKNOWN_COUNTS, UNKNOWN_COUNTS))
    assert "no unit is active" in shown
    assert "no zone has states" in shown


def test_units_are_sorted_by_their_shift_with_whiskers():
    record = report()
    axes = mean_shift_figure(record).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.sort(record.exact)[::-1])
    for segment, exact in zip(
        axes.collections[0].get_segments(), np.sort(record.exact)[::-1], strict=True
    ):
        np.testing.assert_allclose(segment[:, 1], exact + 0.01 + 1.96 * 0.005 * np.array([-1, 1]))


def test_shares_are_drawn_along_the_steps():
    record = report()
    axes = mean_shift_figure(record).axes[1]
    for line, course in zip(
        axes.lines, (record.share, record.alignment, record.linear_share), strict=True
    ):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 5])
        np.testing.assert_allclose(line.get_ydata(), course.value)
    assert axes.get_xlabel() == "steps since the start"


@pytest.mark.parametrize("size", [(12, 5), (1, 1)])
def test_without_noise_both_panels_say_so(size):
    record = report(*size)
    to_svg(mean_shift_figure(record), "shift")
    shown = texts(mean_shift_figure(nothing(record)))
    assert "noise shifts no unit" in shown
    assert "noise does not" in shown
