"""Orbits: how much a state turns, what it emits on its way, how far the noise takes it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmmrnn.dynamics.noise_levels import RadiusFit, Region
from hmmrnn.dynamics.orbits import Orbit
from hmmrnn.dynamics.readout_geometry import (
    AxisGeometry,
    CarriedVariance,
    Emission,
    ReadoutAxes,
    symbol_pairs,
)
from hmmrnn.dynamics.surrogates import Significance
from hmmrnn.figures.style import FOREGROUND, band, dot, note, panels, rows_of, styled, symbol_color
from hmmrnn.intervals import Estimate

BAR: dict[str, Any] = {"fmt": "o", "ms": 4.5, "lw": 1.4, "color": FOREGROUND}
QUIET: dict[str, Any] = {"color": FOREGROUND, "lw": 0.8, "alpha": 0.4}
TIGHT: dict[str, Any] = {"columnspacing": 1.0, "handlelength": 1.2, "handletextpad": 0.4}
ABOVE: dict[str, Any] = {
    "loc": "lower left",
    "bbox_to_anchor": (0, 1),
    "borderaxespad": 0,
    "alignment": "left",
    **TIGHT,
}
OUTSIDE: dict[str, Any] = {"loc": "outside upper right", "alignment": "left", **TIGHT}
RARE = 0.002
"""Bins of phase with a smaller share of the steps are left out: a few points make no mean."""

LOW_NOISE, HIGH_NOISE = "#F2B28C", "#A53A06"
"""One hue from light to dark; both ends show on white and on black."""


@styled
def rotation_figure(
    orbit: Orbit,
    time_reversed: Significance,
    phase_shuffled: Significance,
    others: Sequence[tuple[str, Estimate]] = (),
) -> Figure:
    """Rotation beside its surrogates, and the rotation of `others`, a row for each of their labels.

    Bars are 95 % intervals: of the estimate over trajectories, and of the surrogates themselves.
    """
    labels = list(dict.fromkeys(label for label, _ in others))
    rows = ["this network", "time reversed", "phases shuffled", *labels]
    figure, (axes,) = panels(
        0.75 + 0.27 * len(rows),
        "Net turns per pair of transitions, with those of surrogates and of other networks",
    )
    rows_of(axes, rows)
    axes.set_xlabel("net turns per pair of transitions (0: back and forth, 1: orbit)")
    for turns in (0, 1):
        axes.axvline(turns, ls=(0, (1, 2)), **QUIET)
    if np.isfinite(orbit.rotation.value):
        dot(axes, orbit.rotation, 0)
        for row, nulls in ((1, time_reversed), (2, phase_shuffled)):
            _null(axes, nulls, row)
    else:
        axes.text(0.5, 1, "fewer than two transitions", ha="center", va="center", alpha=0.7)
    for label in labels:
        group = [found for name, found in others if name == label and np.isfinite(found.value)]
        for found, offset in zip(group, _offsets(len(group)), strict=True):
            dot(axes, found, rows.index(label) + offset, ms=3.5, lw=0.9, alpha=0.75)
    left, right = axes.get_xlim()
    axes.set_xlim(min(left, -0.12), max(right, 1.15))
    return figure


@styled
def phase_figure(orbit: Orbit, emission: Emission) -> Figure:
    """Emission probabilities and speed along the phase; bands are 95 % intervals."""
    figure, (symbols, speed) = panels(
        2.75, "Emission probability of each symbol, and speed, by phase of the orbit", columns=2
    )
    _phase_axis(symbols)
    _phase_axis(speed)
    symbols.set_ylabel("emission probability")
    symbols.set_ylim(-0.03, 1.03)
    speed.set_ylabel("angle per step (rad)")
    if emission.n_valid == 0:
        note(symbols, "the state has\nno phase")
        note(speed, "the state has\nno phase")
        return figure
    seen = np.asarray(emission.occupancy) >= RARE
    for k in range(emission.probability.value.shape[1]):
        _profile(symbols, emission.probability[:, k], seen, color=symbol_color(k), label=f"{k}")
    _occupancy(speed, np.asarray(orbit.occupancy))
    seen = np.asarray(orbit.occupancy) >= RARE
    _profile(speed, orbit.distance, seen, color=FOREGROUND, ls=(0, (1.5, 1)), label="either way")
    _profile(speed, orbit.advance, seen, color=FOREGROUND, label="net")
    speed.axhline(0, zorder=0, **QUIET)
    symbols.legend(title="symbol", ncols=4, **ABOVE)
    speed.legend(ncols=2, **ABOVE)
    return figure


@styled
def noise_level_figure(fit: RadiusFit, regions: Sequence[Region]) -> Figure:
    """Radius at each noise level, and the smallest region with 90 % of the states at each.

    `regions` belong to the levels of `fit`; the cross at their origin is the silent state.
    """
    figure, (radius, plane) = panels(
        3.1, "Orbit radius and occupied region at several noise levels", columns=2
    )
    _radius(radius, fit)
    shown = [i for i, region in enumerate(regions) if np.isfinite(region.area)]
    _plane(plane, [regions[i] for i in shown])
    if not shown:
        note(plane, "the state\ndoes not move")
        return figure
    colors = _colors(len(regions))
    for i in reversed(shown):
        _contour(plane, regions[i], colors[i])
    handles = [Line2D([], [], color=colors[i], label=f"{fit.levels[i]:g}") for i in shown]
    figure.legend(handles=handles, title="noise level", ncols=len(handles), **OUTSIDE)
    return figure


@styled
def readout_figure(axes: ReadoutAxes, carried: CarriedVariance, region: Region) -> Figure:
    """The readout in the plane of the orbit, and how much of each difference of symbols lies in it.

    Arrows are the readout's rows without their mean, in the plane, in proportion to each other;
    they start at the silent state. The outline is `region`. Filled dots: share of the squared
    length of w_i - w_j in the plane, with a dotted line for a random direction. Open dots: share
    of the variance of logit i - logit j along the runs that the plane carries.
    """
    pairs = symbol_pairs(len(axes.symbols.share))
    figure, (plane, shares) = panels(
        max(2.9, 1.2 + 0.22 * len(pairs)),
        "Readout axes in the plane of the orbit, and the share of each that lies in the plane",
        columns=2,
    )
    _plane(plane, [region])
    if np.isfinite(region.area):
        _contour(plane, region, FOREGROUND)
    _arrows(plane, axes.centred)
    symbols = [
        Line2D([], [], color=symbol_color(k), label=f"{k}") for k in range(len(axes.symbols.share))
    ]
    plane.legend(handles=symbols, title="symbol", ncols=4, **ABOVE)
    _shares(shares, axes, carried, pairs)
    return figure


def _radius(axes: Axes, fit: RadiusFit) -> None:
    axes.set_xlabel("noise level (sd)")
    axes.set_ylabel("distance from the mean")
    if not np.isfinite(fit.radius.value).any():
        note(axes, "the states are\nnot finite")
        return
    axes.errorbar(fit.levels, fit.radius.value, yerr=_errors(fit.radius), **BAR)
    ends = np.array([0, 1.05 * fit.levels.max()])
    axes.plot(ends, fit.intercept.value + fit.slope.value * ends, **QUIET, zorder=0)
    axes.set_xlim(0, ends[1])
    axes.set_ylim(bottom=0)
    lines = [f"slope {fit.slope.value:.3g}", f"intercept {_near_zero(fit.intercept.value)}"]
    lines += [f"R² {_share(fit.r_squared.value)}"]
    lines += ["by construction"] if fit.by_construction else []
    looks: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 10}
    axes.text(0.98, 0.04, "\n".join(lines), transform=axes.transAxes, **looks)


def _plane(axes: Axes, regions: Sequence[Region]) -> None:
    """Equal scales that hold all regions and the origin, in a square."""
    axes.set_xlabel("PC1")
    axes.set_ylabel("PC2")
    axes.plot([0], [0], "+", color=FOREGROUND, ms=8, mew=1.2)
    axes.set_aspect("equal")
    corners = [np.zeros((1, 2))]
    for region in regions:
        if np.isfinite(region.area):
            inside = np.argwhere(region.density >= region.threshold)
            corners.append(np.stack([region.x[inside[:, 0]], region.y[inside[:, 1]]], axis=1))
    points = np.concatenate(corners)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    half = 0.6 * np.ptp(points, axis=0).max() or 1.0
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.locator_params(nbins=5)


def _contour(axes: Axes, region: Region, color: str) -> None:
    levels = [region.threshold]
    axes.contour(
        region.x, region.y, region.density.T, levels, colors=[color], linewidths=1.3, alpha=0.9
    )


def _arrows(axes: Axes, rows: AxisGeometry) -> None:
    """Readout rows as arrows from the silent state."""
    vectors = np.asarray(rows.projection, float)
    longest = np.linalg.norm(vectors, axis=1).max(initial=0)
    if not np.isfinite(longest) or longest == 0:
        return
    length = 0.4 * np.ptp(axes.get_xlim())
    for k, vector in enumerate(vectors / longest * length):
        arrow: dict[str, Any] = {
            "arrowstyle": "-|>",
            "color": symbol_color(k),
            "lw": 1.8,
            "shrinkA": 0,
        }
        axes.annotate("", vector, (0, 0), arrowprops={**arrow, "shrinkB": 0})


def _shares(
    axes: Axes, found: ReadoutAxes, carried: CarriedVariance, pairs: list[tuple[int, int]]
) -> None:
    """A row for each difference of two symbols."""
    axes.set_xlabel("share in the plane")
    axes.set_xlim(-0.03, 1.03)
    rows_of(axes, [f"{i} \N{MINUS SIGN} {j}" for i, j in pairs], "logits compared")
    if not pairs:
        note(axes, "a single symbol")
        return
    dots: dict[str, Any] = {"ls": "", "marker": "o", "ms": 6, "color": FOREGROUND}
    rows = range(len(pairs))
    axes.plot(np.asarray(found.pairs.share), rows, label="length", **dots)
    axes.plot(np.asarray(carried.pairs), rows, mfc="none", label="variance", **dots)
    axes.axvline(float(found.chance), color=FOREGROUND, ls=":", lw=1, label="chance")
    axes.legend(ncols=2, **ABOVE)


def _null(axes: Axes, found: Significance, row: int) -> None:
    """Mean and 95 % of the surrogates, with the p-value at their side."""
    null = Estimate(float(found.null_mean), float(found.null_low), float(found.null_high))
    dot(axes, null, row, filled=False)
    where: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points"}
    axes.annotate(f"p {_p_value(found)}", (null.high, row), **where, va="center", fontsize=10)


def _errors(found: Estimate) -> np.ndarray:
    """Lengths of an error bar to both sides; none where there is no interval."""
    sides = np.array([found.value - found.low, found.high - found.value])
    return np.maximum(np.nan_to_num(sides), 0)


def _offsets(n: int) -> np.ndarray:
    return np.linspace(-0.25, 0.25, n) if n > 1 else np.zeros(n)


def _profile(axes: Axes, found: Estimate, seen: np.ndarray, **looks: Any) -> None:  # noqa: ANN401
    """A line over the phase with its band; bins that are hardly seen are gaps."""
    middles = (np.arange(len(seen)) + 0.5) / len(seen) * 360
    shown = Estimate(*(np.where(seen, part, np.nan) for part in found.parts))
    band(axes, middles, shown, marker=".", ms=3, **looks)


def _occupancy(axes: Axes, shares: np.ndarray) -> None:
    """Time spent in each bin, as grey bars along the bottom, the longest a fifth of the panel."""
    width = 360 / len(shares)
    middles = (np.arange(len(shares)) + 0.5) * width
    heights = 0.2 * shares / np.nanmax(shares)
    looks: dict[str, Any] = {"color": FOREGROUND, "alpha": 0.15, "lw": 0, "label": "time spent"}
    axes.bar(middles, heights, width, transform=axes.get_xaxis_transform(), **looks)


def _phase_axis(axes: Axes) -> None:
    axes.set_xlabel("phase (degrees from PC1)")
    axes.set_xlim(0, 360)
    axes.set_xticks(range(0, 361, 90))


def _colors(n: int) -> list[str]:
    shades = LinearSegmentedColormap.from_list("noise", [LOW_NOISE, HIGH_NOISE])
    return [to_hex(shades(share)) for share in np.linspace(0, 1, n)]


def _p_value(found: Significance) -> str:
    """Equal to the p-value, or not above the smallest that the surrogates can give."""
    p = float(found.p_value)
    smallest = 1 / (1 + int(found.n_surrogates))
    return f"≤ {smallest:.2g}" if p <= 1.01 * smallest else f"= {p:.2g}"


def _near_zero(value: float) -> str:
    return "0" if abs(value) < 5e-4 else f"{value:.2g}".replace("-", "\N{MINUS SIGN}")


def _share(value: float) -> str:
    """Three digits; 1 only where it is 1 to single precision."""
    if not np.isfinite(value):
        return "not defined"
    return "1" if value > 1 - 1e-6 else f"{min(value, 0.999):.3f}"
