"""The trained networks that come with the package: list them, or copy one into a run folder.

    hmmrnn zoo                                                        # list them
    hmmrnn zoo --network=linear2-reference-seed0 --outdir=runs/linear2
    hmmrnn analyse --run=runs/linear2                                 # look at it

Takes seconds, and no network. `ngram` networks match the exact law of 6-grams (profile laptop),
`reference` ones were trained by the paper's loss at batch 2048, `paper` is its recipe to the letter
(docs/zoo.md). The list has the KL of 6-grams: 0.001 to 0.006 for the first, above 0.08 for others.
"""

import difflib
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.table import Table

from hmmrnn import zoo
from hmmrnn.errors import InputError
from hmmrnn.nets import BOUNDED

FLAGS = flags.FLAGS


def entry_called(name: str) -> zoo.Entry:
    """The network of this name. Raises `InputError`, with the nearest name there is."""
    names = {entry.name: entry for entry in zoo.list()}
    if name in names:
        return names[name]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else "hmmrnn zoo lists what there is"
    raise InputError(f"network={name}: there is none of this name; {hint}")


def notes(entry: zoo.Entry) -> list[str]:
    """What to know before its numbers are used."""
    known = {
        "did not learn its HMM": not entry.learned,
        "explodes": entry.bounded_share < BOUNDED,
    }
    return [note for note, holds in known.items() if holds]


def table() -> Table:
    """All networks, a line each."""
    shown = Table(box=None, pad_edge=False)
    for title in ("network", "batch", "snapshots", "KL of 6-grams", "volatility", "HMM's", ""):
        shown.add_column(title, justify="left" if title in ("network", "") else "right")
    for entry in zoo.list():
        shown.add_row(
            entry.name,
            str(entry.batch_size),
            str(entry.n_snapshots or "-"),
            f"{entry.kl:.4f}",
            f"{entry.volatility:.3f}",
            f"{entry.hmm_volatility:.3f}",
            "; ".join(notes(entry)),
        )
    return shown


def define_flags() -> None:
    """Which network, and where to."""
    flags.DEFINE_string("network", None, "name of a network, as listed without this flag")
    flags.DEFINE_string("outdir", None, "new folder to copy it to")


def main() -> None:
    """List the zoo, or unpack a network of it."""
    if (FLAGS.network is None) != (FLAGS.outdir is None):
        raise InputError("network, outdir: give both to copy a network, or none to list them")
    if FLAGS.network is None:
        console = Console(width=120)
        with console.capture() as listed:
            console.print(table())
        print(listed.get(), end="")
        return
    entry = entry_called(FLAGS.network)
    folder = zoo.unpack(Path(FLAGS.outdir), entry.preset, loss=entry.loss, seed=entry.seed)
    known = "".join(f"; it {note}" for note in notes(entry))
    print(f"{folder}: {entry.name}, trained in {entry.wall_time_s / 60:.1f} min{known}")
    print(f"next: hmmrnn analyse --run={folder}")
