import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from hmmrnn.figures import to_svg
from hmmrnn.figures.sweep import (
    fidelity_against_sizes_figure,
    fidelity_heat_map_figure,
    fidelity_of_seeds_figure,
    figures_of,
    metric_against_option_figure,
)

from .contrast import contrast

N, D, RATE = "net.hidden_size", "net.noise_dim", "train.learning_rate"
KL, FLOOR = "fidelity.kl.6.network.value", "fidelity.kl.6.floor.value"
LINEAR = ("linear2", "linear3", "linear4", "linear5")


def network(hmm="linear3", n=150, d=100, seed=0, kl=0.01, status="finished", **more):
    row = {"name": f"{hmm}-N{n}-D{d}-seed{seed}", "status": status, "reason": "", "hmm": hmm}
    row |= {"seed": seed, N: n, D: d, RATE: 0.002, "data.n_steps": {"linear2": 100}.get(hmm, 30)}
    if kl is not None:
        row |= {KL: kl, FLOOR: 0.001 * (1 + seed), "training.loss": 3 * kl}
        row |= {KL.replace("value", "low"): 0.8 * kl, KL.replace("value", "high"): None}
    return row | more


def grid(hmms=("linear2", "linear3"), ns=(50, 150), ds=(1, 10, 100), seeds=3):
    """Networks of all combinations, with fidelities of their own."""
    rng = np.random.default_rng(0)
    places = itertools.product(hmms, ns, ds, range(seeds))
    return [network(*place, kl=float(10 ** rng.uniform(-3, -1))) for place in places]


def paper():
    """The grid of the paper, four of its 150 networks failed."""
    rows = grid(LINEAR, (50, 150, 200), (1, 10, 100, 200))
    rows += grid(("fully3", "cyclic4"), (150,), (100,))
    for i, row in enumerate(rows):
        if (row["hmm"], row[N], row[D]) == ("linear5", 200, 1) or i == 0:
            rows[i] = network(row["hmm"], row[N], row[D], row["seed"], None, "failed")
    return rows


def titled(figure, title):
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title)


def mean_lines(axes):
    """Heights of the means, from left to right, of each line; the errors of each mean."""
    found = []
    for container in axes.containers:
        line, _, (bars,) = container.lines
        errors = [(high - low) / 2 for (_, low), (_, high) in bars.get_segments()]
        found.append((line.get_ydata().tolist(), errors))
    return found


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def below(figure):
    return figure.get_supxlabel()


@pytest.mark.parametrize(("along", "other"), [(N, D), (D, N)])
def test_lines_are_the_means_over_seeds_with_their_standard_errors(along, other):
    rows = grid()
    figure = fidelity_against_sizes_figure(rows, along)
    for hmm in ("linear2", "linear3"):
        axes = titled(figure, hmm)
        assert axes.get_yscale() == "log"
        lines = mean_lines(axes)
        shown = sorted({row[other] for row in rows})
        assert len(lines) == len(shown)
        for (means, errors), level in zip(lines, shown, strict=True):
            for i, x in enumerate(sorted({row[along] for row in rows})):
                chosen = [
                    row for row in rows if (row["hmm"], row[along], row[other]) == (hmm, x, level)
                ]
                values = np.array([row[KL] for row in chosen])
                assert len(values) == 3
                np.testing.assert_allclose(means[i], np.mean(values))
                np.testing.assert_allclose(errors[i], np.sqrt(np.var(values, ddof=1) / 3))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    letter = {N: "N", D: "D"}[other]
    assert legend == [*(f"{letter} = {level}" for level in shown), "HMM sample"]
    assert "(n = 3)" in below(figure)


