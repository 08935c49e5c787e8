"""How right discovered circuits are where the truth is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from hmmrnn.discovery.judge import curve, score
from hmmrnn.discovery.surveys import INTERVENTION, RANKING, Discovery
from hmmrnn.figures.discovery_panels import LOOKS, readable_window, window_panels
from hmmrnn.figures.group_names import DASH, LINE, SMALL, line_width
from hmmrnn.figures.style import FOREGROUND, WIDTH, note, outer_labels, styled

TIMING = "timing"
ROW = 1.25 * LINE


@styled
def precision_recall_figure(found: Discovery, truth: Bool[np.ndarray, "W N"]) -> Figure:
    """How well each ranking finds the true units, in each window and in all windows together.

    Dotted: share of true units, the precision of guesses. The table is the area below each curve.
    """
    names = [INTERVENTION, RANKING, *found.baselines]
    rows = [*zip(found.windows, range(len(truth)), strict=True)]
    which: list[tuple[str, Any]] = [(name, [w]) for name, w in rows]
    if len(rows) > 1:
        which.append((TIMING, slice(None)))
    head = line_width([name for name, _ in which])
    head = head if head > _column(len(which)) else 0.0
    table = 0.1 + ROW * (len(names) + 1) + head
    figure, axes = window_panels(
        len(which), "Precision over recall of the true units by ranking", below=table
    )
    areas = np.full((len(names), len(which)), np.nan)
    for column, (place, (title, windows)) in enumerate(zip(axes, which, strict=False)):
        place.set_title(readable_window(title))
        true = truth[windows].ravel()
        if true.all() or not true.any():
            note(place, f"{'all' if true.all() else 'no'} units are true")
            continue
        for row, name in enumerate(names):
            strength = found.strengths[name][windows].ravel()
            areas[row, column] = score(strength, true).auprc
            place.plot(*curve(strength, true), drawstyle="steps-pre", **LOOKS[name])
        place.axhline(true.mean(), color=FOREGROUND, lw=0.9, ls=(0, (1, 2)), zorder=2)
    axes[0].set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.05), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    outer_labels(axes, "recall", "precision")
    _table(figure, names, [readable_window(title) for title, _ in which], areas, table, head)
    return figure


def _column(n: int) -> float:
    """Inches of each of n columns of a table."""
    return min((WIDTH - 1.9) / n, 0.8)


def _table(
    figure: Figure,
    names: Sequence[str],
    titles: Sequence[str],
    values: Float[np.ndarray, "R C"],
    height: float,
    head: float,
) -> None:
    """Areas below curves, with the looks of the curves; it is their legend as well.

    Titles stand upright if they need `head` inches for that.
    """
    whole = float(figure.get_size_inches()[1])
    place = figure.add_axes((0, 0, 1, height / whole))
    place.set(xlim=(0, WIDTH), ylim=(0, height))
    place.set_axis_off()
    place.set_in_layout(False)
    columns = 2.0 + _column(len(titles)) * (np.arange(len(titles)) + 0.5)
    top = ROW * (len(names) + 0.5)
    looks: dict[str, Any] = {"fontsize": SMALL, "va": "center"}
    place.text(0.75, top, "area below", **looks, alpha=0.8)
    for x, title in zip(columns, titles, strict=True):
        turned = {"rotation": 90, "va": "bottom"} if head else {}
        place.text(x, top - 0.05 * bool(head), title, ha="center", **{**looks, **turned}, alpha=0.8)
    for row, name in enumerate(names):
        y = top - (row + 1) * ROW
        place.plot([0.2, 0.65], [y, y], **LOOKS[name])
        place.text(0.75, y, name, **looks)
        for x, value in zip(columns, values[row], strict=True):
            place.text(x, y, f"{value:.2f}" if np.isfinite(value) else DASH, ha="center", **looks)
