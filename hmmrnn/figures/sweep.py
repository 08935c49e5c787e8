"""Many networks in one picture: how faithful they are by size, by any option, over seeds.

Rows are those of `hmmrnn.sweep.table`. Networks that lack the number drawn are left out, and
counted under the figure.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from hmmrnn.figures.style import (
    FOREGROUND,
    LEGEND_ABOVE,
    SYMBOL_COLORS,
    grid,
    log_ticks,
    note,
    outer_labels,
    panels,
    styled,
)
from hmmrnn.nets import BOUNDED
from hmmrnn.sweep.groups import (
    ORDERS,
    Group,
    chosen_options,
    divergence,
    floor_of,
    groups,
    having,
    is_known,
    kl,
    levels,
    mean_log10,
    values_of,
)
from hmmrnn.sweep.table import Cell, Row
from hmmrnn.targets import OF_DATA, OF_HMM

HIDDEN, NOISE = "net.hidden_size", "net.noise_dim"
NAMES = {HIDDEN: "hidden size N", NOISE: "noise dimension D", "noise_std": "noise level (sd)"}
MARKERS = "os^DvPX*"
SIDE_BY_SIDE = 8
"""Values of an option up to which they stand in equal distances, whatever lies between them."""

OUTSIDE = 1.6
"""Inches that legend, names of axes and the lines below take."""

HALF_WIDTH, FULL_WIDTH = 26, 60
"""Characters that fit under a panel of half and of the whole width of a figure."""

COLOR_MAP = "viridis"
ABOVE = {**LEGEND_ABOVE, "loc": "outside upper left", "bbox_to_anchor": None, "alignment": "left"}
BELOW: dict[str, Any] = {"x": 0.01, "ha": "left", "fontsize": 9, "linespacing": 1.4}
DASHED: dict[str, Any] = {"ls": (0, (4, 2)), "lw": 1, "zorder": 1.5}


@styled
def fidelity_against_sizes_figure(rows: Sequence[Row], along: str = HIDDEN) -> Figure:
    """KL of n-grams against the hidden size, a panel for each HMM, a line for each noise dimension.

    With `along="net.noise_dim"` the two sizes change places.
    """
    other = NOISE if along == HIDDEN else HIDDEN
    metric, lines = divergence(rows), levels(rows, other)
    title = _title(metric)
    columns = 2 if _width(levels(rows, along)) <= HALF_WIDTH else 1
    description = f"{title} against {NAMES[along]}, by HMM and {NAMES[other]}"
    figure, places = _grid(rows, description, 1.9, columns)
    for name, axes in places.items():
        own = having(rows, "hmm", name)
        x = _option_axis(axes, levels(rows, along))
        for i, level in enumerate(lines):
            _line(axes, groups(having(own, other, level), along, metric), x, i, len(lines))
        _floor(axes, own, metric, FOREGROUND)
        axes.set_title(name)
    for axes in list(places.values())[:1]:  # the others share it
        _value_axis(axes, rows, metric)
    outer_labels([*places.values()], NAMES[along], title)
    _legend(figure, rows, metric, [f"{NAMES[other][-1]} = {level}" for level in lines])
    _tell(figure, rows, metric, (along, other), MEANS)
    return figure


@styled
def fidelity_heat_map_figure(rows: Sequence[Row]) -> Figure:
    """Mean log10 of the KL of n-grams at each hidden size and noise dimension, a panel by HMM."""
    metric, ns, ds = divergence(rows), levels(rows, HIDDEN), levels(rows, NOISE)
    title = f"mean log10 of {_title(metric)}"
    columns = 2 if len(ds) <= 4 else 1
    figure, places = _grid(
        rows, f"{title}, by HMM, hidden size and noise dimension", 0.45 + 0.3 * len(ns), columns
    )
    networks = {
        (name, i, j): having(having(having(rows, "hmm", name), HIDDEN, n), NOISE, d)
        for name in places
        for i, n in enumerate(ns)
        for j, d in enumerate(ds)
    }
    means = {place: mean_log10(values_of(asked, metric)) for place, asked in networks.items()}
    known = [mean for mean in means.values() if np.isfinite(mean)]
    colors = ScalarMappable(Normalize(min(known, default=-1), max(known, default=0)), COLOR_MAP)
    for (name, i, j), asked in networks.items():
        _cell(places[name], i, j, asked, means[name, i, j], metric, colors)
    for name, axes in places.items():
        axes.set_title(name)
        axes.set_xticks(range(len(ds)), [text(d) for d in ds])
        axes.set_yticks(range(len(ns)), [text(n) for n in ns])
        axes.set_xlim(-0.5, len(ds) - 0.5)
        axes.set_ylim(-0.5, len(ns) - 0.5)
        axes.tick_params(length=0)
    outer_labels([*places.values()], NAMES[NOISE], NAMES[HIDDEN])
    if known:
        height = figure.get_figheight() - OUTSIDE
        size: dict[str, Any] = {"fraction": 0.16 / height, "pad": 0.12 / height, "aspect": 40}
        bar = figure.colorbar(colors, ax=list(places.values()), location="top", **size)
        bar.set_label(title)
        bar.locator = MaxNLocator(6)
    _tell(figure, rows, metric, (HIDDEN, NOISE), HATCHED)
    return figure


@styled
def metric_against_option_figure(rows: Sequence[Row], option: str, metric: str) -> Figure:
    """Any number against any option, a line for each HMM; dashed: the same of an HMM sample."""
    figure, (axes,) = panels(4.2, f"{_title(metric)} against {NAMES.get(option, option)}, by HMM")
    x, names = _option_axis(axes, levels(rows, option)), levels(rows, "hmm")
    for i, name in enumerate(names):
        own = having(rows, "hmm", name)
        _line(axes, groups(own, option, metric), x, i, len(names))
        _floor(axes, own, metric, _color(i))
    _value_axis(axes, rows, metric)
    axes.set_xlabel(NAMES.get(option, option))
    axes.set_ylabel(_title(metric))
    _legend(figure, rows, metric, [str(name) for name in names])
    _tell(figure, rows, metric, (option,), MEANS)
    return figure


@styled
def fidelity_of_seeds_figure(rows: Sequence[Row]) -> Figure:
    """KL of n-grams of each network with its 95 % interval, by HMM, in the order of the rows."""
    metric, names = divergence(rows), levels(rows, "hmm")
    figure, (axes,) = panels(3.8, f"{_title(metric)} of each network, by HMM")
    _option_axis(axes, names)
    for i, name in enumerate(names):
        own = [row for row in having(rows, "hmm", name) if is_known(row, metric)]
        value, low, high = (
            values_of(own, metric.removesuffix("value") + end) for end in ("value", "low", "high")
        )
        x = i + np.linspace(-0.3, 0.3, 2 * len(own) + 1)[1::2]
        sides = np.maximum(np.nan_to_num([value - low, high - value]), 0)
        axes.errorbar(x, value, sides, fmt="o", ms=4, lw=1, color=_color(i))
        across = (i + 0.5 - np.array([0.9, 0.1])).tolist()
        if len(own) > 1:
            axes.plot(across, [value.mean()] * 2, color=_color(i), lw=2)
        floor = values_of(own, floor_of(metric))
        if np.isfinite(floor).any():
            axes.plot(across, [np.nanmean(floor)] * 2, color=FOREGROUND, **DASHED)
    _value_axis(axes, rows, metric)
    axes.set_ylabel(_title(metric))
    _legend(figure, rows, metric, [])
    _tell(figure, rows, metric, ("hmm",), INTERVALS)
    return figure


def figures_of(rows: Sequence[Row]) -> dict[str, Figure]:
    """The figures that make sense for these networks, by the names of their files.

    Empty if the fidelity of none is measured.
    """
    metric, options = divergence(rows), chosen_options(rows)
    if not any(is_known(row, metric) for row in rows):
        return {}
    figures = {}
    if HIDDEN in options and NOISE in options:
        options = [option for option in options if option not in (HIDDEN, NOISE)]
        figures["fidelity_against_hidden_size"] = fidelity_against_sizes_figure(rows, HIDDEN)
        figures["fidelity_against_noise_dim"] = fidelity_against_sizes_figure(rows, NOISE)
        figures["fidelity_heat_map"] = fidelity_heat_map_figure(rows)
    for option in options:
        name = f"fidelity_against_{option.partition('.')[2] or option}"
        figures[name] = metric_against_option_figure(rows, option, metric)
    return figures or {"fidelity_of_seeds": fidelity_of_seeds_figure(rows)}


def text(level: Cell) -> str:
    """A value of an option as a label."""
    return f"{level:g}" if isinstance(level, float) else str(level)


MEANS = "Dots: networks; lines: their mean ± 1 standard error ({n})"
SINGLE = "Marks: networks"
HATCHED = "Means over networks ({n}); *: not all are measured; hatched: none is"
INTERVALS = "Dots: networks with 95 % intervals; thick lines: their mean ({n})"


def _tell(
    figure: Figure, rows: Sequence[Row], metric: str, grouped: Sequence[str], what: str
) -> None:
    """What the marks are, of how many networks, what is not shown, and what else was varied."""
    places = [tuple(row.get(option) for option in ("hmm", *grouped)) for row in rows]
    shown = [is_known(row, metric) and None not in p for row, p in zip(rows, places, strict=True)]
    hidden = [row.get("status") for row, seen in zip(rows, shown, strict=True) if not seen]
    counts = {word: hidden.count(word) for word in ("failed", "unfinished")}
    counts["without this number"] = len(hidden) - sum(counts.values())
    missing = [f"{n} of {len(rows)} {word}" for word, n in counts.items() if n]
    sizes = sorted(Counter(itertools.compress(places, shown)).values()) or [0]
    n = " to ".join(dict.fromkeys(str(size) for size in (sizes[0], sizes[-1])))
    what = SINGLE if what == MEANS and sizes[-1] < 2 else what.format(n=f"n = {n}")
    unbounded = sum(_is_unbounded(row) for row in rows)
    if unbounded:
        missing.append(f"{unbounded} of {len(rows)} unbounded in long runs")
    told = [what, ", ".join(missing) or f"{len(rows)} networks"]
    pooled = [option for option in chosen_options(rows) if option not in grouped]
    if pooled:
        told.append(f"Pooled: {', '.join(pooled[:3])}" + (" and others" if pooled[3:] else ""))
    figure.supxlabel("\n".join(told), **BELOW)


def _is_unbounded(row: Row) -> bool:
    share = row.get("fidelity.long_run.bounded_share")
    return isinstance(share, float | int) and share < BOUNDED


def _title(metric: str) -> str:
    names = {kl(n): f"KL of {n}-grams (nats)" for n in ORDERS}
    return names.get(metric, metric.removesuffix(".value").removesuffix(".network"))


def _grid(
    rows: Sequence[Row], description: str, height: float, columns: int
) -> tuple[Figure, dict[Any, Axes]]:
    """A panel of `height` inches for each HMM; a single one is as wide as the figure."""
    names = levels(rows, "hmm")
    columns = max(1, min(columns, len(names)))
    figure, axes = grid(
        len(names), description, height=OUTSIDE, each=height, columns=columns, sharey=True
    )
    if not names:
        note(axes[0], "no networks")
    return figure, dict(zip(names, axes, strict=False))


def _option_axis(axes: Axes, shown: Sequence[Cell]) -> dict[Cell, float]:
    """Where each level stands: in equal distances if they are few or words, else by its size."""
    sizes = [float(v) for v in shown if isinstance(v, int | float)]
    if len(shown) <= SIDE_BY_SIDE or len(sizes) < len(shown):
        slant: dict[str, Any] = (
            {"rotation": 30, "ha": "right"} if _width(shown) > FULL_WIDTH else {}
        )
        axes.set_xticks(range(len(shown)), [text(v) for v in shown], **slant)
        axes.set_xlim(-0.5, max(len(shown), 1) - 0.5)
        return {level: float(i) for i, level in enumerate(shown)}
    if min(sizes) > 0 and max(sizes) > 30 * min(sizes):
        axes.set_xscale("log")
        log_ticks(axes, "x")
    return dict(zip(shown, sizes, strict=True))


def _width(shown: Sequence[Cell]) -> int:
    return sum(len(text(level)) + 1 for level in shown)


def _value_axis(axes: Axes, rows: Sequence[Row], metric: str) -> None:
    """Logarithmic for a KL and what differs much; a note where there is nothing."""
    values = np.concatenate([values_of(rows, metric), values_of(rows, floor_of(metric))])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        note(axes, "no network has this number")
        axes.set_yticks([])
        return
    positive = values[values > 0]
    wide = len(positive) == len(values) and values.max() > 20 * values.min()
    if wide or (".kl." in metric and len(positive)):
        axes.set_yscale("log")
        low, high = np.log10(axes.get_ylim())
        log_ticks(axes, "y")
        if np.floor(high) - np.ceil(low) < 1:  # fewer than two decades to label
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_locator(NullLocator())


def _line(axes: Axes, found: Sequence[Group], x: dict[Cell, float], i: int, n: int) -> None:
    """Networks as dots beside each other, their means as a line with errors: line i of n.

    Words, and single networks at many values, as in a random search, are not connected.
    """
    side_by_side = list(x.values()) == list(range(len(x)))
    connected = all(isinstance(level, int | float) for level in x) and (
        side_by_side or any(len(group.values) > 1 for group in found)
    )
    room = 0.7 / n if side_by_side else 0.0
    shift = room * (i - (n - 1) / 2)
    for group in found:
        spread = 0.5 * room * np.linspace(-1, 1, 2 * len(group.values) + 1)[1::2]
        looks: dict[str, Any] = {"ls": "", "marker": "o", "ms": 3.2, "mew": 0, "alpha": 0.6}
        axes.plot(x[group.level] + shift + spread, group.values, color=_color(i), **looks)
    axes.errorbar(
        [x[group.level] + shift for group in found],
        [group.mean for group in found],
        np.nan_to_num([group.error for group in found]),
        ls="-" if connected else "",
        **_looks(i),
    )


def _looks(i: int) -> dict[str, Any]:
    marker = MARKERS[i % len(MARKERS)]
    return {"color": _color(i), "marker": marker, "ms": 5, "lw": 1.3, "mfc": "none"}


def _color(i: int) -> str:
    return SYMBOL_COLORS[i % len(SYMBOL_COLORS)]


def _floor(axes: Axes, rows: Sequence[Row], metric: str, color: str) -> None:
    floor = values_of(rows, floor_of(metric))
    if np.isfinite(floor).any():
        axes.axhline(float(np.nanmean(floor)), color=color, **DASHED)


def _legend(figure: Figure, rows: Sequence[Row], metric: str, names: Sequence[str]) -> None:
    handles = [Line2D([], [], label=name, **_looks(i)) for i, name in enumerate(names)]
    if np.isfinite(values_of(rows, floor_of(metric))).any():
        handles.append(Line2D([], [], color=FOREGROUND, label=_sample(rows), **DASHED))
    if handles:
        n_rows = -(-len(handles) // 4)
        figure.legend(handles=handles, **{**ABOVE, "ncols": -(-len(handles) // n_rows)})


def _sample(rows: Sequence[Row]) -> str:
    """Whose numbers the floors are."""
    of_data = {str(name).startswith("data:") for name in levels(rows, "hmm")}
    return " or ".join(
        words.sample for words, here in ((OF_HMM, False), (OF_DATA, True)) if here in of_data
    )


def _cell(
    axes: Axes,
    i: int,
    j: int,
    asked: Sequence[Row],
    mean: float,
    metric: str,
    colors: ScalarMappable,
) -> None:
    """A square of the heat map; nothing where there is no network."""
    corner, known = (j - 0.5, i - 0.5), np.isfinite(mean)
    if asked and not known:
        hatch: dict[str, Any] = {"hatch": "////", "edgecolor": FOREGROUND, "alpha": 0.6, "lw": 0}
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, **hatch))
    if not known:
        return
    color = colors.to_rgba(np.array([mean]))[0]
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=color, lw=0))
    luminance = np.dot(((color[:3] + 0.055) / 1.055) ** 2.4, (0.2126, 0.7152, 0.0722))
    missing = "" if all(is_known(row, metric) for row in asked) else "*"
    label = f"{mean:.2f}{missing}".replace("-", "\N{MINUS SIGN}")
    looks: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9}
    axes.text(j, i, label, color="black" if luminance > 0.18 else "white", **looks)
