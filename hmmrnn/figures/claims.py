"""Does the bias of a loss make the orbit? Every network as one dot."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmmrnn.claims.hypothesis import Turning
from hmmrnn.figures.style import FOREGROUND, grid, log_ticks, outer_labels, panels, styled
from hmmrnn.hmm import PRESETS

COLORS = {
    "paper": "#A0207A",
    "reference": "#D55E00",
    "ngram": "#0072B2",
    "independent": "#009E73",
}
OTHER = "#888888"
SIZES = {128: 3.5, 256: 4.0, 512: 5.0, 1024: 6.0, 2048: 7.0, 4096: 8.5}
"""Diameter of the dot of a batch size, in points."""


@styled
def turns_figure(networks: Sequence[Turning]) -> Figure:
    """Turns per pair of changes against the KL of 6-grams, a panel for each preset.

    Networks that never learned their HMM are open circles; larger dots have larger batches.
    """
    names = [name for name in PRESETS if any(n.preset == name for n in networks)]
    names += sorted({n.preset for n in networks} - set(names))
    figure, axes = grid(
        len(names),
        "Turns per pair of changes against the KL of 6-grams, for each preset",
        height=1.0,
        each=2.1,
        sharex=True,
        sharey=True,
    )
    for panel, name in zip(axes, names, strict=False):
        panel.set_title(name)
        _dots(panel, [n for n in networks if n.preset == name], "kl", "turns")
        panel.set_xscale("log")
        log_ticks(panel, "x")
    outer_labels(axes, "KL of 6-grams (nats)", "")
    figure.supylabel("net turns per pair of changes", fontsize=10.5)
    _legend(figure, networks)
    return figure


@styled
def regularity_figure(networks: Sequence[Turning]) -> Figure:
    """CV of the stays under the preferred symbol against the turns; memoryless ones have 1."""
    figure, (axes,) = panels(3.4, "Regularity of stays against turns, every network")
    _dots(axes, networks, "turns", "preferred_cv")
    axes.axhline(1.0, color=FOREGROUND, lw=0.8, alpha=0.5)
    axes.set_xlabel("net turns per pair of changes")
    axes.set_ylabel("CV of stays\n(preferred symbol)")
    _legend(figure, networks)
    return figure


@styled
def batch_figure(networks: Sequence[Turning], preset: str) -> Figure:
    """KL, regularity and turns against the batch size, for the networks of one preset that have
    the paper's sizes and clipping.
    """
    ours = [n for n in networks if n.preset == preset and n.usual_sizes]
    figure, axes = panels(
        6.6, f"KL, CV of stays and turns against the batch size, {preset}", rows=3, sharex=True
    )
    labels = {
        "kl": "KL of 6-grams (nats)",
        "preferred_cv": "CV of stays",
        "turns": "net turns per pair",
    }
    for panel, (name, label) in zip(axes, labels.items(), strict=True):
        _dots(panel, ours, "spread_batch", name)
        panel.set_ylabel(label)
        panel.set_xscale("log", base=2)
    axes[0].set_yscale("log")
    log_ticks(axes[0], "y")
    axes[1].axhline(1.0, color=FOREGROUND, lw=0.8, alpha=0.5)
    sizes = sorted({n.batch_size for n in ours})
    axes[-1].set_xticks(sizes, [str(size) for size in sizes])
    axes[-1].minorticks_off()
    axes[-1].set_xlabel("batch size (sequences)")
    _legend(figure, ours)
    return figure


def _dots(axes: Axes, networks: Sequence[Turning], x: str, y: str) -> None:
    for n in networks:
        color = COLORS.get(n.loss, OTHER)
        axes.plot(
            _value(n, x),
            _value(n, y),
            marker="o",
            ms=SIZES.get(n.batch_size, 5.0),
            color=color,
            mfc=color if n.learned else "none",
            alpha=0.8,
            ls="none",
        )


def _value(network: Turning, name: str) -> float:
    if name == "spread_batch":  # losses and seeds side by side
        places = list(COLORS)
        place = places.index(network.loss) if network.loss in places else len(places)
        return network.batch_size * 2 ** (0.14 * (place - 1) + 0.03 * (network.seed % 5 - 2))
    return float(getattr(network, name))


def _legend(figure: Figure, networks: Sequence[Turning]) -> None:
    handles = [
        Line2D([], [], marker="o", ls="none", color=COLORS.get(loss, OTHER), label=loss)
        for loss in dict.fromkeys(n.loss for n in networks)
    ]
    if any(not n.learned for n in networks):
        look: dict[str, Any] = {"color": FOREGROUND, "mfc": "none"}
        handles.append(Line2D([], [], marker="o", ls="none", label="HMM not learned", **look))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=4, handletextpad=0.2, columnspacing=1.2
    )
