"""The page of the claims: verdicts, the rules behind them, and the networks one by one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hmmrnn.figures.catalogue import CLAIMS
from hmmrnn.report.inline import inline_figures
from hmmrnn.report.numbers import span, text
from hmmrnn.report.summary import estimate
from hmmrnn.report.templates import template
from hmmrnn.storage import known_form, read_results, write_text

JSON = "claims.json"
ALL = "all"
HEAD = (
    "preset",
    "loss",
    "batch (sequences)",
    "T (steps)",
    "seed",
    "learned",
    "KL of 6-grams (nats)",
    "CV of stays (emitted)",
    "HMM\N{RIGHT SINGLE QUOTATION MARK}s CV",
    "CV of stays (preferred)",
    "turns per pair of changes",
    "run",
)
"""Of the table of networks."""


def build_claims_page(folder: Path) -> tuple[Path, Path]:
    """Write report.html and claims.md beside claims.json; returns both paths.

    Raises:
        InputError: no claims.json there, or one of another form.
        StorageError: a file could not be written.
    """
    fields = read_results(folder / JSON)
    with known_form(folder / JSON):
        claims = [_claim(claim, fields["rows"]) for claim in fields["claims"]]
        shown = {
            "claims": claims,
            "networks": [_network(network) for network in fields["networks"]],
            "head": HEAD,
            "commands": [str(command) for command in fields["commands"]],
        }
        figures = inline_figures(folder, CLAIMS)
        page = template("claims_page.html").render(figures=figures, **shown)
        prose = markdown(shown)
    paths = folder / "report.html", folder / "claims.md"
    write_text(paths[0], page)
    write_text(paths[1], prose)
    return paths


def _claim(claim: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    own = [_row(row) for row in rows if row["claim"] == claim["name"]]
    over_all = [row for row in own if row["preset"] == ALL]
    return {
        **{name: str(claim[name]) for name in ("name", "statement", "statistic", "rule")},
        "rows": own,
        "summary": over_all or own,
        "of_hypothesis": claim["name"].startswith("H"),
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    value = estimate(row["value"])
    return {
        **{name: str(row[name]) for name in ("preset", "loss", "verdict", "sentence")},
        "value": _shown(*value.parts),
    }


def _network(network: Mapping[str, Any]) -> dict[str, Any]:
    known = {True: "yes", False: "no", None: "not measured"}
    return {
        "preset": str(network["preset"]),
        "loss": str(network["loss"]),
        "batch_size": str(int(network["batch_size"])),
        "n_steps": str(int(network["n_steps"])),
        "seed": str(int(network["seed"])),
        "learned": known[network["learned"]],
        "kl": _plain(network["kl"], 4),
        "dwell_cv": _plain(network["dwell_cv"], 2),
        "hmm_dwell_cv": _plain(network["hmm_dwell_cv"], 2),
        "preferred_cv": _plain(network["preferred_cv"], 2),
        "turns": "diverges" if network["diverges"] else _plain(network["turns"], 2),
        "name": str(network["name"]),
    }


def _shown(value: float, low: float, high: float) -> str:
    if value != value:
        return "\N{EN DASH}"
    return span(value, low, high) if low == low else text(value)


def _plain(value: float | None, digits: int) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def markdown(shown: Mapping[str, Any]) -> str:
    """The same as a Markdown page."""
    return "\n".join(
        [
            "# Claims\n",
            "Every claim, judged by a rule that looks at one network. Over networks the share in "
            "which it holds gets Wilson's 95 % interval: above one half the claim is supported, "
            "below it is not, else it is undecided, so five networks decide only if all agree. "
            "Networks that never learned their HMM are counted and left out, but for C1 and C14.\n",
            "```",
            *shown["commands"],
            "```\n",
            "## Verdicts over all presets\n",
            *_table(
                ("claim", "statement", "loss", "verdict", "mean over networks", "in words"),
                (
                    (
                        c["name"],
                        c["statement"],
                        r["loss"],
                        r["verdict"],
                        f"{r['value']} ({c['statistic']})",
                        r["sentence"],
                    )
                    for c in shown["claims"]
                    for r in c["summary"]
                ),
            ),
            "## Claim by claim\n",
            *(line for claim in shown["claims"] for line in _section(claim)),
            "## Does the bias of the loss make the orbit?\n",
            *_table(HEAD, (tuple(n.values()) for n in shown["networks"])),
        ]
    )


def _section(claim: Mapping[str, Any]) -> list[str]:
    rows = (
        (r["preset"], r["loss"], r["verdict"], r["value"], r["sentence"]) for r in claim["rows"]
    )
    return [
        f"### {claim['name']}: {claim['statement']}\n",
        f"Rule: {claim['rule']}\n",
        *_table(("preset", "loss", "verdict", claim["statistic"], "networks"), rows),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *escaped]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]
