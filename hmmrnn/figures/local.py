"""Local dynamics: eigenvalues along a driven path, and what noise adds to the mean state."""

from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from hmmrnn.dynamics.mean_shift_report import MeanShiftReport
from hmmrnn.dynamics.spectra import CRITICAL_IMAGINARY, CRITICAL_REAL, Spectrum, moebius
from hmmrnn.figures.style import (
    FOREGROUND,
    LEGEND_ABOVE,
    ZONE_COLORS,
    band,
    dot,
    note,
    panels,
    styled,
)
from hmmrnn.intervals import Estimate
from hmmrnn.recordings.residency_times import ZONES

N_SHOWN = 500
"""Eigenvalues drawn for each zone; more would cover each other."""

REAL_SHOWN = (-0.85, 0.6)
IMAGINARY_SHOWN = (-0.04, 1.05)


@styled
def spectra_figure(
    found: Spectrum,
    zones: Int[np.ndarray, " P"],
    unstable: Estimate,
    critical: Estimate,
) -> Figure:
    """Mapped eigenvalues of P states by zone, and how many of them grow or are critical per zone.

    `unstable` and `critical` (4,) hold the mean number for each zone, NaN for one without states.
    Eigenvalues 0, of silent units, are left out, and so are lower halves of pairs.
    """
    figure, (plane, numbers) = panels(
        3.3,
        "Eigenvalues of the Jacobian along the driven path, and unstable directions by zone",
        columns=2,
    )
    if (grid := plane.get_gridspec()) is not None:
        grid.set_width_ratios([1.5, 1])
    _eigenvalues(plane, found, zones)
    _counts(numbers, unstable, critical)
    present = [zone for zone in range(len(ZONES)) if np.any(zones == zone)]
    figure.legend(
        handles=[_dot(ZONE_COLORS[zone], ZONES[zone]) for zone in present],
        **{**LEGEND_ABOVE, "loc": "outside upper left", "bbox_to_anchor": None, "handlelength": 1},
    )
    return figure


@styled
def mean_shift_figure(report: MeanShiftReport) -> Figure:
    """What noise adds to the mean of each unit in one step, and what it predicts of later steps."""
    figure, (units, steps) = panels(
        3.1, "Shift of the mean state by noise: by unit, and along the steps", columns=2
    )
    _units(units, report)
    _steps(steps, report)
    return figure


def _eigenvalues(axes: Axes, found: Spectrum, zones: np.ndarray) -> None:
    values = np.where(found.eigenvalues == 0, np.nan, found.eigenvalues)
    rates = moebius(values)
    n_all = n_inside = 0
    for zone in (3, 0, 1, 2):  # the rarest last, on top
        points = rates[zones == zone].ravel()
        points = points[np.isfinite(points) & (points.imag >= 0)]
        inside = points[_within(points.real, REAL_SHOWN) & _within(points.imag, IMAGINARY_SHOWN)]
        n_all, n_inside = n_all + len(points), n_inside + len(inside)
        shown = inside[:: -(-len(inside) // N_SHOWN) or 1]
        axes.plot(shown.real, shown.imag, "o", ms=2.6, mew=0, alpha=0.7, color=ZONE_COLORS[zone])
    axes.axvline(0, color=FOREGROUND, lw=0.8, alpha=0.5)
    axes.add_patch(
        Rectangle(
            (-CRITICAL_REAL, CRITICAL_IMAGINARY),
            2 * CRITICAL_REAL,
            2 * IMAGINARY_SHOWN[1],
            fill=False,
            ec=FOREGROUND,
            ls="--",
            lw=1,
        )
    )
    axes.set_xlim(REAL_SHOWN)
    axes.set_ylim(IMAGINARY_SHOWN)
    axes.set_xlabel("Re m, growth per step")
    axes.set_ylabel("Im m, rotation per step")
    if n_all == 0:
        note(axes, "no unit is active,\nor no state is finite")
    elif n_inside < n_all:
        axes.set_title(f"eigenvalues ({100 * (1 - n_inside / n_all):.2g} % lie outside)")


def _counts(axes: Axes, unstable: Estimate, critical: Estimate) -> None:
    for estimates, marker, shift in ((unstable, "o", -0.12), (critical, "D", 0.12)):
        for zone, (found, color) in enumerate(zip(estimates, ZONE_COLORS, strict=True)):
            looks: dict[str, Any] = {"marker": marker, "ms": 6, "color": color, "lw": 1.5}
            dot(axes, found, zone + shift, upright=True, filled=marker == "o", **looks)
    axes.set_xlim(-0.6, len(ZONES) - 0.4)
    highs = [found.high for found in (*unstable, *critical) if np.isfinite(found.high)]
    axes.set_ylim(0, 1.08 * max(highs, default=0) or 1)
    axes.set_xticks(range(len(ZONES)), ZONES, rotation=35, ha="right")
    axes.set_ylabel("mean number per state")
    axes.legend(
        handles=[
            Line2D([], [], ls="", marker="o", color=FOREGROUND, label="unstable"),
            Line2D([], [], ls="", marker="D", color=FOREGROUND, mfc="none", label="critical pairs"),
        ],
        **{**LEGEND_ABOVE, "ncols": 1},
    )
    if not np.any(np.isfinite(unstable.value)):
        note(axes, "no zone has states")


def _units(axes: Axes, report: MeanShiftReport) -> None:
    order = np.argsort(-report.exact)
    rank = np.arange(1, len(order) + 1)
    sampled = report.monte_carlo[order]
    error = 1.96 * report.monte_carlo_error[order]
    axes.vlines(rank, sampled - error, sampled + error, color=FOREGROUND, alpha=0.4, lw=1.2)
    axes.plot(rank, report.exact[order], color=FOREGROUND, lw=1.2)
    axes.set_xlabel("unit, by its shift")
    axes.set_ylabel("mean shift in one step\n(units of the state)")
    axes.legend(
        handles=[
            Line2D([], [], color=FOREGROUND, lw=1.2, label="exact"),
            Line2D([], [], ls="", marker="|", ms=11, color=FOREGROUND, alpha=0.5, label="sampled"),
        ],
        **{**LEGEND_ABOVE, "ncols": 2},
    )
    if not np.any(report.exact):
        note(axes, "noise shifts no unit")


def _steps(axes: Axes, report: MeanShiftReport) -> None:
    steps = np.arange(1, len(report.share) + 1)
    for estimates, style, label in (
        (report.share, "-", "size, propagated"),
        (report.alignment, "--", "cosine, propagated"),
        (report.linear_share, ":", "size, first order"),
    ):
        marker = "." if len(steps) == 1 else ""
        band(axes, steps, estimates, color=FOREGROUND, ls=style, marker=marker, label=label)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("steps since the start")
    axes.set_ylabel("relative to the\nsampled change")
    axes.legend(**{**LEGEND_ABOVE, "ncols": 1, "handlelength": 2})
    if not np.any(np.isfinite(report.share.value)):
        note(axes, "noise does not\nchange the mean")


def _dot(color: str, label: str) -> Line2D:
    return Line2D([], [], ls="", marker="o", ms=6, mew=0, color=color, label=label)


def _within(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    return (values >= bounds[0]) & (values <= bounds[1])
