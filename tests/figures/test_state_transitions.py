import numpy as np
import pytest

from hmmrnn.figures import symbol_color
from hmmrnn.figures.circuits import CONTROL
from hmmrnn.figures.state_transitions import holding_figure, optimal_kick_figure

from .circuit_records import assert_plain_small_and_readable, holding, kick_test, texts


def values(responses):
    return responses.probability.value


def test_each_change_has_the_escape_and_the_arrival():
    found = holding()
    arms = holding_figure(found).axes[0]
    rows = [label.get_text() for label in arms.get_yticklabels()]
    assert rows == [
        "left alone",
        "no drive to carriers of 0",
        "carriers of 0 clamped",
        "carriers of 2 clamped",
        "all carriers clamped",
        "all others clamped",
        "no drive to controls",
        "controls clamped",
    ]
    dots = [line for line in arms.lines if line.get_markersize() == 5.5]
    for row, (name, arm) in enumerate(found.arms.items()):
        leaves, arrives = dots[2 * row : 2 * row + 2]
        assert float(leaves.get_xdata()[0]) == arm.escape.value
        assert float(arrives.get_xdata()[0]) == arm.arrival.value
        assert arrives.get_markerfacecolor() == "none"
        assert round(float(leaves.get_ydata()[0])) == round(float(arrives.get_ydata()[0])) == row
        assert (leaves.get_markeredgecolor() == CONTROL) == ("controls" in name)
    spans = [tuple(line.get_xdata()) for line in arms.lines if len(line.get_xdata()) == 2]
    assert found.arms["baseline"].escape.parts[1:] in spans
    each = [float(line.get_xdata()[0]) for line in arms.lines if line.get_markersize() == 2.5]
    assert each == [a.escape.value for a in (*found.drive_controls, *found.clamp_controls)]


def test_the_gains_of_the_weights_of_carriers_have_their_lines():
    found = holding()
    gains = holding_figure(found).axes[1]
    within, across = (line for line in gains.lines if len(line.get_xdata()) == 4)
    np.testing.assert_array_equal(within.get_xdata(), found.gains)
    np.testing.assert_array_equal(within.get_ydata(), [arm.escape.value for arm in found.within])
    np.testing.assert_array_equal(across.get_ydata(), [arm.escape.value for arm in found.across])
    assert (within.get_color(), across.get_color()) == (symbol_color(0), symbol_color(2))


def test_kicks_have_their_dose_responses():
    found = kick_test()
    whole, parts, *_ = optimal_kick_figure(found).axes
    given = found.injection
    lines = [line for line in whole.lines if len(line.get_xdata()) == 4]
    for line, response, color in zip(
        lines,
        (given.random, given.reverse, given.linear, given.optimal),
        (CONTROL, symbol_color(0), symbol_color(2), symbol_color(2)),
        strict=True,
    ):
        np.testing.assert_array_equal(line.get_xdata(), given.doses)
        np.testing.assert_array_equal(line.get_ydata(), values(response))
        assert line.get_color() == color
    band = whole.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == given.random_range[0]
    drawn = [line for line in parts.lines if len(line.get_xdata()) == 4]
    expected = [r for pair in zip(given.through, given.without, strict=True) for r in pair]
    for i, (line, response) in enumerate(zip(drawn, expected, strict=True)):
        np.testing.assert_array_equal(line.get_ydata(), values(response))
        assert line.is_dashed() == (i % 2 == 1)


def test_real_noise_stands_beside_waiting_and_the_kick_along_its_steps():
    found = kick_test()
    *_, natural, lags = optimal_kick_figure(found).axes
    for row, (mean, spread) in enumerate(
        (
            (found.natural.events, found.natural.events_std),
            (found.natural.others, found.natural.others_std),
        )
    ):
        wide, interval, dot = natural.lines[3 * row : 3 * row + 3]
        np.testing.assert_allclose(wide.get_xdata(), [mean.value - spread, mean.value + spread])
        np.testing.assert_allclose(interval.get_xdata(), [mean.low, mean.high])
        np.testing.assert_allclose(dot.get_xdata(), mean.value)
    assert natural.get_title("left") == "AUC 0.92 [0.89, 0.95]"
    bars = lags.patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], found.kick.lag_energy)
    np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in bars], range(-4, 1))


@pytest.mark.parametrize("pair", [(0, 2), (1, 0)])
def test_figures_are_plain_small_and_readable(pair):
    for figure in (holding_figure(holding(pair)), optimal_kick_figure(kick_test(pair))):
        assert_plain_small_and_readable(figure)


def test_clusters_without_states_and_kicks_that_were_not_found_say_so():
    figure = holding_figure(holding(value=np.nan))
    assert texts(figure).count("no state in the cluster of 0") == 2
    assert_plain_small_and_readable(figure)
    figure = optimal_kick_figure(kick_test(value=np.nan))
    assert texts(figure).count("no kick was found") == 3
    assert "nothing to compare" in texts(figure)
    assert_plain_small_and_readable(figure)


def test_holding_without_controls():
    found = holding()
    arms = dict(list(found.arms.items())[:6])
    figure = holding_figure(found._replace(arms=arms, drive_controls=[], clamp_controls=[]))
    assert "controls" not in texts(figure)
    assert_plain_small_and_readable(figure)
