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
import os
import platform
import subprocess
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.errors import InputError, StorageError
from hmmrnn.folders import (
    CONFIG,
    MANIFEST,
    READY,
    foreign_in,
    named,
    owned,
    read_manifest,
    replacing,
)
from hmmrnn.nets import LongRun, Network, init_params
from hmmrnn.settings import checked, values_before
from hmmrnn.storage import (
    DAMAGE,
    digest_of_json,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)
from hmmrnn.training.config import FORMAT_VERSION, SECTIONS, TrainConfig
from hmmrnn.training.fit import Fit, Snapshots, snapshot_epochs
from hmmrnn.training.floor import Floor
from hmmrnn.training.origin import Origin, read_origin
from hmmrnn.training.step import Records

CHECKPOINTS = "checkpoints"
DAMAGED = "checkpoints-damaged"
FAILURE = "failure.json"
MEAN_PARAMS = "mean_params.npz"
STATE = "state.npz"
ORIGIN = "origin.npz"
DECISIVE = {
    "precision": "jax_default_matmul_precision",
    "x64": "jax_enable_x64",
    "generator": "jax_default_prng_impl",
    "generator_partitionable": "jax_threefry_partitionable",
}
"""Options of JAX under whose other values a run that goes on is another one."""
REAL = ("float16", "float32", "float64")
WHOLE = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
"""Types of arrays in our files."""
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
    """While open, no other process works in `folder`, which holds a run or nothing.

    Raises:
        FolderInUseError: another one does.
        InputError: it is a place where no run can be.
        StorageError: the folder cannot be written.
    """
    _expect_run_or_empty(folder)
    with owned(folder):
        yield


@contextlib.contextmanager
def owned_run(folder: Path) -> Iterator[None]:
    """While open, no other process works in the run folder, in which there is a run.

    Raises:
        FolderInUseError: another one does.
        InputError: no run there.
        StorageError: the folder cannot be written.
    """
    if not (folder / READY).exists():
        read_spec(folder)
    with owned(folder):
        read_spec(folder)
        yield


