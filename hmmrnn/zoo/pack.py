"""Putting trained networks into the zoo: what is kept of a run folder, and what is said of it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.fidelity.learned import learned
from hmmrnn.hmm import PRESETS
from hmmrnn.storage import plain, read_arrays, read_json, write_arrays, write_json
from hmmrnn.training import RunSpec
from hmmrnn.training.run_folder import CONFIG, MANIFEST, is_finished, read_spec
from hmmrnn.zoo.entries import INDEX, NETWORKS, Entry, checksum

WITH_SNAPSHOTS = 0
"""The seed whose snapshots are kept."""

N_SNAPSHOTS = 12
KEPT_BITS = 16
"""Of the 24 of a float32's mantissa, in snapshots; the zeros behind them take no room when packed.
"""

COPIED = (CONFIG, MANIFEST, "history.npz", "params.npz", "fidelity.json")


def pack(
    runs: Path, wanted: Mapping[str, RunSpec], home: Path, commands: Mapping[str, str]
) -> list[Entry]:
    """Write networks and index of the zoo at `home`, from run folders.

    `commands` are those that trained the networks, by name.

    Raises:
        InputError: a run is missing, has not finished or was not measured, or is another one.
        StorageError: a file could not be written.
    """
    for name, spec in wanted.items():
        expect_ready(runs / name, spec)
    shutil.rmtree(home / NETWORKS, ignore_errors=True)
    entries = [_pack_one(runs / name, home / NETWORKS / name, commands[name]) for name in wanted]
    entries.sort(key=lambda entry: (list(PRESETS).index(entry.preset), entry.loss, entry.seed))
    write_json(home / INDEX, {"networks": [plain(entry) for entry in entries]})
    return entries


def expect_ready(run: Path, spec: RunSpec) -> None:
    """Raise an `InputError` unless `run` is that network, trained and measured."""
    if not is_finished(run) or not (run / "fidelity.json").exists():
        raise InputError(f"{run}: its training or measuring has not finished; go on with --resume")
    if read_spec(run) != spec:
        raise InputError(f"{run}: was trained by another configuration; train it anew")


def _pack_one(run: Path, folder: Path, command: str) -> Entry:
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run / name, folder / name)
    spec = read_spec(run)
    snapshots = read_arrays(run / "snapshots.npz")
    kept = chosen(len(snapshots["epochs"])) if spec.seed == WITH_SNAPSHOTS else []
    write_arrays(
        folder / "snapshots.npz",
        {
            name: array[kept] if name == "epochs" else rounded(array[kept])
            for name, array in snapshots.items()
        },
    )
    return entry_of(folder, spec, len(kept), command)


def entry_of(folder: Path, spec: RunSpec, n_snapshots: int, command: str) -> Entry:
    """What the index says of a packed network."""
    config, manifest = spec.config, read_json(folder / MANIFEST)
    fidelity = read_json(folder / "fidelity.json")
    preset, loss, _ = folder.name.split("-")
    return Entry(
        name=folder.name,
        preset=preset,
        loss=loss,
        seed=spec.seed,
        batch_size=config.train.batch_size,
        n_steps=config.data.n_steps,
        n_snapshots=n_snapshots,
        learned=learned(fidelity),
        kl=fidelity["kl"]["6"]["network"]["value"],
        volatility=fidelity["volatility"]["network"]["value"],
        hmm_volatility=fidelity["volatility"]["exact"],
        wall_time_s=manifest["wall_time_s"],
        command=command,
        commit=manifest["commit"],
        versions=manifest["versions"],
        files={path.name: checksum(path) for path in sorted(folder.iterdir())},
    )


def chosen(n: int) -> list[int]:
    """Places of at most `N_SNAPSHOTS` of n snapshots, evenly apart, with the first and the last."""
    return sorted({round(place) for place in np.linspace(0, n - 1, min(n, N_SNAPSHOTS))})


def rounded(values: np.ndarray) -> np.ndarray:
    """float32 rounded to the nearest number of `KEPT_BITS` bits of mantissa, relative 2^-16."""
    dropped = 24 - KEPT_BITS
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    half = np.uint32(1 << (dropped - 1))
    return ((bits + half) & np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)).view(np.float32)
