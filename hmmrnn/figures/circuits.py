"""Kick circuits: which units were found, what they do, how they are wired and what they share."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from hmmrnn.circuits.composition import Composition
from hmmrnn.circuits.connectivity import Blocks
from hmmrnn.circuits.find import MEAN_AFTER, MEAN_BEFORE, KickCircuit, PairCircuit, name_of
from hmmrnn.figures.style import FOREGROUND, WIDTH, note, panels, styled, symbol_color
from hmmrnn.intervals import Estimate

MAX_PANELS = 6
MAX_CELLS = 40
"""Cells of a heat map along each side."""
GRID = 30
MAX_WRITTEN = 8
"""Groups up to which the cells of a heat map hold their numbers."""
MAX_LEVEL = 6
"""Groups up to which their names are written level below a heat map."""
MAX_SIDE = 4.0
RIGHT = 0.95
"""Inches of the side of a heat map, and of the place at its right."""
LEVELS = 41
"""Colours of a heat map: odd, so that one of them is zero, and few, so that the file stays small"""
CONTROL = "#808080"
OUTSIDE = 0.005
"""Share of the states that may lie outside of the plane's panel on each side."""
PLANE_LIMIT = 2.0
"""Standard deviations at which the colours of the plane end."""

SIGNED = LinearSegmentedColormap.from_list("signed", ["#2C3FB8", "#D3D5DA", "#B40426"], LEVELS)
SHARES = LinearSegmentedColormap.from_list("shares", ["#D3D5DA", "#8A5BB5", "#3A0A70"], LEVELS)