def test_every_network_is_a_dot_near_its_place_and_the_floor_is_dashed():
    rows = grid(ds=(1, 10, 100, 200))
    figure = fidelity_against_sizes_figure(rows)
    for hmm in ("linear2", "linear3"):
        axes = titled(figure, hmm)
        dots = [line for line in axes.lines if line.get_alpha() == 0.6]
        drawn = sorted(
            (y, round(x)) for line in dots for x, y in zip(*line.get_data(), strict=True)
        )
        own = [row for row in rows if row["hmm"] == hmm]
        assert drawn == sorted((row[KL], (50, 150).index(row[N])) for row in own)
        assert [label.get_text() for label in axes.get_xticklabels()] == ["50", "150"]
        floor = [line for line in axes.lines if line.get_linestyle() == "--"]
        np.testing.assert_allclose([line.get_ydata()[0] for line in floor], [0.002])


def test_dots_of_different_lines_do_not_meet():
    axes = titled(fidelity_against_sizes_figure(grid(ds=(1, 2, 3, 4, 5, 6, 7, 8))), "linear2")
    dots = [line for line in axes.lines if line.get_alpha() == 0.6]
    spans = sorted((min(line.get_xdata()), max(line.get_xdata())) for line in dots)
    assert len(spans) == 16
    assert all(one[1] < other[0] for one, other in itertools.pairwise(spans))


def test_one_seed_has_no_error_bars():
    figure = fidelity_against_sizes_figure(grid(seeds=1))
    assert all(errors == [0, 0] for _, errors in mean_lines(titled(figure, "linear2")))
    assert "standard error" not in below(figure)


def cell_texts(axes):
    found = {}
    for text in axes.texts:
        x, y = text.get_position()
        found[round(x), round(y)] = text.get_text().replace("\N{MINUS SIGN}", "-")
    return found


def test_cells_are_means_of_logarithms_of_what_is_measured():
    rows = paper()
    figure = fidelity_heat_map_figure(rows)
    for hmm in LINEAR:
        texts = cell_texts(titled(figure, hmm))
        for (i, n), (j, d) in itertools.product(
            enumerate((50, 150, 200)), enumerate((1, 10, 100, 200))
        ):
            asked = [row for row in rows if (row["hmm"], row[N], row[D]) == (hmm, n, d)]
            values = [row[KL] for row in asked if KL in row]
            star = "*" if len(values) < len(asked) else ""
            want = f"{np.mean(np.log10(values)):.2f}{star}" if values else None
            assert texts.get((j, i)) == want
    assert cell_texts(titled(figure, "linear2"))[0, 0].endswith("*")
    assert list(cell_texts(titled(figure, "fully3"))) == [(2, 1)]


def test_only_cells_without_any_measured_network_are_hatched():
    figure = fidelity_heat_map_figure(paper())
    hatched = [
        (axes.get_title(loc="left"), patch.get_xy())
        for axes in figure.axes
        for patch in axes.patches
        if patch.get_hatch()
    ]
    assert hatched == [("linear5", (-0.5, 1.5))]
    assert "4 of 150 failed" in below(figure)


def test_numbers_are_legible_on_the_colours_of_their_cells():
    figure = fidelity_heat_map_figure(grid(ns=(1, 2, 3, 4, 5, 6, 7, 8), seeds=1))
    for axes in figure.axes[:2]:
        cells = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        for cell, text in zip(cells, axes.texts, strict=True):
            assert contrast(cell.get_facecolor()[:3], text.get_color()) > 4.4


def test_any_number_against_any_option():
    rows = [
        network(hmm, seed=seed, kl=float(kl), **{RATE: rate})
        for hmm in ("linear2", "linear3")
        for seed in range(2)
        for rate, kl in zip(
            (1e-4, 1e-3, 1e-2), np.random.default_rng(seed).uniform(1, 2, 3), strict=True
        )
    ]
    figure = metric_against_option_figure(rows, RATE, "training.loss")
    (axes,) = figure.axes
    want = [
        np.mean([r["training.loss"] for r in rows if (r["hmm"], r[RATE]) == ("linear3", rate)])
        for rate in (1e-4, 1e-3, 1e-2)
    ]
    np.testing.assert_allclose(mean_lines(axes)[1][0], want)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.0001", "0.001", "0.01"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (RATE, "training.loss")
    assert axes.get_yscale() == "linear"
    assert "HMM sample" not in words(figure)


