import numpy as np
import pytest
from matplotlib.colors import to_hex

from hmmrnn.dynamics.sensitivity import ZoneSensitivity
from hmmrnn.figures import to_svg
from hmmrnn.figures.residency import N_SHOWN, noise_sensitivity_figure, residency_figure
from hmmrnn.figures.style import FOREGROUND, ZONE_COLORS
from hmmrnn.recordings.residency_times import ZONES as NAMES
from hmmrnn.recordings.residency_times import Residency

from .records import spread

EXPLAINED = np.array([0.528, 0.165, 0.05])
TIMES = (12.0, 8.0, 2.0, 1.5, 30.0, np.nan)
ZONES = (0, 1, 1, 2, 3, -1)


def record(times=TIMES, zones=ZONES, repeats=10):
    """A residency record, its zones, points in three components, and shares."""
    time, zone = np.tile(times, repeats), np.tile(zones, repeats)
    rate = np.where(np.isfinite(time), 0.4, np.nan)
    nothing = np.zeros(len(time))
    found = Residency(
        time, nothing, nothing, rate * (time - 1), rate, nothing.astype(int), nothing, len(time)
    )
    points = np.random.default_rng(0).normal(size=(len(time), 3))
    n = max(1, np.sum(zone >= 0))
    values = [np.sum(zone == z) / n for z in range(4)]
    return found, zone, points, EXPLAINED, spread(values)


def sensitivity(scale=1.0, n_starts=50, n_mixes=3, n_steps=6):
    course = spread(scale * np.outer(np.arange(n_mixes), 1 + np.arange(n_steps)))
    return ZoneSensitivity(course, course, course, course, n_starts)


def nowhere(n_mixes=3, n_steps=6):
    return sensitivity(np.nan, 0, n_mixes, n_steps)


def test_states_stand_in_the_plane_with_the_colour_of_their_zone():
    found, zone, points, *_ = drawn = record()
    lines = residency_figure(*drawn).axes[0].lines
    seen = {to_hex(line.get_color()).upper(): np.array(line.get_xydata()) for line in lines}
    for z, color in enumerate(ZONE_COLORS):
        np.testing.assert_array_equal(seen[color], points[zone == z, :2])
    assert sum(map(len, seen.values())) == np.sum(np.isfinite(found.time))


def test_runs_by_steps_look_the_same_as_one_row_of_states():
    found, zone, points, *others = record()
    square = Residency(*(np.reshape(x, (6, 10)) if np.ndim(x) else x for x in found))
    one = residency_figure(found, zone, points, *others)
    two = residency_figure(square, zone.reshape(6, 10), points.reshape(6, 10, 3), *others)
    assert to_svg(one, "residency") == to_svg(two, "residency")


def test_bars_show_shares_with_intervals():
    *_, shares = drawn = record()
    bars = residency_figure(*drawn).axes[1]
    np.testing.assert_allclose([p.get_height() for p in bars.patches], 100 * shares.value)
    for line, share in zip(bars.lines, shares, strict=True):
        np.testing.assert_allclose(line.get_ydata(), [100 * share.low, 100 * share.high])
    assert [tick.get_text() for tick in bars.get_xticklabels()] == list(NAMES)


@pytest.mark.parametrize("longest", [1.0, 12.0, 16.0, 60.0])
def test_the_histogram_holds_all_times_and_divides_them_at_the_thresholds(longest):
    times = (*TIMES, longest)
    zones = (*ZONES, 3)
    axes = residency_figure(*record(times, zones)).axes[2]
    heights = {color: 0.0 for color in ZONE_COLORS}
    for bar in axes.patches:
        color = to_hex(bar.get_facecolor()).upper()
        heights[color] += bar.get_height()
        if color == ZONE_COLORS[1] and bar.get_height():  # 2 and 8 belong to the kick-zone
            assert bar.get_x() >= 2
            assert bar.get_x() + bar.get_width() < 8.001
    shares = [100 * np.mean(np.array(zones)[np.array(zones) >= 0] == z) for z in range(4)]
    np.testing.assert_allclose(list(heights.values()), shares)
    assert {line.get_xdata()[0] for line in axes.lines} == {2.0, 8.0}


def test_sign_changes_have_the_level_of_independent_values():
    axes = residency_figure(*record()).axes[3]
    level = [line for line in axes.lines if line.get_label() == "independent values"]
    assert level[0].get_ydata()[0] == pytest.approx(2 / 3)
    assert level[0].get_color() == FOREGROUND


def test_no_more_points_than_can_be_seen_and_a_small_file():
    figure = residency_figure(*record(repeats=3_000))
    assert sum(len(line.get_xdata()) for line in figure.axes[0].lines) <= N_SHOWN
    assert len(to_svg(figure, "residency")) < 400_000


def test_without_a_residency_time_panels_say_so():
    found, zone, points, explained, _ = record((np.nan,), (-1,))
    figure = residency_figure(found, zone, points[:, :1], explained[:1], spread([np.nan] * 4))
    svg = to_svg(figure, "residency")
    assert svg.count("residency time</") >= 3
    assert "no zone has states" in svg
    assert not figure.legends


def test_spread_is_drawn_by_zone_and_share_with_its_interval():
    zones = [sensitivity(1.0), sensitivity(3.0, 20), nowhere()]
    figure = noise_sensitivity_figure(zones)
    lines = figure.axes[0].lines
    assert len(lines) == 9
    for i, line in enumerate(lines[:6]):
        course = zones[i // 3].covariance_trace[i % 3]
        assert line.get_color() == ZONE_COLORS[i // 3]
        assert line.get_linestyle() == (":", "--", "-")[i % 3]
        np.testing.assert_allclose(line.get_ydata(), course.value)
    band = figure.axes[0].collections[2].get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [1.8, 13.2])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [
        "cluster (50 starts)",
        "kick-zone (20 starts)",
        "transition (0 starts)",
        "g = 0",
        "g = 0.5",
        "g = 1",
    ]


def test_no_start_at_all_is_said():
    svg = to_svg(noise_sensitivity_figure([nowhere()] * 3), "noise_sensitivity")
    assert svg.count("no start<") == 2


def test_one_share_and_one_step_are_enough():
    zones = [sensitivity(n_mixes=1, n_steps=1), nowhere(1, 1)]
    svg = to_svg(noise_sensitivity_figure(zones, mixes=(1.0,)), "noise_sensitivity")
    assert "g = 1" in svg
