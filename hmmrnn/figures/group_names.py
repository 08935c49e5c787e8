"""Names of groups beside the rows of a map, and the place that they take."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

from hmmrnn.figures.circuits import group_look, readable
from hmmrnn.figures.style import FOREGROUND

SMALL = 8.5
LINE = 0.15
"""Font size in points of the names of groups and windows, and the height of a line in inches."""
LETTER = 0.068
"""Inches of a letter of that size, of most words at most."""
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def room_for(names: Sequence[str]) -> float:
    """Inches for names and brackets."""
    return 0.3 + line_width(names)


def line_width(lines: Sequence[str]) -> float:
    """Inches of the longest line."""
    return LETTER * max(len(line) for line in lines)


def inches(axes: Axes) -> tuple[float, float]:
    """Width and height of a panel."""
    size = axes.bbox.transformed(axes.figure.dpi_scale_trans.inverted())
    return float(size.width), float(size.height)


def brackets(axes: Axes, group: Sequence[str]) -> None:
    """Each group's name at the left of its rows; names that would touch are moved apart."""
    width, height = inches(axes)
    names = [name for name, _ in groupby(group)]
    ends = np.cumsum([0, *(len(list(run)) for _, run in groupby(group))])
    middles = (ends[1:] + ends[:-1]) / 2
    at = apart(middles, LINE * len(group) / height, len(group))
    where = axes.get_yaxis_transform()
    x, elbow, text = (-place / width for place in (0.05, 0.1, 0.2))
    inset = min(0.15, 0.02 * len(group) / height)
    for name, low, high, middle, y in zip(names, ends[:-1], ends[1:], middles, at, strict=True):
        line = [x, elbow, elbow, x], [low + inset, low + inset, high - inset, high - inset]
        axes.plot(*line, color=FOREGROUND, lw=0.8, transform=where, clip_on=False)
        axes.plot([elbow, text], [middle, y], c=FOREGROUND, lw=0.6, transform=where, clip_on=False)
        looks: dict[str, Any] = {
            "ha": "right",
            "va": "center",
            "fontsize": SMALL,
            "transform": where,
        }
        color = group_look(name)["color"]
        axes.text(text - 0.03 / width, y, readable(name), color=color, **looks)


def apart(wanted: Float[np.ndarray, " n"], gap: float, end: float) -> Float[np.ndarray, " n"]:
    """Rising places at least `gap` apart, moved from where they are wanted as little as possible.

    Half a gap within 0 .. `end`, or around its middle if there is too little room. Least squares:
    without the gaps it is an isotonic regression, whose bounds can be applied afterwards.
    """
    steps = gap * np.arange(len(wanted))
    spare = end - gap * len(wanted)
    first = gap / 2 + min(spare, 0) / 2
    free = isotonic_regression(wanted - steps).x
    return np.asarray(np.clip(free, first, first + max(spare, 0)) + steps)
