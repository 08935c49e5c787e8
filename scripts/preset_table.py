"""The table of presets in README.md: medians over seeds and their range.

Usage: `python scripts/preset_table.py runs`, after, for each PRESET and several SEEDs,
`python -m experiments.reproduce --preset=PRESET --profile=laptop --seed=SEED`.
"""

import json
import statistics
import sys
from pathlib import Path

from hmmrnn.hmm import PRESETS


def row(folder: Path, name: str) -> str:
    """One line of the table, for the finished runs of preset `name`."""
    runs = sorted(path.parent for path in folder.glob(f"{name}-laptop-seed*/dynamics.json"))
    measured = [numbers(run) for run in runs]
    if not measured:
        raise SystemExit(f"{folder}: no finished run {name}-laptop-seed*")
    kl, surprise, changes, dwell, turns, minutes = zip(*measured, strict=True)
    fidelity = json.loads((runs[0] / "fidelity.json").read_text())
    floor = fidelity["kl"]["6"]["floor"]["value"]
    exact = fidelity["volatility"]["exact"], fidelity["dwell"][0]["cv"]["exact"]
    hmm, n_steps = PRESETS[name]
    return (
        f"| `{name}` | {hmm.n_states} | {n_steps} | {len(runs)} "
        f"| {over_seeds(kl, '.4f')}; {floor:.4f} | {over_seeds(surprise, '+.4f')} "
        f"| {over_seeds(changes, '.3f')}; {exact[0]:.3f} | {over_seeds(dwell, '.2f')}; "
        f"{exact[1]:.2f} | {over_seeds(turns, '.2f')} | {over_seeds(minutes, '.1f')} |"
    )


def numbers(run: Path) -> tuple[float, ...]:
    """KL of 6-grams, excess surprise, volatility, dwell CV of symbol 0, rotation, minutes."""
    fidelity, dynamics, manifest = (
        json.loads((run / f"{part}.json").read_text())
        for part in ("fidelity", "dynamics", "manifest")
    )
    return (
        fidelity["kl"]["6"]["network"]["value"],
        fidelity["excess_surprise"]["network"]["value"],
        fidelity["volatility"]["network"]["value"],
        fidelity["dwell"][0]["cv"]["network"]["value"],
        dynamics["rotation"]["value"],
        manifest["wall_time_s"] / 60,
    )


def over_seeds(values: tuple[float, ...], form: str) -> str:
    """Median and range."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


if __name__ == "__main__":
    print("\n".join(row(Path(sys.argv[1]), name) for name in PRESETS))
