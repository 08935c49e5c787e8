"""What holds a state of the network, and what kick takes it over to another one."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmmrnn.circuits.carriers import HOLD_STEPS, Arm, Holding
from hmmrnn.circuits.kick_tests import Injection, KickTest, NaturalNoise, Response
from hmmrnn.figures.circuits import CONTROL, DASHED, arrow, group_look, readable
from hmmrnn.figures.style import (
    FOREGROUND,
    LEGEND_ABOVE,
    band,
    dot,
    note,
    panels,
    rows_of,
    styled,
    symbol_color,
)
from hmmrnn.figures.sufficiency import handle
from hmmrnn.intervals import Estimate

TIGHT: dict[str, Any] = {
    **LEGEND_ABOVE,
    "ncols": 2,
    "columnspacing": 0.8,
    "handlelength": 1.3,
    "fontsize": 9,
}


@styled
def holding_figure(found: Holding) -> Figure:
    """Probability of leaving a cluster under each change, and by the gain of its carriers' weights.

    Filled: the symbol changes; open: the other symbol of the pair is reached and stays. Grey: each
    control group.
    """
    s, t = found.pair
    figure, (arms, gains) = panels(
        2.6 + 0.3 * len(found.arms),
        f"Probability of leaving the cluster of symbol {s} when what holds it is taken away",
        rows=2,
    )
    if (grid := arms.get_gridspec()) is not None:
        grid.set_height_ratios([0.3 * len(found.arms), 1.6])
    _arms(arms, found)
    gains.set_xlabel(f"gain of the weights from carriers of {s}")
    gains.set_ylabel("leaves")
    gains.set_ylim(-0.03, 1.03)
    if not np.isfinite([arm.escape.value for arm in found.within]).any():
        note(gains, f"no state in the cluster of {s}")
        return figure
    for entries, color, style, label in (
        (found.within, symbol_color(s), "-", f"onto carriers of {s}"),
        (found.across, symbol_color(t), DASHED, f"onto carriers of {t}"),
    ):
        escapes = Estimate.stack([arm.escape for arm in entries])
        band(gains, found.gains, escapes, color=color, ls=style, label=label)
    gains.axvline(1, color=FOREGROUND, lw=0.8, ls=(0, (1, 2)), alpha=0.6, zorder=0)
    gains.legend(**TIGHT)
    return figure


@styled
def optimal_kick_figure(found: KickTest) -> Figure:
    """What the best kick does at each dose, whole or to some units, and if real noise is like it.

    Bands are 95 % intervals over runs; that of random kicks is the range of 95 % of them. Thin
    lines in the lower left panel are standard deviations.
    """
    figure, (whole, parts, natural, lags) = panels(
        5.4,
        f"Probability that kicks take the network from symbol {found.pair[0]} to {found.pair[1]}, "
        "and the noise of real transitions along the best kick",
        rows=2,
        columns=2,
    )
    for axes in (whole, parts):
        axes.set_xlabel("dose (s.d. of the noise)")
        axes.set_ylim(-0.03, 1.03)
    whole.set_ylabel(f"probability of {arrow(found.pair)}")
    if _known(found.injection.optimal):
        _whole(whole, found.injection, found.pair)
        _parts(parts, found)
    else:
        note(whole, "no kick was found")
        note(parts, "no kick was found")
    _natural(natural, found.natural, found.pair)
    _lags(lags, np.asarray(found.kick.lag_energy, float))
    return figure


def _arms(axes: Axes, found: Holding) -> None:
    axes.set_xlabel(f"probability within {HOLD_STEPS} steps")
    axes.set_xlim(-0.03, 1.03)
    rows_of(axes, [_arm_label(name, found.pair) for name in found.arms])
    known = False
    for row, (name, arm) in enumerate(found.arms.items()):
        color = CONTROL if "controls" in name else FOREGROUND
        dot(axes, arm.escape, row - 0.15, filled=True, color=color)
        dot(axes, arm.arrival, row + 0.15, filled=False, color=color)
        known |= bool(np.isfinite(arm.escape.value))
        for control in _controls(found, name):
            axes.plot([control.escape.value], [row - 0.15], "o", ms=2.5, mew=0, color=CONTROL)
    if not known:
        note(axes, f"no state in the cluster of {found.pair[0]}")
        return
    before = found.arms["baseline"].escape
    if np.isfinite(before.value):
        axes.axvline(before.value, color=FOREGROUND, lw=0.8, ls=(0, (1, 2)), alpha=0.6, zorder=0)
    axes.legend(
        handles=[handle(True, "leaves"), handle(False, f"arrives at {found.pair[1]}")], **TIGHT
    )


def _controls(found: Holding, name: str) -> list[Arm]:
    return {
        "drive of controls removed": found.drive_controls,
        "controls clamped": found.clamp_controls,
    }.get(name, [])


def _arm_label(name: str, pair: tuple[int, int]) -> str:
    s, t = pair
    return {
        "baseline": "left alone",
        "drive of s removed": f"no drive to carriers of {s}",
        "s clamped": f"carriers of {s} clamped",
        "t clamped": f"carriers of {t} clamped",
        "both clamped": "all carriers clamped",
        "rest clamped": "all others clamped",
        "drive of controls removed": "no drive to controls",
    }.get(name, name)


def _known(found: Response) -> bool:
    return bool(np.isfinite(found.probability.value).any())


def _whole(axes: Axes, found: Injection, pair: tuple[int, int]) -> None:
    s, t = (symbol_color(symbol) for symbol in pair)
    random = Estimate(found.random.probability.value, *np.transpose(found.random_range))
    for entries, looks in (
        (random, {"color": CONTROL, "label": "random"}),
        (found.reverse.probability, {"color": s, "label": "reversed"}),
        (found.linear.probability, {"color": t, "ls": DASHED, "label": "first order"}),
        (found.optimal.probability, {"color": t, "label": "best"}),
    ):
        band(axes, found.doses, entries, **looks)
    axes.legend(**TIGHT)


def _parts(axes: Axes, found: KickTest) -> None:
    """The best kick to the units of each group, and to all others."""
    handles = []
    for name, only, others in zip(
        found.groups.names, found.injection.through, found.injection.without, strict=True
    ):
        color = group_look(name, found.pair)["color"]
        band(axes, found.injection.doses, only.probability, color=color, ls="-")
        band(axes, found.injection.doses, others.probability, color=color, ls=DASHED)
        handles.append(Line2D([], [], color=color, label=readable(name, found.pair)))
    handles.append(Line2D([], [], color=FOREGROUND, ls=DASHED, label="all but them"))
    axes.legend(handles=handles, **TIGHT)


def _natural(axes: Axes, found: NaturalNoise, pair: tuple[int, int]) -> None:
    axes.set_xlabel("noise along the kick (s.d.)")
    rows_of(axes, [f"before\n{arrow(pair)}", "waiting"])
    rows = (
        (found.events, found.events_std, symbol_color(pair[1])),
        (found.others, found.others_std, FOREGROUND),
    )
    for row, (mean, spread, color) in enumerate(rows):
        if np.isfinite(mean.value):
            ends = [mean.value - spread, mean.value + spread]
            axes.plot(ends, [row, row], color=color, lw=0.9, alpha=0.7)
            axes.plot([mean.low, mean.high], [row, row], color=color, lw=4)
            axes.plot([mean.value], [row], "o", ms=6, color=color)
    if np.isfinite(found.auc.value):
        axes.axvline(0, color=FOREGROUND, lw=0.8, alpha=0.4, zorder=0)
        axes.set_title(f"AUC {found.auc:.2f}", fontsize=10)
    elif not np.isfinite([found.events.value, found.others.value]).any():
        note(axes, "nothing to compare")


def _lags(axes: Axes, shares: np.ndarray) -> None:
    axes.set_xlabel("steps from the last one")
    axes.set_ylabel("share of the kick's energy")
    if not np.isfinite(shares).any():
        note(axes, "no kick was found")
        return
    axes.bar(np.arange(len(shares)) - len(shares) + 1, shares, color=FOREGROUND, alpha=0.5)
