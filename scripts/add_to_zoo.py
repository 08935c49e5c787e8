"""Put trained and measured networks into the zoo, one by one: files, index, test, commit.

    python scripts/add_to_zoo.py runs/paper/linear2-paper-seed1 ...
    python scripts/add_to_zoo.py --measure runs/own      # evaluate it first, if it was not
    python scripts/add_to_zoo.py --reindex               # say anew what the files of all say

A network is one of the grids `zoo` and `paper_seeds`; in the place of its like it is replaced. Each
is committed as soon as its test passes, so that what is committed is always whole.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from hmmrnn.errors import InputError, StorageError
from hmmrnn.report.commands import of_training
from hmmrnn.training.run_folder import read_spec
from hmmrnn.zoo.entries import HOME, INDEX, NETWORKS
from hmmrnn.zoo.pack import add, name_in_zoo, reindex

ROOT = HOME.parents[1]
KEPT = [str(HOME / INDEX), str(HOME / NETWORKS)]


def run(*arguments: str) -> None:
    """Run a program, and end with it if it fails."""
    if code := subprocess.run(arguments, cwd=ROOT, check=False).returncode:
        sys.exit(f"error: {' '.join(arguments)} ended with {code}")


def tested_and_committed(selected: str, message: str) -> None:
    """Test what the zoo says of the selected networks, then commit the zoo and nothing else.

    What fails its test is left as it is, to be looked at; nothing more is added until it is gone.
    """
    run(sys.executable, "-m", "pytest", "tests/zoo/test_shipped.py", "-k", selected)
    run("git", "add", "--all", *KEPT)
    run("git", "commit", "--quiet", "--message", message, "--", *KEPT)


def expect_clean() -> None:
    """End unless all of the zoo is committed."""
    command = ["git", "status", "--porcelain", "--", *KEPT]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    if found:
        sys.exit(f"error: not all of the zoo is committed: {found.split()[1]}")


def measured(folder: Path) -> None:
    """fidelity.json of a run that has none."""
    if not (folder / "fidelity.json").exists():
        run(sys.executable, "-m", "hmmrnn", "evaluate", f"--run={folder.resolve()}")


def main(options: argparse.Namespace) -> None:
    """Add one after the other."""
    expect_clean()
    if options.reindex:
        print(f"{len(reindex())} networks")
        tested_and_committed("entry or folders or wheel", "Zoo: what its files say")
    for folder in options.runs:
        if options.measure:
            measured(folder)
        name = name_in_zoo(folder)
        entry = add(folder, of_training(Path("runs") / name, read_spec(folder)))
        tested_and_committed(f"{name} or folders or wheel", f"Zoo: {name}")
        print(f"{name}: KL of 6-grams {entry.kl:.4f}, bounded {entry.bounded_share:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="*", help="run folders")
    parser.add_argument("--measure", action="store_true", help="measure what was not measured")
    parser.add_argument("--reindex", action="store_true", help="read the files of all networks")
    try:
        main(parser.parse_args())
    except (InputError, StorageError) as error:
        sys.exit(f"error: {error}")
