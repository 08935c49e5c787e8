"""A run is a folder of JSON, npz, SVG and HTML files that anything can read without this library.

config.json      the full resolved configuration, with noise level and seed
data.npz         the sequences, of a run on data
manifest.json    versions, device, commit, wall time, status
history.npz      per-epoch records; floor of the loss
snapshots.npz    parameters at chosen epochs, leading axis = snapshot; epochs
params.npz       final parameters by their flat names
mean_params.npz  their mean over the last epochs, where it was asked for
state.npz        the state after a chosen epoch, for another training to begin from
origin.npz       the state that this training began from, if it was another one's
checkpoints/     resumable state
failure.json     why the network of a sweep could not be made
"""

import contextlib
import functools
import importlib.metadata
import platform
import shutil
import subprocess
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from filelock import Timeout

from hmmrnn.errors import FolderInUseError, InputError, StorageError
from hmmrnn.nets import LongRun, Network, init_params
from hmmrnn.sequences import DATA_FILE
from hmmrnn.settings import values_before
from hmmrnn.storage import locked, read_arrays, read_json, write_arrays, write_json
from hmmrnn.training.config import FORMAT_VERSION, SECTIONS, TrainConfig
from hmmrnn.training.fit import Fit, Snapshots, snapshot_epochs
from hmmrnn.training.floor import Floor
from hmmrnn.training.origin import Origin, read_origin
from hmmrnn.training.step import Records

