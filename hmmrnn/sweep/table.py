"""One row for each network of a sweep: how it was made and every number measured of it.

Columns have dotted names: options as their flags (`train.learning_rate`), then `training.*`, and
the contents of fidelity.json, dynamics.json and circuits.json by their paths.
"""

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.settings import option_types
from hmmrnn.storage import read_arrays, read_json, read_results, write_arrays, write_text
from hmmrnn.sweep.folder import failure
from hmmrnn.training import read_spec
from hmmrnn.training.config import SECTIONS
from hmmrnn.training.run_folder import digest_in, is_finished, long_run_in

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]

TABLE, ARRAYS = "sweep.csv", "sweep.npz"
MEASURED = ("training", "fidelity", "dynamics", "circuits")
"""First words of the columns that are not options, in their order."""

LEADING = ("name", "status", "reason")
TEXT = {*LEADING, "hmm"} | {
    f"{name}.{entry}"
    for name, section in SECTIONS.items()
    for entry, kind in option_types(section).items()
    if kind not in (int, float, bool)
}
"""Columns of text even where it looks like a number."""

MAX_RECORDS = 16
MAX_TEXT = 120
"""Longer lists of records and longer texts have no column."""


def row(folder: Path) -> dict[str, Cell]:
    """Options and numbers of the run in `folder`; what cannot be read is told in `reason`.

    `status` is finished, failed (given up by the sweep) or unfinished. Unknown numbers are None.
    A damaged record of failures counts as none: the sweep tries such a network again.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"run={folder}: there is no such folder")
    finished, failed = is_finished(folder), failure(folder)
    mended = finished and (folder / "fidelity.json").exists()
    given_up = failed.given_up and not mended
    problems = failed.reasons[-1:] if given_up or not finished else []
    status = "failed" if given_up else "finished" if finished else "unfinished"
    ran = long_run_in(folder)
    if ran is not None and ran.problem is not None:
        problems.append(ran.problem)
    expected = {"config.json", *(("history.npz", "fidelity.json") if status == "finished" else ())}
    fields: dict[str, Cell] = {}
    for name, read in PARTS.items():
        try:
            fields |= read(folder / name)
        except InputError as error:
            if name in expected or (folder / name).exists():
                problems.append(_without_folder(error, folder))
    return {
        "name": folder.absolute().name,
        "status": status,
        "reason": "; ".join(problems),
        **fields,
    }


def write_table(outdir: Path, rows: Sequence[Row]) -> list[Path]:
    """Write sweep.csv and sweep.npz, rows in the natural order of their names.

    Empty cells and NaN stand for what is unknown. The arrays, one for each column, are of float64
    (1 for true) or text. Raises `StorageError`.
    """
    rows = sorted(rows, key=lambda entry: natural_order(str(entry.get("name"))))
    names = columns(rows)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_written(name, entry.get(name)) for name in names] for entry in rows)
    write_text(outdir / TABLE, text.getvalue())
    write_arrays(
        outdir / ARRAYS, {name: _array(name, [entry.get(name) for entry in rows]) for name in names}
    )
    return [outdir / TABLE, outdir / ARRAYS]


def read_table(outdir: Path) -> list[dict[str, Cell]]:
    """The rows of sweep.csv, with None where a cell is empty.

    Raises:
        InputError: the file is missing, cut short or no such table.
    """
    path = outdir / TABLE
    try:
        lines = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: is damaged or of another kind ({error})") from None
    names = lines[0] if lines else []
    if tuple(names[: len(LEADING)]) != LEADING:
        raise InputError(f"{path}: is no table of a sweep; its columns open with name, status")
    for i, line in enumerate(lines[1:], 1):
        if len(line) != len(names):
            raise InputError(
                f"{path}: is damaged (row {i} has {len(line)} cells for {len(names)} columns); "
                "write the table again"
            )
    return [{n: _read(n, cell) for n, cell in zip(names, line, strict=True)} for line in lines[1:]]


def columns(rows: Sequence[Row]) -> list[str]:
    """Names of all columns: options, then what was measured, each as first seen."""
    seen = dict.fromkeys([*LEADING, *(name for entry in rows for name in entry)])
    return sorted(seen, key=lambda name: is_measured(name) and 1 + MEASURED.index(_first(name)))


def is_measured(column: str) -> bool:
    """Whether it is a result, no option."""
    return _first(column) in MEASURED


def natural_order(name: str) -> list[str | int]:
    """A key that sorts seed2 before seed10."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _first(column: str) -> str:
    return column.partition(".")[0]


