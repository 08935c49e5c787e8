"""Sequences that no HMM of few states makes: behaviours whose bouts remember their age.

    python examples/own_data/make_behaviour.py

Writes behaviour.csv beside this file, one sequence in each line, the same in every run. A bout of
rest lasts 3 to 6 steps, all equally often; one of walk 1 or 2 steps, or, three times in ten, 8 to
12; one of grooming 2 or 3 steps. In an HMM with a state for each behaviour every bout would be most
likely to last 1 step. What follows depends on the bout before: after rest mostly walk, after walk
rest or grooming, after grooming always rest. A sequence is watched for 30 to 150 steps from a
random moment on.
"""

from pathlib import Path

import numpy as np

NAMES = ("rest", "walk", "groom")
NEXT = np.array([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]])
BOUTS = (
    {3: 0.25, 4: 0.25, 5: 0.25, 6: 0.25},
    {1: 0.35, 2: 0.35, 8: 0.06, 9: 0.06, 10: 0.06, 11: 0.06, 12: 0.06},
    {2: 0.5, 3: 0.5},
)
N_SEQUENCES, SHORTEST, LONGEST, BEFORE = 280, 30, 150, 200


def sequence(n_steps: int, rng: np.random.Generator) -> list[str]:
    """`n_steps` steps of one animal, long after its first bout."""
    steps: list[int] = []
    now = int(rng.integers(3))
    while len(steps) < BEFORE + n_steps:
        lengths, chances = zip(*BOUTS[now].items(), strict=True)
        steps += [now] * int(rng.choice(lengths, p=chances))
        now = int(rng.choice(3, p=NEXT[now]))
    return [NAMES[step] for step in steps[BEFORE : BEFORE + n_steps]]


def main() -> None:
    """Write the file."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(SHORTEST, LONGEST + 1, N_SEQUENCES)
    lines = [",".join(sequence(int(n), rng)) for n in lengths]
    header = "# one sequence in each line; made by make_behaviour.py\n"
    Path(__file__).with_name("behaviour.csv").write_text(header + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