def test_a_search_over_many_values_has_a_true_axis_and_no_line():
    rates = [float(rate) for rate in np.geomspace(1e-4, 1e-2, 20)]
    rows = [network(kl=0.01, **{RATE: rate}) for rate in rates]
    (axes,) = metric_against_option_figure(rows, RATE, KL).axes
    line = axes.containers[0].lines[0]
    assert axes.get_xscale() == "log"
    np.testing.assert_allclose(line.get_xdata(orig=False), rates)
    assert line.get_linestyle() == "None"


def test_words_are_options_too_and_are_not_connected():
    rows = [
        network(kl=0.01 + i, **{"loss.divergence": w}) for i, w in enumerate(("none", "energy"))
    ]
    (axes,) = metric_against_option_figure(rows, "loss.divergence", KL).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["energy", "none"]
    line = axes.containers[0].lines[0]
    assert line.get_ydata().tolist() == [1.01, 0.01]
    assert line.get_linestyle() == "None"


def test_seeds_of_one_hmm_show_their_intervals_and_their_mean():
    rows = [network(seed=s, kl=kl) for s, kl in enumerate((0.01, 0.02, 0.06))]
    rows.append(network(seed=3, kl=None, status="failed"))
    figure = fidelity_of_seeds_figure(rows)
    (axes,) = figure.axes
    ((values, _),) = mean_lines(axes)
    assert values == [0.01, 0.02, 0.06]
    segments = axes.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments], [[0.8 * v, v] for v in values])
    (mean,) = [line for line in axes.lines if line.get_linewidth() == 2]
    np.testing.assert_allclose(mean.get_ydata(), 0.03)
    assert "1 of 4 failed" in below(figure)


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (grid(), ["against_hidden_size", "against_noise_dim", "heat_map"]),
        (paper(), ["against_hidden_size", "against_noise_dim", "heat_map"]),
        (grid(ns=(150,)), ["against_noise_dim"]),
        (grid(ns=(150,), ds=(100,)), ["of_seeds"]),  # the lengths of sequences differ by HMM
        ([network(noise_std=s) for s in (0.5, 1.0)], ["against_noise_std"]),
        (
            [network(noise_std=s, **{RATE: r}) for s in (0.5, 1.0) for r in (0.1, 0.2)],
            ["against_learning_rate", "against_noise_std"],
        ),
        ([network()], ["of_seeds"]),
        ([network(kl=None, status="failed")] * 3, []),
        ([], []),
    ],
)
def test_the_figures_are_those_that_make_sense(rows, names):
    figures = figures_of(rows)
    assert list(figures) == [f"fidelity_{name}" for name in names]
    for name, figure in figures.items():
        assert "nan" not in to_svg(figure, name)


def test_what_varies_beside_what_is_drawn_is_said():
    rows = [network(n=n, noise_std=s) for n in (1, 2) for s in (0.5, 1.0)]
    figures = figures_of(rows)
    assert "Pooled: noise_std" in below(figures["fidelity_against_hidden_size"])
    assert f"Pooled: {N}" in below(figures["fidelity_against_noise_std"])
    assert "Pooled" not in below(figures_of(grid())["fidelity_heat_map"])


def test_networks_that_are_not_drawn_are_counted_by_their_reason():
    rows = grid()
    rows += [network(kl=None, status=word) for word in ("failed", "failed", "unfinished")]
    rows += [
        network(kl=None),
        network(kl=float("inf")),
        {"name": "lost", "status": "finished", KL: 0.5},
    ]
    for figure in figures_of(rows).values():
        told = "2 of 42 failed, 1 of 42 unfinished, 3 of 42 without this number"
        assert told in below(figure)
    assert "36 networks" in below(fidelity_heat_map_figure(grid()))


