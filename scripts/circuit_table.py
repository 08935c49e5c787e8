"""Tables of the circuits of trained networks, from their circuits.json.

Usage: `python scripts/circuit_table.py RUN...`, after `hmmrnn circuits --run=RUN`
for each of them. First a row for each network and direction, with intervals over its runs; then a
row for each HMM, training and direction, with means and bootstrap intervals over networks, which
are too narrow for five of them.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hmmrnn.dynamics import across_networks
from hmmrnn.intervals import UNKNOWN, Estimate
from hmmrnn.training.run_folder import read_spec

EACH = (
    "run",
    "change",
    "kick neurons (kick-like; carriers)",
    "population (beyond chance)",
    "rate, baseline",
    "ratio, kick silent",
    "ratio, kick undriven",
    "ratio, kick controls (their activity over the group's)",
    "ratio of the way back, kick silent",
    "ratio, no noise",
    "ratio, noise controls (their activity)",
    "fails at",
)
ALL = (
    "HMM, loss, training",
    "change",
    "networks (with kick neurons)",
    "kick neurons",
    "rate, kick silent",
    "rate, kick undriven",
    "rate, kick controls",
    "rate, no noise",
    "rate, noise controls",
    "rate, baseline (of the same)",
    "selectivity",
    "pairs in which the account holds",
    "networks in which it holds",
)
NOTHING = "none"
Fields = dict[str, Any]


def read(folder: Path) -> tuple[str, Fields]:
    """What a run was trained on, and its circuits.json."""
    config = read_spec(folder).config
    found = json.loads((folder / "circuits.json").read_text(encoding="utf-8"))
    size = f"batch {config.train.batch_size}, {config.data.n_steps} steps"
    return f"`{config.target.label}`, {config.loss.title}, {size}", found


def each_rows(folder: Path, found: Fields) -> list[tuple[str, ...]]:
    """A row for each ordered pair of one network."""
    if "problem" in found:
        return [(f"`{folder.name}`", found["problem"], *[NOTHING] * (len(EACH) - 2))]
    units = {tuple(each["pair"]): each["kick"] for each in found["pairs"]}
    carried = {tuple(each["pair"]): each["carriers"] for each in found["state_transitions"]}
    pair_tests = {tuple(each["pair"]): each for each in found["pair_tests"]}
    return [
        _each(
            folder.name,
            row,
            *(part.get(tuple(row["pair"])) for part in (units, carried, pair_tests)),
        )
        for row in found["rows"]
    ] or [(f"`{folder.name}`", found["account"][0]["text"], *[NOTHING] * (len(EACH) - 2))]


def _each(
    run: str, row: Fields, units: list[int], carriers: Fields | None, proof: Fields | None
) -> tuple[str, ...]:
    kick, noise = row["kick"], row["noise"]
    both = np.any([carriers["in_s"], carriers["in_t"]], axis=0) if carriers else []
    n_carriers = sum(bool(both[unit]) for unit in units) if carriers else NOTHING
    failing = [name for name, part in row["criteria"].items() if part is False]
    return (
        f"`{run}`",
        change_of(row),
        f"{row['n_kick']} ({row['n_kick_like']}; {n_carriers})",
        f"{row['n_population']} ({row['n_beyond_chance']})",
        shown(row["baseline_rate"], 3),
        shown(kick["own"]),
        shown(row["recurrent"]["own"]),
        f"{shown(kick['control'])} ({_match(proof, 'kick_match')})",
        shown(kick["back"]),
        shown(noise["own"]),
        f"{shown(noise['control'])} ({_match(proof, 'population_match')})",
        "holds" if row["holds"] else (", ".join(failing) or "undecided"),
    )


def all_rows(networks: list[tuple[str, Fields]]) -> list[tuple[str, ...]]:
    """A row for each kind of network and ordered pair, over networks."""
    groups: dict[str, list[Fields]] = defaultdict(list)
    for kind, found in networks:
        groups[kind].append({"rows": [], "verdict": "undecided", **found})
    return [
        _all(kind, members, change)
        for kind, members in groups.items()
        for change in sorted({change_of(row) for found in members for row in found["rows"]})
    ]


def _all(kind: str, members: list[Fields], change: str) -> tuple[str, ...]:
    rows = [row for found in members for row in found["rows"] if change_of(row) == change]

    def mean(number: Callable[[Fields], float | None], digits: int = 2) -> str:
        values = {str(i): _estimate(number(row)) for i, row in enumerate(rows)}
        found = across_networks(values, jax.random.key(0)).mean
        if not np.isfinite(found.value):
            return NOTHING
        return format(found if np.isfinite(found.low) else found.value, f".{digits}f")

    return (
        kind,
        change,
        f"{len(members)} ({sum(row['n_kick'] > 0 for row in rows)})",
        ", ".join(str(row["n_kick"]) for row in rows),
        mean(lambda row: row["kick"]["rate"]["value"], 4),
        mean(lambda row: row["recurrent"]["rate"]["value"], 4),
        mean(lambda row: _control_rate(row, "kick"), 4),
        mean(lambda row: row["noise"]["rate"]["value"], 4),
        mean(lambda row: _control_rate(row, "noise"), 4),
        mean(lambda row: row["baseline_rate"]["value"] if row["n_kick"] else None, 4),
        mean(lambda row: row["kick"]["selectivity"]["value"]),
        f"{sum(row['holds'] is True for row in rows)} of {len(members)}",
        f"{sum(found['verdict'] == 'holds' for found in members)} of {len(members)}",
    )


def _match(proof: Fields | None, name: str) -> str:
    """Activity of the controls over that of their group."""
    activity = proof[name]["activity"] if proof else None
    return NOTHING if activity is None else f"{activity:.2f}"


def _control_rate(row: Fields, part: str) -> float | None:
    """Rate under the controls of a gain; None where there is none."""
    ratio, base = row[part]["control"]["value"], row["baseline_rate"]["value"]
    return None if ratio is None or base is None else ratio * base


def change_of(row: Fields) -> str:
    """An ordered pair of symbols."""
    return "{}>{}".format(*row["pair"])


def shown(entry: Fields, digits: int = 2) -> str:
    """A number with its interval."""
    value, low, high = (entry[name] for name in ("value", "low", "high"))
    if value is None:
        return NOTHING
    interval = "" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{value:.{digits}f}{interval}"


def _estimate(value: float | None) -> Estimate:
    return UNKNOWN if value is None else replace(UNKNOWN, value=value)


def markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows under their heads."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:]]
    networks = [read(folder) for folder in folders]
    found = [found for _, found in networks]
    each = [row for pair in zip(folders, found, strict=True) for row in each_rows(*pair)]
    print(markdown(EACH, each), markdown(ALL, all_rows(networks)), sep="\n\n")
