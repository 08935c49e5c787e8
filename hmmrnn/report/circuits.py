"""What the page shows of circuits.json."""

from typing import Any

from hmmrnn.intervals import Estimate
from hmmrnn.report.summary import estimate


def circuits_section(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Verdict, account and rows; None if nothing was measured, only the reason if nothing could be.

    Raises:
        KeyError, TypeError, ValueError, IndexError: fields of another form.
    """
    if not fields:
        return None
    if "problem" in fields:
        return {"problem": str(fields["problem"])}
    verdict, *sentences = fields["account"]
    parts = fields["ablations"]
    return {
        "problem": None,
        "verdict": str(verdict["text"]),
        "rows": [_row(row, sentences) for row in fields["rows"]],
        "identity": bool(fields["noise_into_all_units"]["identity"]),
        "ablations": [
            {
                "name": name,
                "n_units": int(n_units),
                "rate": _estimate(parts["outcome"]["per_step_ratio"], i),
                "kl": _estimate(parts["outcome"]["kl"], i),
            }
            for i, (name, n_units) in enumerate(zip(parts["names"], parts["n_units"], strict=True))
        ],
    }


def _row(row: dict[str, Any], sentences: list[dict[str, Any]]) -> dict[str, Any]:
    s, t = (int(symbol) for symbol in row["pair"])
    return {
        "pair": (s, t),
        "end": f"_{s}_{t}",
        "n_kick": int(row["n_kick"]),
        "kick": {which: estimate(row["kick"][which]) for which in ("own", "control", "back")},
        "noise": {which: estimate(row["noise"][which]) for which in ("own", "control")},
        "holds": row["holds"],
        "problem": str(row["problem"]),
        "account": [str(each["text"]) for each in sentences if each["pair"] == [s, t]],
    }


def _estimate(table: dict[str, list[float]], i: int) -> Estimate:
    return estimate({name: column[i] for name, column in table.items()})
