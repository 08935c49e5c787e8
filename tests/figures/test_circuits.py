import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from hmmrnn.circuits.composition import composition
from hmmrnn.circuits.connectivity import Blocks
from hmmrnn.figures import symbol_color
from hmmrnn.figures.circuits import (
    CONTROL,
    GRID,
    LEVELS,
    MAX_CELLS,
    composition_figure,
    group_look,
    heat_map,
    kick_plane_figure,
    kick_score_figure,
    ordered_weights_figure,
    strongest_units,
    transition_activity_figure,
    weight_block_figure,
)
from hmmrnn.figures.style import SYMBOL_COLORS, ZONE_COLORS, panels

from .circuit_records import (
    MINUS,
    SIX,
    TWO,
    assert_plain_small_and_readable,
    blocks,
    circuit,
    mask,
    texts,
    unchanging,
)
from .contrast import contrast

LIGHT, DARK = "#ffffff", "#14171a"


def cells_of(axes):
    (found,) = (c for c in axes.collections if isinstance(c, PathCollection))
    return found


def rectangles(cells):
    """Corners and value of each rectangle."""
    return [
        (*polygon.min(0), *polygon.max(0), float(value))
        for path, value in zip(cells.get_paths(), cells.get_array(), strict=True)
        for polygon in path.to_polygons(closed_only=False)
    ]


def values_at(cells, points):
    """Values whose colours the cells around points have; NaN where there is none."""
    x0, y0, x1, y1, value = np.array(rectangles(cells)).T
    x, y = np.asarray(points, float).T[..., None]
    inside = (x0 < x) & (x < x1) & (y0 < y) & (y < y1)
    return np.where(inside.any(1), value[inside.argmax(1)], np.nan)


def drawn(axes, shape):
    """The values that a heat map of unit cells shows."""
    rows, columns = np.indices(shape) + 0.5
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    return values_at(cells_of(axes), points).reshape(shape)


def test_a_group_has_the_colour_of_the_symbol_it_leads_to_and_controls_are_grey():
    assert group_look("kick 0>2")["color"] == symbol_color(2)
    assert group_look("population 2>0")["color"] == symbol_color(0)
    assert group_look("kick 0>2")["ls"] != group_look("population 0>2")["ls"]
    assert group_look("control 3") == group_look("controls")
    assert CONTROL not in {*SYMBOL_COLORS, *ZONE_COLORS}
    assert contrast(CONTROL, LIGHT) > 2
    assert contrast(CONTROL, DARK) > 3


def test_cells_have_the_nearest_of_all_colours():
    values = np.random.default_rng(0).uniform(-1.2, 1.2, (6, 9))
    values[2, 3] = np.nan
    _, (axes,) = panels(2, "a map")
    heat_map(axes, np.arange(10.0), np.arange(7.0), values, (-1, 1), "viridis")
    found = drawn(axes, values.shape)
    assert np.isnan(found[2, 3])
    known = np.isfinite(values)
    np.testing.assert_allclose(found[known], np.clip(values[known], -1, 1), atol=1 / (LEVELS - 1))
    assert len(cells_of(axes).get_paths()) <= LEVELS
    assert 0 in np.linspace(-1, 1, LEVELS)


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


