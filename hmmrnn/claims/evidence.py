"""What is known of one network: the numbers in its run folder, and whether it learned at all."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from hmmrnn.errors import InputError
from hmmrnn.fidelity.learned import learned
from hmmrnn.intervals import Estimate
from hmmrnn.results import result
from hmmrnn.storage import known_form, plain, read_results
from hmmrnn.training import TrainConfig
from hmmrnn.training.config import BOOKKEEPING
from hmmrnn.training.run_folder import digest_in, read_spec

MEASURES = ("fidelity", "dynamics", "circuits")
DIVERGES = "it diverges in long runs"


@result
class Evidence(NamedTuple):
    """A network and its measures; a measure that was not made, or failed, is empty."""

    name: str  # of the run folder
    config: TrainConfig
    noise_std: float
    seed: int
    fidelity: dict[str, Any]
    dynamics: dict[str, Any]
    circuits: dict[str, Any]
    problems: Mapping[str, str] = MappingProxyType({})  # by measure: why there is none

    def why_not(self, measure: str) -> str:
        """Why a measure is empty."""
        return DIVERGES if measure in self.problems else f"no {measure}.json"

    @property
    def preset(self) -> str:
        """Name of the HMM, `custom` if it is none of the presets."""
        return self.config.target.label

    @property
    def loss(self) -> str:
        """Name of the loss, such as `reference` or `ngram`; `paper` by its recipe to the letter."""
        return _loss(self.config)

    @property
    def biased(self) -> bool | None:
        """Whether the loss is the paper's, which is biased; None if neither it nor unbiased."""
        loss = self.config.loss
        if loss.divergence == "reference":
            return True if loss.ngram_weight == 0 else None
        plug_in = loss.ngram_weight > 0 and loss.ngram_source == "symbols"
        return None if plug_in else False

    @property
    def learned(self) -> bool | None:
        """Whether it has left the plateau of independent symbols; None if not measured."""
        return learned(self.fidelity) if self.fidelity else None


@lru_cache(1024)
def _loss(config: TrainConfig) -> str:
    paper = TrainConfig.profile("paper", config.target)
    return "paper" if recipe(config) == recipe(paper) else config.loss.name


def read_evidence(folder: Path) -> Evidence:
    """The measures in a run folder.

    Raises:
        InputError: no run there, one that aims at no HMM, or damaged files.
    """
    config, noise_std, seed, _ = read_spec(folder)
    if not config.target.exact:
        raise InputError(f"runs={folder}: the claims are about networks that emulate an HMM")
    network = digest_in(folder)
    found = {
        name: read_results(folder / f"{name}.json", network, missing_ok=True) for name in MEASURES
    }
    problems = {name: str(f["problem"]) for name, f in found.items() if "problem" in f}
    fidelity, dynamics, circuits = ({} if n in problems else found[n] for n in MEASURES)
    evidence = Evidence(
        folder.name, config, noise_std, seed, fidelity, dynamics, circuits, problems
    )
    with known_form(folder / "fidelity.json"):
        evidence.learned  # noqa: B018, which looks for its fields
    return evidence


@lru_cache(1024)
def recipe(config: TrainConfig, *without: str) -> str:
    """All that networks of one recipe have in common, but for dotted options and whole sections.

    What is only recorded of a training is no part of it.
    """
    fields = config.to_dict()
    for name in (*(f"train.{option}" for option in BOOKKEEPING), *without):
        section, _, option = name.partition(".")
        (fields[section] if option else fields).pop(option or section)
    return json.dumps(plain(fields), sort_keys=True)


def number(measures: dict[str, Any], *path: str) -> Estimate:
    """The estimate at a place in the measures; NaN where there is none."""
    for name in path:
        measures = measures.get(name) or {} if isinstance(measures, dict) else {}
    fields = ("value", "low", "high")
    return Estimate(*(_float(measures.get(field)) for field in fields))


def _float(value: Any) -> float:  # noqa: ANN401
    return float(value) if isinstance(value, int | float) else np.nan
