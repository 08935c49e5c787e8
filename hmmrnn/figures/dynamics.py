"""How the state of a network moves in its principal components."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmmrnn.dynamics import Portrait
from hmmrnn.figures.style import FOREGROUND, note, panels, styled, symbol_color

COLUMNS = 5  # of the legend
N_SHOWN = 300
"""Steps of the driven path that are drawn; more would cover each other."""


@styled
def trajectory_figure(portrait: Portrait) -> Figure:
    """Paths in the plane of PC1 and PC2: with noise by preferred symbol, and without noise."""
    driven = np.asarray(portrait.driven)[:N_SHOWN, :2]
    paths = np.asarray(portrait.quiet)[..., :2]
    symbols = np.asarray(portrait.driven_symbols)[:N_SHOWN]
    shares = [*np.asarray(portrait.plane.explained, float), 0.0, 0.0]
    middle, half = _extent(np.concatenate([driven, paths.reshape(-1, 2)]))
    handles = _handles(np.unique(symbols))
    figure, (noisy, quiet) = panels(
        0.9 + 0.25 * -(-len(handles) // COLUMNS) + 2.35 * half[1] / half[0],
        "Paths of the hidden state in its first two principal components, with and without noise",
        columns=2,
        sharex=True,
        sharey=True,
    )
    noisy.set_xlim(middle[0] - half[0], middle[0] + half[0])
    noisy.set_ylim(middle[1] - half[1], middle[1] + half[1])
    for axes, title in (
        (noisy, f"with noise, {len(driven)} steps"),
        (quiet, f"without noise, {len(paths)} starts"),
    ):
        axes.set_title(title)
        axes.set_xlabel(f"PC1 ({100 * shares[0]:.0f} % of variance)")
        axes.set_aspect("equal")
    noisy.set_ylabel(f"PC2 ({100 * shares[1]:.0f} % of variance)")
    _driven(noisy, driven, symbols)
    _quiet(quiet, paths)
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=COLUMNS,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=1.2,
    )
    return figure


def _driven(axes: Axes, points: np.ndarray, symbols: np.ndarray) -> None:
    """One line for each stay with a symbol, from the last point before it."""
    if np.ptp(points, axis=0).max() == 0:
        note(axes, "the state\ndoes not move")
        return
    bounds = [0, *(np.flatnonzero(np.diff(symbols)) + 1), len(symbols)]
    stays = [points[max(a - 1, 0) : b] for a, b in pairwise(bounds)]
    colors = [symbol_color(int(symbols[a])) for a in bounds[:-1]]
    axes.add_collection(LineCollection(stays, colors=colors, linewidths=0.9, alpha=0.8))


def _quiet(axes: Axes, paths: np.ndarray) -> None:
    for path in paths:
        axes.plot(path[:, 0], path[:, 1], color=FOREGROUND, lw=1, alpha=0.6)
    axes.plot(*paths[:, 0].T, **_LOOKS["start"])
    axes.plot(*paths[:, -1].T, **_LOOKS["end"])


def _extent(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half widths of a panel with all points, neither side much longer."""
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    half = 0.54 * np.ptp(points, axis=0)
    return middle, np.maximum(half, 0.7 * half.max() or 1.0)


def _handles(symbols: np.ndarray) -> list[Line2D]:
    lines = [Line2D([], [], color=symbol_color(int(s)), label=f"symbol {s}") for s in symbols]
    return lines + [Line2D([], [], label=label, **looks) for label, looks in _LOOKS.items()]


_LOOKS: dict[str, dict] = {
    "start": {"ls": "", "marker": "o", "ms": 5, "color": FOREGROUND, "mfc": "none"},
    "end": {"ls": "", "marker": "o", "ms": 6, "color": FOREGROUND},
}
