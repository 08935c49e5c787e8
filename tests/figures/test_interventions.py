from dataclasses import replace

import numpy as np
import pytest

from hmmrnn.circuits.dose_responses import KINDS
from hmmrnn.figures import symbol_color
from hmmrnn.figures.circuits import CONTROL
from hmmrnn.figures.interventions import TITLES, dose_response_figure, window_figure
from hmmrnn.figures.style import FOREGROUND

from .circuit_records import (
    WINDOWS,
    assert_plain_small_and_readable,
    course,
    outcomes,
    response,
    texts,
    window_effects,
)

NAMES = ("kick 0>2", "population 0>2", "control 0", "control 1")


def dose_responses(**others):
    return {kind: response(kind, **others) for kind in KINDS}


def lines_of(axes, n):
    return [line for line in axes.lines if len(line.get_xdata()) == n]


def test_each_dial_has_both_directions_in_the_colours_of_their_targets():
    assert set(TITLES) == set(KINDS)
    found = dose_responses()
    figure = dose_response_figure(found, (0, 2))
    for axes, kind in zip(figure.axes, KINDS, strict=True):
        assert axes.get_title("left") == TITLES[kind]
        ratio = found[kind].outcome.ratio
        for line, way in zip(lines_of(axes, 4), ((0, 2), (2, 0)), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), [0.0, 0.5, 1.0, 2.0])
            np.testing.assert_array_equal(line.get_ydata(), ratio.value[:, *way])
            assert line.get_color() == symbol_color(way[1])
            assert line.is_dashed() == (way == (2, 0))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["0 → 2", "2 → 0", "0 → 2, controls"]


def test_bands_and_control_ranges_are_those_of_the_record():
    found = dose_responses()
    axes = dose_response_figure(found, (0, 2)).axes[0]
    band = axes.collections[0].get_paths()[0].vertices
    ratio = found["kick"].outcome.ratio
    assert band[:, 1].max() == ratio.high[:, 0, 2].max()
    assert band[:, 1].min() == ratio.low[:, 0, 2].min()
    grey = [line for line in axes.lines if line.get_color() == CONTROL]
    control = found["kick"].control.ratio
    for dose, i in ((0.0, 0), (2.0, 1)):
        span, point = grey[2 * i : 2 * i + 2]
        assert set(span.get_xdata()) == {dose}
        np.testing.assert_array_equal(
            span.get_ydata(), [control.low[i, 0, 2], control.high[i, 0, 2]]
        )
        np.testing.assert_array_equal(point.get_ydata(), control.value[i, 0, 2])


@pytest.mark.parametrize(("scale", "kind"), [(2.0, "linear"), (60.0, "symlog")])
def test_large_ratios_get_a_logarithmic_axis_with_all_values(scale, kind):
    figure = dose_response_figure(dose_responses(scale=scale), (0, 2))
    for axes in figure.axes:
        assert axes.get_yscale() == kind
        low, high = axes.get_ylim()
        assert low < 0
        assert high > scale
    assert_plain_small_and_readable(figure)


def test_unknown_doses_are_gaps_and_a_dose_between_gaps_keeps_its_interval():
    one = response("kick")
    value = one.outcome.ratio.value.copy()
    value[[1, 3], 0, 2] = np.nan
    ratio = replace(one.outcome.ratio, value=value)
    one = one._replace(outcome=one.outcome._replace(ratio=ratio))
    axes = dose_response_figure({"kick": one}, (0, 2)).axes[0]
    np.testing.assert_array_equal(lines_of(axes, 4)[0].get_ydata(), value[:, 0, 2])
    whiskers = [c.get_segments() for c in axes.collections if hasattr(c, "get_segments")]
    np.testing.assert_allclose(
        whiskers[0], [[[x, r - 0.05], [x, r + 0.05]] for x, r in ((0, 0), (1, 0.25))]
    )


def test_dose_responses_that_are_missing_or_unknown_say_so():
    blank = response("noise")._replace(
        outcome=outcomes(4), control=outcomes(2), n_controls=0, kind="noise"
    )
    figure = dose_response_figure({"kick": response("kick"), "noise": blank}, (0, 2))
    assert texts(figure).count("not measured") == 2
    assert "no run stays finite" in texts(figure)
    assert_plain_small_and_readable(figure)
    assert_plain_small_and_readable(dose_response_figure({}, (1, 0)))


def test_windows_show_what_each_group_prevents():
    found = window_effects()
    prevented, lost = window_figure(found, NAMES).axes
    for axes, groups in ((prevented, found.prevented), (lost, found.swing_lost)):
        lines = lines_of(axes, len(WINDOWS))
        for line, group, name in zip(lines, groups, NAMES, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), WINDOWS)
            np.testing.assert_array_equal(line.get_ydata(), group.value)
            is_control = name.startswith("control")
            assert line.get_color() == (CONTROL if is_control else symbol_color(2))
        bands = [c.get_paths()[0].vertices for c in axes.collections if len(c.get_paths()) == 1]
        assert len(bands) == 2  # of groups; controls have none
        assert bands[0][:, 1].max() == groups[0].high.max()


def test_steps_whose_window_reaches_the_readout_are_shaded():
    prevented, lost = window_figure(window_effects(), NAMES).axes
    for axes, first_read in ((prevented, 5), (lost, 3)):
        (shade,) = axes.patches
        assert shade.get_x() == first_read - 3 + 1  # the last of 3 steps is the first that is read
        assert shade.get_x() + shade.get_width() == max(WINDOWS)


def test_controls_share_one_entry_of_the_legend():
    figure = window_figure(window_effects(), NAMES)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["kick 0 → 2", "population 0 → 2", "controls"]
    assert_plain_small_and_readable(figure)


def test_carriers_have_the_names_and_colours_of_their_symbols():
    names = ("carriers of s", "carriers of t", "pushers")
    figure = window_figure(window_effects(3), names, (2, 1))
    lines = lines_of(figure.axes[0], len(WINDOWS))
    assert [line.get_color() for line in lines] == [symbol_color(2), symbol_color(1), FOREGROUND]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["carriers of 2", "carriers of 1", "pushers"]


def test_windows_without_a_transition_say_so():
    found = window_effects()
    blank = course(np.full((4, len(WINDOWS)), np.nan))
    figure = window_figure(found._replace(prevented=blank, swing_lost=blank, n_events=0), NAMES)
    assert texts(figure).count("no transition") == 2
    assert_plain_small_and_readable(figure)
