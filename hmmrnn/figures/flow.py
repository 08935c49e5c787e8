"""How the state moves on average: along a readout difference, and in the plane."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmmrnn.dynamics.kramers_moyal import KramersMoyal, Wells
from hmmrnn.dynamics.probability_current import Flow
from hmmrnn.figures.style import FOREGROUND, LEGEND_ABOVE, band, note, panels, styled, symbol_color
from hmmrnn.intervals import Estimate

LINE: dict[str, Any] = {"color": FOREGROUND, "marker": ""}
LONGEST = 2.0
"""Length of the longest arrow, in cells."""

CONTOURS = (0.1, 0.4, 0.8)
"""Density of the contours, over the largest one."""

MAX_POTENTIAL = 6.0


@styled
def flow_figure(along: KramersMoyal, flow: Flow, symbols: tuple[int, int]) -> Figure:
    """Drift and potential along a readout difference, mean step and current in the plane.

    `symbols` are the two whose logits are compared; the ground is coloured by the preferred one.
    """
    figure, (drift, potential, mean_step, current) = panels(
        5.6,
        f"Drift, effective potential and probability current between symbols {symbols[0]} and "
        f"{symbols[1]}",
        rows=2,
        columns=2,
    )
    _drift(drift, along)
    _potential(potential, along)
    for axes in (drift, potential):
        axes.set_xlabel(f"logit {symbols[0]} \N{MINUS SIGN} logit {symbols[1]} (s.d.)")
        _ground(axes, symbols)
    _arrows(mean_step, flow, flow.drift, "mean step")
    _arrows(current, flow, flow.current, "current")
    return figure


def _drift(axes: Axes, along: KramersMoyal) -> None:
    axes.set_ylabel("per step")
    if not np.isfinite(along.drift.value).any():
        note(axes, "too few steps\nin each bin")
        return
    axes.axhline(0, color=FOREGROUND, lw=0.8, alpha=0.5)
    band(axes, along.x, along.drift, **LINE, label="drift")
    band(axes, along.x, along.diffusion, **LINE, ls="--", label="diffusion")
    axes.legend(**LEGEND_ABOVE)


def _potential(axes: Axes, along: KramersMoyal) -> None:
    axes.set_ylabel("potential (\N{MINUS SIGN}log p)")
    if not along.density_wells.n:
        note(axes, "too few steps\nin each bin")
        return
    for profile, wells, style, label in (
        (along.density_potential, along.density_wells, "-", "density"),
        (along.drift_potential, along.drift_wells, "--", "from drift"),
    ):
        band(axes, along.x, profile, **LINE, ls=style, label=label)
        _mark(axes, along.x, profile, wells)
    top = np.nanmax([along.density_potential.value, along.drift_potential.value])
    axes.set_ylim(-0.06 * min(top, MAX_POTENTIAL), 1.05 * min(top, MAX_POTENTIAL))
    axes.legend(**LEGEND_ABOVE)


def _mark(axes: Axes, x: np.ndarray, profile: Estimate, wells: Wells) -> None:
    """A dot in each well."""
    depth = profile.value[np.searchsorted(x, wells.at - 1e-9)]
    axes.plot(wells.at, depth, "o", color=FOREGROUND, ms=5)


def _ground(axes: Axes, symbols: tuple[int, int]) -> None:
    """The colour of the preferred symbol: the first one has the larger logit above zero."""
    low, high = axes.get_xlim()
    low, high = min(low, 0.0), max(high, 0.0)
    axes.set_xlim(low, high)
    for symbol, left, right in ((symbols[1], low, 0.0), (symbols[0], 0.0, high)):
        if right > left:
            axes.axvspan(left, right, color=symbol_color(symbol), alpha=0.18, lw=0, zorder=-1)


def _arrows(axes: Axes, flow: Flow, vectors: np.ndarray, name: str) -> None:
    """Arrows at the middle of cells, and contours of where the state is."""
    axes.set_title(name)
    axes.set_xlabel("PC1")
    axes.set_ylabel("PC2")
    known = np.isfinite(vectors).all(axis=-1)
    longest = float(np.max(np.hypot(*vectors[known].T), initial=0.0))
    if not longest > 0:
        note(axes, "too few points\nin each cell")
        return
    x, y = (flow.edges[:, 1:] + flow.edges[:, :-1]) / 2
    at = np.nonzero(known)
    cell = np.array([x[1] - x[0], y[1] - y[0]])
    for limits, middles, i in ((axes.set_xlim, x, 0), (axes.set_ylim, y, 1)):
        limits(middles[at[i].min()] - 1.5 * cell[i], middles[at[i].max()] + 1.5 * cell[i])
    _contours(axes, flow)
    arrows = axes.quiver(
        x[at[0]],
        y[at[1]],
        *vectors[known].T,
        color=FOREGROUND,
        angles="xy",
        scale_units="xy",
        scale=float(np.max(np.hypot(*(vectors[known] / cell).T))) / LONGEST,
        width=0.007,
        minlength=0.5,
    )
    shown = float(f"{longest:.1g}")
    axes.quiverkey(arrows, 0.7, 1.06, shown, f"{shown:g}", labelpos="E")


def _contours(axes: Axes, flow: Flow) -> None:
    """Where the state is; a rim of empty cells closes the contours."""
    steps = flow.edges[:, 1:2] - flow.edges[:, :1]
    rim = np.concatenate([flow.edges[:, :1] - steps, flow.edges, flow.edges[:, -1:] + steps], 1)
    x, y = (rim[:, 1:] + rim[:, :-1]) / 2
    counts = np.pad(flow.counts, 1).T
    levels = np.array(CONTOURS) * counts.max()
    axes.contour(x, y, counts, levels, colors=FOREGROUND, alpha=0.35, linewidths=0.8)
