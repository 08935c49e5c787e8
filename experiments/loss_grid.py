"""The runs of the loss study: which losses, on which targets, batches and data."""

import hashlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from hmmrnn.hmm import preset
from hmmrnn.storage import plain
from hmmrnn.training import RunSpec, TrainConfig
from hmmrnn.training.config import fingerprinted

STEPS = 600
SEEDS = (0, 1, 2)
PRESETS = ("linear2", "linear3", "fully3", "cyclic4")
SHARED: dict[str, Any] = {
    "steps_per_epoch": 10,
    "learning_rate": 2e-3,
    "chunk_epochs": 2,
    "snapshot_every": 0,
    "checkpoint_every": 2,
    "activity_penalty": 0.0,
}
"""Options of every run, so that only the loss differs; a cosine to 2 %, as in `laptop`."""

SAMPLES = {"divergence": "independent", "ngram_weight": 0.0}
LAW = {"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (6,), "ngram_floor": 1e-5}
OF_SYMBOLS = {
    "ngram_discrepancy": "chi2",
    "ngram_source": "symbols",
    "ngram_orders": (2, 4, 6),
    "ngram_floor": 1e-3,
}
LOSSES: dict[str, dict[str, Any]] = {
    "reference": {**SAMPLES, "divergence": "reference"},
    "converged": {**SAMPLES, "divergence": "reference", "tolerance": 0.05},
    "independent": SAMPLES,
    "independent, blur 0.5": {**SAMPLES, "blur": 0.5},
    "independent, blur 1": {**SAMPLES, "blur": 1.0},
    "independent, blur 2": {**SAMPLES, "blur": 2.0},
    "independent, Euclidean": {**SAMPLES, "cost": "euclidean"},
    "independent, Euclidean, blur 0.5": {**SAMPLES, "cost": "euclidean", "blur": 0.5},
    "independent, Euclidean, blur 1": {**SAMPLES, "cost": "euclidean", "blur": 1.0},
    "independent, Euclidean, blur 2": {**SAMPLES, "cost": "euclidean", "blur": 2.0},
    "energy": {**SAMPLES, "divergence": "energy", "cost": "euclidean"},
    "independent + 5 chi2 of symbols": {**SAMPLES, **OF_SYMBOLS, "ngram_weight": 5.0},
    "independent + 5 chi2": {
        **SAMPLES,
        **OF_SYMBOLS,
        "ngram_source": "probabilities",
        "ngram_weight": 5.0,
    },
    "6-gram law": LAW,
    "6-gram law of symbols": {**LAW, "ngram_source": "symbols"},
    "6-gram law, chi2": {**LAW, "ngram_discrepancy": "chi2", "ngram_floor": 1e-3},
    "2-, 4-, 6-gram law": {**LAW, "ngram_orders": (2, 4, 6)},
    "4-gram law": {**LAW, "ngram_orders": (4,)},
    "8-gram law": {**LAW, "ngram_orders": (8,)},
    "6-gram law, strides 1, 2, 4": {**LAW, "ngram_strides": (1, 2, 4)},
    "independent + 1 6-gram law": {**SAMPLES, **LAW, "divergence": "independent"},
    "independent + 10 6-gram law": {
        **SAMPLES,
        **LAW,
        "divergence": "independent",
        "ngram_weight": 10.0,
    },
}
MAIN = (
    "reference",
    "independent",
    "energy",
    "independent + 5 chi2 of symbols",
    "6-gram law",
    "independent + 10 6-gram law",
)


SLOW = ("reference", "independent", "energy")  # again with more steps: some start on a plateau
LONG = 1500


@dataclass(frozen=True)
class Cell:
    """One run of the study."""

    loss: str
    preset: str
    batch_size: int
    source: str
    seed: int
    steps: int = STEPS

    @property
    def name(self) -> str:
        """Of its record, without .json."""
        loss = self.loss.replace(" ", "-").replace(",", "").replace("+", "and")
        long = "" if self.steps == STEPS else f"_{self.steps}"
        return f"{loss}_{self.preset}_{self.batch_size}_{self.source}_{self.seed}{long}"

    @property
    def spec(self) -> RunSpec:
        """The training that it stands for."""
        config = TrainConfig.profile("laptop", preset(self.preset))
        steps = config.replace(train={**SHARED, "batch_size": self.batch_size})
        config = steps.replace(loss=LOSSES[self.loss], data={"source": self.source})
        epochs = -(-self.steps // config.steps_per_epoch)
        epochs += epochs % SHARED["chunk_epochs"]
        return RunSpec(config.replace(train={"epochs": epochs}), 1.0, self.seed)

    @property
    def recipe(self) -> str:
        """Fingerprint of all options; a record with another one is not of this run."""
        fields = {**fingerprinted(self.spec.config), "seed": self.seed}
        text = json.dumps(plain(fields), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def cells() -> list[Cell]:
    """Every run, the most telling ones first: the study may be stopped at any time."""
    rest = [loss for loss in LOSSES if loss not in (*MAIN, "converged")]
    blocks: list[list[Iterable[tuple]]] = [
        [
            product(SLOW, ["linear3"], [512], ["fresh"], SEEDS, [LONG]),
            product(MAIN, PRESETS, [256], ["fresh"], SEEDS),
        ],
        [product(["reference"], ["linear3"], [2048], ["fresh"], SEEDS)],
        [
            product(rest, ["linear3", "fully3"], [256], ["fresh"], SEEDS),
            product(MAIN, ["linear3"], [512], ["fresh"], SEEDS),
            product(MAIN, ["linear3"], [256], ["fixed"], SEEDS),
            product(["converged"], ["linear3"], [256], ["fresh"], SEEDS),
            product(MAIN, ["linear3"], [2048], ["fresh"], SEEDS),
            product(rest, ["linear2", "cyclic4"], [256], ["fresh"], SEEDS),
        ],
        [
            product(LOSSES, PRESETS, [256, 512, 2048], ["fresh", "fixed"], SEEDS),
            product(LOSSES, PRESETS, [4096], ["fresh"], SEEDS),
        ],
    ]
    ordered = [
        sorted(itertools.starmap(Cell, itertools.chain(*block)), key=lambda cell: cell.seed)
        for block in blocks
    ]
    return list(dict.fromkeys(itertools.chain(*ordered)))
