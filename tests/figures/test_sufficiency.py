import numpy as np

from hmmrnn.figures import symbol_color
from hmmrnn.figures.circuits import CONTROL
from hmmrnn.figures.sufficiency import pulse_figure, replay_figure, resonance_figure
from hmmrnn.intervals import UNKNOWN

from .circuit_records import (
    DOSES,
    assert_plain_small_and_readable,
    course,
    outcomes,
    pulse_effects,
    replay_effects,
    resonance,
    texts,
)

PULSED = ("kick 0>2", "population 0>2", "control 0", "control 1")
REPLAYED = ("no unit", "all units", "population 0>2", "all others", "control 0", "control 1")
ON_TIME = (0.1, 0.9, 0.5, 0.3, 0.12, 0.15)


def dots(axes):
    return [line for line in axes.lines if line.get_marker() == "o"]


def test_pulses_have_their_dose_responses():
    found = pulse_effects()
    figure = pulse_figure(found, PULSED)
    (axes,) = figure.axes
    for line, group, name in zip(axes.lines, found.probability, PULSED, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), DOSES)
        np.testing.assert_array_equal(line.get_ydata(), group.value)
        assert line.get_color() == (CONTROL if name.startswith("control") else symbol_color(2))
    assert axes.get_ylabel() == "probability within 15 steps"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["kick 0 → 2", "population 0 → 2", "controls"]
    assert_plain_small_and_readable(figure)


def test_pulses_without_a_start_say_so():
    found = pulse_effects()
    blank = found._replace(probability=course(np.full((4, len(DOSES)), np.nan)), n_starts=0)
    assert "no state in the cluster" in texts(pulse_figure(blank, PULSED))


def test_replays_have_a_row_for_each_group_and_one_for_all_controls():
    figure = replay_figure(replay_effects(ON_TIME), None, REPLAYED)
    (axes,) = figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["no unit", "all units", "population 0 → 2", "all others", "controls"]
    assert [float(dot.get_xdata()[0]) for dot in dots(axes)] == list(ON_TIME)
    assert [int(dot.get_ydata()[0]) for dot in dots(axes)] == [0, 1, 2, 3, 4, 4]
    assert dots(axes)[2].get_markeredgecolor() == symbol_color(2)
    spans = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(spans, [[v - 0.03, v + 0.03] for v in ON_TIME])
    assert not figure.legends
    assert_plain_small_and_readable(figure)


def test_replays_from_their_own_state_are_open():
    figure = replay_figure(
        replay_effects(ON_TIME), replay_effects(np.array(ON_TIME) + 0.05), REPLAYED
    )
    filled, empty = (
        [float(d.get_xdata()[0]) for d in dots(figure.axes[0]) if (d.get_mfc() == "none") == none]
        for none in (False, True)
    )
    np.testing.assert_allclose(filled, ON_TIME)
    np.testing.assert_allclose(empty, np.array(ON_TIME) + 0.05)
    assert_plain_small_and_readable(figure)


def test_replays_without_an_event_say_so():
    blank = replay_effects([np.nan] * 6)
    figure = replay_figure(blank, blank, REPLAYED)
    assert "no transition to replay" in texts(figure)
    assert_plain_small_and_readable(figure)


def test_regularity_and_rate_stand_over_the_gain():
    found, everywhere = resonance(), resonance(40, identity=True, cv=(np.nan, 0.8, 0.8, 0.8, 0.8))
    figure = resonance_figure(found, everywhere)
    regular, often = figure.axes
    for axes, name in ((regular, "pooled_cv"), (often, "per_step")):
        grey, own = (line for line in axes.lines if len(line.get_xdata()) == 5)
        np.testing.assert_array_equal(own.get_ydata(), getattr(found.outcome, name).value)
        np.testing.assert_array_equal(grey.get_ydata(), getattr(everywhere.outcome, name).value)
        np.testing.assert_array_equal(own.get_xdata(), found.gains)
        assert grey.get_color() == CONTROL
    assert regular.get_title("left") == "dip 0.10 [\N{MINUS SIGN}0.02, 0.20] at 1.5"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["into 20 units", "into 40 units, flat by construction"]
    assert_plain_small_and_readable(figure)


def test_a_network_that_never_changes_has_no_regularity():
    found = resonance()._replace(outcome=outcomes(5), best_gain=np.nan, dip=UNKNOWN)
    figure = resonance_figure(found, None)
    assert texts(figure).count("fewer than two dwell times") == 2
    assert figure.axes[0].get_title("left") == ""
    assert_plain_small_and_readable(figure)