@pytest.mark.parametrize("size", [2, 8, 24])
def test_blocks_show_means_and_frame_what_shuffles_hardly_reach(size):
    pairs = [f"{s}>{t}" for s in range(4) for t in range(4) if s != t][: size // 2]
    names = tuple(f"{kind} {pair}" for kind in ("population", "kick") for pair in pairs)
    found = blocks(names, np.random.default_rng(0))
    figure = weight_block_figure(found)
    axes = figure.axes[0]
    shape = (size, size)
    np.testing.assert_allclose(drawn(axes, shape), found.mean, atol=0.08 / (LEVELS - 1) + 1e-9)
    framed = {(int(line.get_ydata()[0]), int(line.get_xdata()[0])) for line in axes.lines}
    assert framed == set(map(tuple, np.argwhere(np.abs(found.mean) > 0.04).tolist()))
    written = [text.get_text().replace(MINUS, "-") for text in axes.texts]
    if size <= 8:
        np.testing.assert_allclose(np.array(written, float), found.mean.ravel(), atol=0.0051)
    else:
        assert written == []
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("from", "onto")
    for axis in (axes.xaxis, axes.yaxis):
        labels = axis.get_majorticklabels()
        assert [label.get_text() for label in labels] == [p.replace(">", " → ") for p in pairs] * 2
        assert [label.get_color() for label in labels] == [
            symbol_color(int(p[2])) for p in pairs
        ] * 2
        kinds = [label.get_text() for label in axis.get_minorticklabels()]
        assert kinds == ["populations", "kick groups"]
    low, high = axes.get_ylim()
    assert low > high  # the first group is on top
    assert_plain_small_and_readable(figure)


def test_numbers_on_cells_can_be_read():
    axes = weight_block_figure(circuit().blocks).axes[0]
    cells = cells_of(axes)
    for text in axes.texts:
        value = float(text.get_text().replace(MINUS, "-"))
        assert contrast(text.get_color(), to_hex(cells.to_rgba(value))) > 4


def test_groups_that_are_empty_leave_blank_cells():
    found = circuit().blocks
    mean = found.mean.copy()
    mean[3] = mean[:, 3] = np.nan
    axes = weight_block_figure(found._replace(mean=mean)).axes[0]
    np.testing.assert_array_equal(np.isnan(drawn(axes, mean.shape)), np.isnan(mean))
    assert len(axes.texts) == 9
    nothing = found._replace(mean=np.full_like(mean, np.nan))
    assert "no group has units" in texts(weight_block_figure(nothing))


def test_weights_of_all_units_stand_in_the_order_of_the_groups():
    W = np.random.default_rng(0).normal(size=(12, 12))
    groups = {
        "population 0>2": mask([1, 5], 12),
        "none 0>1": mask([], 12),
        "kick 0>2": mask([7], 12),
    }
    figure = ordered_weights_figure(W, groups)
    axes = figure.axes[0]
    own = W[np.ix_([1, 5, 7], [1, 5, 7])]
    step = np.abs(own).max() / (LEVELS - 1)
    np.testing.assert_allclose(drawn(axes, (3, 3)), own, atol=step + 1e-9)
    assert [tuple(line.get_ydata()) for line in axes.lines if line.get_xdata()[0] == 0] == [(2, 2)]
    assert [tuple(line.get_xdata()) for line in axes.lines if line.get_ydata()[0] == 0] == [(2, 2)]
    assert "all units of all groups" in texts(figure)


def test_of_large_groups_the_units_with_the_largest_weights_are_shown():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(100, 100))
    members = {"population 0>2": np.arange(60), "kick 0>2": np.arange(60, 65)}
    everyone = np.arange(65)
    shown = strongest_units(W, members)
    assert [len(units) for units in shown.values()] == [35, 5]
    strength = np.abs(W[everyone][:, :60]).sum(0)
    assert set(shown["population 0>2"]) == set(np.argsort(strength)[-35:])
    figure = ordered_weights_figure(W, {name: mask(own, 100) for name, own in members.items()})
    assert "at most 35 units of a group" in texts(figure)
    assert axes_size(figure) == MAX_CELLS


def axes_size(figure):
    return round(np.ptp(figure.axes[0].get_xlim()))


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


def test_overlaps_stand_below_the_diagonal_and_chance_above_it():
    rng = np.random.default_rng(0)
    groups = {f"kick {s}>{t}": rng.random(50) < 0.3 for s, t in SIX}
    shared = composition(groups)
    found = drawn(composition_figure(shared).axes[0], (6, 6))
    below = np.tri(6, k=-1, dtype=bool)
    step = shared.jaccard[below].max() / (LEVELS - 1)
    np.testing.assert_allclose(found[below], shared.jaccard[below], atol=step)
    np.testing.assert_allclose(found.T[below], shared.expected.T[below], atol=step)
    assert np.isnan(np.diag(found)).all()


def test_overlaps_of_few_and_of_empty_groups():
    one = {"kick 0>2": mask([1], 5)}
    assert "fewer than two groups" in texts(composition_figure(composition(one)))
    two = composition({"kick 0>2": mask([], 5), "kick 2>0": mask([], 5)})
    assert "no group has units" in texts(composition_figure(two))


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
