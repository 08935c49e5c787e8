"""A run is a folder of JSON, npz, SVG and HTML files that anything can read without this library.

config.json      the full resolved configuration, with noise level and seed
data.npz         the sequences, of a run on data
manifest.json    versions, device, commit, wall time, status
history.npz      per-epoch records; floor of the loss
snapshots.npz    parameters at chosen epochs, leading axis = snapshot; epochs
params.npz       final parameters by their flat names
checkpoints/     resumable state
failure.json     why the network of a sweep could not be made
"""

import functools
import importlib.metadata
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.errors import InputError, StorageError
from hmmrnn.nets import init_params
from hmmrnn.sequences import SymbolSequences, write_sequences
from hmmrnn.sequences.target import DATA_FILE
from hmmrnn.storage import read_arrays, read_json, write_arrays, write_json
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.fit import Fit, Snapshots, snapshot_epochs
from hmmrnn.training.floor import Floor
from hmmrnn.training.step import Records

CONFIG = "config.json"
MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"
DAMAGED = "checkpoints-damaged"
FAILURE = "failure.json"
CONTENTS = (  # names, or patterns of them
    CONFIG,
    DATA_FILE,
    MANIFEST,
    "history.npz",
    "snapshots.npz",
    "params.npz",
    CHECKPOINTS,
    DAMAGED,
    FAILURE,
    "fidelity.json",
    "dynamics.json",
    "trajectory_view.npz",
    "circuits.json",
    "discovery.json",
    "discovery_*.npz",
    "figures",
    "report.html",
)
VERSIONED = ("hmmrnn", "jax", "jaxlib", "flax", "optax", "ott-jax", "numpy")


class RunSpec(NamedTuple):
    """What determines a run."""

    config: TrainConfig
    noise_std: float
    seed: int


def open_run(folder: Path, spec: RunSpec, *, resume: bool, overwrite: bool) -> None:
    """Make `folder` ready for `spec`: new and empty, emptied on demand, or the same run again.

    Raises:
        InputError: it holds something else, or both ways to deal with a run there are asked for.
        StorageError: it cannot be read or written.
    """
    if resume and overwrite:
        raise InputError("resume and overwrite exclude each other: continue the run or replace it")
    try:
        _make_ready(folder, spec, resume, overwrite)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"outdir={folder}: {error.strerror or error}") from None


def _make_ready(folder: Path, spec: RunSpec, resume: bool, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"outdir={folder}: is a file, not a folder")
    occupied = folder.exists() and any(not p.name.startswith(".") for p in folder.iterdir())
    if occupied and not (folder / CONFIG).exists():
        raise InputError(f"outdir={folder}: holds files that are no run; choose another folder")
    if occupied and overwrite:
        _clear(folder)
    elif occupied and not resume:
        raise InputError(
            f"outdir={folder}: already holds a run; "
            "continue it with --resume, replace it with --overwrite, or choose another folder"
        )
    elif occupied:
        _expect_same(folder, spec)
        return
    if isinstance(spec.config.hmm, SymbolSequences):
        write_sequences(folder / DATA_FILE, spec.config.hmm)
    write_json(
        folder / CONFIG,
        {**spec.config.to_dict(), "noise_std": spec.noise_std, "seed": spec.seed},
    )


def read_spec(folder: Path) -> RunSpec:
    """What the run in `folder` was asked for. Raises `InputError`."""
    if not folder.is_dir():
        raise InputError(f"run={folder}: there is no such folder")
    fields = read_json(folder / CONFIG)
    try:
        noise_std, seed = float(fields.pop("noise_std")), int(fields.pop("seed"))
        return RunSpec(TrainConfig.from_dict(fields, folder), noise_std, seed)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        reason = error if isinstance(error, InputError) else f"missing or wrong field: {error}"
        raise InputError(f"{folder / CONFIG}: {reason}") from None


def save_fit(folder: Path, fit: Fit) -> None:
    """Write the arrays of a finished training. Raises `StorageError`."""
    write_arrays(
        folder / "history.npz",
        {
            "epoch": np.arange(1, fit.config.train.epochs + 1),
            **fit.records._asdict(),
            "floor_mean": fit.floor.mean,
            "floor_std": fit.floor.std,
        },
    )
    write_arrays(folder / "snapshots.npz", {"epochs": fit.snapshots.epochs, **fit.snapshots.params})
    write_arrays(folder / "params.npz", fit.params)


