"""The table of presets in README.md, from a folder with one finished run for each preset.

Usage: `python scripts/preset_table.py runs`, after, for each PRESET,
`python -m experiments.reproduce --preset=PRESET --profile=laptop --outdir=runs/PRESET`.
"""

import json
import sys
from pathlib import Path

from hmmrnn.hmm import PRESETS


def row(folder: Path, name: str) -> str:
    """One line of the table, for the run of preset `name`."""
    run = folder / name
    fidelity, dynamics = (
        json.loads((run / f"{part}.json").read_text()) for part in ("fidelity", "dynamics")
    )
    kl = fidelity["kl"]["6"]
    surprise, changes = fidelity["excess_surprise"]["network"], fidelity["volatility"]
    dwell, turns = fidelity["dwell"][0]["cv"], dynamics["rotation"]
    hmm, n_steps = PRESETS[name]
    return (
        f"| `{name}` | {hmm.n_states} | {n_steps} "
        f"| {kl['network']['value']:.4f} ({kl['floor']['value']:.4f}) "
        f"| {surprise['value']:+.4f} "
        f"| {changes['network']['value']:.3f} ({changes['exact']:.3f}) "
        f"| {dwell['network']['value']:.2f} ({dwell['exact']:.2f}) "
        f"| {turns['value']:.2f} |"
    )


if __name__ == "__main__":
    print("\n".join(row(Path(sys.argv[1]), name) for name in PRESETS))
