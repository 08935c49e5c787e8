"""Discovered circuits as curves: how few units or edges are enough; estimates beside effects."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmmrnn.discovery.selection import Curve
from hmmrnn.discovery.surveys import INTERVENTION, RANKING, Discovery
from hmmrnn.figures.circuits import CONTROL
from hmmrnn.figures.discovery import BARE, FOUND
from hmmrnn.figures.discovery_panels import (
    LOOKS,
    legend_above,
    mark_decades,
    readable_window,
    window_panels,
)
from hmmrnn.figures.group_names import MINUS, SMALL
from hmmrnn.figures.style import FOREGROUND, band, note, outer_labels, styled
from hmmrnn.intervals import Estimate

RANGE = -1.0, 2.0
"""Faithfulness that a panel shows at most."""
MAGNITUDES = 3
"""Decades below the last one of the strongest effect that are logarithmic."""
NOT_DEFINED = "nothing is clearly\nat stake"
RHO = "\N{GREEK SMALL LETTER RHO}"


@styled
def faithfulness_figure(found: Discovery) -> Figure:
    """Faithfulness of the strongest units of each ranking over their number, in each window.

    In trials that ranked nothing. Band and whisker: 95 % intervals; dot: the circuit chosen.
    """
    names = list(found.curves)
    figure, axes = window_panels(
        len(found.windows),
        "Faithfulness of circuits of the strongest units over their size, by ranking",
        above=0.2 * -(-len(names) // 3),
    )
    for w, (place, window) in enumerate(zip(axes, found.windows, strict=False)):
        size = int(found.circuits[w].units.sum())
        drawn = {name: found.curves[name][w] for name in names}
        _faithfulness(place, drawn, size, found.circuits[w].faithfulness)
        beyond = _beyond(drawn.values())
        place.set_title(
            f"{readable_window(window)}: {_count(size, 'unit')}{beyond}", fontsize=SMALL + 1
        )
    _faithfulness_axes(axes, [c for own in found.curves.values() for c in own], "units")
    handles = [Line2D([], [], label=name, **LOOKS[name]) for name in names]
    legend_above(figure, handles)
    return figure


@styled
def edge_faithfulness_figure(found: Discovery) -> Figure:
    """Faithfulness of the strongest edges over their number, in each window.

    In trials that ranked nothing. Band and whisker: 95 % intervals; dot: the circuit chosen.
    """
    figure, axes = window_panels(
        len(found.windows), "Faithfulness of circuits of the strongest edges over their size"
    )
    for place, window, circuit in zip(axes, found.windows, found.edge_circuits, strict=False):
        size = int(circuit.edges.sum())
        drawn = {INTERVENTION: circuit.curve}
        _faithfulness(place, drawn, size, circuit.faithfulness)
        title = f"{readable_window(window)}: {_count(size, 'edge')}{_beyond(drawn.values())}"
        place.set_title(title, fontsize=SMALL + 1)
    _faithfulness_axes(axes, [circuit.curve for circuit in found.edge_circuits], "edges")
    return figure


def _faithfulness(axes: Axes, drawn: dict[str, Curve], size: int, worth: Estimate) -> None:
    for level in (0, 1):
        axes.axhline(level, color=FOREGROUND, lw=0.8, alpha=0.4, zorder=0)
    if not any(np.isfinite(each.faithfulness.value).any() for each in drawn.values()):
        note(axes, NOT_DEFINED)
        return
    for name, (sizes, faithfulness, *_) in drawn.items():
        if name == INTERVENTION:
            band(axes, sizes, faithfulness, **LOOKS[name], marker="")
        else:
            axes.plot(sizes, faithfulness.value, **LOOKS[name])
    axes.axvline(size, color=FOUND, lw=0.9, ls=(0, (1, 2)), zorder=1)
    if np.isfinite(worth.value):
        axes.vlines(size, worth.low, worth.high, color=FOREGROUND, lw=1.2, zorder=6)
        axes.plot([size], [worth.value], "o", ms=5, color=FOREGROUND, zorder=6)


def _beyond(drawn: Iterable[Curve]) -> str:
    """What of the curves is out of sight, as a further line of the title."""
    known = np.concatenate([each.faithfulness.value for each in drawn])
    known = known[np.isfinite(known)]
    facts = [f"up to {known.max():.2g}"] if known.max(initial=0) > RANGE[1] else []
    facts += [f"down to {MINUS}{-known.min():.2g}"] if known.min(initial=0) < RANGE[0] else []
    return "\n" + ", ".join(facts) if facts else ""


def _faithfulness_axes(axes: Sequence[Axes], drawn: Sequence[Curve], what: str) -> None:
    known = np.concatenate([each.faithfulness.value for each in drawn])
    known = known[np.isfinite(known)]
    low, high = (
        float(np.clip(end, *RANGE)) for end in (known.min(initial=0), known.max(initial=1))
    )
    most = int(max(each.sizes[-1] for each in drawn))
    axes[0].set_xscale("symlog", linthresh=1, linscale=0.5)
    axes[0].set_xlim(-0.1, 1.15 * most)
    axes[0].set_ylim(low - 0.08, high + 0.08)
    axes[0].set_yticks([tick for tick in (-1, -0.5, 0, 0.5, 1, 1.5, 2) if low <= tick <= high])
    exponents = np.arange(np.floor(np.log10(most)) + 1)
    mark_decades(axes[0].xaxis, [0.0, *10.0 ** exponents[:: 1 if len(exponents) < 4 else 2]])
    outer_labels(axes, what, "faithfulness")


@styled
def agreement_figure(found: Discovery) -> Figure:
    """Attribution by the path cut beside the exact effect, of each unit in each window.

    The line is where both are the same. Rho is Spearman's rank correlation.
    """
    n = len(found.windows)
    figure, axes = window_panels(
        n, "Attributed beside exact effects of all units", above=0.2, taller=0.3
    )
    exact, estimate = found.effect.value, found.attributed[RANKING].astype(float)
    both = np.stack([exact, estimate])
    if not both.any():
        for place in axes:
            place.set_axis_off()
        note(axes[0], BARE)
        return figure
    ends = _magnitudes(axes, both)
    for w, (place, window) in enumerate(zip(axes, found.windows, strict=False)):
        rank = found.agreement[RANKING][w].rank
        known = f"{RHO} = {rank:.2f}" if np.isfinite(rank) else f"{RHO} not defined"
        place.set_title(
            f"{readable_window(window)}: {known}".replace("-", MINUS), fontsize=SMALL + 1
        )
        if not both[:, w].any():
            note(place, "no unit has\nan effect")
            continue
        place.plot(ends, ends, color=FOREGROUND, lw=0.8, alpha=0.6, zorder=1)
        inside = found.circuits[w].units
        for chosen, look in ((~inside, OTHER), (inside, CHOSEN)):
            place.plot(exact[w, chosen], estimate[w, chosen], **look)
    outer_labels(axes, "exact effect", "attributed")
    handles = [Line2D([], [], label=label, **look) for label, look in DOTS.items()]
    legend_above(figure, handles)
    return figure


CHOSEN: dict[str, Any] = {"ls": "", "marker": "o", "ms": 4, "mew": 0, "color": FOUND, "alpha": 0.8}
OTHER: dict[str, Any] = {**CHOSEN, "ms": 3, "color": CONTROL}
DOTS = {"in the circuit": CHOSEN, "other unit": OTHER}


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _magnitudes(axes: Sequence[Axes], values: Float[np.ndarray, "2 W N"]) -> tuple[float, float]:
    """Logarithmic axes with room for all values, on both sides of zero where there are such."""
    top = int(np.floor(np.log10(np.abs(values).max())))
    least = 10.0 ** (top - MAGNITUDES)
    ends = 1.5 * min(float(values.min()), -0.3 * least), 1.5 * float(values.max())
    ticks = [10.0 ** (top - k) for k in range(0, MAGNITUDES + 1, 2)]
    ticks = [-tick for tick in ticks] + [0.0] + ticks
    for name in "xy":
        getattr(axes[0], f"set_{name}scale")("symlog", linthresh=least, linscale=0.5)
        getattr(axes[0], f"set_{name}lim")(*ends)
        mark_decades(getattr(axes[0], f"{name}axis"), ticks)
    return ends
