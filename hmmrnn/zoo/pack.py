"""Putting trained networks into the zoo: what is kept of a run folder, and what is said of it."""

import shutil
from pathlib import Path

import numpy as np

from hmmrnn.errors import InputError, StorageError
from hmmrnn.fidelity.learned import learned
from hmmrnn.folders import CONFIG, MANIFEST
from hmmrnn.hmm import PRESETS
from hmmrnn.nets import long_run
from hmmrnn.storage import (
    known_form,
    plain,
    read_arrays,
    read_json,
    read_results,
    write_arrays,
    write_json,
)
from hmmrnn.sweep.grid import read_grid
from hmmrnn.training import RunSpec, load
from hmmrnn.training.config import recipe
from hmmrnn.training.run_folder import MEAN_PARAMS, STATE, digest_in, is_finished, read_spec
from hmmrnn.zoo.entries import HOME, INDEX, NETWORKS, Entry, checksum

GRIDS = ("zoo", "paper_seeds")
"""Whose networks the zoo takes."""

N_SNAPSHOTS = 12
KEPT_BITS = 16
"""Of the 24 of a float32's mantissa, in snapshots; the zeros behind them take no room when packed.
"""

COPIED = (CONFIG, MANIFEST, "history.npz", "params.npz", "fidelity.json")
OPTIONAL = (MEAN_PARAMS, STATE)


def same_network(folder: Path, spec: RunSpec) -> bool:
    """Whether a run folder holds the network that `spec` asks for, whatever was kept of it."""
    found = read_spec(folder)
    return _essence(found) == _essence(spec)


def _essence(spec: RunSpec) -> RunSpec:
    return spec._replace(config=recipe(spec.config))


def name_in_zoo(run: Path) -> str:
    """The name of a run's network in the grids of the zoo. Raises `InputError` if it is in none."""
    found = _essence(read_spec(run))
    for grid in GRIDS:
        for name, spec in read_grid(grid):
            if _essence(spec) == found:
                return name
    raise InputError(f"{run}: is none of the networks of the grids {' and '.join(GRIDS)}")


def add(run: Path, command: str, home: Path = HOME) -> Entry:
    """Put the network of a run folder into the zoo at `home`, or in the place of its like there.

    `command` is the one that trained it.

    Raises:
        InputError: its training or measuring has not finished, or it is in no grid of the zoo.
        StorageError: a file could not be written; `reindex` makes files and index agree again.
    """
    if not is_finished(run) or not (run / "fidelity.json").exists():
        raise InputError(f"{run}: its training or measuring has not finished; go on with --resume")
    name = name_in_zoo(run)
    folder = home / NETWORKS / name
    beside = folder.with_name(f".{name}")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for file in (*COPIED, *(file for file in OPTIONAL if (run / file).exists())):
            shutil.copyfile(run / file, beside / file)
        _copy_snapshots(run, beside, name)
        entry = entry_of(beside, name, command)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    others = [e for e in indexed(home) if e.name != name]
    write_index([*others, entry], home)
    return entry


def indexed(home: Path = HOME) -> list[Entry]:
    """What the index of a zoo says; nothing where there is none."""
    path = home / INDEX
    known = read_json(path)["networks"] if path.exists() else []
    return [Entry(**{"bounded_share": 0.0, **fields}) for fields in known]  # older ones lack it


def write_index(entries: list[Entry], home: Path = HOME) -> None:
    """Write the index, sorted by preset, loss and seed. Raises `StorageError`."""
    order = list(PRESETS)
    entries = sorted(entries, key=lambda entry: (order.index(entry.preset), entry.loss, entry.seed))
    write_json(home / INDEX, {"networks": [plain(entry) for entry in entries]})


def reindex(home: Path = HOME) -> list[Entry]:
    """Say anew what the files of all networks say, and drop snapshots that are not due."""
    entries = []
    for entry in indexed(home):
        folder = home / NETWORKS / entry.name
        if entry.n_snapshots and not ships_snapshots(entry.name):
            _copy_snapshots(folder, folder, entry.name)
        entries.append(entry_of(folder, entry.name, entry.command))
    write_index(entries, home)
    return entries


def ships_snapshots(name: str) -> bool:
    """Whether a dozen snapshots of a network are kept, or none.

    They are of the first seed of `linear2` and `linear3` for each loss, and by the paper's recipe
    of the first seed of every preset.
    """
    preset, loss, seed = name.split("-")
    return seed == "seed0" and (preset in ("linear2", "linear3") or loss == "paper")


def _copy_snapshots(source: Path, target: Path, name: str) -> None:
    snapshots = read_arrays(source / "snapshots.npz")
    kept = chosen(len(snapshots["epochs"])) if ships_snapshots(name) else []
    write_arrays(
        target / "snapshots.npz",
        {
            name: array[kept] if name == "epochs" else rounded(array[kept])
            for name, array in snapshots.items()
        },
    )


def entry_of(folder: Path, name: str, command: str) -> Entry:
    """What the index says of a packed network."""
    spec, manifest = read_spec(folder), read_json(folder / MANIFEST)
    config, path = spec.config, folder / "fidelity.json"
    fidelity = read_results(path, digest_in(folder))
    preset, loss, _ = name.split("-")
    with known_form(path):
        return Entry(
            name=name,
            preset=preset,
            loss=loss,
            seed=spec.seed,
            batch_size=config.train.batch_size,
            n_steps=config.data.n_steps,
            n_snapshots=len(read_arrays(folder / "snapshots.npz")["epochs"]),
            learned=learned(fidelity),
            kl=fidelity["kl"]["6"]["network"]["value"],
            volatility=fidelity["volatility"]["network"]["value"],
            hmm_volatility=fidelity["volatility"]["exact"],
            bounded_share=long_run(load(folder), config.data.n_steps).bounded_share,
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
