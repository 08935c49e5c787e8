import numpy as np
import pytest

from hmmrnn.circuits.connectivity import Blocks
from hmmrnn.figures import symbol_color
from hmmrnn.figures.circuit_matrices import (
    composition_figure,
    ordered_weights_figure,
    weight_block_figure,
)
from hmmrnn.figures.circuits import (
    CONTROL,
    GRID,
    group_look,
    kick_plane_figure,
    kick_score_figure,
    transition_activity_figure,
)
from hmmrnn.figures.heat_map import LEVELS
from hmmrnn.figures.style import SYMBOL_COLORS, ZONE_COLORS

from .circuit_records import (
    SIX,
    TWO,
    assert_plain_small_and_readable,
    circuit,
    mask,
    texts,
    unchanging,
)
from .contrast import contrast
from .heat_cells import cells_of, rectangles, values_at

LIGHT, DARK = "#ffffff", "#14171a"


def test_a_group_has_the_colour_of_the_symbol_it_leads_to_and_controls_are_grey():
    assert group_look("kick 0>2")["color"] == symbol_color(2)
    assert group_look("population 2>0")["color"] == symbol_color(0)
    assert group_look("kick 0>2")["ls"] != group_look("population 0>2")["ls"]
    assert group_look("control 3") == group_look("controls")
    assert CONTROL not in {*SYMBOL_COLORS, *ZONE_COLORS}
    assert contrast(CONTROL, LIGHT) > 2
    assert contrast(CONTROL, DARK) > 3


def test_the_plane_shows_the_mean_of_each_cell_in_standard_deviations():
    found = circuit(n_states=40)
    figure = kick_plane_figure(found)
    for axes, pair in zip(figure.axes, found.pairs, strict=False):
        level = found.seen_preactivation[:, pair.kick.kick].mean(1)
        level = np.clip(level / level.std(), -2, 2)
        cells = cells_of(axes)
        shown = values_at(cells, found.seen)
        alone = [np.sum(np.abs(found.seen - point).max(1) < 0.6) == 1 for point in found.seen]
        both = np.isfinite(shown) & alone
        assert both.sum() > 5
        np.testing.assert_allclose(shown[both], level[both], atol=4 / (LEVELS - 1))
        width = np.ptp(axes.get_xlim())
        heights = [y1 - y0 for _, y0, _, y1, _ in rectangles(cells)]
        np.testing.assert_allclose(heights, width / GRID, rtol=0.1)


def test_the_plane_names_its_groups_and_those_without_kick_neurons():
    found = circuit()
    figure = kick_plane_figure(found)
    assert [axes.get_title("left") for axes in figure.axes[:2]] == [
        "kick 0 → 2, 2 units",
        "kick 2 → 0, 2 units",
    ]
    assert "PC1 (50 % of variance)" in texts(figure)
    assert "mean pre-activation of the kick group (s.d.)" in texts(figure)
    none = mask([], 40)
    quiet = found.pairs[1]._replace(kick=found.pairs[1].kick._replace(kick=none))
    figure = kick_plane_figure(found._replace(pairs=(found.pairs[0], quiet)))
    assert "without kick neurons: 2 → 0" in texts(figure)
    assert not figure.axes[1].get_visible()


def test_scores_and_pushes_stand_where_the_record_has_them():
    found = circuit()
    for axes, pair in zip(kick_score_figure(found).axes, found.pairs, strict=True):
        kick = pair.kick
        marks = [line for line in axes.lines if line.get_marker() == "o"]
        for line, units in zip(
            marks,
            (~kick.kick_like, kick.kick_like & ~kick.kick, kick.kick),
            strict=True,
        ):
            np.testing.assert_array_equal(line.get_xdata(), kick.score[units])
            np.testing.assert_array_equal(line.get_ydata(), kick.push[units])
        rest, like, pushing = marks
        assert rest.get_color() == CONTROL
        assert like.get_markerfacecolor() == "none"
        assert pushing.get_markerfacecolor() == symbol_color(pair.pair[1])
        assert axes.get_title("left").endswith("2 kick, 1 kick-like")
        low = axes.collections[1].get_segments()
        np.testing.assert_allclose([s[0, 1] for s in low], kick.push_low[kick.kick])


def test_a_pair_whose_units_push_too_little_shows_them_and_says_so():
    found = circuit()
    (first, second), none = found.pairs, mask([], 40)
    weak = "kick-like units push too little: 0.12 of the swing"
    first = first._replace(kick=first.kick._replace(kick=none, problem=weak))
    figure = kick_score_figure(found._replace(pairs=(first, second)))
    assert weak in texts(figure)
    assert len(figure.axes[0].lines) == len(figure.axes[1].lines)
    assert_plain_small_and_readable(figure)


def test_a_pair_without_kick_like_units_says_why():
    figure = kick_score_figure(circuit(n_kick=0))
    assert "three levels" in texts(figure)
    assert "no pair of symbols has kick neurons" in texts(kick_plane_figure(circuit(n_kick=0)))


def test_activities_are_drawn_around_the_onset():
    found = circuit(SIX, n_units=60)
    figure = transition_activity_figure(found)
    for axes, pair in zip(figure.axes, found.pairs, strict=True):
        s, t = pair.pair
        courses = [line for line in axes.lines if len(line.get_xdata()) == 30]
        names = [f"{kind} {a}>{b}" for kind in ("population", "kick") for a, b in ((t, s), (s, t))]
        for line, name in zip(courses, names, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(-20, 10))
            np.testing.assert_array_equal(line.get_ydata(), pair.activity[name])
            assert line.get_color() == symbol_color(int(name[-1]))
            assert line.is_dashed() == name.startswith("population")
    assert "steps from the onset" in texts(figure)


def all_figures(found, n_units=40):
    W = np.random.default_rng(1).normal(size=(n_units, n_units))
    return {
        "plane": kick_plane_figure(found),
        "scores": kick_score_figure(found),
        "blocks": weight_block_figure(found.blocks),
        "weights": ordered_weights_figure(W, found.groups),
        "activity": transition_activity_figure(found),
        "composition": composition_figure(found.shared),
    }


@pytest.mark.parametrize("pairs", [TWO[:1], SIX])
def test_figures_are_plain_small_and_readable_for_any_number_of_pairs(pairs):
    found = circuit(pairs, n_units=90, n_kick=4, n_population=10, n_states=3_000)
    for figure in all_figures(found, 90).values():
        assert_plain_small_and_readable(figure)


def test_without_a_changing_symbol_all_figures_say_so():
    for name, figure in all_figures(unchanging()).items():
        words = texts(figure)
        assert any(t in words for t in ("changes often enough", "no group", "fewer than")), name
        assert_plain_small_and_readable(figure)


def test_groups_without_any_unit_leave_notes():
    found = circuit(n_kick=0, n_population=0)
    empty = Blocks(found.blocks.names, *(np.full((4, 4), np.nan) for _ in range(4)))
    for figure in all_figures(found._replace(blocks=empty)).values():
        assert_plain_small_and_readable(figure)
    assert "no group has units" in texts(ordered_weights_figure(np.eye(40), found.groups))


def test_a_network_with_one_unit_and_one_that_never_moves():
    found = circuit(n_kick=1)
    still = found._replace(seen=0 * found.seen, seen_preactivation=0 * found.seen_preactivation)
    assert_plain_small_and_readable(kick_plane_figure(still))
    line = found._replace(
        seen=found.seen[:, :1], plane=found.plane._replace(explained=np.array([1.0]))
    )
    assert_plain_small_and_readable(kick_plane_figure(line))
