"""The table of presets in docs/presets.md: medians over seeds and their range.

Usage: `python scripts/preset_table.py runs`, after, for each PRESET and several SEEDs,
`hmmrnn reproduce --preset=PRESET --profile=laptop --seed=SEED`.
"""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hmmrnn.hmm import PRESETS

HEAD = """\
| preset | T | seeds | KL of 6-grams | of an HMM sample | excess surprise \
| volatility; HMM | dwell CV of symbol 0; HMM | net rotation | minutes |
|---|---|---|---|---|---|---|---|---|---|"""


class Numbers(NamedTuple):
    """Of one run; rotation is None where the preferred symbol never changes."""

    kl: float
    kl_floor: float
    surprise: float
    volatility: float
    dwell_cv: float
    rotation: float | None
    minutes: float
    exact_volatility: float
    exact_dwell_cv: float


def row(folder: Path, name: str) -> str:
    """One line of the table, for the finished runs of preset `name`."""
    runs = sorted(path.parent for path in folder.glob(f"{name}-laptop-seed*/dynamics.json"))
    if not runs:
        return f"| `{name}` | no finished run {folder}/{name}-laptop-seed* |"
    of = Numbers(*zip(*map(numbers, runs), strict=True))
    cells = (
        f"`{name}`",
        f"{PRESETS[name].n_steps}",
        f"{len(runs)}",
        over_seeds(of.kl, ".4f"),
        f"{statistics.median(of.kl_floor):.4f}",
        over_seeds(of.surprise, "+.4f"),
        f"{over_seeds(of.volatility, '.3f')}; {of.exact_volatility[0]:.3f}",
        f"{over_seeds(of.dwell_cv, '.2f')}; {of.exact_dwell_cv[0]:.2f}",
        over_seeds(of.rotation, ".2f"),
        over_seeds(of.minutes, ".1f"),
    )
    return f"| {' | '.join(cells)} |"


def numbers(run: Path) -> Numbers:
    """From the records of a run folder."""
    fidelity, dynamics, manifest = (
        json.loads((run / f"{part}.json").read_text(encoding="utf-8"))
        for part in ("fidelity", "dynamics", "manifest")
    )
    kl, volatility, cv = fidelity["kl"]["6"], fidelity["volatility"], fidelity["dwell"][0]["cv"]
    return Numbers(
        kl=kl["network"]["value"],
        kl_floor=kl["floor"]["value"],
        surprise=fidelity["excess_surprise"]["network"]["value"],
        volatility=volatility["network"]["value"],
        dwell_cv=cv["network"]["value"],
        rotation=dynamics["rotation"]["value"],
        minutes=manifest["wall_time_s"] / 60,
        exact_volatility=volatility["exact"],
        exact_dwell_cv=cv["exact"],
    )


def over_seeds(values: Sequence[float | None], form: str) -> str:
    """Median and range; how many, where some are unknown."""
    known = [value for value in values if value is not None]
    if not known:
        return "none"
    text = f"{statistics.median(known):{form}} ({min(known):{form}} to {max(known):{form}})"
    return text if len(known) == len(values) else f"{text}, {len(known)} of {len(values)}"


if __name__ == "__main__":
    print(HEAD)
    for name in PRESETS:
        print(row(Path(sys.argv[1]), name))