CONFIG = "config.json"
MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"
DAMAGED = "checkpoints-damaged"
FAILURE = "failure.json"
MEAN_PARAMS = "mean_params.npz"
STATE = "state.npz"
ORIGIN = "origin.npz"
LOCK = ".run.lock"
CONTENTS = (  # names, or patterns of them
    CONFIG,
    DATA_FILE,
    MANIFEST,
    "history.npz",
    "snapshots.npz",
    "params.npz",
    MEAN_PARAMS,
    STATE,
    ORIGIN,
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
    origin: Origin | None = None  # the state of another training that it begins from

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in config.json."""
        fields = {**self.config.to_dict(), "noise_std": self.noise_std, "seed": self.seed}
        if self.origin is None:
            return fields
        return {**fields, "origin": {"digest": self.origin.digest, "epoch": self.origin.epoch}}


@contextlib.contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """While open, no other process trains into `folder`.

    Raises:
        FolderInUseError: another one does.
        InputError: it is a place where no run can be.
        StorageError: the folder cannot be written.
    """
    _expect_run_or_empty(folder)
    try:
        with locked(folder / LOCK, patience=0):
            yield
    except Timeout:
        raise FolderInUseError(
            f"outdir={folder}: another process is at work in this folder; wait for its end, or "
            "choose another folder"
        ) from None


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
    occupied = _expect_run_or_empty(folder)
    if occupied and overwrite:
        _clear(folder)
    elif occupied and not resume:
        raise InputError(
            f"outdir={folder}: already holds a run; "
            "continue it with --resume, replace it with --overwrite, or choose another folder"
        )
    elif occupied:
        expect_same(folder, spec)
        return
    spec.config.target.write(folder)
    if spec.origin is not None:
        write_arrays(folder / ORIGIN, spec.origin.arrays)
    write_json(folder / CONFIG, spec.to_dict())


def _expect_run_or_empty(folder: Path) -> bool:
    """Whether there is a run in `folder`. Raises `InputError` if there is something else."""
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"outdir={folder}: is a file, not a folder")
        occupied = folder.exists() and any(not p.name.startswith(".") for p in folder.iterdir())
    except OSError as error:
        raise StorageError(f"outdir={folder}: {error.strerror or error}") from None
    if occupied and not (folder / CONFIG).exists():
        raise InputError(f"outdir={folder}: holds files that are no run; choose another folder")
    return occupied


def read_spec(folder: Path) -> RunSpec:
    """What the run in `folder` was asked for. Raises `InputError`."""
    if not folder.is_dir():
        raise InputError(f"run={folder}: there is no such folder")
    fields = read_json(folder / CONFIG)
    try:
        noise_std, seed = float(fields.pop("noise_std")), int(fields.pop("seed"))
        origin = _origin(folder, fields.pop("origin", None))
        return RunSpec(TrainConfig.from_dict(fields, folder), noise_std, seed, origin)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        reason = error if isinstance(error, InputError) else f"missing or wrong field: {error}"
        raise InputError(f"{folder / CONFIG}: {reason}") from None


def _origin(folder: Path, known: Any) -> Origin | None:  # noqa: ANN401
    if known is None:
        return None
    origin = read_origin(folder / ORIGIN)
    if origin.digest != known["digest"]:
        raise InputError(f"origin={folder / ORIGIN}: is not the state that the run began from")
    return origin


def save_fit(folder: Path, fit: Fit) -> None:
    """Write the arrays of a finished training. Raises `StorageError`."""
    write_arrays(
        folder / "history.npz",
        {
            "epoch": np.arange(1, fit.config.train.epochs + 1),
            **fit.records.arrays(),
            "floor_mean": fit.floor.mean,
            "floor_std": fit.floor.std,
        },
    )
    write_arrays(folder / "snapshots.npz", {"epochs": fit.snapshots.epochs, **fit.snapshots.params})
    if fit.mean_params:
        write_arrays(folder / MEAN_PARAMS, fit.mean_params)
    write_arrays(folder / "params.npz", fit.params)


def digest_in(folder: Path) -> str | None:
    """The digest of the network in a run folder; None before its training has ended.

    Raises:
        InputError: damaged files.
    """
    path = folder / "params.npz"
    if not path.exists():
        return None
    config, noise_std, *_ = read_spec(folder)
    params = {name: jnp.asarray(value) for name, value in read_arrays(path).items()}
    return Network(params, noise_std, config.cell).digest


def load(folder: str | Path) -> Fit:
    """The trained network in a run folder, with its history.

    Raises:
        InputError: no finished run there, or files that are damaged or do not fit together.
    """
    folder = Path(folder)
    config, noise_std, *_ = read_spec(folder)
    if not (folder / "params.npz").exists():
        raise InputError(f"run={folder}: its training has not finished; continue with --resume")
    expected = jax.eval_shape(lambda: init_params(config.cell, jax.random.key(0)))
    shapes = {k: v.shape for k, v in expected.items()}
    params = _arrays_of(folder / "params.npz", shapes)
    mean = _arrays_of(folder / MEAN_PARAMS, shapes) if config.train.average_epochs else {}
    snapshots = read_arrays(folder / "snapshots.npz")
    n_snapshots = len(snapshots.get("epochs", ()))  # all that were made, or a choice of them
    _expect_shapes(
        folder / "snapshots.npz",
        snapshots,
        {"epochs": (n_snapshots,)} | {k: (n_snapshots, *shape) for k, shape in shapes.items()},
    )
    if not set(snapshots["epochs"].tolist()) <= set(snapshot_epochs(config)):
        raise InputError(f"{folder / 'snapshots.npz'}: has epochs at which none was made")
    names = [name for name in Records._fields if name != "activity" or config.train.penalised]
    history = _arrays_of(
        folder / "history.npz",
        {name: (config.train.epochs,) for name in (*names, "epoch")}
        | {"floor_mean": (), "floor_std": ()},
    )
    return Fit(
        params={name: jnp.asarray(value) for name, value in params.items()},
        mean_params={name: jnp.asarray(value) for name, value in mean.items()},
        records=Records(**{name: jnp.asarray(history[name]) for name in names}),
        snapshots=Snapshots(
            jnp.asarray(snapshots.pop("epochs")),
            {name: jnp.asarray(v) for name, v in snapshots.items()},
        ),
        floor=Floor(jnp.asarray(history["floor_mean"]), jnp.asarray(history["floor_std"])),
        noise_std=jnp.float32(noise_std),
        cell=config.cell,
        config=config,
    )


def _arrays_of(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    arrays = read_arrays(path)
    _expect_shapes(path, arrays, shapes)
    return arrays


def write_manifest(
    folder: Path,
    spec: RunSpec,
    status: str,
    wall_time: float,
    n_members: int = 1,
    long_run: LongRun | None = None,
) -> None:
    """Record where and with what the run was made, `n_members` networks at once.

    `long_run` is how the finished network behaves in long runs.

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
            **({} if long_run is None else {"long_run": long_run}),
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


def long_run_in(folder: Path) -> LongRun | None:
    """How the network behaves in long runs, if its training or `evaluate` looked."""
    fields = _manifest(folder).get("long_run")
    if fields is None:  # trained by an older version
        fields = _recorded(folder / "fidelity.json").get("long_run")
    try:
        return None if fields is None else LongRun(**fields)
    except TypeError:  # a damaged or foreign record
        return None


def is_finished(folder: Path) -> bool:
    """Whether the manifest says that the training has ended."""
    return _manifest(folder).get("status") == "finished"


def has_diverged(folder: Path) -> bool:
    """Whether the manifest says that the training has diverged."""
    return _manifest(folder).get("status") == "diverged"


def _manifest(folder: Path) -> dict[str, Any]:
    return _recorded(folder / MANIFEST)


def _recorded(path: Path) -> dict[str, Any]:
    """A record beside the run; empty if it is missing or damaged, since no number depends on it."""
    try:
        recorded = read_json(path)
    except InputError:
        return {}
    return recorded if isinstance(recorded, dict) else {}


def continued(folder: Path, spec: RunSpec) -> RunSpec:
    """`spec` as a run that an older version began in `folder` can go on.

    Options that were not there then have the values that do what was done then, whatever is asked
    for; those that differ are named in a warning.
    """
    if not (folder / CONFIG).exists():
        return spec
    fields = read_json(folder / CONFIG)
    version = fields.get("format") if isinstance(fields, dict) else None
    if type(version) is not int or version >= FORMAT_VERSION:
        return spec
    before = {name: values_before(section, version) for name, section in SECTIONS.items()}
    asked = spec.config.to_dict()
    other = [
        f"{name}.{option}={value}"
        for name, options in before.items()
        for option, value in options.items()
        if asked[name][option] != value
    ]
    if other:
        began = f"{folder} was begun by an older version and goes on as it did then"
        warnings.warn(f"{began}: {', '.join(other)}", stacklevel=2)
    return spec._replace(config=spec.config.replace(**before))


def expect_same(folder: Path, spec: RunSpec) -> None:
    """Raise an `InputError` unless the run in `folder` is the one that `spec` asks for."""
    stored = read_spec(folder)
    ours, theirs = (
        {(n, o): v for n, fields in s.to_dict().items() for o, v in _flat(fields)}
        for s in (spec, stored)
    )
    changed = [
        ".".join(filter(None, name))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]
    if changed:
        raise InputError(
            f"outdir={folder}: holds a run with different {', '.join(changed)}; "
            "resume with the flags it was started with, or choose another folder"
        )


def _flat(fields: Any) -> Iterable[tuple[str, Any]]:  # noqa: ANN401
    return fields.items() if isinstance(fields, dict) else [("", fields)]


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
