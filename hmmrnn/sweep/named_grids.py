"""Grids with a name: the paper's networks, the zoo's, and those that claims compare with them."""

from typing import Any

from hmmrnn.hmm import PRESETS

Block = dict[str, Any]

PAPER: list[Block] = [
    {
        "base": {"profile": "paper"},
        "vary": {
            "preset": ["linear2", "linear3", "linear4", "linear5"],
            "net.hidden_size": [50, 150, 200],
            "net.noise_dim": [1, 10, 100, 200],
            "seed": [0, 1, 2],
        },
    },
    {
        "base": {"profile": "paper"},
        "vary": {"preset": ["fully3", "cyclic4"], "seed": [0, 1, 2]},
    },
]
"""The 144 + 6 networks of Torre et al. (2025)."""

PAPER_SEEDS: list[Block] = [
    {
        "name": "paper",
        "base": {"profile": "paper", "preset": preset, **options},
        "vary": {"seed": seeds},
    }
    for preset, seeds, options in (
        ("linear2", [1, 2, 3, 4], {"train.keep_state_at": 300}),
        ("linear3", [0, 1, 2, 3], {}),
        ("fully3", [0, 1, 2, 3], {}),
        ("cyclic4", [0, 1, 2, 3], {}),
        ("linear4", [0, 1, 2, 3], {}),
        ("linear5", [0, 1, 2], {}),
    )
]
"""Seeds by the paper's recipe to the letter, in the order in which they are worth having.

Four that agree are the fewest that decide a claim; `linear2` with seed 0 is in the zoo since long.
"""

REFERENCE: Block = {
    "profile": "laptop",
    "loss": {"divergence": "reference", "ngram_weight": 0.0},
    "train.batch_size": 2048,
    "train.epochs": 60,
    "train.steps_per_epoch": 10,
    "train.chunk_epochs": 1,
    "train.checkpoint_every": 5,
    "train.activity_penalty": 0.0,
}
"""The paper's loss at the largest batch that five minutes on a CPU core allow, 600 steps of it."""


PRESETS_OF_REFERENCE: list[tuple[list[str], dict[str, Any]]] = [
    (["linear3", "linear4", "linear5"], {"data.n_steps": 16}),
    (["fully3", "cyclic4"], {"data.n_steps": 20, "train.clip_norm": 0.3}),
    (["linear2"], {"data.n_steps": 40}),
]
"""What differs by preset: the paper's clipping, and sequences of about half of the paper's length.

On longer ones fewer networks leave the plateau of independent symbols (docs/zoo.md has numbers).
"""

THE_PAPERS = {
    "name": "paper",
    "base": {"profile": "paper", "preset": "linear2"},
    "vary": {"seed": [0]},
}
"""One network by the paper's recipe to the letter, two and a quarter hours of two CPU cores."""


def _zoo() -> list[Block]:
    """Both losses, all presets, seeds 0 to 4, the first with a dozen snapshots; and the paper's."""
    ngram = {"profile": "laptop"}
    others = [name for name in PRESETS if name != "linear2"]
    blocks: list[Block] = [
        THE_PAPERS,
        _block("ngram", ngram, others, [0, 1, 2, 3, 4]),
        _block("ngram", ngram, ["linear2"], [1, 2, 3, 4]),
        _block("ngram", {**ngram, "train.snapshot_every": 10}, ["linear2"], [0]),
    ]
    for presets, options in PRESETS_OF_REFERENCE:
        for seeds, every in (([0], 5), ([1, 2, 3, 4], 10)):
            base = {**REFERENCE, **options, "train.snapshot_every": every}
            blocks.append(_block("reference", base, presets, seeds))
    return blocks


def _block(name: str, base: Block, presets: list[str], seeds: list[int]) -> Block:
    return {"name": name, "base": base, "vary": {"preset": presets, "seed": seeds}}


ZOO: list[Block] = _zoo()
"""The 61 networks of the zoo."""


SHORT_RUN: Block = {
    **{k: v for k, v in REFERENCE.items() if k not in ("loss", "train.batch_size")},
    "preset": "linear3",
    "data.n_steps": 16,
    "train.snapshot_every": 0,
}
"""The zoo's recipe of `reference` networks of `linear3`, for whatever loss."""

LOSSES: Block = {
    "reference": REFERENCE["loss"],
    "independent": {"divergence": "independent", "ngram_weight": 0.0},
    "ngram": {},
}


def _batch_sizes() -> list[Block]:
    """Three losses at several batch sizes, alike in all else: does the bias make the orbit?"""
    sizes = {"reference": [256, 512, 1024], "independent": [512, 2048], "ngram": [512, 2048]}
    return [
        {
            "name": loss,
            "base": {**SHORT_RUN, "loss": LOSSES[loss]},
            "vary": {"train.batch_size": batches, "seed": [0, 1, 2]},
        }
        for loss, batches in sizes.items()
    ]


BATCH_SIZES: list[Block] = _batch_sizes()
"""Beside the zoo's `linear3` networks: `reference` at batch 2048 is the same recipe."""


def _sizes() -> list[Block]:
    """Two losses at batch 512: networks that differ in one size from those of `batch_sizes`."""
    varied = {
        "net.noise_dim": [1, 10],
        "net.hidden_size": [200],
        "train.clip_norm": [0.1, 10.0],
    }
    return [
        {
            "name": loss,
            "base": {**SHORT_RUN, "loss": LOSSES[loss], "train.batch_size": 512},
            "vary": {option: values, "seed": [0, 1, 2]},
        }
        for loss in ("reference", "ngram")
        for option, values in varied.items()
    ]


SIZES: list[Block] = _sizes()
"""For the claims about sizes, beside those of `batch_sizes` at batch 512."""

ALIKE: list[Block] = [
    {
        "name": "ngram",
        "base": {**SHORT_RUN, **options, "preset": preset, "train.batch_size": 2048},
        "vary": {"seed": seeds},
    }
    for seeds in ([0, 1], [2, 3])
    for presets, options in PRESETS_OF_REFERENCE
    for preset in presets
    if preset in ("linear2", "linear4", "linear5")
]
"""The 6-gram law by the recipe of the zoo's `reference` networks: alike in all but the loss.

Four seeds are the fewest that decide, and two of each preset come first. For `linear3` such
networks are in `batch_sizes`. The `reference` networks of `fully3` and `cyclic4`
diverge in long runs, so that there is nothing to compare with.
"""

NAMED = {
    "paper": PAPER,
    "paper_seeds": PAPER_SEEDS,
    "zoo": ZOO,
    "batch_sizes": BATCH_SIZES,
    "sizes": SIZES,
    "alike": ALIKE,
}

IN_ORDER = ("paper_seeds",)
"""Grids that are trained in their order, without what the zoo has of them already."""
