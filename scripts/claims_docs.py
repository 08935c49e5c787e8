"""What `hmmrnn claims` wrote, for the documentation: python -m scripts.claims_docs runs/claims

Copies claims.json and claims.md (as docs/claims_ledger.md) and draws the figures of docs/claims.md.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

from hmmrnn.claims.hypothesis import Turning
from hmmrnn.cli.claims import figures_of
from hmmrnn.storage import read_json

DOCS = Path(__file__).parents[1] / "docs"
DOTS_PER_INCH = 100


def turnings(claims: Path) -> list[Turning]:
    """The networks of a claims.json."""
    networks = read_json(claims)["networks"]
    numbers = ("kl", "dwell_cv", "hmm_dwell_cv", "preferred_cv", "turns")
    return [
        Turning(**{k: np.nan if v is None and k in numbers else v for k, v in network.items()})
        for network in networks
    ]


def main(folder: Path) -> None:
    """Copy and draw."""
    shutil.copyfile(folder / "claims.json", DOCS / "claims.json")
    shutil.copyfile(folder / "claims.md", DOCS / "claims_ledger.md")
    for name, figure in figures_of(turnings(folder / "claims.json")).items():
        path = DOCS / "figures" / f"{name}.png"
        figure.savefig(path, dpi=DOTS_PER_INCH, facecolor="white")
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/claims"))
