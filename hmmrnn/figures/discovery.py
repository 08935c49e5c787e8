"""Discovered circuits as a map: which units matter when."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from hmmrnn.discovery.movie import ELSEWHERE
from hmmrnn.discovery.surveys import Discovery
from hmmrnn.figures.circuits import readable
from hmmrnn.figures.group_names import (
    DASH,
    LINE,
    MINUS,
    SMALL,
    brackets,
    inches,
    line_width,
    room_for,
)
from hmmrnn.figures.heat_map import SHARES, SIGNED, heat_map
from hmmrnn.figures.style import FOREGROUND, WIDTH, ZONE_COLORS, decade, note, panels, styled

FOUND = ZONE_COLORS[2]
"""Colour of what interventions find."""
MAX_UNITS = 80
DECADES = 3
"""Orders of magnitude below a window's strongest effect that colours tell apart."""
CELL, FOUND_AT, TRUE_AT = 0.76, 0.82, 0.89
"""Of the place of a window, 1 wide: right end of its cells, and its marks."""
FACTS = 8.0
"""Font size in points of what is written below windows."""
HEADS = ("window", "steps", "strongest")
MAP = "Effect of replacing each unit in each window"
BARE = "no unit has an effect in any window"


@styled
def discovery_map_figure(
    found: Discovery,
    groups: Mapping[str, Bool[np.ndarray, " N"]],
    truth: Bool[np.ndarray, "W N"] | None,
) -> Figure:
    """Effect of replacing each unit in each window, as a share of the window's strongest one.

    Rows are units: by group, then by the window of their largest share. Of more than 80 those with
    the largest shares are shown. Colours are logarithmic over three orders of magnitude. Bars at
    the right of a window's cells mark the units of its circuit and, where it is known, the truth.
    """
    effect = found.effect.value
    if not effect.any():
        figure, (axes,) = panels(1.0, MAP)
        axes.set_axis_off()
        note(axes, BARE)
        return figure
    member = group_of(groups, effect.shape[1])
    share = shares(effect)
    units = shown_units(share, [*groups, ELSEWHERE], member)
    labels = [
        (name.replace("-", MINUS), f"{first}{DASH}{end - 1}", f"{top:.2g}")
        for (name, (first, end)), top in zip(
            found.windows.items(), np.abs(effect).max(1), strict=True
        )
    ]
    inside = np.array([circuit.units for circuit in found.circuits])
    caption = _hidden(units, inside, truth)
    names = [readable(member[u]) for u in units]
    figure, axes = _map_panel(names, labels, caption)
    cells = _map_cells(axes, share[:, units].T)
    marks = [(inside, FOUND_AT, FOUND, "in the circuit")]
    marks += [] if truth is None else [(truth, TRUE_AT, FOREGROUND, "true")]
    for which, at, color, _ in marks:
        for w, row in enumerate(which[:, units]):
            low, high = _runs(row)
            axes.vlines(np.full(len(low), w + at), low, high, color=color, lw=2)
    _window_labels(axes, labels)
    brackets(axes, [member[u] for u in units])
    _map_bar(figure, cells)
    handles = [Line2D([], [], color=c, lw=3, label=label) for _, _, c, label in marks]
    figure.legend(handles=handles, loc="upper center", ncols=2, handlelength=1)
    return figure


def shares(effect: Float[np.ndarray, "W N"]) -> Float[np.ndarray, "W N"]:
    """Effects over the largest size in each window; 0 in windows without any."""
    largest = np.abs(effect).max(1, keepdims=True)
    return np.divide(effect, largest, out=np.zeros_like(effect), where=largest > 0)


def group_of(groups: Mapping[str, Bool[np.ndarray, " N"]], n_units: int) -> list[str]:
    """The first group that each unit is in."""
    return [
        next((name for name, mask in groups.items() if mask[u]), ELSEWHERE) for u in range(n_units)
    ]


def shown_units(
    share: Float[np.ndarray, "W N"], groups: Sequence[str], member: Sequence[str]
) -> Int[np.ndarray, " m"]:
    """The up to 80 units with the largest shares, by group, then by window, then by share."""
    size = np.abs(share).max(0)
    best = np.argsort(-size, kind="stable")[:MAX_UNITS]
    when = np.abs(share).argmax(0)
    order = sorted(best, key=lambda u: (groups.index(member[u]), when[u], -size[u]))
    return np.array(order, int)


def logarithmic(share: Float[np.ndarray, "*A"]) -> Float[np.ndarray, "*A"]:
    """From 0 at a share of 1e-3 and below to 1 at a share of 1, with the share's sign."""
    size = np.maximum(np.abs(share), 10.0**-DECADES)
    return np.sign(share) * (1 + np.log10(size) / DECADES)


