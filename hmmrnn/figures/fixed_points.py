"""Fixed and slow points: where they are, and the eigenvalues there."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from hmmrnn.dynamics.fixed_points.find import FixedPoints
from hmmrnn.figures.style import FOREGROUND, note, panels, styled

N_STARTS_SHOWN = 400
N_LABELLED = 9
"""With more points than this, their counts would cover each other."""

FAINT = "#888888"


@styled
def fixed_point_figure(found: FixedPoints) -> Figure:
    """Left, starts and end points in the plane of PC1 and PC2; right, eigenvalues at the points.

    A count stands at each point: of the starts that end there without noise, or in brackets, where
    none does, of those from which the descent on the speed ends there.
    """
    figure, (plane, circle) = panels(
        3.4,
        "Fixed and slow points without input in the first two principal components, "
        "and eigenvalues of the Jacobian there against the unit circle",
        columns=2,
    )
    kinds = _kinds(found)
    _points(plane, found, kinds)
    _eigenvalues(circle, found, kinds)
    handles = [Line2D([], [], label=name, **_LOOKS[name]) for name in _LOOKS if name in kinds]
    starts = Line2D([], [], ls="", marker=".", color=FAINT, label="start")
    figure.legend(
        handles=[starts, *handles],
        loc="outside upper left",
        ncols=4,
        handletextpad=0.3,
        columnspacing=1.2,
    )
    return figure


def _points(axes: Axes, found: FixedPoints, kinds: list[str]) -> None:
    shares = [*np.asarray(found.plane.explained, float), 0.0]
    axes.set_title(f"where {found.n_starts} starts end")
    axes.set_xlabel(f"PC1 ({100 * shares[0]:.0f} % of variance)")
    axes.set_ylabel(f"PC2 ({100 * shares[1]:.0f} % of variance)")
    axes.margins(0.12)
    starts = found.starts_in_plane[:N_STARTS_SHOWN]
    axes.plot(*starts.T, ls="", marker=".", ms=3, color=FAINT, alpha=0.4)
    for place, kind in zip(found.points_in_plane, kinds, strict=True):
        axes.plot(*place, **_LOOKS[kind])
    if not kinds:
        note(axes, "no fixed or\nslow point")
    if len(kinds) > N_LABELLED:
        note(axes, f"{found.n_points} points", corner=True)
        return
    middle = np.mean(axes.get_xlim())
    for place, text in zip(found.points_in_plane, _counts(found), strict=True):
        left = place[0] > middle
        axes.annotate(
            text,
            place,
            xytext=(-6 if left else 6, 5),
            textcoords="offset points",
            ha="right" if left else "left",
            weight="bold",
        )


def _eigenvalues(axes: Axes, found: FixedPoints, kinds: list[str]) -> None:
    axes.set_title("eigenvalues beside them" if found.at_kink.any() else "eigenvalues there")
    axes.set_xlabel("real part")
    axes.set_ylabel("imaginary part")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.add_patch(Circle((0, 0), 1, fill=False, lw=0.8, ec=FOREGROUND))
    axes.plot([-1.1, 1.1], [-1.1, 1.1], alpha=0)
    for values, kind in zip(found.eigenvalues, kinds, strict=True):
        axes.plot(values.real, values.imag, **{**_LOOKS[kind], "ms": 4, "alpha": 0.7})
    if not kinds:
        note(axes, "none")


def _kinds(found: FixedPoints) -> list[str]:
    return [
        "slow" if not fixed else "stable" if stable else "unstable"
        for fixed, stable in zip(found.fixed, found.stable, strict=True)
    ]


def _counts(found: FixedPoints) -> list[str]:
    counts = zip(found.n_attracted, found.n_found, strict=True)
    return [f"{attracted}" if attracted else f"({n})" for attracted, n in counts]


_LOOKS: dict[str, dict] = {
    "stable": {"ls": "", "marker": "o", "ms": 7, "color": "#0072B2"},
    "unstable": {"ls": "", "marker": "o", "ms": 7, "color": "#D55E00", "mfc": "none"},
    "slow": {"ls": "", "marker": "D", "ms": 5, "color": "#009E73", "mfc": "none"},
}
