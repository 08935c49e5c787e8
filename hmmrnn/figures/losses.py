"""Which loss fits: divergence and rotation of many trained networks, by loss and target."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmmrnn.figures.style import FOREGROUND, SYMBOL_COLORS, log_ticks, panels, styled

ROW_HEIGHT = 0.24  # inches for each loss
WIDTH = 8.5  # inches, for the long names of the losses
DOT: dict[str, Any] = {"marker": "o", "ls": "", "ms": 4.5, "alpha": 0.75, "mew": 0}


@styled
def loss_figure(records: Sequence[dict[str, Any]]) -> Figure:
    """KL of 6-grams and net rotation, a row for each loss and a dot for each network.

    Dotted lines: samples of the HMM itself. Each record has loss, preset, kl6, kl6_floor and
    rotation; colours are presets, rows stand in the order of the records.
    """
    losses = list(dict.fromkeys(record["loss"] for record in records))
    presets = list(dict.fromkeys(record["preset"] for record in records))
    figure, (fit, turn) = panels(
        1.3 + ROW_HEIGHT * len(losses),
        "KL of 6-grams and net rotation of trained networks, by loss",
        columns=2,
        sharey=True,
    )
    figure.set_figwidth(WIDTH)
    for i, name in enumerate(presets):
        chosen = [record for record in records if record["preset"] == name]
        offset = 0.55 * ((i + 0.5) / len(presets) - 0.5)
        rows = np.array([losses.index(record["loss"]) for record in chosen]) + offset
        color = SYMBOL_COLORS[i % len(SYMBOL_COLORS)]
        for axes, measure in ((fit, "kl6"), (turn, "rotation")):
            values = [np.nan if r[measure] is None else r[measure] for r in chosen]
            axes.plot(values, rows, color=color, label=name, **DOT)
        fit.axvline(chosen[0]["kl6_floor"], color=color, lw=1, ls=":")
    _rows((fit, turn), losses)
    fit.set_xscale("log")
    log_ticks(fit, "x")
    fit.set_xlabel("KL of 6-grams (nats)")
    turn.set_xlabel("net turns per pair of transitions")
    turn.axvline(0, color=FOREGROUND, lw=0.8, alpha=0.4)
    figure.legend(*fit.get_legend_handles_labels(), loc="outside upper left", ncols=len(presets))
    return figure


def _rows(panels: Sequence[Axes], names: list[str]) -> None:
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        for edge in range(1, len(names)):
            axes.axhline(edge - 0.5, color=FOREGROUND, lw=0.4, alpha=0.15)
