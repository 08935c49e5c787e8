"""Panels of discovery, one for each window: how they stand, and how rankings look in them."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hmmrnn.discovery.rankings import BASELINES
from hmmrnn.discovery.surveys import INTERVENTION, RANKING
from hmmrnn.figures.discovery import FOUND
from hmmrnn.figures.group_names import MINUS
from hmmrnn.figures.style import ZONE_COLORS, decade, grid

DARKER, LIGHTER = "#767676", "#A0A0A0"
BASELINE_DASHES = (  # of every other one the same grey
    (0, (7, 1.5)),
    (0, (3.5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, ()),
)
LOOKS: dict[str, dict[str, Any]] = {
    INTERVENTION: {"color": FOUND, "ls": "-", "lw": 2.0, "zorder": 4},
    RANKING: {"color": ZONE_COLORS[0], "ls": (0, (4, 2)), "lw": 1.6, "zorder": 5},
    **{
        name: {"color": (DARKER, LIGHTER)[i % 2], "ls": BASELINE_DASHES[i], "lw": 1.2, "zorder": 3}
        for i, name in enumerate(BASELINES)
    },
}


def readable_window(window: str) -> str:
    """The name of a window as figures write it."""
    return window.replace("-", MINUS)


def window_panels(
    n: int, description: str, *, above: float = 0.0, below: float = 0.0, taller: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Panels that share their axes, with inches for a legend, a table, and for each row."""
    columns = n if n < 3 else 2 if n == 4 else 3
    figure, axes = grid(
        n,
        description,
        height=0.45 + above + below,
        each={1: 2.6, 2: 2.1, 3: 1.7}[columns] + taller,
        columns=columns,
        sharex=True,
        sharey=True,
    )
    share = below / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, share, 1, 1 - share))
    return figure, axes


def legend_above(figure: Figure, handles: list[Line2D]) -> None:
    """A legend of three columns above all panels."""
    looks: dict[str, Any] = {"handlelength": 2.6, "columnspacing": 1.2, "labelspacing": 0.3}
    figure.legend(handles=handles, loc="outside upper left", ncols=3, **looks)


def mark_decades(axis: Axis, ticks: Sequence[float]) -> None:
    """Ticks at some powers of ten, and at 0."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: decade(value)))
