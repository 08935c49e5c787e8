"""What the pages show of discovery.json: which units matter, when, and how right that is."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from hmmrnn.circuits.find import name_of
from hmmrnn.discovery.selection import FAITHFUL
from hmmrnn.discovery.surveys import INTERVENTION
from hmmrnn.discovery.transitions import SCORED
from hmmrnn.intervals import Estimate
from hmmrnn.report.numbers import MINUS, span, text
from hmmrnn.report.summary import estimate, number, readable

MEASURES = ("stake", "faithfulness", "completeness", "minimality", "necessity", "sufficiency")
KINDS = {
    "zero": "zero",
    "mean": "its mean",
    "resample": "its state in a corrupted run",
}
BASELINE = "baseline"
N_TWINS = 3
"""Twins shown of each window."""
PERFECT = 1.0  # AUPRC
AS_WELL = 0.5
"""Share of the largest stake from which a window is named beside the one that has it."""


def discovery_section(fields: dict[str, Any], about: str) -> dict[str, Any] | None:
    """Every case with its sentence and tables; None if nothing was measured.

    `about` is what the networks must come from, "run" or "task".

    Raises:
        KeyError, TypeError, ValueError, IndexError, AttributeError: fields of another form.
    """
    if not fields:
        return None
    if about not in fields["source"]:
        raise ValueError(f"it is not about a {about}")
    return {
        "about": str(fields["source"][about]),
        "faithful": FAITHFUL,
        "scored": (SCORED[0], SCORED[1] - 1),
        "source": {str(name): value for name, value in fields["source"].items()},
        "command": str(fields["command"]),
        "cases": [_case(str(name), case) for name, case in fields["cases"].items()],
        "problems": [(_title(str(name)), str(why)) for name, why in fields["problems"].items()],
    }


def _case(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    windows = _windows(fields)

    def each(read: Callable[[Any], Any], values: list[Any]) -> list[Any]:
        return [read(value) for value, _ in zip(values, windows, strict=True)]

    judged = fields["judgement"]
    case = {
        "title": _title(name),
        "end": f"_{name.replace(' ', '_')}",
        "instead": KINDS.get(fields["kind"], str(fields["kind"])),
        "n_trials": int(fields["n_trials"]),
        "n_units": int(fields["n_units"]),
        "windows": windows,
        "rankings": _rankings(fields, each),
        "agreement": {
            **{name: each(_agreement, found) for name, found in fields["agreement"].items()},
            "connections": each(_agreement, fields["edge_agreement"]),
        },
        "groups": {
            str(group): {part: each(number, found[part]) for part in ("effect", "alone")}
            for group, found in fields["groups"].items()
        },
        "twins": each(_twins, fields["twins"]),
        "kick": _kick(name, fields.get("kick"), each),
        "truth": None if judged is None else _truth(judged, each),
    }
    return {**case, "sentences": list(_of_network(case) if judged is None else _of_task(case))}


def _windows(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Numbers of each window: of its circuit, of the ranking that it is from, of its edges."""
    judged = fields["judgement"]
    scores = (
        [{"n_true": None}] * len(fields["windows"])
        if judged is None
        else judged["units"][INTERVENTION]["windows"]
    )
    parts = (fields["circuits"], fields["curves"][INTERVENTION], fields["edges"], scores)
    return [
        {
            "name": str(name).replace("-", MINUS),
            "first": int(first),
            "last": int(end) - 1,
            "n_units": len(circuit["units"]),
            "n_true": None if score["n_true"] is None else int(score["n_true"]),
            **{measure: estimate(circuit[measure]) for measure in MEASURES},
            "CPR": estimate(curve["cpr"]),
            "CMD": estimate(curve["cmd"]),
            "n_edges": int(edges["n_edges"]),
            "edge_faithfulness": estimate(edges["faithfulness"]),
        }
        for (name, (first, end)), circuit, curve, edges, score in zip(
            fields["windows"].items(), *parts, strict=True
        )
    ]


def _rankings(fields: dict[str, Any], each: Callable[..., list[Any]]) -> list[dict[str, Any]]:
    """All ways to rank units; scores are None where the truth is unknown, CPR if not measured."""
    verdicts = (fields["judgement"] or {}).get("units", {})
    curves = fields["curves"]
    kinds = {INTERVENTION: "exact", **dict.fromkeys(fields["agreement"], "attribution")}
    return [
        {
            "name": str(name),
            "kind": kinds.get(name, BASELINE),
            "scores": each(_score, verdicts[name]["windows"]) if verdicts else None,
            "timing": _score(verdicts[name]["timing"]) if verdicts else None,
            "cpr": each(lambda curve: estimate(curve["cpr"]), curves[name])
            if name in curves
            else None,
        }
        for name in dict.fromkeys((*verdicts, *curves))
    ]


def _score(fields: dict[str, Any]) -> dict[str, float]:
    return {
        "auprc": number(fields["auprc"]),
        "precision": number(fields["precision"]),
        "n_true": int(fields["n_true"]),
        "n": int(fields["n"]),
    }


