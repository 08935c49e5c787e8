"""A table of how trained networks move, from their dynamics.json.

Usage: `python scripts/dynamics_table.py RUN...`, after `hmmrnn dynamics --run=RUN`
for each of them.
"""

import json
import sys
from pathlib import Path
from typing import Any

HEAD = (
    "run",
    "verdict",
    "net rotation [95 %]",
    "time-reversed [95 %], p",
    "phase-shuffled [95 %], p",
    "PC1 + PC2 (%)",
    "dwell CV",
    "end at the origin without noise",
    "bifurcation: paper's rule; change point",
    "second descent",
    "snapshots since the bifurcation that turn > 0.8; < 0.25",
)


NOTHING = "none"


def row(folder: Path) -> tuple[str, ...]:
    """The cells of one run."""
    found = json.loads((folder / "dynamics.json").read_text(encoding="utf-8"))
    if "problem" in found:
        return (f"`{folder.name}`", found["problem"], *[NOTHING] * (len(HEAD) - 2))
    null, dated = found["surrogates"], found["development"]
    explained = found["plane"]["explained"]
    return (
        f"`{folder.name}`",
        found["regime"]["kind"],
        _interval(found["rotation"]),
        _null(null["time_reversed"]),
        _null(null["phase_shuffled"]),
        " + ".join(f"{100 * share:.1f}" for share in explained[:2]),
        _number(found["dwell_cv"]["value"]),
        _at_origin(found["fixed_points"]),
        "no snapshots"
        if dated is None
        else f"{_number(dated['bifurcation_by_jump'], '.0f')}; "
        f"{_interval(dated['bifurcation'], 'epoch', '.0f')}",
        NOTHING if dated is None else _number(dated["descent"]["onset"], ".0f"),
        NOTHING if dated is None else _lasting(dated),
    )


def _at_origin(found: dict[str, Any]) -> str:
    """Starts that end at a fixed point at the origin, of all."""
    n = sum(
        count
        for count, fixed, norm in zip(
            found["n_attracted"], found["fixed"], found["from_origin"], strict=True
        )
        if fixed and norm < 0.01
    )
    return f"{n} of {found['n_starts']}, {sum(found['fixed'])} fixed points"


def _lasting(dated: dict[str, Any]) -> str:
    """How many of the snapshots from the bifurcation on (by change point) orbit, and do not."""
    since = dated["bifurcation"]["epoch"]
    if since is None:
        return NOTHING
    turns = [
        entry["value"]
        for epoch, entry in zip(dated["epochs"], dated["rotation"], strict=True)
        if epoch >= since and entry["value"] is not None
    ]
    return f"{sum(t > 0.8 for t in turns)}; {sum(t < 0.25 for t in turns)} of {len(turns)}"


def _null(entry: dict[str, Any]) -> str:
    low, high = _number(entry["null_low"]), _number(entry["null_high"])
    return f"{_number(entry['null_mean'])} [{low}, {high}], {_number(entry['p_value'], '.3f')}"


def _interval(entry: dict[str, Any], name: str = "value", form: str = ".2f") -> str:
    low, high = (_number(entry[end], form) for end in ("low", "high"))
    return f"{_number(entry[name], form)} [{low}, {high}]"


def _number(value: float | None, form: str = ".2f") -> str:
    return "none" if value is None else f"{value:{form}}"


def markdown(rows: list[tuple[str, ...]]) -> str:
    """Rows under their heads."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    print(markdown([row(Path(argument)) for argument in sys.argv[1:]]))