def open_run(folder: Path, spec: RunSpec, *, resume: bool, overwrite: bool) -> None:
    """Make `folder` ready for `spec`: new and empty, emptied on demand, or the same run again.

    Emptied of what is ours; anything else stays, and is named in a warning.

    Raises:
        InputError: it holds something else, or both ways to deal with a run there are asked for;
            or what decides the bits of the run is not as it was.
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
        _expect_ours(folder)
    elif occupied and not resume:
        raise InputError(
            f"outdir={folder}: already holds a run; "
            "continue it with --resume, replace it with --overwrite, or choose another folder"
        )
    elif occupied:
        expect_same(folder, spec)
        _expect_same_bits(folder)
        return
    begin_run(folder, spec)


def begin_run(folder: Path, spec: RunSpec) -> None:
    """Write what a run begins with, alone in its folder. Raises `InputError`, `StorageError`."""
    later = [CHECKPOINTS, DAMAGED, *([STATE] if spec.config.train.keep_state_at else [])]
    with replacing(folder, "run", later=later, alone=True) as beside:
        spec.config.target.write(beside)
        if spec.origin is not None:
            write_arrays(beside / ORIGIN, spec.origin.arrays)
        write_json(beside / CONFIG, spec.to_dict())
        write_json(beside / MANIFEST, _manifest_of(beside, spec, "begun", 0.0, 1, None))
    if left := foreign_in(folder, read_manifest(folder).get("files", {})):
        warnings.warn(f"outdir={folder}: {named(left)} is not ours and stays", stacklevel=2)


def _expect_ours(folder: Path) -> None:
    """Raise an `InputError` unless the configuration in a folder is that of a run."""
    if CONFIG in read_manifest(folder).get("files", {}):
        return
    try:
        read_spec(folder)
    except InputError as error:
        raise InputError(
            f"outdir={folder}: nothing says that its {CONFIG} is that of a run ({error}); "
            "choose another folder"
        ) from None


def _expect_run_or_empty(folder: Path) -> bool:
    """Whether there is a run in `folder`. Raises `InputError` if there is something else."""
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"outdir={folder}: is a file, not a folder")
        occupied = folder.exists() and any(not p.name.startswith(".") for p in folder.iterdir())
    except OSError as error:
        raise StorageError(f"outdir={str(folder)[:300]}: {error.strerror or error}") from None
    if occupied and not (folder / CONFIG).exists() and not (folder / READY).exists():
        raise InputError(f"outdir={folder}: holds files that are no run; choose another folder")
    return occupied


def _expect_same_bits(folder: Path) -> None:
    """Raise an `InputError` where the rest of a run would be computed in another way."""
    before, now = read_manifest(folder).get("bits", {}), bits()
    if changed := [name for name in DECISIVE if name in before and before[name] != now[name]]:
        told = ", ".join(f"{name} {before[name]} (now {now[name]})" for name in changed)
        raise InputError(
            f"outdir={folder}: its run was begun with {told}; go on with that, or begin in "
            "another folder"
        )


def bits() -> dict[str, Any]:
    """What decides the bits of a run beside its configuration and the versions of libraries."""
    device = jax.devices()[0]
    return {
        **{name: getattr(jax.config, option) for name, option in DECISIVE.items()},
        "device": device.device_kind,
        "device_platform": device.platform,
        "cores": os.cpu_count(),
        "compiler_flags": os.environ.get("XLA_FLAGS", ""),
    }


def read_spec(folder: Path) -> RunSpec:
    """What the run in `folder` was asked for.

    Raises:
        InputError: no run there, a damaged configuration, or one that was edited since.
    """
    if not folder.is_dir():
        raise InputError(f"run={str(folder)[:300]}: there is no such folder")
    fields = read_json(folder / CONFIG)
    if not isinstance(fields, dict):
        raise InputError(f"{folder / CONFIG}: is {type(fields).__name__}, not an object of fields")
    known = read_manifest(folder).get("config")
    edited = known is not None and known != digest_of_json(fields)
    try:
        noise_std = checked("noise_std", fields.pop("noise_std"), float, {"low": 0.0})
        seed = checked("seed", fields.pop("seed"), int, {"low": 0, "high": 2**32 - 1})
        origin = _origin(folder, fields.pop("origin", None))
        spec = RunSpec(TrainConfig.from_dict(fields, folder), noise_std, seed, origin)
    except DAMAGE as error:
        reason = error if isinstance(error, InputError) else f"missing or wrong field: {error}"
        raise InputError(f"{folder / CONFIG}: {reason}") from None
    if edited:
        raise InputError(
            f"{folder / CONFIG}: was edited after the run began; what is here belongs to what it "
            "said before"
        )
    return spec


def _origin(folder: Path, known: Any) -> Origin | None:  # noqa: ANN401
    if known is None:
        return None
    origin = read_origin(folder / ORIGIN)
    if origin.digest != known["digest"]:
        raise InputError(f"origin={folder / ORIGIN}: is not the state that the run began from")
    return origin


def end_run(
    folder: Path, spec: RunSpec, fit: Fit, wall_time: float, n_members: int, ran: LongRun
) -> None:
    """Write the arrays and the manifest of a finished training, all or none.

    `ran` is how the network behaves in long runs.

    Raises:
        StorageError: they cannot be written.
    """
    with replacing(folder, "training") as beside:
        save_fit(beside, fit)
        finished = _manifest_of(folder, spec, "finished", wall_time, n_members, ran)
        write_json(beside / MANIFEST, finished)


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
    params = {name: jnp.asarray(value) for name, value in _params_in(path, config).items()}
    return Network(params, noise_std, config.cell).digest


def _params_in(path: Path, config: TrainConfig) -> dict[str, np.ndarray]:
    return _arrays_of(path, _shapes(config), finite=True)


def _shapes(config: TrainConfig) -> dict[str, tuple[int, ...]]:
    """Of the parameters of the network of a configuration."""
    expected = jax.eval_shape(lambda: init_params(config.cell, jax.random.key(0)))
    return {name: leaf.shape for name, leaf in expected.items()}


def load(folder: str | Path) -> Fit:
    """The trained network in a run folder, with its history.

    Raises:
        InputError: no finished run there, or files that are damaged or do not fit together.
    """
    folder = Path(folder)
    config, noise_std, *_ = read_spec(folder)
    if not (folder / "params.npz").exists():
        raise InputError(f"run={folder}: its training has not finished; continue with --resume")
    shapes = _shapes(config)
    params = _params_in(folder / "params.npz", config)
    mean = _params_in(folder / MEAN_PARAMS, config) if config.train.average_epochs else {}
    path = folder / "snapshots.npz"
    snapshots = read_arrays(path)
    epochs = snapshots.get("epochs", np.zeros(0, int))  # all that were made, or a choice of them
    n_snapshots = epochs.size
    _expect_shapes(
        path,
        snapshots,
        {"epochs": (n_snapshots,)} | {k: (n_snapshots, *shape) for k, shape in shapes.items()},
        whole=("epochs",),
    )
    if (
        not set(epochs.tolist()) <= set(snapshot_epochs(config))
        or (np.diff(epochs.astype(np.int64)) <= 0).any()
    ):
        raise InputError(f"{path}: has epochs at which none was made, or not in their order")
    names = [name for name in Records._fields if name != "activity" or config.train.penalised]
    history = _arrays_of(
        folder / "history.npz",
        {name: (config.train.epochs,) for name in (*names, "epoch")}
        | {"floor_mean": (), "floor_std": ()},
        whole=("epoch", "bad_steps"),
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


def _arrays_of(
    path: Path, shapes: dict[str, tuple[int, ...]], *, finite: bool = False, whole: tuple = ()
) -> dict[str, np.ndarray]:
    arrays = read_arrays(path)
    _expect_shapes(path, arrays, shapes, whole)
    with np.errstate(over="ignore"):
        bad = [n for n, a in arrays.items() if not np.isfinite(a.astype(np.float32)).all()]
    if finite and bad:
        raise InputError(f"{path}: {named(bad)} has entries that are not finite")
    return arrays


def write_manifest(
    folder: Path, spec: RunSpec, status: str, wall_time: float, n_members: int = 1
) -> None:
    """Record where and with what the run is made, `n_members` networks at once.

    Raises:
        StorageError: it cannot be written.
    """
    write_json(folder / MANIFEST, _manifest_of(folder, spec, status, wall_time, n_members, None))


def _manifest_of(
    folder: Path,
    spec: RunSpec,
    status: str,
    wall_time: float,
    n_members: int,
    ran: LongRun | None,
) -> dict[str, Any]:
    """The manifest with what is known now; the list of files stays as it is."""
    device = jax.devices()[0]
    listed = read_manifest(folder).get("files")
    return {
        "status": status,
        "seed": spec.seed,
        "config": digest_of_json(read_json(folder / CONFIG)),
        "wall_time_s": round(wall_time, 2),
        "networks_at_once": n_members,
        **({} if ran is None else {"long_run": ran}),
        "device": f"{jax.device_count()} x {device.device_kind}",
        "platform": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "bits": bits(),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONED},
        "commit": _commit(),
        **({} if listed is None else {"files": listed}),
    }


def wall_time_so_far(folder: Path) -> float:
    """Seconds that earlier parts of the run took, as far as they were recorded."""
    seconds = read_manifest(folder).get("wall_time_s")
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def long_run_in(folder: Path) -> LongRun | None:
    """How the network behaves in long runs, if its training or `evaluate` looked."""
    fields = read_manifest(folder).get("long_run")
    if fields is None:  # trained by an older version
        fields = _recorded(folder / "fidelity.json").get("long_run")
    try:
        return None if fields is None else LongRun(**fields)
    except TypeError:  # a damaged or foreign record
        return None


def is_finished(folder: Path) -> bool:
    """Whether the manifest says that the training has ended."""
    return read_manifest(folder).get("status") == "finished"


def has_diverged(folder: Path) -> bool:
    """Whether the manifest says that the training has diverged."""
    return read_manifest(folder).get("status") == "diverged"


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


def _expect_shapes(
    path: Path, arrays: dict, shapes: dict[str, tuple[int, ...]], whole: tuple = ()
) -> None:
    """Real numbers, but `whole` ones, in these shapes."""
    kinds = {name: WHOLE if name in whole else REAL for name in shapes}
    found = {n: a.shape for n, a in arrays.items() if a.dtype.name in kinds.get(n, REAL)}
    if found != shapes:
        wrong = sorted(set(found.items()) ^ set(shapes.items()))
        raise InputError(f"{path}: does not fit {CONFIG}: {wrong}")


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
