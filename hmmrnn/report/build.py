"""One self-contained HTML file from what a run folder holds, or that of a planted task."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.figures.catalogue import CIRCUITS, DISCOVERY, DYNAMICS, FIDELITY, TRAINING
from hmmrnn.folders import MANIFEST
from hmmrnn.nets import LongRun, long_run
from hmmrnn.report import commands
from hmmrnn.report.circuits import circuits_section
from hmmrnn.report.discovery import discovery_section
from hmmrnn.report.dynamics import deep_section, dynamics_section
from hmmrnn.report.inline import inline_figures
from hmmrnn.report.numbers import text
from hmmrnn.report.summary import (
    compared,
    five_numbers,
    most_frequent,
    no_dwell_times,
    number,
    verdict,
)
from hmmrnn.report.templates import template
from hmmrnn.report.view import view_html
from hmmrnn.settings import Section
from hmmrnn.storage import known_form, plain, read_arrays, read_json, read_results, write_text
from hmmrnn.targets import Words
from hmmrnn.training import load
from hmmrnn.training.config import SECTIONS
from hmmrnn.training.run_folder import RunSpec, digest_in, long_run_in, read_spec

FIGURES = (*TRAINING, *FIDELITY, *DYNAMICS, *CIRCUITS, *DISCOVERY)
DISCOVERED = "discovery.json"
MARGINAL_ERROR_LIMIT = 1.0
ROUNDING = 1.1  # by which a marginal error may miss a tolerance that the solver reached


class Course(NamedTuple):
    """How the training ended."""

    epochs: int
    loss: float  # of the last epoch
    floor: float
    floor_std: float
    volatility: float

    @property
    def band(self) -> tuple[float, float]:
        """Floor minus and plus its standard deviation."""
        return self.floor - self.floor_std, self.floor + self.floor_std


def build_report(folder: Path, into: Path | None = None) -> Path:
    """Write report.html into a run folder and return its path; parts not measured yet are named.

    Or write it `into` a folder of new results; figures that are there are shown.

    Raises:
        InputError: no run there, or a damaged file.
        StorageError: the report could not be written.
    """
    spec = read_spec(folder)
    target, words = spec.config.target, spec.config.target.words
    shown: dict[str, Any] = {
        "spec": spec,
        "preset": target.label,
        "words": words,
        "hmm": plain(target.to_dict()),
        "data": target.facts(),
        "sections": {name: _options(getattr(spec.config, name)) for name in SECTIONS},
        "provenance": _provenance(folder),
        "figures": inline_figures(folder, FIGURES, into),
        "view": view_html(folder),
        "commands": _commands(folder, spec),
        "scale_free": spec.config.cell.homogeneous,
        **_training(folder, spec.config.loss.tolerance),
        **_measures(folder, words),
    }
    with _known_form(folder / "circuits.json"):
        shown["circuits"] = circuits_section(_measured(folder / "circuits.json"))
    with _known_form(folder / DISCOVERED):
        shown["discovery"] = discovery_section(_measured(folder / DISCOVERED), "run")
    with _known_form(folder / "dynamics.json"):  # all other files were read above
        page = template("page.html").render(shown)
    return _written(into or folder, page)


def build_discovery_page(folder: Path) -> Path:
    """Write report.html into the folder of a planted task, which holds no run; return its path.

    Raises:
        InputError: no discovery.json there, or a damaged file, or not that of a task.
        StorageError: the page could not be written.
    """
    found, drawn = read_results(folder / DISCOVERED), inline_figures(folder, DISCOVERY)
    with _known_form(folder / DISCOVERED):
        shown = discovery_section({**found}, "task")
        again = {"discover": found["command"]}
        page = template("discovery_page.html").render(
            discovery=shown, figures=drawn, commands=again
        )
    return _written(folder, page)


def _written(folder: Path, page: str) -> Path:
    path = folder / "report.html"
    write_text(path, page)
    return path


def _commands(folder: Path, spec: RunSpec) -> dict[str, str]:
    steps = ("evaluate", "dynamics", "circuits", "discover", "report")
    return {
        "train": commands.of_training(folder, spec),
        **{step: commands.of_step(step, folder) for step in steps},
    }


def _provenance(folder: Path) -> dict[str, dict[str, Any]]:
    """The manifest in groups: what stands alone, and what has parts."""
    manifest = _optional(folder / MANIFEST)
    alone = {name: value for name, value in manifest.items() if not isinstance(value, dict)}
    groups = {name: value for name, value in manifest.items() if isinstance(value, dict)}
    return {"run": alone, **groups} if manifest else {}


def _options(section: Section) -> dict[str, Any]:
    """Names and values, lists as they are written on a command line."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in vars(section).items()
    }