def _hidden(
    units: Int[np.ndarray, " m"],
    inside: Bool[np.ndarray, "W N"],
    truth: Bool[np.ndarray, "W N"] | None,
) -> str:
    """How many units are not shown, and what of them."""
    rest = np.ones(inside.shape[1], bool)
    rest[units] = False
    if not rest.any():
        return ""
    facts = [f"{(inside.any(0) & rest).sum()} of them in a circuit"]
    facts += [] if truth is None else [f"{(truth.any(0) & rest).sum()} true"]
    return f"not shown: {rest.sum()} units with smaller shares, {', '.join(facts)}"


def _map_panel(
    names: Sequence[str], labels: Sequence[tuple[str, ...]], caption: str
) -> tuple[Figure, Axes]:
    """A panel with places in inches."""
    left, right, above = max(room_for(names), room_for(HEADS)), 0.05, 1.05
    pitch = min((WIDTH - left - right) / len(labels), 1.25)
    left += (WIDTH - left - right - pitch * len(labels)) / 2
    upright = _upright(labels, pitch)
    below = 0.15 + (line_width(_joined(labels)) if upright else 3 * LINE) + 0.3 * bool(caption)
    size = float(np.clip(4.8 / len(names), 0.062, 0.3)) * len(names)
    size = max(size, LINE * len(set(names)))
    height = above + size + below
    figure, (axes,) = panels(height, MAP)
    figure.set_layout_engine("none")
    axes.set_position((left / WIDTH, below / height, pitch * len(labels) / WIDTH, size / height))
    figure.text(0.5, 0.08 / height, caption, ha="center", fontsize=SMALL, alpha=0.8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=SMALL)
    axes.set_yticks([])
    return figure, axes


def _window_labels(axes: Axes, labels: Sequence[tuple[str, ...]]) -> None:
    """Facts on each window below it, beside what they are; in upright lines if they are long."""
    width, _ = inches(axes)
    at = np.arange(len(labels)) + CELL / 2
    axes.set_xticks(at, [""] * len(labels))
    if _upright(labels, width / len(labels)):
        axes.set_xticks(at, _joined(labels), rotation=90)
        return
    below = blended_transform_factory(axes.transData, axes.transAxes)
    looks: dict[str, Any] = {"textcoords": "offset points", "fontsize": FACTS}
    for row in range(len(HEADS)):
        down = -72 * LINE * (row + 1)
        axes.annotate(
            HEADS[row], (0, 0), (-8, down), xycoords=below, ha="right", **looks, alpha=0.8
        )
        for x, facts in zip(at, labels, strict=True):
            axes.annotate(facts[row], (x, 0), (0, down), xycoords=below, ha="center", **looks)


def _upright(labels: Sequence[tuple[str, ...]], pitch: float) -> bool:
    """Whether facts are wider than the place of a window."""
    return line_width([fact for facts in labels for fact in facts]) > pitch


def _joined(labels: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"{name}, steps {steps}, strongest {top}" for name, steps, top in labels]


def _map_cells(axes: Axes, share: Float[np.ndarray, "m W"]) -> PathCollection:
    """Cells with room for marks at their right; of two colours only if an effect is below 0."""
    n_units, n_windows = share.shape
    level = logarithmic(share)
    signed = bool((level < 0).any())
    x = (np.arange(n_windows)[:, None] + [0, CELL]).ravel()
    spaced = np.full((n_units, 2 * n_windows - 1), np.nan)
    spaced[:, ::2] = level
    y = np.arange(n_units + 1.0)
    cells = heat_map(axes, x, y, spaced, (-float(signed), 1.0), SIGNED if signed else SHARES)
    axes.set_xlim(0, n_windows)
    axes.set_ylim(n_units, 0)
    return cells


def _map_bar(figure: Figure, cells: PathCollection) -> None:
    height = float(figure.get_size_inches()[1])
    place = figure.add_axes((0.2, 1 - 0.75 / height, 0.6, 0.1 / height))
    bar = figure.colorbar(cells, cax=place, orientation="horizontal")
    place.set_title(
        "effect, as a share of the window's strongest", loc="center", fontsize=10, pad=5
    )
    signs = (-1, 1) if cells.norm.vmin else (1,)
    ticks = {0.0: f"< {10.0**-DECADES:g}"} | {
        sign * (1 - k / DECADES): decade(sign * 10.0**-k) for sign in signs for k in range(DECADES)
    }
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    bar.ax.tick_params(length=2, labelsize=SMALL)


def _runs(row: Bool[np.ndarray, " m"]) -> tuple[Int[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    """First rows of stretches of marked ones, and those after their last."""
    ends = np.diff(np.concatenate([[0], row, [0]]).astype(int))
    return np.flatnonzero(ends == 1), np.flatnonzero(ends == -1)
