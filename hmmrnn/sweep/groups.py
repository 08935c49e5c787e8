"""Rows of a sweep's table by what was varied: levels of an option, and numbers at each of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hmmrnn.sweep.table import LEADING, Cell, Row, is_measured, natural_order

ORDERS = range(1, 7)  # of the n-grams in fidelity.json


class Group(NamedTuple):
    """A number of networks that have the same value of an option, where it is known."""

    level: Cell
    values: np.ndarray  # (n,)
    mean: float
    error: float  # standard error of the mean; NaN for a single network


def varied_options(rows: Sequence[Row]) -> list[str]:
    """Options, `seed` and `hmm` among them, that have more than one value."""
    options = dict.fromkeys(name for row in rows for name in row)
    return [
        name
        for name in options
        if name not in LEADING and not is_measured(name) and len(levels(rows, name)) > 1
    ]


def chosen_options(rows: Sequence[Row]) -> list[str]:
    """Options but the seed that vary among networks of one HMM.

    Others, such as the length of sequences, may differ only because the HMMs do.
    """
    by_hmm = [having(rows, "hmm", name) for name in levels(rows, "hmm")]
    varied = {option for own in by_hmm for option in varied_options(own)} - {"seed"}
    return [option for option in varied_options(rows) if option in varied]


def levels(rows: Sequence[Row], option: str) -> list[Any]:
    """The values of an option, in order; numbers before text."""
    found = {row.get(option) for row in rows} - {None}
    return sorted(found, key=lambda v: (1, natural_order(v)) if isinstance(v, str) else (0, v))


def having(rows: Sequence[Row], option: str, level: Cell) -> list[Row]:
    """The rows with this value of an option."""
    return [row for row in rows if row.get(option) == level]


def values_of(rows: Sequence[Row], metric: str) -> np.ndarray:
    """A number of each row (n,), NaN where it is unknown."""
    found = (row.get(metric) for row in rows)
    return np.array([float(v) if isinstance(v, int | float) else np.nan for v in found], float)


def is_known(row: Row, metric: str) -> bool:
    """Whether the network has this number, and it is finite."""
    return bool(np.isfinite(values_of([row], metric)[0]))


def groups(rows: Sequence[Row], option: str, metric: str) -> list[Group]:
    """A number by the values of an option; those where it is never known are left out."""
    found = []
    for level in levels(rows, option):
        values = values_of(having(rows, option, level), metric)
        values = values[np.isfinite(values)]
        if n := len(values):
            error = float(values.std(ddof=1)) / n**0.5 if n > 1 else float("nan")
            found.append(Group(level, values, float(values.mean()), error))
    return found


def mean_log10(values: np.ndarray) -> float:
    """Over what is finite and above zero; NaN if nothing is."""
    known = values[np.isfinite(values) & (values > 0)]
    return float(np.log10(known).mean()) if len(known) else float("nan")


def divergence(rows: Sequence[Row]) -> str:
    """The column of the KL of the longest n-grams, up to six, that are compared for each HMM."""
    longest: dict[Cell, int] = {}
    for row in rows:
        for n in ORDERS:
            if is_known(row, kl(n)):
                name = row.get("hmm")
                longest[name] = max(n, longest.get(name, 0))
    return kl(min(longest.values(), default=6))


def kl(n: int) -> str:
    """The column of the KL of n-grams."""
    return f"fidelity.kl.{n}.network.value"


def floor_of(metric: str) -> str:
    """The column of the same number of an HMM sample; a name that no row has if there is none."""
    return metric.replace(".network.", ".floor.") if ".network." in metric else ""
