"""What is known of one network: the numbers in its run folder, and whether it learned at all."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.fidelity.learned import learned
from hmmrnn.hmm import HMM, name_of
from hmmrnn.intervals import Estimate
from hmmrnn.storage import read_json
from hmmrnn.training import TrainConfig
from hmmrnn.training.run_folder import read_spec


class Evidence(NamedTuple):
    """A network and its measures; a measure that was not made, or failed, is empty."""

    name: str  # of the run folder
    config: TrainConfig
    noise_std: float
    seed: int
    fidelity: dict[str, Any]
    dynamics: dict[str, Any]
    circuits: dict[str, Any]

    @property
    def preset(self) -> str:
        """Name of the HMM, `custom` if it is none of the presets."""
        return name_of(self.config.hmm) if isinstance(self.config.hmm, HMM) else "own data"

    @property
    def loss(self) -> str:
        """Name of the loss, such as `reference` or `ngram`."""
        return self.config.loss.name

    @property
    def learned(self) -> bool | None:
        """Whether it has left the plateau of independent symbols; None if not measured."""
        return learned(self.fidelity) if self.fidelity else None


def read_evidence(folder: Path) -> Evidence:
    """The measures in a run folder.

    Raises:
        InputError: no run there, one that aims at no HMM, or damaged files.
    """
    config, noise_std, seed = read_spec(folder)
    if not isinstance(config.hmm, HMM):
        raise InputError(f"runs={folder}: the claims are about networks that emulate an HMM")
    measures = (_measures(folder / f"{name}.json") for name in ("fidelity", "dynamics", "circuits"))
    return Evidence(folder.name, config, noise_std, seed, *measures)


def _measures(path: Path) -> dict[str, Any]:
    """Numbers of an analysis; none if it was not made or says that the network diverges."""
    if not path.exists():
        return {}
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no object with named fields; make it anew")
    return {} if "problem" in found else found


def number(measures: dict[str, Any], *path: str) -> Estimate:
    """The estimate at a place in the measures; NaN where there is none."""
    for name in path:
        measures = measures.get(name) or {} if isinstance(measures, dict) else {}
    fields = ("value", "low", "high")
    return Estimate(*(_float(measures.get(field)) for field in fields))


def _float(value: Any) -> float:  # noqa: ANN401
    return float(value) if isinstance(value, int | float) else np.nan