def load(folder: str | Path) -> Fit:
    """The trained network in a run folder, with its history.

    Raises:
        InputError: no finished run there, or files that are damaged or do not fit together.
    """
    folder = Path(folder)
    config, noise_std, _ = read_spec(folder)
    if not (folder / "params.npz").exists():
        raise InputError(f"run={folder}: its training has not finished; continue with --resume")
    params = read_arrays(folder / "params.npz")
    expected = jax.eval_shape(lambda: init_params(config.cell, jax.random.key(0)))
    _expect_shapes(folder / "params.npz", params, {k: v.shape for k, v in expected.items()})
    snapshots = read_arrays(folder / "snapshots.npz")
    n_snapshots = len(snapshots.get("epochs", ()))  # all that were made, or a choice of them
    _expect_shapes(
        folder / "snapshots.npz",
        snapshots,
        {"epochs": (n_snapshots,)} | {k: (n_snapshots, *v.shape) for k, v in expected.items()},
    )
    if not set(snapshots["epochs"].tolist()) <= set(snapshot_epochs(config)):
        raise InputError(f"{folder / 'snapshots.npz'}: has epochs at which none was made")
    history = read_arrays(folder / "history.npz")
    _expect_shapes(
        folder / "history.npz",
        history,
        {name: (config.train.epochs,) for name in (*Records._fields, "epoch")}
        | {"floor_mean": (), "floor_std": ()},
    )
    return Fit(
        params={name: jnp.asarray(value) for name, value in params.items()},
        records=Records(*(jnp.asarray(history[name]) for name in Records._fields)),
        snapshots=Snapshots(
            jnp.asarray(snapshots.pop("epochs")),
            {name: jnp.asarray(v) for name, v in snapshots.items()},
        ),
        floor=Floor(jnp.asarray(history["floor_mean"]), jnp.asarray(history["floor_std"])),
        noise_std=jnp.float32(noise_std),
        config=config,
    )


def write_manifest(
    folder: Path, spec: RunSpec, status: str, wall_time: float, n_members: int = 1
) -> None:
    """Record where and with what the run was made, `n_members` networks at once.

    Raises:
        StorageError: it cannot be written.
    """
    device = jax.devices()[0]
    write_json(
        folder / MANIFEST,
        {
            "status": status,
            "seed": spec.seed,
            "wall_time_s": round(wall_time, 2),
            "networks_at_once": n_members,
            "device": f"{jax.device_count()} x {device.device_kind}",
            "platform": f"{platform.system()} {platform.machine()}, Python "
            f"{platform.python_version()}",
            "versions": {name: importlib.metadata.version(name) for name in VERSIONED},
            "commit": _commit(),
        },
    )


def wall_time_so_far(folder: Path) -> float:
    """Seconds that earlier parts of the run took, as far as they were recorded."""
    seconds = _manifest(folder).get("wall_time_s")
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def is_finished(folder: Path) -> bool:
    """Whether the manifest says that the training has ended."""
    return _manifest(folder).get("status") == "finished"


def has_diverged(folder: Path) -> bool:
    """Whether the manifest says that the training has diverged."""
    return _manifest(folder).get("status") == "diverged"


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest; empty if it is missing or damaged, since no number depends on it."""
    try:
        recorded = read_json(folder / MANIFEST)
    except InputError:
        return {}
    return recorded if isinstance(recorded, dict) else {}


def _expect_same(folder: Path, spec: RunSpec) -> None:
    stored = read_spec(folder)
    ours = {**spec.config.to_dict(), "noise_std": spec.noise_std, "seed": spec.seed}
    theirs = {**stored.config.to_dict(), "noise_std": stored.noise_std, "seed": stored.seed}
    changed = [
        name if not isinstance(ours[name], dict) else f"{name}.{option}"
        for name in ours
        for option in (ours[name] if isinstance(ours[name], dict) else [""])
        if (
            ours[name].get(option) != theirs[name].get(option)
            if option
            else ours[name] != theirs[name]
        )
    ]
    if changed:
        raise InputError(
            f"outdir={folder}: holds a run with different {', '.join(changed)}; "
            "resume with the flags it was started with, or choose another folder"
        )


def _expect_shapes(path: Path, arrays: dict, shapes: dict[str, tuple[int, ...]]) -> None:
    found = {name: array.shape for name, array in arrays.items() if array.dtype.kind in "fi"}
    if found != shapes:
        wrong = sorted(set(found.items()) ^ set(shapes.items()))
        raise InputError(f"{path}: does not fit {CONFIG}: {wrong}")


def _clear(folder: Path) -> None:
    """Remove what a run consists of, and nothing else; the configuration last, so that a folder
    emptied in part is still known as a run.
    """
    for path in [path for name in reversed(CONTENTS) for path in folder.glob(name)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@functools.cache
def _commit() -> str | None:
    """The git commit of the source, marked if there are changes; None outside a checkout."""
    source = Path(__file__).parents[2]
    if not (source / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=source,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
