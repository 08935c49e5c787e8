import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from sklearn.metrics import average_precision_score

from hmmrnn.discovery.edge_circuits import EdgeCircuit
from hmmrnn.discovery.movie import Movie
from hmmrnn.discovery.rankings import BASELINES
from hmmrnn.discovery.redundancy import GroupEffects, Twins
from hmmrnn.discovery.selection import Circuit, Curve
from hmmrnn.discovery.surveys import Agreement, Discovery
from hmmrnn.figures.discovery import (
    CELL,
    FOUND,
    FOUND_AT,
    MAX_UNITS,
    TRUE_AT,
    discovery_map_figure,
    group_of,
    logarithmic,
    shares,
    shown_units,
)
from hmmrnn.figures.discovery_curves import (
    agreement_figure,
    edge_faithfulness_figure,
    faithfulness_figure,
)
from hmmrnn.figures.discovery_judged import precision_recall_figure
from hmmrnn.figures.discovery_movie import connectivity_figure
from hmmrnn.figures.discovery_panels import LOOKS
from hmmrnn.figures.group_names import apart
from hmmrnn.figures.heat_map import LEVELS
from hmmrnn.intervals import UNKNOWN, Estimate

from .circuit_records import MINUS, assert_plain_small_and_readable, near, texts
from .contrast import contrast
from .heat_cells import cells_of, values_at
from .test_svg import shown_texts

RANKINGS = ("intervention", "path cut", *BASELINES)
NAMES = {
    1: ("all",),
    3: ("hold", "cue", "keep"),
    7: tuple(f"{i}..{i + 3}" for i in range(-20, 8, 4)),
}
SIZES = [((1, 2), -1.0), ((1, 60), 0.0), ((3, 256), 0.0), ((7, 150), -1.0)]


