import numpy as np
import pytest
from matplotlib.colors import to_hex

from hmmrnn.circuits.composition import composition
from hmmrnn.figures import symbol_color
from hmmrnn.figures.circuit_matrices import (
    MAX_CELLS,
    composition_figure,
    ordered_weights_figure,
    strongest_units,
    weight_block_figure,
)
from hmmrnn.figures.heat_map import LEVELS

from .circuit_records import (
    MINUS,
    SIX,
    assert_plain_small_and_readable,
    blocks,
    circuit,
    mask,
    texts,
)
from .contrast import contrast
from .heat_cells import cells_of, drawn


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