@styled
def kick_plane_figure(found: KickCircuit) -> Figure:
    """Mean pre-activation of each kick group in cells of the plane of PC1 and PC2.

    In the standard deviation of the group's mean over all states; cells without a state are empty.
    On each side of either axis, 0.5 % of the states may lie outside of the panel.
    """
    pairs = [p for p in found.pairs if p.kick.kick.any()][:MAX_PANELS]
    silent = [arrow(p.pair) for p in found.pairs if not p.kick.kick.any()]
    rows = max(1, -(-len(pairs) // 2))
    points = np.pad(found.seen, ((0, 0), (0, 2 - found.seen.shape[1])))
    middle, half = _extent(points)
    shape = float(np.clip(half[1] / half[0], 0.4, 1.2))
    figure, axes = panels(
        1.2 + rows * (0.4 + 2.1 * shape) + 0.25 * bool(silent),
        "Mean pre-activation of kick groups over the plane of the first two principal components",
        rows=rows,
        columns=2,
        sharex=True,
        sharey=True,
    )
    _hide(axes, max(len(pairs), 1))
    shares = np.asarray(found.plane.explained, float)
    cells = None
    for place, pair in zip(axes, pairs, strict=False):
        level = found.seen_preactivation[:, pair.kick.kick].mean(1)
        spread = level.std()
        cells = _plane(place, points, level / (spread if spread > 0 else np.nan), middle, half)
        title = f"kick {arrow(pair.pair)}, {_units(int(pair.kick.kick.sum()))}"
        place.set_title(title, color=symbol_color(pair.pair[1]))
    for place in axes[::2]:
        place.set_ylabel(f"PC2 ({100 * shares[1]:.0f} %)" if len(shares) > 1 else "PC2")
    for place in axes[max(len(pairs) - 2, 0) : max(len(pairs), 1)]:
        place.set_xlabel(f"PC1 ({100 * shares[0]:.0f} % of variance)")
        place.tick_params(labelbottom=True)
    if silent:
        figure.supxlabel(f"without kick neurons: {', '.join(silent)}", fontsize=10, alpha=0.7)
    if cells is None:
        note(axes[0], "no pair of symbols\nhas kick neurons" if silent else NO_PAIR)
        return figure
    bar = figure.colorbar(cells, ax=axes, location="top", aspect=40, shrink=0.7)
    bar.set_label("mean pre-activation of the kick group (s.d.)")
    end = f"{PLANE_LIMIT:g}"
    bar.set_ticks(
        [-PLANE_LIMIT, 0, PLANE_LIMIT], labels=[f"≤ \N{MINUS SIGN}{end}", "0", f"≥ {end}"]
    )
    bar.ax.tick_params(length=2)
    return figure


@styled
def kick_score_figure(found: KickCircuit) -> Figure:
    """What each unit scores and how much it pushes, for each pair of symbols.

    Filled: kick neurons; open: other units that are kick-like; grey: the rest. Whiskers go down
    to the lower end of the 95 % interval of the push.
    """
    pairs = found.pairs[:MAX_PANELS]
    rows = max(1, -(-len(pairs) // 2))
    figure, axes = panels(
        0.6 + 2.25 * rows,
        "Score of each unit as a kick neuron, and share of the swing that is lost without it",
        rows=rows,
        columns=2,
    )
    _hide(axes, max(len(pairs), 1))
    for place in axes[::2]:
        place.set_ylabel("push (share of swing)")
    for place in axes[: max(len(pairs), 1)][-2:]:
        place.set_xlabel("score (s.d.)")
    if not pairs:
        note(axes[0], NO_PAIR)
        return figure
    for place, pair in zip(axes, pairs, strict=False):
        _scores(place, pair)
    marks = (("kick neuron", FOREGROUND), ("only kick-like", "none"))
    handles = [_dot(mec=FOREGROUND, mfc=fill, label=label) for label, fill in marks]
    handles.append(_dot(mec="none", mfc=CONTROL, label="other unit"))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, handlelength=1)
    return figure


@styled
def weight_block_figure(blocks: Blocks) -> Figure:
    """Mean weights from each group to each other one; framed where shuffles hardly reach them.

    A frame marks a mean outside of what 95 % of the shuffles give.
    """
    size = len(blocks.names)
    figure, axes = _square(
        blocks.names, "Mean recurrent weights between groups, beside those of shuffled weights"
    )
    mean = np.asarray(blocks.mean, float)
    if not np.isfinite(mean).any():
        axes.set_axis_off()
        note(axes, "no group has units")
        return figure
    known = np.isfinite(mean)
    largest = np.abs(mean[known]).max() or 1.0
    cells = heat_map(axes, _edges(size), _edges(size), mean, (-largest, largest), SIGNED)
    _group_axes(axes, blocks.names)
    with np.errstate(invalid="ignore"):
        outside = known & ((mean < blocks.null_low) | (mean > blocks.null_high))
    for row, column in np.argwhere(outside):
        _frame(axes, row, column, 1.3 if size <= MAX_WRITTEN else 0.8)
    if size <= MAX_WRITTEN:
        _write(axes, cells, mean)
    axes.set_title("framed: outside of 95 % of shuffles", fontsize=10)
    _colorbar(figure, axes, cells, "mean weight")
    return figure


@styled
def ordered_weights_figure(
    W_rec: Float[np.ndarray | Array, "N N"], groups: Mapping[str, Bool[np.ndarray, " N"]]
) -> Figure:
    """Weights between the units of all groups, in their order: columns send, rows receive.

    If there are more than 40, each group shows as many of its units as fit, those whose weights to
    the units of all groups are the largest (sum of sizes).
    """
    W = np.asarray(W_rec, float)
    members = {name: np.flatnonzero(mask) for name, mask in groups.items() if np.any(mask)}
    shown = strongest_units(W, members)
    figure, axes = _square(
        tuple(shown), "Recurrent weights between the units of all groups, in order", MAX_SIDE
    )
    units = np.array([i for own in shown.values() for i in own], int)
    if len(units) == 0:
        axes.set_axis_off()
        note(axes, "no group has units")
        return figure
    block = W[np.ix_(units, units)]
    largest = np.abs(block).max() or 1.0
    at = _edges(len(units))
    cells = heat_map(axes, at, at, block, (-largest, largest), SIGNED)
    sizes = [len(own) for own in shown.values()]
    for end in np.cumsum(sizes)[:-1]:
        axes.axhline(end, color="#000000", lw=0.9)
        axes.axvline(end, color="#000000", lw=0.9)
    _group_axes(axes, tuple(shown), sizes)
    cut = max((len(own) for name, own in shown.items() if len(own) < len(members[name])), default=0)
    text = f"at most {cut} units of a group,\nthose with the largest weights to all groups"
    axes.set_title(text if cut else "all units of all groups", fontsize=10)
    _colorbar(figure, axes, cells, "weight")
    return figure


@styled
def transition_activity_figure(found: KickCircuit) -> Figure:
    """Mean activity of the groups of each pair and of the opposite one, around the onset."""
    pairs = [p for p in found.pairs if p.activity][:MAX_PANELS]
    rows = max(1, -(-len(pairs) // 2))
    figure, axes = panels(
        0.6 + 2.1 * rows,
        "Mean activity of kick groups and populations around changes of the preferred symbol",
        rows=rows,
        columns=2,
        sharex=True,
    )
    _hide(axes, max(len(pairs), 1))
    for place in axes[::2]:
        place.set_ylabel("mean activity")
    for place in axes[: max(len(pairs), 1)][-2:]:
        place.set_xlabel("steps from the onset")
        place.tick_params(labelbottom=True)
    if not pairs:
        note(axes[0], NO_PAIR)
        return figure
    for place, pair in zip(axes, pairs, strict=False):
        _activity(place, pair)
    figure.legend(
        handles=[
            Line2D([], [], color=FOREGROUND, label="kick group"),
            Line2D([], [], color=FOREGROUND, ls=DASHED, label="population"),
            *_symbol_lines(sorted({s for p in pairs for s in p.pair})),
        ],
        loc="outside upper left",
        ncols=5,
        handlelength=1.6,
        columnspacing=1.0,
    )
    return figure


@styled
def composition_figure(shared: Composition) -> Figure:
    """Jaccard index of each two groups: found below the diagonal, expected by chance above it."""
    size = len(shared.names)
    figure, axes = _square(
        shared.names, "Units that each two groups share, beside what random groups would share"
    )
    if size < 2:
        axes.set_axis_off()
        note(axes, "fewer than two groups")
        return figure
    below = np.tri(size, k=-1, dtype=bool)
    values = np.where(below, shared.jaccard, np.where(below.T, shared.expected, np.nan))
    known = values[np.isfinite(values)]
    largest = float(known.max(initial=0)) or 1.0
    cells = heat_map(axes, _edges(size), _edges(size), values, (0, largest), SHARES)
    axes.plot([0, size], [0, size], color=FOREGROUND, lw=0.8, alpha=0.6)
    _group_axes(axes, shared.names, labels=("", ""))
    if size <= MAX_WRITTEN:
        _write(axes, cells, values)
    axes.set_title("below the diagonal: found, above: by chance", fontsize=10)
    _colorbar(figure, axes, cells, "Jaccard index")
    if len(known) == 0:
        note(axes, "no group has units")
    return figure


NO_PAIR = "no pair of symbols\nchanges often enough"
DASHED = (0, (4, 2))
NAME = re.compile(r"(.+) (\d+)>(\d+)")
CARRIERS = re.compile("carriers of ([st])")


def arrow(pair: tuple[int, int]) -> str:
    """An ordered pair of symbols as figures write it."""
    return f"{pair[0]} → {pair[1]}"


def readable(name: str, pair: tuple[int, int] | None = None) -> str:
    """The name of a group as figures write it; s and t are the symbols of `pair`."""
    if pair is not None and (found := CARRIERS.fullmatch(name)):
        return f"carriers of {pair['st'.index(found[1])]}"
    return name.replace(">", " → ")


def group_look(name: str, pair: tuple[int, int] | None = None) -> dict[str, Any]:
    """Line style of a group: colour of the symbol that it leads to or carries, controls grey."""
    if name.startswith("control"):
        return {"color": CONTROL, "ls": "-", "lw": 1.0}
    color = FOREGROUND
    if found := NAME.fullmatch(name):
        color = symbol_color(int(found[3]))
    elif pair is not None and (found := CARRIERS.fullmatch(name)):
        color = symbol_color(pair["st".index(found[1])])
    return {"color": color, "ls": DASHED if name.startswith("population") else "-"}


def band(axes: Axes, x: Sequence[float], found: Sequence[Estimate], **looks: Any) -> None:  # noqa: ANN401
    """A line through estimates with their intervals; unknown ones are gaps."""
    value, low, high = np.array(found, float).reshape(-1, 3).T
    axes.fill_between(x, low, high, color=looks["color"], alpha=0.18, lw=0)
    around = np.pad(np.isfinite(value), 1)
    alone = around[1:-1] & ~around[:-2] & ~around[2:]
    axes.vlines(np.asarray(x)[alone], low[alone], high[alone], color=looks["color"], alpha=0.4)
    axes.plot(x, value, marker="." if len(value) < 20 else "", ms=5, **looks)


def heat_map(
    axes: Axes,
    x: Float[np.ndarray, " X1"],
    y: Float[np.ndarray, " Y1"],
    values: Float[np.ndarray, "Y X"],
    limits: tuple[float, float],
    colors: Colormap,
) -> PathCollection:
    """Cells between edges, one path for each colour; empty where NaN, row 0 lowest.

    Paths of many cells make a file several times smaller than one path for each.
    """
    low, high = limits
    known = np.isfinite(values)
    share = np.clip((np.where(known, values, low) - low) / (high - low), 0, 1)
    level = np.where(known, np.rint(share * (LEVELS - 1)), -1)
    used = np.unique(level[known])
    parts = [Path.make_compound_path(*_rectangles(x, y, level == one)) for one in used]
    cells = PathCollection(parts, cmap=colors, norm=Normalize(low, high), lw=0.3, ec="face")
    cells.set_array(low + used / (LEVELS - 1) * (high - low))
    axes.add_collection(cells)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    return cells


def strongest_units(W: np.ndarray, members: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Units of each group, in order: all, or as many of each as make 40 together.

    Those with the largest sum of |weight| onto the units of all groups.
    """
    sizes = np.array([len(own) for own in members.values()], int)
    caps = np.arange(1, max(sizes, default=1) + 1)
    fits = [cap for cap in caps if np.minimum(sizes, cap).sum() <= MAX_CELLS]
    most = max(fits, default=1)
    everyone = np.unique(np.concatenate([[], *members.values()]).astype(int))
    strength = np.abs(W[everyone]).sum(0)
    return {
        name: np.sort(own[np.argsort(-strength[own], kind="stable")[:most]])
        for name, own in list(members.items())[:MAX_CELLS]
    }


def _rectangles(x: np.ndarray, y: np.ndarray, where: np.ndarray) -> list[Path]:
    """One for each run of neighbours in a row."""
    found = []
    for row, cells in enumerate(where):
        ends = np.flatnonzero(np.diff(np.concatenate([[0], cells, [0]])))
        for a, b in ends.reshape(-1, 2):
            corners = [(x[a], y[row]), (x[b], y[row]), (x[b], y[row + 1]), (x[a], y[row + 1])]
            found.append(Path([*corners, corners[0]], closed=True))
    return found


def _plane(
    axes: Axes, points: np.ndarray, level: np.ndarray, middle: np.ndarray, half: np.ndarray
) -> PathCollection:
    """Mean of `level` in each cell of a square grid over the plane."""
    side = 2 * half.max() / GRID
    x, y = (
        centre + side * np.arange(-np.ceil(size / side), np.ceil(size / side) + 1)
        for centre, size in zip(middle, half, strict=True)
    )
    counts, sums = (
        np.histogram2d(points[:, 1], points[:, 0], [y, x], weights=weights)[0]
        for weights in (None, level)
    )
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    cells = heat_map(axes, x, y, means, (-PLANE_LIMIT, PLANE_LIMIT), SIGNED)
    axes.set_aspect("equal")
    axes.locator_params(nbins=5)
    return cells


def _extent(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half widths of a panel with nearly all points, neither side much longer."""
    if len(points) == 0:
        return np.zeros(2), np.ones(2)
    low, high = np.quantile(points, [OUTSIDE, 1 - OUTSIDE], axis=0)
    half = 0.55 * (high - low)
    return (low + high) / 2, np.maximum(half, 0.5 * half.max() or 1.0)


def _scores(axes: Axes, pair: PairCircuit) -> None:
    kick = pair.kick
    color = symbol_color(pair.pair[1])
    known = np.isfinite(kick.push) & np.isfinite(kick.score)
    only_like = kick.kick_like & ~kick.kick
    axes.set_title(
        f"{arrow(pair.pair)}: {kick.kick.sum()} kick, {only_like.sum()} kick-like", fontsize=10
    )
    if not known.any():
        note(axes, _wrapped(kick.problem or "not known"))
        return
    for value in (axes.axhline, axes.axvline):
        value(0, color=FOREGROUND, lw=0.8, alpha=0.4, zorder=0)
    rest = known & ~kick.kick_like
    axes.plot(kick.score[rest], kick.push[rest], "o", ms=3, mew=0, color=CONTROL, alpha=0.7)
    for chosen, fill in ((only_like, "none"), (kick.kick, color)):
        units = known & chosen
        axes.vlines(
            kick.score[units],
            kick.push_low[units],
            kick.push[units],
            color=color,
            lw=0.9,
            alpha=0.6,
        )
        axes.plot(kick.score[units], kick.push[units], "o", ms=5.5, mec=color, mfc=fill)
    if kick.problem:
        where: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 9, "alpha": 0.8}
        axes.text(0.03, 0.98, _wrapped(kick.problem), transform=axes.transAxes, **where)


def _activity(axes: Axes, pair: PairCircuit) -> None:
    s, t = pair.pair
    axes.set_title(arrow(pair.pair))
    axes.axvline(0, color=FOREGROUND, lw=0.8, alpha=0.5, zorder=0)
    steps = np.arange(-MEAN_BEFORE, MEAN_AFTER)
    none = True
    for kind in ("population", "kick"):
        for own in ((t, s), (s, t)):
            course = pair.activity.get(f"{kind} {name_of(own)}")
            if course is not None:
                axes.plot(steps, course, **group_look(f"{kind} {name_of(own)}"))
                none = False
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    if none:
        note(axes, "no group\nhas units")


def _square(
    names: tuple[str, ...], description: str, side: float | None = None
) -> tuple[Figure, Axes]:
    """A square panel with room for the names of groups and a colour bar.

    Automatic layouts do not foresee that a square becomes smaller than its place.
    """
    longest = max((len(_short(name)) for name in names), default=0)
    left = 0.75 + 0.09 * longest
    side = min(side or max(1.8, 0.62 * len(names)), WIDTH - left - RIGHT)
    bottom = 0.75 if len(names) <= MAX_LEVEL else 0.45 + 0.09 * longest
    height = 0.45 + side + bottom
    figure, (axes,) = panels(height, description)
    figure.set_layout_engine("none")
    left += (WIDTH - left - RIGHT - side) / 2
    axes.set_position((left / WIDTH, bottom / height, side / WIDTH, side / height))
    return figure, axes


def _short(name: str) -> str:
    """The pair of a group, or its name where it has none."""
    match = NAME.fullmatch(name)
    return arrow((int(match[2]), int(match[3]))) if match else name


def _group_axes(
    axes: Axes,
    names: tuple[str, ...],
    sizes: Sequence[int] | None = None,
    labels: tuple[str, str] = ("from", "onto"),
) -> None:
    """Names along both sides: the pair of each group, and its kind for all groups of a kind."""
    widths = np.ones(len(names)) if sizes is None else np.asarray(sizes, float)
    middles = np.cumsum(widths) - widths / 2
    axes.set_ylim(widths.sum(), 0)
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    matches = [NAME.fullmatch(name) for name in names]
    pairs = [_short(name) for name in names]
    small = 10 if len(names) <= 12 else 7.5
    axes.set_xticks(middles, pairs, rotation=0 if len(names) <= MAX_LEVEL else 90, fontsize=small)
    axes.set_yticks(middles, pairs, fontsize=small)
    kinds, at = [], []
    where = zip(matches, middles, strict=True)
    for kind, run in groupby(where, lambda item: item[0][1] if item[0] else ""):
        kinds.append({"population": "populations", "kick": "kick groups"}.get(kind, kind))
        at.append(np.mean([middle for _, middle in run]))
    pad = 34 if small == 10 else 26
    for axis in (axes.xaxis, axes.yaxis):
        _kinds(axis, at, kinds, pad if axis is axes.yaxis or len(names) > MAX_LEVEL else 20)
        for label, match in zip(axis.get_majorticklabels(), matches, strict=True):
            label.set_color(symbol_color(int(match[3])) if match else FOREGROUND)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])


def _kinds(axis: Axis, at: list[float], kinds: list[str], pad: float) -> None:
    """Second row of labels."""
    axis.remove_overlapping_locs = False
    upright = {"rotation": 90, "va": "center"} if isinstance(axis, YAxis) else {}
    axis.set_ticks(at, kinds, minor=True, **upright)
    axis.set_tick_params(which="minor", pad=pad, length=0)


def _frame(axes: Axes, row: int, column: int, width: float) -> None:
    inset = 0.04
    low, high = inset, 1 - inset
    x = column + np.array([low, high, high, low, low])
    y = row + np.array([low, low, high, high, low])
    axes.plot(x, y, color="#000000", lw=width)


def _write(axes: Axes, cells: PathCollection, values: np.ndarray) -> None:
    """Each number on its cell, black or white."""
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "#ffffff" if _dark(cells.to_rgba(value)) else "#000000"
            text = f"{value if abs(value) >= 0.005 else 0.0:.2f}".replace("-", "\N{MINUS SIGN}")
            axes.text(column + 0.5, row + 0.5, text, color=color, ha="center", va="center")


def _dark(color: Any) -> bool:  # noqa: ANN401
    return float(np.dot(to_rgb(color), (0.299, 0.587, 0.114))) < 0.5


def _colorbar(figure: Figure, axes: Axes, cells: PathCollection, label: str) -> None:
    """As high as the heat map."""
    bar = figure.colorbar(cells, cax=axes.inset_axes((1.03, 0, 0.035, 1)), label=label)
    bar.locator = MaxNLocator(5)
    bar.update_ticks()
    bar.ax.tick_params(length=2)


def _edges(n: int) -> np.ndarray:
    return np.arange(n + 1.0)


def _hide(axes: Sequence[Axes], n_used: int) -> None:
    for place in axes[n_used:]:
        place.set_visible(False)


def _units(n: int) -> str:
    return "1 unit" if n == 1 else f"{n} units"


def _dot(**looks: Any) -> Line2D:  # noqa: ANN401
    return Line2D([], [], ls="", marker="o", ms=5.5, **looks)


def _symbol_lines(symbols: Sequence[int]) -> list[Line2D]:
    return [Line2D([], [], color=symbol_color(s), lw=4, label=f"to {s}") for s in symbols]


def _wrapped(text: str, width: int = 26) -> str:
    return "\n".join(textwrap.wrap(text, width))
