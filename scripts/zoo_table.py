"""The table of docs/zoo.md: what is in the zoo, by preset and loss: python -m scripts.zoo_table"""

import itertools
from collections.abc import Sequence

from hmmrnn import zoo
from scripts.preset_table import over_seeds

HEAD = """\
| preset | loss | seeds | batch | T | learned | KL of 6-grams | volatility; HMM | minutes |
|---|---|---|---|---|---|---|---|---|"""


def row(entries: Sequence[zoo.Entry]) -> str:
    """One line, for the networks of one preset and loss."""
    first = entries[0]
    seeds = [entry.seed for entry in entries]
    cells = (
        f"`{first.preset}`",
        f"`{first.loss}`",
        ", ".join(map(str, seeds)),
        str(first.batch_size),
        str(first.n_steps),
        f"{sum(entry.learned for entry in entries)} of {len(entries)}",
        over_seeds([entry.kl for entry in entries], ".4f"),
        f"{over_seeds([e.volatility for e in entries], '.3f')}; {first.hmm_volatility:.3f}",
        over_seeds([entry.wall_time_s / 60 for entry in entries], ".1f"),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    print(HEAD)
    for _, entries in itertools.groupby(zoo.list(), lambda entry: (entry.preset, entry.loss)):
        print(row(list(entries)))


if __name__ == "__main__":
    main()
