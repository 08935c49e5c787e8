"""How all figures look: colours, fonts, and one colour for each symbol, on light and dark pages."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike

from hmmrnn.intervals import Estimate

P = ParamSpec("P")

FOREGROUND = "#010203"
"""Stands for the text colour of the page: `to_svg` writes currentColor in its place."""

SYMBOL_COLORS = (  # Okabe & Ito; their black and yellow vanish on dark and on light pages
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#D55E00",  # vermillion
    "#A89A00",  # dark yellow
    "#888888",  # grey
)

ZONE_COLORS = ("#8040F0", "#D8203A", "#009CB4", "#9EA1A5")
"""Of clusters, kick-zones, transitions and the rest; none is a symbol's."""

WIDTH = 5.6
"""Inches, for all figures: with 10 pt text legible from a phone's 360 px to a page's 640 px."""

RC: dict[Any, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so layouts are the same anywhere
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.edgecolor": FOREGROUND,
    "axes.labelcolor": FOREGROUND,
    "axes.linewidth": 0.8,
    "figure.facecolor": "none",
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": FOREGROUND,
    "xtick.color": FOREGROUND,
    "ytick.color": FOREGROUND,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}

LEGEND_ABOVE: dict[str, Any] = {
    "loc": "lower left",
    "bbox_to_anchor": (0.0, 1.0),
    "borderaxespad": 0.2,
    "handlelength": 1.6,
    "handletextpad": 0.5,
    "columnspacing": 1.4,
    "ncols": 4,
}
"""Options of a legend that stands above its panel and so never covers data."""


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """`draw` under the style, which leaves matplotlib's global settings as they are."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(RC):
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # or each rendering would shift it a little
            return figure

    return inner


def symbol_color(symbol: int) -> str:
    """The colour of a symbol in every figure; distinct for up to 8 symbols."""
    return SYMBOL_COLORS[symbol % len(SYMBOL_COLORS)]


def panels(
    height: float,
    description: str,
    rows: int = 1,
    columns: int = 1,
    *,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """An empty figure, `height` in inches, that `description` tells to those who cannot see it."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.set_label(description)
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    return figure, list(axes.ravel())


def grid(
    n: int,
    description: str,
    *,
    height: float,
    each: float,
    columns: int = 2,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """`n` panels in rows of `each` inches below `height` inches for a legend; at least one."""
    rows, n = max(1, -(-n // columns)), max(n, 1)
    figure, axes = panels(
        height + each * rows, description, rows, columns, sharex=sharex, sharey=sharey
    )
    for place in axes[n:]:
        place.set_visible(False)
    return figure, axes[:n]


def outer_labels(axes: Sequence[Axes], x: str, y: str) -> None:
    """Names of the axes of a `grid`: along its left, and below the lowest panel of each column."""
    first = axes[0].get_subplotspec() if axes else None
    columns = 1 if first is None else first.get_gridspec().ncols
    for place in axes[::columns]:
        place.set_ylabel(y)
    for place in axes[-columns:]:
        place.set_xlabel(x)
        place.tick_params(labelbottom=True)


def note(axes: Axes, text: str, *, corner: bool = False) -> None:
    """Say why a panel is empty, in its middle or in its upper right corner."""
    x, y, ha, va = (0.97, 0.97, "right", "top") if corner else (0.5, 0.5, "center", "center")
    axes.text(x, y, text, transform=axes.transAxes, ha=ha, va=va, alpha=0.7)


def band(axes: Axes, x: ArrayLike, found: Estimate, **looks: Any) -> None:  # noqa: ANN401
    """A line through estimates (X,) with their intervals; unknown ones are gaps, lone ones dots."""
    value, low, high = found.parts
    axes.fill_between(x, low, high, color=looks["color"], alpha=0.18, lw=0)
    around = np.pad(np.isfinite(value), 1)
    alone = around[1:-1] & ~around[:-2] & ~around[2:]
    if alone.any():
        axes.vlines(np.asarray(x)[alone], low[alone], high[alone], color=looks["color"], alpha=0.4)
    axes.plot(x, value, **{"marker": "." if len(value) < 20 else "", "ms": 5, **looks})


def dot(
    axes: Axes,
    found: Estimate,
    at: float,
    *,
    filled: bool = True,
    upright: bool = False,
    **looks: Any,  # noqa: ANN401
) -> None:
    """An estimate as a dot with its interval, in the row `at`, or `upright` above it there."""
    if not np.isfinite(found.value):
        return
    looks = {"color": FOREGROUND, "marker": "o", "ms": 5.5, "lw": 1.4, **looks}
    line = {name: looks[name] for name in ("color", "lw", "alpha") if name in looks}
    ends, place = [found.low, found.high], [at, at]
    if np.isfinite(ends).all():
        axes.plot(*((place, ends) if upright else (ends, place)), **line)
    shown = {**looks, "ls": "", "mfc": looks["color"] if filled else "none", "clip_on": False}
    axes.plot(*(([at], [found.value]) if upright else ([found.value], [at])), **shown)


def rows_of(axes: Axes, labels: Sequence[str], title: str = "") -> None:
    """Names of rows of dots, from top to bottom."""
    axes.set_yticks(range(len(labels)), list(labels))
    axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel(title)


def log_ticks(axes: Axes, which: str) -> None:
    """Label the decades of a logarithmic axis as 0.01, 0.1, 1 or as powers of ten."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: decade(value)))


def decade(value: float) -> str:
    """A power of ten in plain text; matplotlib's own needs a mathematical font."""
    if value == 0:
        return "0"
    sign = "\N{MINUS SIGN}" if value < 0 else ""
    exponent = round(float(np.log10(abs(value))))
    if -2 <= exponent <= 3:
        return f"{sign}{10.0**exponent:g}"
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{sign}10{digits}"
