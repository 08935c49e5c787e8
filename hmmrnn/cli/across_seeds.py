"""One network beside others of the same HMM, loss and size, from their dynamics.json."""

from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any

import jax

from hmmrnn.arrays import Key
from hmmrnn.dynamics import Across, across_networks
from hmmrnn.errors import InputError
from hmmrnn.intervals import UNKNOWN, Estimate
from hmmrnn.report import estimate
from hmmrnn.storage import known_form, read_results
from hmmrnn.training.run_folder import digest_in, read_spec

NUMBERS: dict[str, tuple[str | int, ...]] = {
    "net rotation (turns per pair of transitions)": ("rotation",),
    "CV of dwell times": ("dwell_cv",),
    "transitions per step": ("transitions_per_step",),
    "variance in PC1 (share)": ("plane", "explained", 0),
    "variance in PC2 (share)": ("plane", "explained", 1),
    "barrier along the readout difference (nats)": ("regime", "barrier"),
    "states in clusters (share)": ("zones", "cluster", "share"),
    "states in kick-zones (share)": ("zones", "kick-zone", "share"),
    "states in transitions (share)": ("zones", "transition", "share"),
    "unstable directions in clusters": ("zones", "cluster", "unstable"),
    "unstable directions in kick-zones": ("zones", "kick-zone", "unstable"),
    "unstable directions in transitions": ("zones", "transition", "unstable"),
}
"""Where each number stands in dynamics.json."""


def across_seeds(folder: Path, pattern: str) -> dict[str, Any]:
    """What dynamics.json holds of all other folders that match `pattern`, by their names.

    Folders that were not analysed, or whose network diverges, are left out.

    Raises:
        InputError: a folder of another HMM, loss or network, whose numbers do not compare, or
            whose dynamics.json lacks some of them; or nothing to compare with.
    """
    ours = read_spec(folder).config
    found: dict[str, Any] = {}
    for path in sorted(map(Path, glob(pattern))):  # noqa: PTH207, absolute patterns as well
        if path.resolve() == folder.resolve() or not (path / "dynamics.json").exists():
            continue
        theirs = read_spec(path).config
        if (theirs.target, theirs.loss, theirs.net) != (ours.target, ours.loss, ours.net):
            raise InputError(f"others={pattern}: {path} has another HMM, loss or network")
        fields = read_results(path / "dynamics.json", digest_in(path))
        if "problem" in fields:
            continue
        with known_form(path / "dynamics.json"):
            for where in NUMBERS.values():
                _number(fields, where)
        found[str(path) if path.name in {folder.name, *found} else path.name] = fields
    if not found:
        raise InputError(f"others={pattern}: no other network there was analysed")
    return found


def rotations(others: dict[str, Any]) -> list[tuple[str, Estimate]]:
    """Net rotation of each sister network, under one label."""
    return [("sister networks", _number(fields, ("rotation",))) for fields in others.values()]


def beside_others(
    name: str, numbers: dict[str, Any], others: dict[str, Any], key: Key
) -> dict[str, Across]:
    """Each number of the network called `name` and of its sister networks."""
    found = {name: numbers, **others}
    keys = jax.random.split(key, len(NUMBERS))
    return {
        label: across_networks({each: _number(f, where) for each, f in found.items()}, k)
        for (label, where), k in zip(NUMBERS.items(), keys, strict=True)
    }


def _number(fields: Any, where: tuple[str | int, ...]) -> Estimate:  # noqa: ANN401
    """An estimate, or a number without an interval, in JSON; NaN past the end of a list."""
    for step in where:
        # a network of one unit has no second component
        fields = None if isinstance(step, int) and step >= len(fields) else fields[step]
    if isinstance(fields, dict):
        return estimate(fields)
    return UNKNOWN if fields is None else replace(UNKNOWN, value=float(fields))
