"""What interventions on a kick circuit do: dose-responses, and cuts of a few steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from hmmrnn.circuits.dose_responses import KINDS, DoseResponse
from hmmrnn.circuits.windows import HAPPENED, SWING_END, WIDTH, WindowEffects
from hmmrnn.figures.circuits import CONTROL, DASHED, arrow, group_look, readable
from hmmrnn.figures.style import FOREGROUND, band, note, panels, styled, symbol_color
from hmmrnn.intervals import Estimate

TITLES = {
    "kick": "drive of the kick group",
    "noise": "noise into the population",
    "silence": "activity of the kick group",
    "both": "drive and noise",
}
LINEAR = 8.0
"""Largest ratio on a linear axis."""


@styled
def dose_response_figure(
    dose_responses: Mapping[str, DoseResponse], pair: tuple[int, int]
) -> Figure:
    """Rates of the changes of a pair and of the opposite ones over the baseline, by dose.

    Bands are 95 % intervals over runs. Grey: the changes of the pair with control groups, their
    mean and the range of 95 % of them. Doses at which a rate is not defined, because its symbol is
    never visited, are gaps.
    """
    figure, axes = panels(
        4.9,
        f"Rates of changes from symbol {pair[0]} to {pair[1]} and back at each dose of four "
        "interventions, over the baseline",
        rows=2,
        columns=2,
        sharex=True,
        sharey=True,
    )
    for place, kind in zip(axes, KINDS, strict=True):
        place.set_title(TITLES[kind])
        if kind not in dose_responses:
            note(place, "not measured")
        elif not _dose_response(place, dose_responses[kind], pair):
            note(place, "no run stays finite,\nor nothing changes")
    _ratio_axis(
        axes[0],
        [dose_responses[kind].outcome.ratio for kind in KINDS if kind in dose_responses],
        pair,
    )
    for place in axes[2:]:
        place.set_xlabel("dose μ")
    for place in axes[::2]:
        place.set_ylabel("rate over baseline")
    figure.legend(
        handles=[
            Line2D([], [], color=symbol_color(pair[1]), label=arrow(pair)),
            Line2D([], [], color=symbol_color(pair[0]), ls=DASHED, label=arrow(pair[::-1])),
            Line2D(
                [], [], color=CONTROL, marker="s", ms=4, ls="", label=f"{arrow(pair)}, controls"
            ),
        ],
        loc="outside upper left",
        ncols=3,
        handlelength=1.8,
    )
    return figure


@styled
def window_figure(
    effects: WindowEffects, names: tuple[str, ...], pair: tuple[int, int] | None = None
) -> Figure:
    """What is lost when each group is silent for a few steps, by the first of these steps.

    The symbols of `pair` stand for s and t in names. Grey: controls. Shaded: the window reaches
    the steps at which the outcome itself is read, so that what the group says to the readout is
    missing as well.
    """
    figure, axes = panels(
        3.5,
        "Share of transitions that cutting each group prevents, and of the readout's swing that is "
        "lost, by the first step of the cut",
        columns=2,
        sharey=True,
    )
    for place, found, title, first_read in (
        (axes[0], effects.prevented, "transitions prevented", HAPPENED[0]),
        (axes[1], effects.swing_lost, "swing of the readout lost", SWING_END[0]),
    ):
        place.set_title(title, fontsize=10)
        place.set_xlabel(f"first of {WIDTH} steps cut,\nfrom the onset")
        if not np.isfinite(found.value).any():
            note(place, "no transition\nto cut into")
            continue
        _windows(place, effects.windows, found, names, pair, first_read - WIDTH + 1)
    axes[0].set_ylabel("share lost")
    figure.legend(handles=group_handles(names, pair), **GROUP_LEGEND)
    return figure


GROUP_LEGEND: dict[str, Any] = {
    "loc": "outside upper left",
    "ncols": 3,
    "handlelength": 1.8,
    "columnspacing": 1.2,
}


def group_handles(names: Sequence[str], pair: tuple[int, int] | None = None) -> list[Line2D]:
    """A line for each group, and one for all controls."""
    named = [name for name in names if not name.startswith("control")]
    handles = [
        Line2D([], [], label=readable(name, pair), **group_look(name, pair)) for name in named
    ]
    if len(named) < len(names):
        handles.append(Line2D([], [], label="controls", **group_look("control")))
    return handles


def group_line(
    axes: Axes,
    x: Sequence[float],
    found: Estimate,
    name: str,
    pair: tuple[int, int] | None = None,
) -> None:
    """A line with its band; a control is a line without one, behind all others."""
    look = group_look(name, pair)
    if name.startswith("control"):
        axes.plot(x, found.value, **{**look, "alpha": 0.6, "zorder": 1})
    else:
        band(axes, x, found, **look)


def _dose_response(axes: Axes, response: DoseResponse, pair: tuple[int, int]) -> bool:
    """Both directions and the controls; whether there is anything to see."""
    axes.axhline(1, color=FOREGROUND, lw=0.8, ls=(0, (1, 2)), alpha=0.6, zorder=0)
    axes.axvline(1, color=FOREGROUND, lw=0.8, ls=(0, (1, 2)), alpha=0.6, zorder=0)
    for way, look in ((pair, "-"), (pair[::-1], DASHED)):
        found = response.outcome.ratio[:, *way]
        band(axes, response.doses.tolist(), found, color=symbol_color(way[1]), ls=look)
    controls = response.control.ratio[:, *pair]
    for dose, control in zip(response.control_doses.tolist(), controls, strict=True):
        if np.isfinite(control.value):
            axes.plot([dose, dose], [control.low, control.high], color=CONTROL, lw=2)
            axes.plot([dose], [control.value], "s", color=CONTROL, ms=4.5)
    return bool(np.isfinite(response.outcome.ratio.value[:, *pair]).any())


def _ratio_axis(axes: Axes, found: list[Estimate], pair: tuple[int, int]) -> None:
    """Room for all values, if not for all intervals; logarithmic above 1 if some are large."""
    values = [x.value[:, *way] for x in found for way in (pair, pair[::-1])]
    known = np.concatenate([[1.0], *values])
    top = float(known[np.isfinite(known)].max())
    if top <= LINEAR:
        axes.set_ylim(-0.04 * max(top, 1.5), 1.15 * max(top, 1.5))
        return
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(-0.05, 1.5 * top)
    decades = 10.0 ** np.arange(np.ceil(np.log10(top)) + 1)
    axes.yaxis.set_major_locator(FixedLocator([0, *decades]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _windows(
    axes: Axes,
    windows: Sequence[int],
    found: Estimate,
    names: Sequence[str],
    pair: tuple[int, int] | None,
    reaching: int,
) -> None:
    for group, name in zip(found, names, strict=True):
        group_line(axes, windows, group, name, pair)
    axes.axvline(0, color=FOREGROUND, lw=0.8, alpha=0.6, zorder=0)
    axes.axhline(0, color=FOREGROUND, lw=0.8, alpha=0.3, zorder=0)
    last = max(windows)
    axes.set_xlim(min(windows), last)
    if last >= reaching:
        axes.axvspan(reaching, last, color=FOREGROUND, alpha=0.1, lw=0, zorder=-1)
        looks: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": 9, "alpha": 0.8}
        axes.text(last, 0.99, "reaches\nreadout", transform=axes.get_xaxis_transform(), **looks)
