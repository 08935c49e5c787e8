"""Effective connectivity over time, between the units with the largest effects."""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from hmmrnn.discovery.movie import Movie
from hmmrnn.figures.circuits import readable
from hmmrnn.figures.group_names import LINE, MINUS, SMALL, brackets, room_for
from hmmrnn.figures.heat_map import LEVELS, SIGNED, heat_map
from hmmrnn.figures.style import WIDTH, note, panels, styled

MOST_COLUMNS = 3
GAP, HEAD = 0.125, 0.8
"""Inches between panels, and above them."""
CUT = 0.995
"""Share of the connections whose colours are not cut off."""


@styled
def connectivity_figure(
    shown: Movie, connectivity: Float[np.ndarray, "L m m"], title: str
) -> Figure:
    """Effective connectivity at each step of a movie, on one scale: columns send, rows receive.

    Of the strongest connections, one in 200 may be beyond the ends of the scale.
    """
    n_columns = min(MOST_COLUMNS, len(connectivity))
    n_rows = -(-len(connectivity) // n_columns)
    m = len(shown.units)
    left = _tenths(room_for([readable(name) for name in shown.group]))
    side = min((WIDTH - left) / n_columns - GAP, 2.4)
    side = m * _tenths(side / m)
    pitch = _tenths(max(side, LINE * len(set(shown.group))) + 0.3)
    height = _tenths(HEAD + n_rows * pitch + 0.1)
    figure, axes = panels(
        height,
        f"Effective connectivity between the units with the largest effects, {title}, at steps "
        + ", ".join(str(step) for step in shown.steps),
        rows=n_rows,
        columns=n_columns,
    )
    figure.set_layout_engine("none")
    text = f"effective connectivity,\n{title}"
    figure.text(0.47, 1 - 0.3 / height, text, ha="right", va="center", fontsize=10)
    where = "columns send, rows receive, in the same order"
    figure.text(0.5, 0.08 / height, where, ha="center", fontsize=SMALL, alpha=0.8)
    known = np.abs(connectivity[np.isfinite(connectivity) & (connectivity != 0)])
    limit = float(np.quantile(known, CUT)) if known.size else 1.0
    for i, place in enumerate(axes):
        column, row = i % n_columns, i // n_columns
        x, y = left + column * (side + GAP), height - HEAD - row * pitch - side
        place.set_position((x / WIDTH, y / height, side / WIDTH, side / height))
        place.set_visible(i < len(connectivity))
    if not known.size:
        for place in axes:
            place.set_axis_off()
        note(axes[0], "nothing passes\nbetween these units")
        return figure
    for i, (place, step, values) in enumerate(zip(axes, shown.steps, connectivity, strict=False)):
        cells = _connectivity_panel(place, values, limit, shown.group)
        place.set_title(f"step {step}".replace("-", MINUS), fontsize=SMALL, pad=2)
        if i % n_columns == 0:
            brackets(place, shown.group)
    _connectivity_bar(figure, cells, limit, bool(known.max() > limit), height)
    return figure


def _connectivity_panel(
    axes: Axes, values: Float[np.ndarray, "m m"], limit: float, group: Sequence[str]
) -> PathCollection:
    at = np.arange(len(values) + 1.0)
    grey = np.abs(values) < limit / (LEVELS - 1)
    axes.set_facecolor(SIGNED(0.5))
    cells = heat_map(axes, at, at, np.where(grey, np.nan, values), (-limit, limit), SIGNED)
    axes.set_ylim(len(values), 0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    for end in np.cumsum([len(list(run)) for _, run in groupby(group)])[:-1]:
        axes.axhline(end, color="#000000", lw=0.6)
        axes.axvline(end, color="#000000", lw=0.6)
    return cells


def _connectivity_bar(
    figure: Figure, cells: PathCollection, limit: float, cut: bool, height: float
) -> None:
    place = figure.add_axes((0.55, 1 - 0.3 / height, 0.4, 0.1 / height))
    bar = figure.colorbar(cells, cax=place, orientation="horizontal")
    low, high = ("≤ ", "≥ ") if cut else ("", "")
    end = f"{limit:.2g}"
    bar.set_ticks([-limit, 0, limit], labels=[f"{low}{MINUS}{end}", "0", f"{high}{end}"])
    bar.ax.tick_params(length=2, labelsize=SMALL)


def _tenths(inches: float) -> float:
    """Inches in whole tenths of points, at most as many: numbers in the file are shorter."""
    return math.floor(720 * inches + 1e-9) / 720