def test_shorter_ngrams_where_an_hmm_has_no_long_ones():
    """But not for one network whose number is undefined."""
    wide = {k.replace(".6.", ".3."): v for k, v in network("custom").items()}
    rows = [network() | {"fidelity.kl.3.network.value": 0.5}, wide]
    (figure,) = figures_of(rows).values()
    assert figure.axes[0].get_ylabel() == "KL of 3-grams (nats)"
    undefined = network(seed=1, kl=None) | {"fidelity.kl.3.network.value": 0.5, KL: None}
    (figure,) = figures_of([rows[0], undefined]).values()
    assert figure.axes[0].get_ylabel() == "KL of 6-grams (nats)"
    assert "1 of 2 without this number" in below(figure)


@pytest.mark.parametrize("rows", [[], [network(kl=None, status="failed")] * 2])
def test_without_any_number_figures_say_so(rows):
    for figure in (
        fidelity_against_sizes_figure(rows),
        metric_against_option_figure(rows, RATE, KL),
        fidelity_of_seeds_figure(rows),
    ):
        assert any(text.startswith(("no network has", "no networks")) for text in words(figure))
        to_svg(figure, "empty")
    to_svg(fidelity_heat_map_figure(rows), "empty")


def off_the_axis(figure):
    """Labels of ticks outside of the limits, which matplotlib keeps but does not draw."""
    return {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }


def overlaps(figure):
    """Pairs of texts that cover each other, and texts that leave the figure."""
    renderer, hidden = FigureCanvasAgg(figure).get_renderer(), off_the_axis(figure)
    texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    texts = [t for t in texts if t not in hidden and (t.axes is None or t.axes.get_visible())]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts]
    level = [box for t, box in zip(texts, boxes, strict=True) if t.get_rotation() in (0, 90)]
    page = figure.bbox.padded(1)
    outside = [t for t, b in boxes if not (page.contains(b.x0, b.y0) and page.contains(b.x1, b.y1))]
    pairs = itertools.combinations(level, 2)
    return outside + [(a, b) for (a, box), (b, other) in pairs if box.padded(-1).overlaps(other)]


LONG_WORDS = [network(**{"loss.divergence": f"independent{i}"}) for i in range(8)]


@pytest.mark.parametrize(
    "rows",
    [
        paper(),
        grid([f"linear{i}" for i in range(8)], (8, 16, 32, 64, 128, 256, 512, 1024), (1, 2), 1),
        grid(
            ("linear2",), (8, 16, 32, 64, 128, 256, 512, 1024), (1, 2, 5, 10, 20, 50, 100, 1024), 1
        ),
        grid([f"linear{i}" for i in range(8)], (150,), (100,), 2),
        LONG_WORDS,
    ],
    ids=["paper", "many HMMs", "many sizes", "seeds", "words"],
)
def test_no_texts_overlap_or_leave_the_figure(rows):
    for name, figure in figures_of(rows).items():
        assert overlaps(figure) == [], name
        assert figure.get_figwidth() == 5.6


def test_only_long_words_are_slanted():
    for rows, angle in ((LONG_WORDS, 30), (LONG_WORDS[:4], 0)):
        (figure,) = figures_of(rows).values()
        assert {label.get_rotation() for label in figure.axes[0].get_xticklabels()} == {angle}


def test_networks_that_explode_in_long_runs_are_counted():
    share = "fidelity.long_run.bounded_share"
    rows = [network(seed=seed, **{share: bounded}) for seed, bounded in enumerate((1.0, 0.5, 0.0))]
    rows.append(network(seed=3))  # measured before long runs were looked at
    assert "2 of 4 unbounded in long runs" in below(fidelity_of_seeds_figure(rows))
    assert "unbounded" not in below(fidelity_of_seeds_figure(rows[:1]))
