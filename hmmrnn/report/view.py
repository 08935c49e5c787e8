"""The interactive three-dimensional view of trajectories, as a part of the page that works offline.

The drawing library stands in the page itself, compressed, so nothing is fetched when it is opened.
"""

import base64
import gzip
import json
import math
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from markupsafe import Markup
from plotly.colors import cyclical
from plotly.offline import get_plotlyjs

from hmmrnn.dynamics.view import DIGITS, TrajectoryView
from hmmrnn.errors import InputError
from hmmrnn.figures.style import ZONE_COLORS, symbol_color
from hmmrnn.recordings.residency_times import ZONES
from hmmrnn.report.templates import template
from hmmrnn.storage import plain, read_arrays

FILE = "trajectory_view.npz"

CYCLE: list[str] = cyclical.Phase
"""Colours of the phase, of even lightness, so they are seen on light and on dark pages."""

MARGIN = 0.05  # of the axes, on either side
FLATTEST = 0.2  # shortest axis over the longest one
SHORTEST = 0.01  # half an axis over its middle, or few digits could not tell its ends apart
DIMENSIONS = {
    "driven": "ST3",
    "symbols": "ST",
    "zones": "T",
    "phase": "ST",
    "quiet": "SPQ3",
    "epochs": "S",
    "explained": "3",
}
WHOLE = ("symbols", "zones", "epochs")


def view_html(folder: Path) -> Markup | None:
    """The view of the run in `folder`: a div with its data and scripts; None if there is no file.

    Raises:
        InputError: the file is damaged, or another version of hmmrnn wrote it.
    """
    path = folder / FILE
    if not path.exists():
        return None
    arrays = read_arrays(path)
    problem = _problem(arrays)
    if problem:
        raise InputError(
            f"{path}: {problem}, so another version of hmmrnn wrote it; measure the dynamics again"
        )
    view = TrajectoryView(**{name: arrays[name] for name in DIMENSIONS})
    return Markup(
        template("view.html").render(
            n_snapshots=len(view.epochs),
            n_steps=len(view.zones),
            has_zones=bool(np.any(view.zones >= 0)),
            explained=_percent(np.sum(view.explained)),
            data=Markup(_json(_drawn(view))),
            library=Markup(_library()),
            script=Markup(
                resources.files("hmmrnn.report").joinpath("view.js").read_text(encoding="utf-8")
            ),
        )
    )


def _problem(arrays: dict[str, np.ndarray]) -> str | None:
    """Why these arrays are no `TrajectoryView`."""
    sizes = {"3": 3}
    for name, axes in DIMENSIONS.items():
        if name not in arrays:
            return f"lacks {name}"
        found, kind = arrays[name].shape, arrays[name].dtype.kind
        if kind not in ("iu" if name in WHOLE else "f"):
            return f"{name} is of type {arrays[name].dtype}"
        fits = len(found) == len(axes) and 0 not in found
        if not fits or any(sizes.setdefault(a, n) != n for a, n in zip(axes, found, strict=True)):
            return f"{name} has shape {found}, which does not fit the rest"
    return None


@cache
def _library() -> str:
    """The drawing library, gzip in base64: less than half the size, and no text to misread."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _drawn(view: TrajectoryView) -> dict[str, Any]:
    """What the script needs, with coordinates in columns and colours chosen."""
    points = [
        np.concatenate([driven, quiet.reshape(-1, 3)])
        for driven, quiet in zip(view.driven, view.quiet, strict=True)
    ]
    final = _box(points[-1])
    boxes = [_joined(final, path) for path in points]
    lengths = np.ptp(np.array(boxes), axis=1)
    symbols = [int(k) for k in np.unique(view.symbols) if k >= 0]
    return {
        "epochs": view.epochs,
        "axes": [
            f"PC{i} ({_percent(share)} % of variance)" for i, share in enumerate(view.explained, 1)
        ],
        "driven": np.swapaxes(view.driven, 1, 2),
        "quiet": np.swapaxes(view.quiet, 2, 3),
        "symbols": view.symbols,
        "zones": view.zones,
        "phase": view.phase,
        "ranges": np.swapaxes(boxes, 1, 2),
        "longer": [float(f"{x:.2g}") for x in np.max(lengths / lengths[-1], axis=1)],
        "diverged": [bool(np.isnan(path).any()) for path in points],
        "symbolKinds": [
            {"kind": k, "name": f"symbol {k}", "color": symbol_color(k)} for k in symbols
        ],
        "zoneKinds": _zone_kinds(view),
        "cyclic": [[i / (len(CYCLE) - 1), color] for i, color in enumerate(CYCLE)],
    }


def _zone_kinds(view: TrajectoryView) -> list[dict[str, Any]]:
    """Zones in use, and one without a colour of its own for steps where none was computed."""
    known = [
        {"kind": i, "name": name, "color": ZONE_COLORS[i]}
        for i, name in enumerate(ZONES)
        if i in view.zones
    ]
    return [*known, {"kind": -1, "name": "zone not computed", "color": None}]


def _box(points: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, "2 3"]:
    """Lowest and highest values of the axes around points, none much shorter than the others."""
    finite = points[np.isfinite(points).all(axis=1)].astype(np.float64)
    if len(finite) == 0:
        return np.array([[-1.0] * 3, [1.0] * 3])
    low, high = finite.min(axis=0), finite.max(axis=0)
    middle = (low + high) / 2
    half = (0.5 + MARGIN) * np.maximum(high - low, FLATTEST * np.max(high - low))
    half = np.maximum(half, SHORTEST * np.abs(middle))
    half = np.where(half > 0, half, 1.0)
    return np.stack([middle - half, middle + half])


def _joined(
    box: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "P 3"]
) -> Float[np.ndarray, "2 3"]:
    """The box, made larger as far as the points need it."""
    finite = points[np.isfinite(points).all(axis=1)]
    every = np.concatenate([box, finite])
    return np.stack([every.min(axis=0), every.max(axis=0)])


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if math.isfinite(share) else "?"


def _json(value: Any) -> str:  # noqa: ANN401
    """JSON that can stand in a script element, with no more digits than the record has."""
    return json.dumps(_short(plain(value)), separators=(",", ":")).replace("<", "\\u003c")


def _short(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {name: _short(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_short(entry) for entry in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