def _training(folder: Path, tolerance: float) -> dict[str, Any]:
    """Course of the training and what to warn of; no course while there is no history."""
    path = folder / "history.npz"
    status = _optional(folder / MANIFEST).get("status", "finished")
    warnings = [] if status == "finished" else [f"The training has not finished: it is {status}."]
    ran = _long_run(folder)
    if ran is not None and ran.problem is not None:
        warnings.append(f"This network is {ran.problem}.")
    if not path.exists():
        return {"course": None, "warnings": warnings, "long_run": ran}
    history = read_arrays(path)
    with _known_form(path):
        course = Course(
            epochs=len(history["epoch"]),
            loss=float(history["loss"][-1]),
            floor=float(history["floor_mean"]),
            floor_std=float(history["floor_std"]),
            volatility=float(history["volatility"][-1]),
        )
        warnings += _warnings(history, tolerance)
    return {"course": course, "warnings": warnings, "long_run": ran}


def _long_run(folder: Path) -> LongRun | None:
    """How the network behaves in long runs, by its evaluation, its training, or looked at now."""
    measured = _measured(folder / "fidelity.json").get("long_run")
    if measured is None and (known := long_run_in(folder)) is not None:
        return known
    if measured is None:
        if not (folder / "params.npz").exists():
            return None
        fit = load(folder)
        return long_run(fit, fit.config.data.n_steps)
    with _known_form(folder / "fidelity.json"):
        return LongRun(**measured)


def _warnings(history: dict[str, np.ndarray], tolerance: float) -> Iterator[str]:
    known = np.isfinite(history["marginal_error"])
    errors, epochs = history["marginal_error"][known].astype(float), history["epoch"][known]
    worst, at = (errors.max(), epochs[errors.argmax()]) if known.any() else (-math.inf, 0)
    if worst > MARGINAL_ERROR_LIMIT and worst > errors[0]:
        yield (
            f"The marginal error of the Sinkhorn loss grew from {text(float(errors[0]))} in epoch "
            f"{epochs[0]} to {text(float(worst))} in epoch {at}, past "
            f"{MARGINAL_ERROR_LIMIT:g}: the transport plans are far from converged, "
            "so the loss and its gradient are not what they are taken for."
        )
    if tolerance and worst > ROUNDING * tolerance:
        yield (
            f"The Sinkhorn iterations were to end at a marginal error of {tolerance:g} but were "
            f"given up at {text(float(worst))} in epoch {at}: a larger blur or "
            "tolerance can be reached."
        )
    bad = int(history["bad_steps"].sum())
    if bad > 0:
        yield (
            f"{bad} optimiser steps were skipped, because loss or gradient were not finite; "
            f"the first in epoch {int(history['epoch'][np.argmax(history['bad_steps'] > 0)])}."
        )


def _measures(folder: Path, words: Words) -> dict[str, Any]:
    """Numbers of both analyses in the form that the page shows; None for one not done yet."""
    paths = folder / "fidelity.json", folder / "dynamics.json"
    fidelity, dynamics = (_measured(path) for path in paths)
    with _known_form(paths[0]):
        faithful = _fidelity(fidelity) if fidelity else None
        five_numbers(fidelity, {})
    with _known_form(paths[1]):
        return {
            "fidelity": faithful,
            "dynamics": dynamics_section(dynamics),
            "deep": deep_section(dynamics),
            "numbers": five_numbers(fidelity, dynamics, words),
            "verdict": verdict(fidelity, dynamics, words),
        }


def _fidelity(fields: dict[str, Any]) -> dict[str, Any]:
    symbols = [
        {
            "share": compared(share),
            "mean": compared(dwell["mean"]),
            "cv": compared(dwell["cv"]),
            "n_runs": int(dwell["n_runs"]),
        }
        for share, dwell in zip(fields["symbol_shares"], fields["dwell"], strict=True)
    ]
    return {
        "kl": sorted((int(n), compared(entry)) for n, entry in fields["kl"].items()),
        "symbols": symbols,
        "most_frequent": most_frequent(fields),
        "no_dwell_times": no_dwell_times(fields),
        "transition_error": compared(fields["transition_error"]),
        "matched_distance": compared(fields["matched_distance"]),
        "volatility": compared(fields["volatility"]),
        "impossible_share": number(fields["impossible_share"]),
        "impossible_sequences": number(fields["impossible_sequences"]),
        "n_sequences": int(fields["n_sequences"]),
        "n_steps": int(fields["n_steps"]),
    }


def _optional(path: Path) -> dict[str, Any]:
    """The object in a JSON file, {} if there is no such file. Raises `InputError`."""
    found = read_json(path) if path.exists() else {}
    if not isinstance(found, dict):
        raise InputError(f"{path}: is {type(found).__name__}, not an object with named fields")
    return found


def _measured(path: Path) -> dict[str, Any]:
    """What an analysis of the network in the folder measured; {} if it was not made."""
    return read_results(path, digest_in(path.parent), missing_ok=True)


def _known_form(path: Path) -> AbstractContextManager[None]:
    """Templates find a field missing, too."""
    return known_form(path, jinja2.UndefinedError)