def _config(path: Path) -> dict[str, Cell]:
    config, noise_std, seed, _ = read_spec(path.parent)
    fields: dict[str, Cell] = {"hmm": config.target.label, "noise_std": noise_std, "seed": seed}
    for section in SECTIONS:
        for name, value in dataclasses.asdict(getattr(config, section)).items():
            listed = isinstance(value, tuple)
            fields[f"{section}.{name}"] = ",".join(map(str, value)) if listed else value
    return fields


def _training(path: Path) -> dict[str, Cell]:
    """The last epoch of each record, the best loss, the floor, and all bad steps."""
    arrays = read_arrays(path)
    try:
        finite = arrays["loss"][np.isfinite(arrays["loss"])]
        return {
            "training.loss": _number(arrays["loss"][-1]),
            "training.best_loss": _number(finite.min()) if len(finite) else None,
            "training.validation_loss": _number(arrays["validation_loss"][-1]),
            "training.floor_mean": _number(arrays["floor_mean"]),
            "training.floor_std": _number(arrays["floor_std"]),
            "training.volatility": _number(arrays["volatility"][-1]),
            "training.gradient_norm": _number(arrays["gradient_norm"][-1]),
            "training.marginal_error": _number(arrays["marginal_error"][-1]),
            "training.bad_steps": int(arrays["bad_steps"].sum()),
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is of another kind ({error})") from None


def _wall_time(path: Path) -> dict[str, Cell]:
    """Of the batch that the network was trained in, and of how many networks that was."""
    manifest = _object(path)
    return {
        f"training.{name}": _number(value) if _is_number(value := manifest.get(name)) else None
        for name in ("wall_time_s", "networks_at_once")
    }


def _analysis(path: Path) -> dict[str, Cell]:
    try:
        network = digest_in(path.parent)
    except InputError:  # of a file that is named for itself
        network = None
    return dict(_scalars(read_results(path, network), path.stem))


PARTS = {
    "config.json": _config,
    "history.npz": _training,
    "manifest.json": _wall_time,
    "fidelity.json": _analysis,
    "dynamics.json": _analysis,
    "circuits.json": _analysis,
}
"""The files of a run that have columns, in their order."""


def _scalars(value: Any, path: str) -> Iterator[tuple[str, Cell]]:  # noqa: ANN401
    """Numbers, truth values and short texts in JSON with their paths; lists of records only."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _scalars(entry, f"{path}.{name}")
    elif isinstance(value, list):
        if len(value) <= MAX_RECORDS and all(isinstance(entry, dict) for entry in value):
            for i, entry in enumerate(value):
                yield from _scalars(entry, f"{path}.{i}")
    elif isinstance(value, str):
        if len(value) <= MAX_TEXT:
            yield path, value or None
    else:
        yield path, None if value != value else value


def _object(path: Path) -> dict[str, Any]:
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise InputError(f"{path}: is of another kind ({type(fields).__name__}, not an object)")
    return fields


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float | None:  # noqa: ANN401
    return None if math.isnan(value) else float(value)


def _without_folder(error: InputError, folder: Path) -> str:
    """The message with the file's name alone, so that a table does not depend on its place."""
    return str(error).replace(f"{folder}/", "")


def _written(column: str, value: Cell) -> str:
    """A cell of the csv file. Text that would be read as something else is quoted as in JSON."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if _read(column, value) == value else json.dumps(value, ensure_ascii=False)
    return repr(int(value) if isinstance(value, int) else float(value))


def _read(column: str, text: str) -> Cell:
    if text == "":
        return "" if column in LEADING else None
    if column in TEXT:
        return text
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float, *((json.loads,) if text.startswith('"') else ())):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _array(column: str, values: list[Cell]) -> np.ndarray:
    if column in TEXT or any(isinstance(value, str) for value in values):
        return np.array([v if isinstance(v, str) else _written(column, v) for v in values], str)
    return np.array([np.nan if value is None else float(value) for value in values], float)
