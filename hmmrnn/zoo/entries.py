"""What the zoo holds, and how it is read: offline, checked, in a fraction of a second.

networks/NAME/   a run folder without checkpoints: config.json, manifest.json, history.npz,
                 params.npz, snapshots.npz, fidelity.json
index.json       what is there, with the SHA-256 of every file
"""

import hashlib
import shutil
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from hmmrnn.errors import InputError, StorageError
from hmmrnn.folders import CONFIG, MANIFEST, owned, read_manifest, replacing
from hmmrnn.results import result
from hmmrnn.storage import digest_of_json, read_json, write_json
from hmmrnn.training import Fit, load

HOME = Path(str(files("hmmrnn.zoo")))
INDEX = "index.json"
NETWORKS = "networks"
USUAL_LOSS = "ngram"


@result
class Entry(NamedTuple):
    """One network of the zoo."""

    name: str  # PRESET-LOSS-seedSEED
    preset: str  # its HMM
    loss: str  # "ngram": the exact law of 6-grams; "reference": the paper's
    seed: int
    batch_size: int
    n_steps: int  # length of the sequences that it was trained on
    n_snapshots: int  # epochs whose parameters are there; 0 for most
    kl: float  # of 6-grams against the HMM's law, nats
    learned: bool  # it has left the plateau of independent symbols
    volatility: float  # share of steps at which the symbol changes
    hmm_volatility: float
    bounded_share: float  # of long runs; see hmmrnn.nets.long_run
    wall_time_s: float
    command: str  # that trained it
    commit: str | None  # of the sources; None if they were no checkout
    versions: dict[str, str]
    files: dict[str, str]  # SHA-256 by name

    @property
    def folder(self) -> Path:
        """Where its files lie; read them, and write nothing there."""
        return HOME / NETWORKS / self.name


@cache
def _index() -> tuple[Entry, ...]:
    try:
        return tuple(Entry(**fields) for fields in read_json(HOME / INDEX)["networks"])
    except (TypeError, KeyError) as error:
        raise InputError(f"{HOME / INDEX}: is of another version ({error}); install anew") from None


def list_networks() -> list[Entry]:
    """All networks, by preset, loss and seed. Raises `InputError` if the installation is broken."""
    return [*_index()]


def find(preset: str, loss: str = USUAL_LOSS, seed: int = 0) -> Entry:
    """The entry of a network.

    Raises:
        InputError: there is no such network; says what there is.
    """
    wanted = {"preset": preset, "loss": loss, "seed": seed}
    left = list_networks()
    for field, value in wanted.items():
        there = list(dict.fromkeys(getattr(entry, field) for entry in left))
        left = [entry for entry in left if getattr(entry, field) == value]
        if not left:
            raise InputError(f"{field}={value}: the zoo has {', '.join(map(str, there))}")
    return left[0]


def load_network(preset: str, *, loss: str = USUAL_LOSS, seed: int = 0) -> Fit:
    """A trained network of the zoo, with its history; with snapshots where `n_snapshots` says so.

    Snapshots keep 16 bits of each number's 24, which is 1.5e-5 of it; parameters are exact.

    Raises:
        InputError: there is no such network, or its files are not what was shipped.
    """
    entry = find(preset, loss, seed)
    expect_unchanged(entry)
    return load(entry.folder)


def unpack(folder: str | Path, preset: str, *, loss: str = USUAL_LOSS, seed: int = 0) -> Path:
    """Copy a network of the zoo into a run folder of your own, for the command lines and reports.

    Raises:
        InputError: there is no such network, its files are not what was shipped, or `folder` is
            there and not empty.
        StorageError: it cannot be written.
    """
    entry, folder = find(preset, loss, seed), Path(folder)
    expect_unchanged(entry)
    try:
        _expect_empty(folder)
        with owned(folder):
            _expect_empty(folder)
            with replacing(folder, "run", alone=True) as beside:
                for name in entry.files:
                    shutil.copyfile(entry.folder / name, beside / name)
                config = digest_of_json(read_json(beside / CONFIG))
                write_json(beside / MANIFEST, {**read_manifest(beside), "config": config})
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"outdir={str(folder)[:300]}: {error.strerror or error}") from None
    return folder


def _expect_empty(folder: Path) -> None:
    """But for hidden files, among them what a killed process left."""
    there = folder.exists()
    if there and (not folder.is_dir() or any(p.name[0] != "." for p in folder.iterdir())):
        raise InputError(f"outdir={folder}: is not empty; choose another folder")


def expect_unchanged(entry: Entry) -> None:
    """Raise an `InputError` unless all files of an entry have the checksums of the index."""
    for name, expected in entry.files.items():
        path = entry.folder / name
        try:
            found = checksum(path)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{path}: cannot be read ({reason}); install hmmrnn anew") from None
        if found != expected:
            raise InputError(f"{path}: is not the file that was shipped; install hmmrnn anew")


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
