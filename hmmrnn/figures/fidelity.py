"""What a network generates beside the exact laws of its HMM, or beside held-out data."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from hmmrnn.fidelity import Fidelity, SymbolDwell
from hmmrnn.figures.style import (
    FOREGROUND,
    SYMBOL_COLORS,
    grid,
    log_ticks,
    note,
    outer_labels,
    panels,
    styled,
    symbol_color,
)
from hmmrnn.targets import OF_HMM, Words

CELL_COLOR = SYMBOL_COLORS[0]
MAX_TINT = 0.65  # of a cell with probability 1: text stays legible on it, on any page


@styled
def transition_figure(fidelity: Fidelity, words: Words = OF_HMM) -> Figure:
    """Matrices of symbol transitions, HMM and network; grey rows: the symbol never occurs."""
    figure, axes = panels(
        3.1,
        f"Probability of the next symbol given the present one, {words.target} and network",
        columns=2,
    )
    _matrix(axes[0], np.asarray(fidelity.exact_transitions), words.exact)
    _matrix(axes[1], np.asarray(fidelity.transitions), "network")
    axes[0].set_ylabel("present symbol")
    return figure


@styled
def ngram_figure(fidelity: Fidelity, words: Words = OF_HMM) -> Figure:
    """Probability of each n-gram of the highest order, network against HMM, log-log.

    n-grams that one of the two never shows lie on the edge of the panel. Repetitions of one symbol
    have its colour.
    """
    n = max(fidelity.kl)
    figure, (axes,) = panels(3.8, f"Probability of each {n}-gram, network against {words.target}")
    exact = np.asarray(fidelity.exact_ngrams, float).ravel()
    network = np.asarray(fidelity.ngram_shares, float).ravel()
    edge = _edge(fidelity, n)
    keep = (network > 0) | (exact > edge)
    x, y = (np.maximum(p, edge) for p in (exact, network))
    rare = {"never generated": keep & (network == 0), words.rare: keep & (exact <= edge)}
    plain = keep & (network > 0) & (exact > edge)
    repeats = np.arange(fidelity.transitions.shape[0]) * (len(exact) - 1)
    repeats //= fidelity.transitions.shape[0] - 1
    axes.plot([edge, 1], [edge, 1], color=FOREGROUND, lw=1, ls="--", label="equal")
    _dots(axes, x, y, np.setdiff1d(np.flatnonzero(plain), repeats), "o", f"{n}-gram")
    for marker, (label, chosen) in zip("v<", rare.items(), strict=True):
        _dots(axes, x, y, np.flatnonzero(chosen), marker, label)
    for symbol, index in enumerate(repeats):
        if plain[index]:
            text = f"{symbol}" * n
            axes.plot(
                x[index], y[index], "o", color=symbol_color(symbol), ms=7, clip_on=False, label=text
            )
    for which in "xy":
        axes.set(**{f"{which}scale": "log", f"{which}lim": (edge, 1)})
        log_ticks(axes, which)
    axes.set_aspect("equal")
    axes.set_xlabel(f"probability of {n}-gram, {words.target}")
    axes.set_ylabel(f"probability of {n}-gram, network")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), handlelength=1.6)
    return figure


@styled
def dwell_figure(fidelity: Fidelity, words: Words = OF_HMM) -> Figure:
    """Probability of each dwell time, one panel for each symbol: exact law and network."""
    k = len(fidelity.dwell)
    figure, axes = grid(
        k,
        f"Probability of each dwell time of each symbol, network and {words.target}",
        height=0.8,
        each=2.0,
        columns=2 if k in (2, 4) else 3,
        sharey=True,
    )
    for symbol, (panel, dwell) in enumerate(zip(axes, fidelity.dwell, strict=True)):
        _dwell(panel, dwell, symbol)
    outer_labels(axes, "dwell time (steps)", "probability")
    axes[0].set_yscale("log")
    axes[0].set_ylim(_lowest(fidelity.dwell), 1)
    log_ticks(axes[0], "y")
    lines = [
        Line2D([], [], color=FOREGROUND, lw=1, label=words.exact),
        Line2D([], [], color=FOREGROUND, ls="", marker="o", ms=4, label="network"),
    ]
    figure.legend(handles=lines, loc="outside upper left", ncols=2)
    return figure


def _matrix(axes: Axes, matrix: np.ndarray, title: str) -> None:
    """Cells with their numbers, row 0 on top."""
    k = len(matrix)
    size = 10.5 if k <= 4 else 9.5 if k <= 6 else 7.5
    for (row, column), p in np.ndenumerate(matrix):
        known = np.isfinite(p)
        color = CELL_COLOR if known else FOREGROUND
        tint = MAX_TINT * float(np.clip(p, 0, 1)) if known else 0.15
        corner = (column - 0.48, row - 0.48)
        axes.add_patch(Rectangle(corner, 0.96, 0.96, lw=0, facecolor=color, alpha=tint))
        text = f"{p:.2f}" if known else "\N{EN DASH}"
        axes.text(column, row, text, ha="center", va="center", fontsize=size)
    axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), aspect="equal", title=title)
    axes.set(xticks=range(k), yticks=range(k), xlabel="next symbol")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for symbol in range(k):
        for label in (axes.get_xticklabels()[symbol], axes.get_yticklabels()[symbol]):
            label.set(color=symbol_color(symbol), fontweight="bold")


def _dots(
    axes: Axes, x: np.ndarray, y: np.ndarray, chosen: np.ndarray, marker: str, label: str
) -> None:
    """Faint dots, without clipping so that those on the edge are whole."""
    if len(chosen):
        axes.plot(
            x[chosen],
            y[chosen],
            ls="",
            marker=marker,
            ms=4,
            color=FOREGROUND,
            markeredgewidth=0,
            alpha=0.45,
            clip_on=False,
            label=f"{label}\n({len(chosen)} of them)" if marker != "o" else label,
        )


def _edge(fidelity: Fidelity, n: int) -> float:
    """A probability under that of an n-gram seen once."""
    windows = fidelity.n_sequences * max(fidelity.n_steps - n + 1, 1)
    return 0.5 / windows


def _dwell(axes: Axes, dwell: SymbolDwell, symbol: int) -> None:
    network = np.where(np.asarray(dwell.network) > 0, dwell.network, np.nan)
    exact = np.where(np.asarray(dwell.exact) > 0, dwell.exact, np.nan)
    axes.set_title(f"symbol {symbol}", color=symbol_color(symbol), fontweight="bold")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlim(0, len(dwell.lengths) + 1)
    if np.isfinite(exact).any():
        axes.plot(dwell.lengths, exact, color=FOREGROUND, lw=1)
    if np.isfinite(network).any():
        axes.plot(dwell.lengths, network, ls="", marker="o", ms=3.5, color=symbol_color(symbol))
    else:
        note(axes, "network: no\ndwell times", corner=True)


def _lowest(dwells: list[SymbolDwell]) -> float:
    """Just under the smallest share that was seen; 10^-4 if there is none."""
    seen = np.concatenate([np.asarray(d.network, float) for d in dwells])
    seen = seen[seen > 0]
    return float(seen.min() / 2) if len(seen) else 1e-4
