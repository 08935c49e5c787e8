"""This network among others: each number of its dynamics beside that of its sister networks."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmmrnn.dynamics import Across
from hmmrnn.figures.style import dot, note, panels, styled

MEAN = "#D55E00"
ROW = 0.62  # inches


@styled
def networks_figure(numbers: Mapping[str, Across], shown: str) -> Figure:
    """A strip for each number: networks as dots, the one called `shown` filled, their mean below.

    Lines are intervals: over trajectories for a network, over networks for the mean.
    """
    figure, rows = panels(
        0.5 + ROW * 1.5 * len(numbers),
        "Numbers of the dynamics of this network and of its sister networks",
        rows=len(numbers),
    )
    for axes, (name, found) in zip(rows, numbers.items(), strict=True):
        axes.set_title(name)
        axes.set_yticks([])
        axes.spines.left.set_visible(False)
        _strip(axes, found, shown)
    return figure


def _strip(axes: Axes, found: Across, shown: str) -> None:
    axes.set_ylim(-0.9, 1.6)
    if found.n_valid == 0:
        note(axes, "not defined for any network")
        return
    n = len(found.networks)
    for i, (label, entry) in enumerate(found.networks.items()):
        height = 1.2 - 1.0 * i / max(n - 1, 1)
        ours = label == shown
        dot(axes, entry, height, filled=ours, ms=7 if ours else 5, lw=1)
    dot(axes, found.mean, -0.5, marker="D", ms=6, color=MEAN, lw=2)