def _agreement(fields: dict[str, Any]) -> dict[str, float]:
    return {part: number(fields[part]) for part in ("rank", "slope")}


def _twins(fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "units": tuple(int(unit) for unit in pair["units"]),
            **{part: number(pair[part]) for part in ("correlation", "effect", "beyond")},
        }
        for pair in fields[:N_TWINS]
    ]


def _kick(
    case: str, fields: dict[str, Any] | None, each: Callable[..., list[Any]]
) -> list[dict[str, Any]]:
    """Groups of the dedicated analysis that have units, those of this change first."""
    change = _change(case)
    rows: list[dict[str, Any]] = [
        {
            "name": str(name),
            "own": name == f"kick {change}",
            "n": int(group["n"]),
            "auprc": each(number, group["auprc"]),
            "shared": each(int, group["shared"]),
            "expected": each(number, group["expected"]),
        }
        for name, group in (fields or {}).items()
        if int(group["n"]) > 0
    ]
    return sorted(rows, key=lambda row: (not row["own"], change not in row["name"]))


def _truth(judged: dict[str, Any], each: Callable[..., list[Any]]) -> dict[str, Any]:
    decoded, isolation = judged["decoding"], judged["isolation"]
    laws = ("full", "isolated", "others")
    return {
        "edges": {str(name): each(_score, rows) for name, rows in judged["edges"].items()},
        "unconnected": number(judged["unconnected"]),
        "decoding": {name: number(value) for name, value in readable(decoded).items()},
        "decoded_as": str(judged["decoded_as"]),
        "isolation": isolation and {name: number(isolation[name]) for name in laws},
    }


def _of_task(case: dict[str, Any]) -> Iterable[str]:
    """How right the ranking by interventions is, beside the best baseline, and the sizes."""
    windows = case["windows"]
    worst = {ranking["name"]: _worst(ranking, windows) for ranking in case["rankings"]}
    rivals = [r["name"] for r in case["rankings"] if r["kind"] == BASELINE]
    best = max(rivals, key=lambda name: (not math.isnan(worst[name][0]), worst[name][0]))
    sizes, true = (_list(str(w[part]) for w in windows) for part in ("n_units", "n_true"))
    if len(windows) == 1:
        yield (
            f"Interventions rank the planted units with an AUPRC of {text(worst[INTERVENTION][0])}"
            f"; the best baseline, {best}, reaches {text(worst[best][0])}."
        )
        yield f"The circuit holds {sizes} units; the planted one has {true}."
        return
    (low, at), (reached, there) = worst[INTERVENTION], worst[best]
    where = "every window" if low == PERFECT else f"their worst window, {at}"
    yield (
        f"In {where}, interventions rank the planted units with an AUPRC of {text(low)}; "
        f"the best baseline, {best}, reaches {text(reached)} in its worst, {there}."
    )
    names = _list(w["name"] for w in windows)
    yield f"The circuits in {names} hold {sizes} units; the planted ones have {true}."


def _worst(ranking: dict[str, Any], windows: list[dict[str, Any]]) -> tuple[float, str]:
    """The smallest AUPRC of a ranking and its window; one that is unknown only if all are."""
    found = zip((score["auprc"] for score in ranking["scores"]), windows, strict=True)
    value, window = min(found, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0])
    return value, window["name"]


def _of_network(case: dict[str, Any]) -> Iterable[str]:
    """When it matters most, how few units do it, and whether these are the kick neurons."""
    windows = case["windows"]
    known = [i for i, w in enumerate(windows) if not math.isnan(w["stake"].value)]
    if not known:
        yield "It is unknown which window matters most: no stake could be measured."
        return
    most = max(known, key=lambda i: windows[i]["stake"].value)
    top, size = windows[most], windows[most]["n_units"]
    yield (
        f"Most is at stake in steps {top['name']}: with all {case['n_units']} units replaced "
        f"there, the new symbol's lead falls by {span(*top['stake'].parts)}. The {_units(size)} of "
        f"the circuit keep {_known(top['faithfulness'])} of that on their own."
    )
    for row in case["kick"]:
        if row["own"]:
            yield (
                f"Of these units, {row['shared'][most]} are among the {row['n']} kick neurons of "
                f"this change; by chance it would be {text(row['expected'][most])}."
            )
    least = AS_WELL * top["stake"].value
    near = [windows[i] for i in known if i != most and windows[i]["stake"].value >= least > 0]
    if near:
        yield f"At least half as much is at stake in {_list(w['name'] for w in near)}."


def _title(name: str) -> str:
    change = _change(name)
    return f"From {change.replace('>', ' to ')}" if change else name


def _change(name: str) -> str:
    """The pair of symbols in the name of a case as groups have it, 0>2; empty for a task's."""
    found = re.fullmatch(r"(\d+)_(\d+)", name)
    return name_of((int(found[1]), int(found[2]))) if found else ""


def _known(share: Estimate) -> str:
    return "an unknown part" if math.isnan(share.value) else span(*share.parts)


def _units(n: int) -> str:
    return f"{n} unit{'' if n == 1 else 's'}"


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
