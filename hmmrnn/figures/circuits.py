"""Kick circuits: which units were found, what they do, and when they are active."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmmrnn.circuits.find import MEAN_AFTER, MEAN_BEFORE, KickCircuit, PairCircuit, name_of
from hmmrnn.figures.heat_map import SIGNED, heat_map
from hmmrnn.figures.style import FOREGROUND, grid, note, outer_labels, styled, symbol_color

MAX_PANELS = 6
GRID = 30
"""Cells of the plane along its longer side."""
CONTROL = "#808080"
OUTSIDE = 0.005
"""Share of the states that may lie outside of the plane's panel on each side."""
PLANE_LIMIT = 2.0
"""Standard deviations at which the colours of the plane end."""


@styled
def kick_plane_figure(found: KickCircuit) -> Figure:
    """Mean pre-activation of each kick group in cells of the plane of PC1 and PC2.

    In the standard deviation of the group's mean over all states; cells without a state are empty.
    On each side of either axis, 0.5 % of the states may lie outside of the panel.
    """
    pairs = [p for p in found.pairs if p.kick.kick.any()][:MAX_PANELS]
    silent = [arrow(p.pair) for p in found.pairs if not p.kick.kick.any()]
    points = np.pad(found.seen, ((0, 0), (0, 2 - found.seen.shape[1])))
    middle, half = _extent(points)
    shape = float(np.clip(half[1] / half[0], 0.4, 1.2))
    figure, axes = grid(
        len(pairs),
        "Mean pre-activation of kick groups over the plane of the first two principal components",
        height=1.2 + 0.25 * bool(silent),
        each=0.4 + 2.1 * shape,
        sharex=True,
        sharey=True,
    )
    shares = np.asarray(found.plane.explained, float)
    cells = None
    for place, pair in zip(axes, pairs, strict=False):
        level = found.seen_preactivation[:, pair.kick.kick].mean(1)
        spread = level.std()
        cells = _plane(place, points, level / (spread if spread > 0 else np.nan), middle, half)
        title = f"kick {arrow(pair.pair)}, {_units(int(pair.kick.kick.sum()))}"
        place.set_title(title, color=symbol_color(pair.pair[1]))
    second = f"PC2 ({100 * shares[1]:.0f} %)" if len(shares) > 1 else "PC2"
    outer_labels(axes, f"PC1 ({100 * shares[0]:.0f} % of variance)", second)
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
    figure, axes = grid(
        len(pairs),
        "Score of each unit as a kick neuron, and share of the swing that is lost without it",
        height=0.6,
        each=2.25,
    )
    outer_labels(axes, "score (s.d.)", "push (share of swing)")
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
def transition_activity_figure(found: KickCircuit) -> Figure:
    """Mean activity of the groups of each pair and of the opposite one, around the onset."""
    pairs = [p for p in found.pairs if p.activity][:MAX_PANELS]
    figure, axes = grid(
        len(pairs),
        "Mean activity of kick groups and populations around changes of the preferred symbol",
        height=0.6,
        each=2.1,
        sharex=True,
    )
    outer_labels(axes, "steps from the onset", "mean activity")
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


def _units(n: int) -> str:
    return "1 unit" if n == 1 else f"{n} units"


def _dot(**looks: Any) -> Line2D:  # noqa: ANN401
    return Line2D([], [], ls="", marker="o", ms=5.5, **looks)


def _symbol_lines(symbols: Sequence[int]) -> list[Line2D]:
    return [Line2D([], [], color=symbol_color(s), lw=4, label=f"to {s}") for s in symbols]


def _wrapped(text: str, width: int = 26) -> str:
    return "\n".join(textwrap.wrap(text, width))
