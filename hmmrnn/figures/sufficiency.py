"""What is enough for a transition: pulses, noise replayed, and noise turned up in some units."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmmrnn.circuits.noise_replay import ON_TIME, ReplayEffects
from hmmrnn.circuits.pulses import N_AFTER, PulseEffects
from hmmrnn.circuits.resonance import Resonance
from hmmrnn.figures.circuits import CONTROL, DASHED, group_look, readable
from hmmrnn.figures.interventions import GROUP_LEGEND, group_handles, group_line
from hmmrnn.figures.style import FOREGROUND, band, dot, note, panels, rows_of, styled


@styled
def pulse_figure(effects: PulseEffects, names: tuple[str, ...]) -> Figure:
    """Probability that a pulse to each group triggers the transition, by dose; grey: controls."""
    figure, (axes,) = panels(
        3.2, "Probability that a pulse of each group's activity triggers the transition, by dose"
    )
    axes.set_xlabel("dose (1: as in real transitions; all of one norm)")
    axes.set_ylabel(f"probability within {N_AFTER} steps")
    axes.set_ylim(-0.03, 1.03)
    if not np.isfinite(effects.probability.value).any():
        note(axes, "no state in the cluster\nto start from")
        return figure
    for group, name in zip(effects.probability, names, strict=True):
        group_line(axes, effects.doses, group, name)
    figure.legend(handles=group_handles(names), **GROUP_LEGEND)
    return figure


@styled
def replay_figure(
    effects: ReplayEffects, own: ReplayEffects | None, names: tuple[str, ...]
) -> Figure:
    """Share of replays whose transition comes on time, by the units that get the noise again.

    Filled: from another state of the cluster; open (`own`): from the state that it met in fact.
    """
    rows = list(dict.fromkeys("controls" if is_control(name) else name for name in names))
    figure, (axes,) = panels(
        1.0 + 0.36 * len(rows),
        "Share of transitions that come on time when the noise before them is replayed to some "
        "units, all others with fresh noise",
    )
    axes.set_xlabel(f"share of transitions within {ON_TIME} steps of the replayed one")
    axes.set_xlim(-0.03, 1.03)
    rows_of(axes, [readable(row) for row in rows], "same noise for")
    starts = [(effects, 0.0, True)] if own is None else [(effects, -0.15, True), (own, 0.15, False)]
    known = False
    for found, shift, filled in starts:
        for entry, name in zip(found.on_time, names, strict=True):
            at = rows.index("controls" if is_control(name) else name)
            dot(axes, entry, at + shift, filled=filled, color=group_look(name)["color"])
            known |= bool(np.isfinite(entry.value))
    if not known:
        note(axes, "no transition to replay")
    if own is not None:
        figure.legend(
            handles=[
                handle(True, "from another state of the cluster"),
                handle(False, "from their own state"),
            ],
            loc="outside upper left",
            ncols=2,
            handlelength=1,
        )
    return figure


@styled
def resonance_figure(found: Resonance, everywhere: Resonance | None = None) -> Figure:
    """How regular and how frequent transitions are at each gain of the noise into some units.

    Dashed: the same gain of the noise into all units (`everywhere`). Bands are 95 % intervals.
    """
    figure, (regular, often) = panels(
        3.2,
        "Coefficient of variation of dwell times, and transitions per step, by the gain of the "
        "noise into the integrating populations",
        columns=2,
    )
    for axes, name, label in (
        (regular, "pooled_cv", "CV of dwell times"),
        (often, "per_step", "transitions per step"),
    ):
        axes.set_xlabel("gain of the noise")
        axes.set_ylabel(label)
        axes.axvline(1, color=FOREGROUND, lw=0.8, ls=(0, (1, 2)), alpha=0.6, zorder=0)
        if everywhere is not None:
            _gains(axes, everywhere, name, color=CONTROL, ls=DASHED)
        _gains(axes, found, name, color=FOREGROUND, ls="-")
        axes.set_ylim(bottom=0)
        if not np.isfinite(getattr(found.outcome, name).value).any():
            note(axes, "fewer than\ntwo dwell times")
    if np.isfinite(found.best_gain):
        dip = f"dip {found.dip:.2f}".replace("-", "\N{MINUS SIGN}")
        regular.set_title(f"{dip} at {found.best_gain:g}", fontsize=10)
    figure.legend(handles=_resonance_handles(found, everywhere), **{**GROUP_LEGEND, "ncols": 2})
    return figure


def is_control(name: str) -> bool:
    """Whether a group is one of the controls, which share a row."""
    return name.startswith("control")


def handle(filled: bool, label: str) -> Line2D:
    """An entry of a legend."""
    fill = FOREGROUND if filled else "none"
    return Line2D([], [], ls="", marker="o", ms=5.5, mec=FOREGROUND, mfc=fill, label=label)


def _gains(axes: Axes, found: Resonance, name: str, **looks: Any) -> None:  # noqa: ANN401
    band(axes, found.gains.tolist(), getattr(found.outcome, name), **looks)


def _resonance_handles(found: Resonance, everywhere: Resonance | None) -> list[Line2D]:
    handles = [Line2D([], [], color=FOREGROUND, label=f"into {found.n_units} units")]
    if everywhere is not None:
        label = f"into {everywhere.n_units} units" if everywhere.n_units else "into all units"
        label += ", flat by construction" if everywhere.identity else ""
        handles.append(Line2D([], [], color=CONTROL, ls=DASHED, label=label))
    return handles
