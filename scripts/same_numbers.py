"""Whether a change of the code leaves all numbers as they were.

Usage:

    python scripts/same_numbers.py write DIR          with the code before, and with the code after
    python scripts/same_numbers.py compare DIR DIR    lists what differs; exit code 1 if any does

`write` takes some 15 minutes on 2 CPU cores: fidelity, dynamics and circuits of six networks of
the zoo, discovery of five planted networks (three rings, two filters), and three short trainings of
each loss. It goes through command lines only, so that it runs whatever the code behind them is. The
analyses are smaller than their defaults; the networks are as they are shipped. Both sides need as
many cores, for sums over several are ordered otherwise: on Linux `taskset -c 0 python ...`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NETWORKS = (
    "linear2-paper-seed0",
    "linear2-reference-seed1",
    "linear3-ngram-seed0",
    "linear3-paper-seed1",
    "fully3-ngram-seed0",
    "cyclic4-ngram-seed0",
)
LOSSES: dict[str, tuple[str, ...]] = {
    "independent": ("--loss.divergence=independent",),
    "reference": ("--loss.divergence=reference", "--data.source=fixed", "--data.n_sequences=999"),
    "energy": (
        "--loss.divergence=energy",
        "--loss.cost=euclidean",
        "--train.activity_penalty=1e-3",
    ),
    "ngram": ("--loss.divergence=none", "--loss.ngram_weight=1"),
}
SEEDS = (0, 1, 2)
ANALYSES: dict[str, tuple[str, ...]] = {
    "evaluate": ("--n_sequences=1000",),
    "dynamics": ("--n_trajectories=16", "--n_steps=400", "--n_starts=200", "--n_states=300"),
    "circuits": ("--n_runs=24", "--n_steps=400"),
}
TASKS = {"ring": ("--n_steps=70",), "hmm_inference": ("--n_steps=70",)}
RESULTS = ("fidelity.json", "dynamics.json", "circuits.json", "discovery.json", "params.npz")
BOOKKEEPING = ("command", "format", "network", "account")  # the last is prose
RENAMED = {
    "manner": "regime",
    "proofs": "pair_tests",
    "dials": "dose_responses",
    "parts": "ablations",
    "switching": "state_transitions",
}
"""Fields that had another name in earlier versions."""


def write(root: Path) -> None:
    """All numbers of this checkout, in run folders below `root`; what is there is left as it is."""
    for folder in (root / "zoo" / name for name in NETWORKS):
        if not folder.exists():
            hmmrnn("zoo", f"--network={folder.name}", f"--outdir={folder}")
            (folder / "fidelity.json").unlink()  # as it is shipped, not as it is measured here
    for door, flags in ANALYSES.items():
        hmmrnn(door, f"--runs={root / 'zoo' / '*'}", "--missing_only", *flags)
    for loss, flags in LOSSES.items():
        for seed in SEEDS:
            result = root / "trained" / f"{loss}-seed{seed}" / "params.npz"
            given = ("--preset=linear3", "--profile=smoke", f"--seed={seed}", *flags)
            make(result, "train", *given)
    for task, flags in TASKS.items():
        result = root / "tasks" / task / "discovery.json"
        make(result, "discover", f"--task={task}", "--n_trials=16", *flags)


def make(result: Path, door: str, *flags: str) -> None:
    """Run a door that makes a file in its folder, unless it is there."""
    if not result.exists():
        hmmrnn(door, f"--outdir={result.parent}", *flags)


def hmmrnn(*arguments: str) -> None:
    """A command line of this checkout; raises `CalledProcessError` if it fails."""
    print(*arguments, flush=True)
    source = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "hmmrnn", *arguments]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": source})


class Difference(NamedTuple):
    """A number that is not the same bit for bit."""

    file: str
    name: str
    before: Any
    after: Any
    within: bool  # its new value lies in its old interval


def compare(before: Path, after: Path) -> list[Difference]:
    """All differences; prints how many numbers of each file are the same."""
    found = []
    for path in sorted(p for p in before.rglob("*") if p.name in RESULTS):
        file = str(path.relative_to(before))
        old, new = contents(path), contents(after / file)
        names = old.keys() | new.keys()
        own = [
            Difference(file, name, old.get(name), new.get(name), within(name, old, new))
            for name in sorted(names)
            if not same(old.get(name), new.get(name))
        ]
        print(f"{file}: {len(names) - len(own)} of {len(names)} the same")
        found += own
    return found


def same(a: Any, b: Any) -> bool:  # noqa: ANN401
    """Equal bit for bit; NaN equals itself."""
    return type(a) is type(b) and np.array_equal(a, b, equal_nan=isinstance(a, np.ndarray))


def within(name: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a value with an interval, or one of its ends, has its value in the old interval."""
    stem, _, kind = name.rpartition(".")
    if kind not in ("value", "low", "high"):
        return False
    low, high, value = old.get(f"{stem}.low"), old.get(f"{stem}.high"), new.get(f"{stem}.value")
    return None not in (low, high, value) and low <= value <= high


def contents(path: Path) -> dict[str, Any]:
    """The numbers and words of a file by their place in it; nothing if there is no such file."""
    if not path.exists():
        return {}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    return dict(flat(json.loads(path.read_text(encoding="utf-8"))))


def flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Leaves of JSON, named as `pairs.0.rotation.value`."""
    if isinstance(value, dict):
        entries = [
            (RENAMED.get(name, name), entry)
            for name, entry in value.items()
            if name not in BOOKKEEPING
        ]
    elif isinstance(value, list):
        entries = [(str(i), entry) for i, entry in enumerate(value)]
    else:
        yield place, value
        return
    for name, entry in entries:
        yield from flat(entry, f"{place}.{name}" if place else name)


def main(argv: list[str]) -> int:
    """0 if nothing differs, 1 if something does, 2 for another command line."""
    match argv:
        case ["write", root]:
            write(Path(root))
        case ["compare", before, after]:
            found = compare(Path(before), Path(after))
            for each in found:
                note = " (within its interval)" if each.within else ""
                print(
                    f"{each.file}: {each.name}: {_shown(each.before)}, {_shown(each.after)}{note}"
                )
            return int(bool(found))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def _shown(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, np.ndarray):
        return f"array {value.shape} of mean {value.mean():.6g}"
    return repr(value)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
