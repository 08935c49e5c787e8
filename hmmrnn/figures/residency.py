"""Residency times, the zones that they make, and how noise spreads from each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hmmrnn.dynamics.sensitivity import MIXES, ZoneSensitivity
from hmmrnn.figures.style import FOREGROUND, LEGEND_ABOVE, ZONE_COLORS, band, note, panels, styled
from hmmrnn.intervals import Estimate
from hmmrnn.recordings.residency_times import CLUSTER_ABOVE, TRANSITION_BELOW, ZONES, Residency

N_SHOWN = 1_000
"""States drawn as points; more would cover each other."""

INDEPENDENT = 2 / 3
"""Changes of sign per step of a sequence of independent values: 4 of 6 orders of three turn."""

RATES = (-0.04, 1.04)

DRAWN = (3, 0, 1, 2)
"""Zones in the order of drawing: the rarest last, on top."""

ABOVE = {**LEGEND_ABOVE, "loc": "outside upper left", "bbox_to_anchor": None, "handlelength": 1}

STYLES = (":", "--", "-", "-.")


@styled
def residency_figure(
    found: Residency,
    zone: Int[np.ndarray | Array, "*P"],
    points: Float[np.ndarray | Array, "*P C"],
    explained: Float[np.ndarray | Array, " C"],
    shares: Estimate,
) -> Figure:
    """States in their plane by zone, the shares of zones, residency times and sign changes.

    `points` are the states in their principal components, of which the first two are drawn, and
    `explained` the components' shares of the variance; `shares` those of the four zones.
    """
    zone, time, rate = (np.ravel(x) for x in (zone, found.time, found.sign_change_rate))
    points = np.asarray(points).reshape(len(zone), -1)
    figure, (plane, bars, times, signs) = panels(
        5.9,
        "Residency times of states: where they are long, their distribution, and sign changes "
        "of the logit",
        rows=2,
        columns=2,
    )
    known = np.flatnonzero(zone >= 0)
    shown = known[:: -(-len(known) // N_SHOWN) or 1]
    _plane(plane, points[shown], zone[shown], np.asarray(explained, float))
    _shares(bars, shares)
    _times(times, time, zone)
    _signs(signs, time[shown], rate[shown], zone[shown])
    handles = [_dot(z) for z in range(len(ZONES)) if np.any(zone == z)]
    if handles:
        figure.legend(handles=handles, **ABOVE)
    else:
        for axes in (plane, times, signs):
            note(axes, "no state has a\nresidency time")
    return figure


@styled
def noise_sensitivity_figure(
    by_zone: Sequence[ZoneSensitivity], mixes: Sequence[float] = MIXES
) -> Figure:
    """Spread of rollouts from each zone by step and share of fresh noise, raw and relative."""
    figure, (raw, relative) = panels(
        3.2, "Spread of rollouts that share a part of their noise, by zone and step", columns=2
    )
    for axes, name in ((raw, "covariance_trace"), (relative, "relative_trace")):
        courses = [getattr(zone, name) for zone in by_zone]
        _spread(axes, courses)
        if not any(np.isfinite(course.value).any() for course in courses):
            note(axes, "no start")
    raw.set_ylabel("trace of covariance\n(squared units of the state)")
    relative.set_ylabel("trace of covariance over\nsquared norm of the start")
    lines = [
        Line2D([], [], color=FOREGROUND, ls=STYLES[g % len(STYLES)], label=f"g = {mix:g}")
        for g, mix in enumerate(mixes)
    ]
    zones = [_dot(z, f" ({found.n_starts} starts)") for z, found in enumerate(by_zone)]
    rows = max(len(lines), len(zones))
    zones += [Line2D([], [], ls="", label="")] * (rows - len(zones))
    figure.legend(
        handles=[*zones, *lines],
        **{**ABOVE, "ncols": 2, "handlelength": 2},
    )
    return figure


def _plane(axes: Axes, points: np.ndarray, zone: np.ndarray, explained: np.ndarray) -> None:
    points = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
    shares = [*map(float, explained), 0.0]
    for z in DRAWN:
        axes.plot(*points[zone == z, :2].T, **_point(z))
    axes.set_xlabel(f"PC1 ({100 * shares[0]:.0f} % of variance)")
    axes.set_ylabel(f"PC2 ({100 * shares[1]:.0f} % of variance)")
    axes.locator_params(nbins=5)


def _shares(axes: Axes, shares: Estimate) -> None:
    for z, (share, color) in enumerate(zip(shares, ZONE_COLORS, strict=True)):
        axes.bar(z, 100 * share.value, width=0.7, color=color, alpha=0.85)
        axes.plot([z, z], [100 * share.low, 100 * share.high], color=FOREGROUND, lw=1.5)
    axes.set_xlim(-0.6, len(ZONES) - 0.4)
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(ZONES)), ZONES, rotation=35, ha="right")
    axes.set_ylabel("share of the states (%)")
    if not np.any(np.isfinite(shares.value)):
        note(axes, "no zone has states")


def _times(axes: Axes, time: np.ndarray, zone: np.ndarray) -> None:
    """Stacked by zone; the thresholds are edges of bins."""
    longest = _longest(time)
    bins = 2 ** np.arange(0, np.log2(longest) + 1 / 3, 1 / 3)
    bins[9] = np.nextafter(CLUSTER_ABOVE, np.inf)  # the kick-zone contains its upper threshold
    percent = 100 / max(1, int(np.sum(zone >= 0)))
    by_zone = [time[zone == z] for z in range(len(ZONES))]
    axes.hist(
        by_zone,
        bins=list(bins),
        weights=[np.full(len(times), percent) for times in by_zone],
        stacked=True,
        color=list(ZONE_COLORS),
        alpha=0.85,
    )
    axes.set_ylabel("share of the states (%)")
    _time_axis(axes, longest)


def _signs(axes: Axes, time: np.ndarray, rate: np.ndarray, zone: np.ndarray) -> None:
    for z in DRAWN:
        axes.plot(time[zone == z], rate[zone == z], **_point(z))
    axes.axhline(INDEPENDENT, color=FOREGROUND, ls="--", lw=1, label="independent values")
    axes.legend(**LEGEND_ABOVE)
    axes.set_ylim(RATES)
    axes.set_ylabel("sign changes of the\nlogit's slope per step")
    _time_axis(axes, _longest(time))


def _longest(time: np.ndarray) -> float:
    return max([16.0, *time[np.isfinite(time)].tolist()])


def _time_axis(axes: Axes, longest: float) -> None:
    ticks = [t for t in (1, 2, 4, 8, 16, 32, 64) if t <= 1.1 * longest]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(t) for t in ticks], minor=False)
    axes.set_xlim(0.93, 1.1 * longest)
    for threshold in (TRANSITION_BELOW, CLUSTER_ABOVE):
        axes.axvline(threshold, color=FOREGROUND, lw=1, ls=":")
    axes.set_xlabel("residency time (steps)")


def _spread(axes: Axes, courses: Sequence[Estimate]) -> None:
    for z, by_mix in enumerate(courses):
        for g, course in enumerate(by_mix):
            steps, style = np.arange(1, len(course) + 1), STYLES[g % len(STYLES)]
            marker = "o" if len(steps) == 1 else ""
            band(axes, steps, course, color=ZONE_COLORS[z], ls=style, marker=marker)
    axes.set_ylim(bottom=-0.03 * axes.get_ylim()[1])  # so that the axis hides no line at zero
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("steps since the start")


def _point(zone: int) -> dict[str, Any]:
    """How a state of the zone looks."""
    return {"ls": "", "marker": "o", "ms": 2.6, "mew": 0, "alpha": 0.7, "color": ZONE_COLORS[zone]}


def _dot(zone: int, more: str = "") -> Line2D:
    label = ZONES[zone] + more
    return Line2D([], [], ls="", marker="o", ms=6, mew=0, color=ZONE_COLORS[zone], label=label)
