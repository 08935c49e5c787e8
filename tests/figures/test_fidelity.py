import numpy as np
import pytest

from hmmrnn.figures import dwell_figure, ngram_figure, symbol_color, to_svg, transition_figure

from .records import fidelity, silent


def dots(axes, *, colored):
    """All points of the panel but its lines."""
    shown = [
        line.get_xydata()
        for line in axes.lines
        if line.get_marker() not in ("", "None") and (line.get_markersize() > 5) == colored
    ]
    return np.concatenate(shown) if shown else np.zeros((0, 2))


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6, 8])
def test_cells_hold_the_numbers_of_both_matrices(k):
    record = fidelity(k)
    matrices = record.exact_transitions, record.transitions
    titles = []
    for axes, matrix in zip(transition_figure(record).axes, matrices, strict=True):
        cells = {tuple(map(int, t.get_position()[::-1])): t.get_text() for t in axes.texts}
        assert cells == {index: f"{p:.2f}" for index, p in np.ndenumerate(matrix)}
        assert axes.get_xlabel() == "next symbol"
        titles.append(axes.get_title(loc="left"))
    assert titles == ["HMM, exact", "network"]


def test_the_tint_of_a_cell_grows_with_its_probability():
    record = fidelity(4)
    axes = transition_figure(record).axes[1]
    tints = [patch.get_alpha() for patch in axes.patches]
    order = np.argsort(record.transitions.ravel())
    assert np.all(np.diff(np.array(tints)[order]) >= 0)


def test_rows_of_a_symbol_that_never_occurs_are_grey():
    figure = transition_figure(silent(fidelity(3), symbol=1))
    texts = [t.get_text() for t in figure.axes[1].texts]
    assert texts == ["1.00", "0.00", "0.00", *["\N{EN DASH}"] * 3, "0.00", "0.00", "1.00"]
    to_svg(figure, "transitions")


def test_every_common_ngram_is_a_dot_at_its_two_probabilities():
    record = fidelity(3)
    axes = ngram_figure(record).axes[0]
    edge = axes.get_xlim()[0]
    assert edge < 1 / (1_000 * 50)
    found = np.concatenate([dots(axes, colored=False), dots(axes, colored=True)])
    pairs = np.stack([record.exact_ngrams, np.maximum(record.ngram_shares, edge)], axis=1)
    expected = pairs[(record.exact_ngrams > edge) | (record.ngram_shares > 0)]
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(expected, axis=0))
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_xlim() == axes.get_ylim()
    np.testing.assert_array_equal(*axes.lines[0].get_data())


@pytest.mark.parametrize("k", [2, 3, 4])
def test_repetitions_have_the_colour_of_their_symbol(k):
    record = fidelity(k)
    axes = ngram_figure(record).axes[0]
    grid = record.exact_ngrams.reshape(k, k, k)
    for symbol in range(k):
        line = next(x for x in axes.lines if x.get_label() == str(symbol) * 3)
        assert line.get_color() == symbol_color(symbol)
        assert line.get_xdata()[0] == grid[symbol, symbol, symbol]


def test_ngrams_that_one_side_never_shows_lie_on_the_edge():
    record = fidelity(2, 2)
    record = record._replace(
        exact_ngrams=np.array([0.5, 0.0, 0.2, 0.3]), ngram_shares=np.array([0.4, 0.2, 0.0, 0.4])
    )
    axes = ngram_figure(record).axes[0]
    edge = axes.get_xlim()[0]
    assert {tuple(p) for p in dots(axes, colored=False)} == {(edge, 0.2), (0.2, edge)}
    texts = " ".join(t.get_text() for t in axes.get_legend().get_texts())
    assert "never generated\n(1 of them)" in texts
    assert "hardly in HMM\n(1 of them)" in texts


def test_dwell_panels_show_network_and_exact_law():
    record = fidelity(3)
    axes = dwell_figure(record).axes
    for symbol, (panel, dwell) in enumerate(zip(axes, record.dwell, strict=True)):
        exact, network = panel.lines
        np.testing.assert_array_equal(exact.get_ydata(), dwell.exact)
        np.testing.assert_array_equal(exact.get_xdata(), dwell.lengths)
        seen = dwell.network > 0
        np.testing.assert_array_equal(network.get_ydata()[seen], dwell.network[seen])
        assert np.all(np.isnan(network.get_ydata()[~seen]))
        assert panel.get_yscale() == "log"
        assert panel.get_ylim()[0] < dwell.network[seen].min()
        assert panel.get_xlabel() == "dwell time (steps)"
        assert panel.get_title(loc="left") == f"symbol {symbol}"


@pytest.mark.parametrize("k", [2, 4, 5, 7])
def test_each_symbol_has_a_panel(k):
    panels = [axes for axes in dwell_figure(fidelity(k)).axes if axes.get_visible()]
    assert [panel.get_title(loc="left") for panel in panels] == [f"symbol {i}" for i in range(k)]


def test_a_network_that_never_switches_gives_notes():
    record = silent(fidelity(3))
    svg = to_svg(dwell_figure(record), "dwell")
    assert svg.count("dwell times") == 3
    unknown = [d._replace(exact=np.full(len(d.lengths), np.nan)) for d in record.dwell]
    to_svg(dwell_figure(record._replace(dwell=unknown)), "dwell")
    to_svg(ngram_figure(record), "ngrams")