def curve_to(most, reach=1.0):
    sizes = np.unique([0, 1, 2, most // 2, most])
    value = reach * sizes / most
    return Curve(sizes, Estimate(value, value - 0.1, value + 0.1), near(0.5), near(0.5))


def planted(n_windows, n_units):
    """Groups of units that follow each other, the first of which are at work, others later."""
    size = max(1, n_units // 4)
    units = np.arange(n_units)
    groups = {"ring": units < size, "relays": (units >= size) & (units < 2 * size)}
    if n_units == 2:
        groups = {"ring": units < 1}
    truth = np.tile(groups["ring"], (n_windows, 1))
    if n_windows > 1:
        truth[1] |= groups["relays"]
    return groups, truth


def found_of(n_windows, n_units, *, lowest=0.0, seed=0):
    """A record whose numbers are made up; effects span six orders of magnitude."""
    rng = np.random.default_rng(seed)
    groups, truth = planted(n_windows, n_units)
    effect = 10 ** rng.uniform(-6, -4, truth.shape) + truth * rng.uniform(0.5, 1, truth.shape)
    effect = np.where(rng.random(truth.shape) < 0.3, lowest * effect, effect)
    baselines = {name: rng.random(truth.shape) for name in BASELINES}
    chosen = [Circuit(row, 0.96, *[near(0.9)] * 6) for row in truth]
    size = int(truth[0].sum())
    m = min(n_units, 40)
    member = group_of(groups, m)
    steps = np.arange(max(n_windows, 6)) * 4
    flow = rng.normal(size=(2, len(steps), m, m)) * (rng.random((m, m)) < 0.3)
    edges = rng.random((n_windows, n_units, n_units)) < 0.1
    worth = [EdgeCircuit(e, near(0.9), curve_to(n_units**2)) for e in edges]
    names = ("one pass", "path cut", "integrated")
    return Discovery(
        judging=np.arange(4),
        transfer=np.zeros((n_windows, n_units, n_units)),
        sent=np.zeros((n_windows, n_units, 2)),
        windows={name: (4 * i, 4 * i + 4) for i, name in enumerate(NAMES[n_windows])},
        kind="mean",
        n_trials=8,
        effect=Estimate(effect, effect * 0.9, effect * 1.1),
        attributed={name: np.float32(1.1) * effect.astype(np.float32) for name in names},
        agreement={name: [Agreement(0.987, 1.1, n_units)] * n_windows for name in names},
        baselines=baselines,
        circuits=chosen,
        curves={
            name: [curve_to(n_units, 1 - 0.05 * i)] * n_windows for i, name in enumerate(RANKINGS)
        },
        twins=Twins(np.zeros(truth.shape, int), effect, effect, effect),
        groups=GroupEffects(tuple(groups), effect[:, : len(groups)], effect[:, : len(groups)]),
        edges=edges.astype(np.float32),
        edge_agreement=[Agreement(0.9, 1.0, size)] * n_windows,
        edge_circuits=worth,
        movie=Movie(steps, np.arange(m), tuple(member), flow[0], flow[1]),
    ), (groups, truth)


def without_effects(found, windows=slice(None)):
    """`found` where replacing units does nothing in some windows, and nothing is defined."""
    effect = found.effect.value.copy()
    effect[windows] = 0
    nothing = Estimate(*[np.full(5, np.nan)] * 3)
    which = range(len(effect))[windows]

    def gone(curve):
        return curve._replace(faithfulness=nothing, sizes=np.arange(5))

    return found._replace(
        effect=Estimate(effect, effect, effect),
        attributed={name: effect.astype(np.float32) for name in found.attributed},
        agreement={
            name: [a._replace(rank=np.nan) if w in which else a for w, a in enumerate(each)]
            for name, each in found.agreement.items()
        },
        circuits=[
            c._replace(faithfulness=UNKNOWN, units=np.zeros_like(c.units)) if w in which else c
            for w, c in enumerate(found.circuits)
        ],
        curves={
            name: [gone(c) if w in which else c for w, c in enumerate(each)]
            for name, each in found.curves.items()
        },
        edge_circuits=[
            c._replace(faithfulness=UNKNOWN, curve=gone(c.curve)) if w in which else c
            for w, c in enumerate(found.edge_circuits)
        ],
    )


def all_figures(found, groups, truth):
    return {
        "map": discovery_map_figure(found, groups, truth),
        "map of unknown truth": discovery_map_figure(found, groups, None),
        "mean": connectivity_figure(found.movie, found.movie.mean, "mean over trials"),
        "single": connectivity_figure(found.movie, found.movie.single, "one trial"),
        "judged": precision_recall_figure(found, truth),
        "units": faithfulness_figure(found),
        "edges": edge_faithfulness_figure(found),
        "agreement": agreement_figure(found),
    }


def assert_fine(figures):
    """As for circuits; texts of the figure itself, too, are inside and on no other text."""
    for name, figure in figures.items():
        assert len(figure.get_label()) > 20, name
        assert_plain_small_and_readable(figure, name.replace(" ", "-"))
        renderer = FigureCanvasAgg(figure).get_renderer()
        own = [text for text in figure.texts if text.get_text()]
        boxes = [text.get_window_extent(renderer) for text in [*own, *shown_texts(figure)]]
        for i, box in enumerate(boxes[: len(own)]):
            assert figure.bbox.padded(1).contains(box.x0, box.y0), (name, own[i])
            assert figure.bbox.padded(1).contains(box.x1, box.y1), (name, own[i])
            assert not any(box.overlaps(other) for other in boxes[i + 1 :]), (name, own[i])


@pytest.mark.parametrize(("size", "lowest"), SIZES)
def test_figures_of_all_sizes_are_plain_small_and_readable(size, lowest):
    found, known = found_of(*size, lowest=lowest)
    assert_fine(all_figures(found, *known))


@pytest.mark.parametrize("size", [(1, 2), (3, 20)])
def test_what_is_not_defined_is_told(size):
    found, known = found_of(*size)
    nothing = without_effects(found)
    assert_fine(all_figures(nothing, *known))
    assert "no unit has an effect" in texts(discovery_map_figure(nothing, *known))
    assert "no unit has an effect" in texts(agreement_figure(nothing))
    for draw in (faithfulness_figure, edge_faithfulness_figure):
        assert texts(draw(nothing)).count("nothing is clearly") == size[0]
    still = np.zeros_like(found.movie.mean)
    figure = connectivity_figure(found.movie, still, "mean over trials")
    assert_fine({"still": figure})
    assert "nothing passes" in texts(figure)


def test_a_window_without_effects_stands_beside_others():
    found, known = found_of(3, 20)
    half = without_effects(found, slice(0, 1))
    assert_fine(all_figures(half, *known))
    assert texts(faithfulness_figure(half)).count("nothing is clearly") == 1
    panels = agreement_figure(half).axes
    assert [text.get_text() for text in panels[0].texts] == ["no unit has\nan effect"]
    assert "not defined" in panels[0].get_title(loc="left")
    assert not panels[1].texts


def map_values(axes, n_units, n_windows):
    rows, windows = np.indices((n_units, n_windows))
    points = np.stack([windows.ravel() + CELL / 2, rows.ravel() + 0.5], axis=1)
    return values_at(cells_of(axes), points).reshape(n_units, n_windows)


@pytest.mark.parametrize("lowest", [0.0, -1.0])
def test_the_map_shows_shares_of_each_window_in_order(lowest):
    found, (groups, truth) = found_of(3, 256, lowest=lowest)
    axes = discovery_map_figure(found, groups, truth).axes[0]
    effect = found.effect.value
    share = effect / np.abs(effect).max(1, keepdims=True)
    best = np.sort(np.argsort(-np.abs(share).max(0))[:MAX_UNITS])
    member = np.array(group_of(groups, 256))
    order = []
    for name in ("ring", "relays", "others"):
        own = [u for u in best if member[u] == name]
        order += sorted(
            own, key=lambda u: (np.argmax(np.abs(share[:, u])), -np.abs(share[:, u]).max())
        )
    np.testing.assert_array_equal(order, shown_units(shares(effect), [*groups, "others"], member))
    drawn = map_values(axes, MAX_UNITS, 3)
    signs = 2 if lowest < 0 else 1
    np.testing.assert_allclose(
        drawn.T, logarithmic(share[:, order]), atol=signs * 0.5 / (LEVELS - 1) + 1e-9
    )
    assert axes.get_ylim() == (MAX_UNITS, 0)


def test_colours_span_three_orders_of_magnitude_and_keep_signs():
    share = np.array([1, 0.1, 0.01, 1e-3, 1e-9, 0, -1e-3, -0.1, -1])
    expected = [1, 2 / 3, 1 / 3, 0, 0, 0, 0, -2 / 3, -1]
    np.testing.assert_allclose(logarithmic(share), expected, atol=1e-12)


def marked(axes, color, n_windows, at):
    """Rows marked in each window."""
    found = []
    for w in range(n_windows):
        rows = set()
        for lines in axes.collections:
            if hasattr(lines, "get_segments") and to_hex(lines.get_colors()[0]) == color.lower():
                for (x, low), (_, high) in lines.get_segments():
                    if np.isclose(x, w + at):
                        rows |= set(range(round(low), round(high)))
        found.append(rows)
    return found


def test_marks_are_at_the_units_of_the_circuits_and_of_the_truth():
    found, (groups, truth) = found_of(3, 60)
    rng = np.random.default_rng(1)
    inside = rng.random(truth.shape) < 0.4
    found = found._replace(
        circuits=[c._replace(units=row) for c, row in zip(found.circuits, inside, strict=True)]
    )
    axes = discovery_map_figure(found, groups, truth).axes[0]
    order = shown_units(shares(found.effect.value), [*groups, "others"], group_of(groups, 60))
    for rows, color, at in ((inside, FOUND, FOUND_AT), (truth, "#010203", TRUE_AT)):
        expected = [set(np.flatnonzero(row[order]).tolist()) for row in rows]
        assert marked(axes, color, 3, at) == expected
    assert "true" not in texts(discovery_map_figure(found, groups, None))


def test_the_map_says_what_it_leaves_out_and_what_windows_are():
    found, (groups, truth) = found_of(3, 256)
    inside = np.zeros(256, bool)
    order = shown_units(shares(found.effect.value), [*groups, "others"], group_of(groups, 256))
    inside[np.setdiff1d(np.arange(256), order)[:5]] = True
    found = found._replace(circuits=[c._replace(units=inside) for c in found.circuits])
    missed = int(truth.any(0).sum() - truth.any(0)[order].sum())
    words = texts(discovery_map_figure(found, groups, truth))
    assert f"176 units with smaller shares, 5 of them in a circuit, {missed} true" in words
    assert "not shown" not in texts(discovery_map_figure(*small_case()))
    written = words.replace("\N{EN DASH}", "-")
    for name, (first, end) in found.windows.items():
        assert name in written
        assert f"{first}-{end - 1}" in written


def small_case():
    found, (groups, truth) = found_of(1, 60)
    return found, groups, truth


def test_long_names_of_windows_stand_upright():
    found, (groups, truth) = found_of(7, 60)
    windows = {f"a window of number {i}": steps for i, steps in enumerate(found.windows.values())}
    figure = discovery_map_figure(found._replace(windows=windows), groups, truth)
    judged = precision_recall_figure(found._replace(windows=windows), truth)
    assert_fine({"map": figure, "judged": judged})
    assert "a window of number 6, steps 24" in texts(figure)
    assert "a window of number 6" in texts(judged)


def test_many_small_groups_keep_their_names_apart():
    found, _ = found_of(3, 60)
    groups = {f"kick {i}>{j}": np.arange(60) == 7 * i + j for i in range(4) for j in range(4)}
    member = sorted(group_of(groups, 40))
    shown = found.movie._replace(group=tuple(member))
    figures = {
        "map": discovery_map_figure(found, groups, None),
        "movie": connectivity_figure(shown, shown.mean, "mean over trials"),
    }
    assert_fine(figures)


def test_names_are_moved_apart_as_little_as_possible():
    for wanted, expected in (
        ([1.0, 5, 9], [1, 5, 9]),
        ([4.0, 4, 4], [2, 4, 6]),
        ([0.5, 1, 8], [1, 3, 8]),
        ([9.0, 9.5, 10], [5, 7, 9]),
        ([1.0, 2, 3, 4, 5, 6], [0, 2, 4, 6, 8, 10]),  # too many: as far beyond both ends
    ):
        np.testing.assert_allclose(apart(np.array(wanted), 2.0, 10.0), expected)


@pytest.mark.parametrize("size", [(1, 2), (7, 150)])
def test_panels_of_a_movie_show_connectivity_on_one_scale(size):
    shown = found_of(*size)[0].movie
    figure = connectivity_figure(shown, shown.mean, "mean over trials")
    m = len(shown.units)
    known = np.abs(shown.mean[shown.mean != 0])
    limit = np.quantile(known, 0.995)
    rows, columns = np.indices((m, m)) + 0.5
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    panels = [axes for axes in figure.axes if "step" in axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == [f"step {t}" for t in shown.steps]
    for axes, values in zip(panels, shown.mean, strict=True):
        drawn = np.nan_to_num(values_at(cells_of(axes), points).reshape(m, m))  # blank: grey, 0
        expected = np.clip(values, -limit, limit)
        np.testing.assert_allclose(drawn, expected, atol=limit / (LEVELS - 1) + 1e-9)
        assert cells_of(axes).get_clim() == (-limit, limit)
        assert axes.get_ylim() == (m, 0)


def test_a_movie_with_steps_from_an_onset_says_so():
    shown = found_of(7, 60)[0].movie
    before = shown._replace(steps=shown.steps - 18)
    assert f"step {MINUS}18" in texts(connectivity_figure(before, before.mean, "mean over trials"))


def lines_by_look(axes):
    return {
        name: line
        for name, look in LOOKS.items()
        for line in axes.lines
        if line.get_color() == look["color"] and line.get_zorder() == look["zorder"]
        if line.get_linestyle() != "None" and same_dashes(line, look)
    }


def same_dashes(line, look):
    _, dashes = line._unscaled_dash_pattern
    wanted = look["ls"][1] if isinstance(look["ls"], tuple) else None
    return tuple(dashes or ()) == tuple(wanted or ())


def test_precision_steps_have_the_areas_of_the_table():
    found, (_, truth) = found_of(3, 60)
    figure = precision_recall_figure(found, truth)
    windows = [*((s, [w]) for w, s in enumerate(("hold", "cue", "keep"))), ("timing", slice(None))]
    written = [text.get_text() for text in figure.axes[-1].texts]
    rows = {name: written[written.index(name) + 1 :][:4] for name in RANKINGS}
    for column, (axes, (title, which)) in enumerate(zip(figure.axes, windows, strict=False)):
        assert axes.get_title(loc="left") == title
        drawn = lines_by_look(axes)
        assert set(drawn) == set(RANKINGS)
        for name, line in drawn.items():
            recall, precision = line.get_data()
            assert line.get_drawstyle() == "steps-pre"
            area = float(np.sum(np.diff(recall) * precision[1:]))
            strength = found.strengths[name][which].ravel()
            expected = average_precision_score(truth[which].ravel(), strength)
            assert area == pytest.approx(expected)
            assert float(rows[name][column]) == pytest.approx(expected, abs=0.0051)
        (chance,) = (line for line in axes.lines if line.get_color() == "#010203")
        np.testing.assert_allclose(chance.get_ydata(), truth[which].mean())


def test_precision_of_one_window_needs_no_timing_and_of_no_truth_says_so():
    found, (_, truth) = found_of(1, 60)
    assert "timing" not in texts(precision_recall_figure(found, truth))
    none = precision_recall_figure(found, np.zeros_like(truth))
    assert_plain_small_and_readable(none)
    assert "no units are true" in texts(none)
    assert "all units are true" in texts(precision_recall_figure(found, np.ones_like(truth)))


def test_faithfulness_is_that_of_the_record_with_its_band():
    found, (_, truth) = found_of(3, 60)
    figure = faithfulness_figure(found)
    for w, (axes, window) in enumerate(zip(figure.axes, found.windows, strict=False)):
        size = int(truth[w].sum())
        assert axes.get_title(loc="left") == f"{window}: {size} units"
        drawn = lines_by_look(axes)
        assert set(drawn) == set(RANKINGS)
        for name, line in drawn.items():
            curve = found.curves[name][w]
            np.testing.assert_allclose(line.get_xdata(), curve.sizes)
            np.testing.assert_allclose(line.get_ydata(), curve.faithfulness.value)
        (dot,) = (line for line in axes.lines if line.get_marker() == "o")
        np.testing.assert_allclose(dot.get_xydata(), [[size, 0.9]])
        band = axes.collections[0].get_paths()[0].vertices
        assert band[:, 1].max() == pytest.approx(1.1)
        assert band[:, 1].min() == pytest.approx(-0.1)


def test_edges_are_counted_and_curves_beyond_the_panel_told():
    found, _ = found_of(3, 60)
    high = found.edge_circuits[1]._replace(curve=curve_to(3600, 5.2))
    low = found.edge_circuits[2]._replace(curve=curve_to(3600, -3))
    found = found._replace(edge_circuits=[found.edge_circuits[0], high, low])
    figure = edge_faithfulness_figure(found)
    assert_plain_small_and_readable(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    counts = [int(circuit.edges.sum()) for circuit in found.edge_circuits]
    beyond = ("", "\nup to 5.2", f"\ndown to {MINUS}3")
    assert titles == [
        f"{window}: {n} edges{text}"
        for window, n, text in zip(found.windows, counts, beyond, strict=True)
    ]
    for axes, circuit in zip(figure.axes, found.edge_circuits, strict=True):
        line = lines_by_look(axes)["intervention"]
        np.testing.assert_allclose(line.get_ydata(), circuit.curve.faithfulness.value)
        assert axes.get_ylim() == pytest.approx((-1.08, 2.08))


@pytest.mark.parametrize("lowest", [0.0, -1.0])
def test_all_units_stand_with_their_exact_and_attributed_effects(lowest):
    found, (_, truth) = found_of(3, 60, lowest=lowest)
    figure = agreement_figure(found)
    exact, estimate = found.effect.value, found.attributed["path cut"]
    for w, axes in enumerate(figure.axes[:3]):
        assert axes.get_title(loc="left").endswith("\N{GREEK SMALL LETTER RHO} = 0.99")
        identity, others, inside = axes.lines
        np.testing.assert_array_equal(*identity.get_data())
        for line, which in ((others, ~truth[w]), (inside, truth[w])):
            expected = np.stack([exact[w, which], estimate[w, which]], 1)
            np.testing.assert_allclose(line.get_xydata(), expected)
        for low, high in (axes.get_xlim(), axes.get_ylim()):
            assert low <= min(exact.min(), estimate.min())
            assert high >= max(exact.max(), estimate.max())
            assert (low < -0.1) == (lowest < 0)


def test_rankings_are_told_apart_on_light_and_dark_pages():
    assert set(LOOKS) == set(RANKINGS)
    assert len({(look["color"], look["ls"]) for look in LOOKS.values()}) == len(RANKINGS)
    for look in LOOKS.values():
        assert contrast(look["color"], "#ffffff") > 2
        assert contrast(look["color"], "#14171a") > 3
