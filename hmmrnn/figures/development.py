"""How a network came to be: its loss, fidelity and dynamics at every snapshot of its training."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hmmrnn.dynamics import Development
from hmmrnn.figures.style import FOREGROUND, WIDTH, band, log_ticks, note, styled, symbol_color
from hmmrnn.intervals import Estimate

N_PORTRAITS = 5
ROW = 1.3  # inches
COURSE: dict[str, Any] = {"color": FOREGROUND, "marker": "o", "ms": 2.5, "lw": 1}


@styled
def development_figure(found: Development, loss: np.ndarray, floor: float, kl: Estimate) -> Figure:
    """Courses of loss, fidelity, switching and spectra over the epochs, and portraits on the way.

    `loss` is that of each epoch, `floor` where it should settle, `kl` the divergence of each
    snapshot. A vertical line marks the bifurcation, a band its interval.
    """
    figure = Figure(figsize=(WIDTH, 6 * ROW + 1.7), layout="constrained")
    figure.set_label("Loss, fidelity, switching and spectra at each snapshot of the training")
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[6 * ROW, 1.7]).ravel()
    rows = upper.subplots(6, 1, sharex=True)
    _loss(rows[0], found, loss, floor)
    _course(rows[1], found.epochs, kl, "KL of 4-grams\n(nats)", scale="log")
    _course(rows[2], found.epochs, found.transitions_per_step, "transitions\nper step")
    _course(rows[3], found.epochs, found.critical_share, "share with a\ncritical pair")
    _course(rows[4], found.epochs, found.rotation, "net turns per\npair of changes")
    _shift(rows[5], found)
    for axes in rows:
        _mark(axes, found)
    rows[-1].set_xlabel("epoch")
    rows[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    upper.align_ylabels()
    _portraits(lower.subplots, found)
    return figure


def _loss(axes: Axes, found: Development, loss: np.ndarray, floor: float) -> None:
    loss = np.asarray(loss, float)
    axes.set_ylabel("loss")
    if not np.isfinite(loss).any():
        note(axes, "no epoch had a finite loss")
        return
    axes.plot(np.arange(1, len(loss) + 1), loss, color=FOREGROUND)
    if np.isfinite(floor):
        axes.axhline(floor, color=FOREGROUND, ls="--", lw=1)
    if floor > 0 and np.nanmin(loss) > 0 and np.nanmax(loss) > 20 * np.nanmin(loss):
        axes.set_yscale("log")
        log_ticks(axes, "y")
    if np.isfinite(found.descent.onset):
        start, onset = found.descent.plateau_start, found.descent.onset
        axes.axvspan(start, onset, color=FOREGROUND, alpha=0.1, lw=0)
        axes.text(onset, 0.95, " second descent", transform=axes.get_xaxis_transform(), va="top")


def _course(
    axes: Axes,
    epochs: np.ndarray,
    entries: Estimate,
    label: str,
    scale: str = "linear",
) -> None:
    axes.set_ylabel(label)
    values = entries.value
    if not np.isfinite(values).any():
        note(axes, "not defined at any snapshot")
        return
    band(axes, epochs, entries, **COURSE)
    if scale == "log" and np.nanmin(values) > 0:
        axes.set_yscale("log")
        log_ticks(axes, "y")
    else:
        top = max(1.15 * np.nanmax(values), 1e-3)
        axes.set_ylim(-0.04 * top, top)  # an interval may reach far beyond what is seen


def _shift(axes: Axes, found: Development) -> None:
    """Mean shift of the units: median, and the band of the middle 90 %."""
    axes.set_ylabel("mean shift\nper unit")
    shift = np.asarray(found.mean_shift, float)
    if not np.isfinite(shift).any():
        note(axes, "not defined at any snapshot")
        return
    middle, low, high = np.quantile(shift, [0.5, 0.05, 0.95], axis=1)
    band(axes, found.epochs, Estimate(middle, low, high), **COURSE)


def _mark(axes: Axes, found: Development) -> None:
    if not np.isfinite(found.bifurcation.epoch):
        return
    axes.axvspan(found.bifurcation.low, found.bifurcation.high, color=FOREGROUND, alpha=0.15, lw=0)
    axes.axvline(found.bifurcation.epoch, color=FOREGROUND, ls=":", lw=1)


def _portraits(subplots: Callable[..., np.ndarray], found: Development) -> None:
    """Paths in each snapshot's own plane, on its own scale, coloured by preferred symbol."""
    chosen = shown_snapshots(found)
    for axes, i in zip(np.atleast_1d(subplots(1, len(chosen))), chosen, strict=True):
        axes.set_title(f"epoch {found.epochs[i]}", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
        points = np.asarray(found.paths[i], float)
        if not np.isfinite(points).all() or np.ptp(points) == 0:
            note(axes, "diverges" if not np.isfinite(points).all() else "at rest")
            continue
        colors = [symbol_color(int(s)) for s in found.symbols[i][1:]]
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        axes.add_collection(LineCollection(list(pieces), colors=colors, linewidths=0.7))
        axes.autoscale_view()


def shown_snapshots(found: Development) -> list[int]:
    """First and last snapshot, those around the bifurcation, and others evenly between."""
    n = len(found.epochs)
    chosen = {0, n - 1}
    if np.isfinite(found.bifurcation.epoch):
        at = int(np.searchsorted(found.epochs, found.bifurcation.epoch))
        chosen |= {at, max(at - 1, 0)}
    for i in np.linspace(0, n - 1, 2 * N_PORTRAITS).round().astype(int):
        if len(chosen) < N_PORTRAITS and min(abs(i - c) for c in chosen) >= n // (2 * N_PORTRAITS):
            chosen.add(int(i))
    return sorted(chosen)
