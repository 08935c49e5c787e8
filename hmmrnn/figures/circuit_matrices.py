"""Kick circuits as matrices: how the groups of units are wired, and which units they share."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hmmrnn.circuits.composition import Composition
from hmmrnn.circuits.connectivity import Blocks
from hmmrnn.figures.circuits import NAME, arrow
from hmmrnn.figures.heat_map import SHARES, SIGNED, heat_map
from hmmrnn.figures.style import FOREGROUND, WIDTH, note, panels, styled, symbol_color

MAX_CELLS = 40
"""Units along each side of a matrix of weights."""
MAX_WRITTEN = 8
"""Groups up to which the cells hold their numbers."""
MAX_LEVEL = 6
"""Groups up to which their names are written level below a matrix."""
MAX_SIDE = 4.0
RIGHT = 0.95
"""Inches of the side of a matrix, and of the place at its right."""


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
