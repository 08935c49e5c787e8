"""Heat maps that stay small as files: one path for each colour."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.path import Path

LEVELS = 41
"""Colours of a heat map: odd, so that one of them is zero, and few, so that the file stays small"""

SIGNED = LinearSegmentedColormap.from_list("signed", ["#2C3FB8", "#D3D5DA", "#B40426"], LEVELS)
SHARES = LinearSegmentedColormap.from_list("shares", ["#D3D5DA", "#8A5BB5", "#3A0A70"], LEVELS)


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


def _rectangles(x: np.ndarray, y: np.ndarray, where: np.ndarray) -> list[Path]:
    """One for each run of neighbours in a row."""
    found = []
    for row, cells in enumerate(where):
        ends = np.flatnonzero(np.diff(np.concatenate([[0], cells, [0]])))
        for a, b in ends.reshape(-1, 2):
            corners = [(x[a], y[row]), (x[b], y[row]), (x[b], y[row + 1]), (x[a], y[row + 1])]
            found.append(Path([*corners, corners[0]], closed=True))
    return found
