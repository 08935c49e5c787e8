"""The course of a training: loss against its floor, volatility against that of HMM or data."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from hmmrnn.figures.style import (
    FOREGROUND,
    LEGEND_ABOVE,
    decade,
    log_ticks,
    note,
    panels,
    styled,
)
from hmmrnn.training import Fit

FEW = 12  # epochs up to which each one gets a dot


@styled
def training_figure(fit: Fit, exact_volatility: float) -> Figure:
    """Loss and volatility of each epoch, with what the HMM itself shows, or held-out data.

    `exact_volatility` is the share of steps at which their symbol changes.
    """
    figure, (loss, volatility) = panels(
        5.0, f"Loss ({fit.config.loss.title}) and volatility at each epoch", rows=2, sharex=True
    )
    _loss(loss, fit)
    exact = fit.config.target.words.exact
    _volatility(volatility, np.asarray(fit.records.volatility), exact_volatility, exact)
    figure.align_ylabels()
    return figure


def _loss(axes: Axes, fit: Fit) -> None:
    values = np.asarray(fit.records.loss, float)
    validation = np.asarray(fit.records.validation_loss, float)
    floor, spread = float(fit.floor.mean), float(fit.floor.std)
    axes.set_ylabel("loss")
    if not np.isfinite(values).any():
        note(axes, "no epoch had a finite loss")
        return
    _line(axes, values, label="network")
    if np.isfinite(validation).any():
        _line(axes, _joined(validation), label="validation", alpha=0.55, linestyle=(0, (1, 1)))
    if np.isfinite(floor):
        label = f"{fit.config.target.words.floor}, ± 1 sd"
        axes.axhline(floor, color=FOREGROUND, ls="--", lw=1, label=label)
    if np.isfinite(floor) and np.isfinite(spread):
        axes.axhspan(floor - spread, floor + spread, color=FOREGROUND, alpha=0.15, lw=0)
    _scale(axes, np.append(values, floor - spread), spread)
    axes.legend(**LEGEND_ABOVE)


def _volatility(axes: Axes, values: np.ndarray, exact: float, label: str) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylabel("volatility (per step)")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.set_xlim(1 - 0.02 * len(values), 0.02 + 1.02 * len(values))
    if not np.isfinite(values).any():
        note(axes, "no epoch had a finite volatility")
        return
    _line(axes, values, label="network")
    if np.isfinite(exact):
        axes.axhline(exact, color=FOREGROUND, ls="--", lw=1, label=label)
    top = max(np.nanmax(values), exact if np.isfinite(exact) else 0, 0.01)
    axes.set_ylim(-0.02 * top, 1.08 * top)  # so that a line at zero shows
    axes.legend(**LEGEND_ABOVE)


def _line(axes: Axes, values: np.ndarray, **looks: object) -> None:
    marker = "o" if len(values) <= FEW else ""
    looks = {"color": FOREGROUND, "marker": marker, "markersize": 4, **looks}
    axes.plot(np.arange(1, len(values) + 1), values, **looks)  # type: ignore[arg-type]


def _joined(values: np.ndarray) -> np.ndarray:
    """Values of some epochs, joined by straight lines; what is before the first stays unknown."""
    epochs, known = np.arange(len(values)), np.isfinite(values)
    return np.interp(epochs, epochs[known], values[known], left=np.nan, right=np.nan)


def _scale(axes: Axes, values: np.ndarray, spread: float) -> None:
    """Linear; logarithmic over decades; beyond `spread` only, where a loss falls to zero."""
    finite = values[np.isfinite(values)]
    low, high = finite.min(), finite.max()
    if low > 0 and high > 20 * low:
        axes.set_yscale("log")
        log_ticks(axes, "y")
    if low > 0 or high <= 0:
        return
    spread = spread if np.isfinite(spread) and spread > 0 else 0.01 * high
    threshold = 10.0 ** np.floor(np.log10(spread))
    if high < 10 * threshold:
        return
    axes.set_yscale("symlog", linthresh=threshold, linscale=0.5)
    ticks = threshold * 10.0 ** np.arange(np.ceil(np.log10(high / threshold)) + 1)
    axes.yaxis.set_major_locator(FixedLocator([-threshold, 0.0, *ticks]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: decade(value)))
    axes.set_ylim(min(1.1 * low, -threshold), 1.3 * high)
