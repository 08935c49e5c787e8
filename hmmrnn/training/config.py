"""The configuration of a training: what is chosen, in frozen records that say what is allowed."""

import copy
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax

from hmmrnn.errors import InputError
from hmmrnn.losses import MAX_NGRAMS, LossConfig, Objective, make_objective
from hmmrnn.nets import NetConfig, RNNCell, make_cell
from hmmrnn.sequences import target_of
from hmmrnn.settings import Section, option, values_before
from hmmrnn.targets import Target

FORMAT_VERSION = 4
"""Of config.json; raised when fields change their meaning or are added. All older ones are read."""


@dataclass(frozen=True)
class DataConfig(Section):
    """Where the target sequences come from."""

    section: ClassVar[str] = "data"

    source: Literal["fresh", "fixed"] = option(
        "fresh",
        "new HMM sequences at every step, or one fixed set split in thirds as in the paper; of "
        "data random windows, or all windows end to end",
    )
    n_sequences: int = option(
        30_000,
        "size of the fixed set of an HMM: a third trains, a third validates, a third is left",
        low=6,
    )
    n_steps: int = option(
        0,
        "length of a sequence, T; 0 takes the paper's for the HMM, of data the longest up to 100",
        low=0,
        high=100_000,
    )


@dataclass(frozen=True)
class OptimConfig(Section):
    """How the parameters are fitted, and what is recorded on the way."""

    section: ClassVar[str] = "train"

    epochs: int = option(200, "epochs", low=1, high=10_000_000)
    steps_per_epoch: int = option(
        10, "optimiser steps per epoch with fresh data (fixed data: one pass)", low=1
    )
    batch_size: int = option(512, "sequences per step, B", low=4)
    sequences_at_once: int = option(
        0,
        "sequences simulated at once in a step, 0: all; fewer need less memory, and their run is "
        "repeated for the gradient",
        low=0,
        since=2,
        before=0,
    )
    learning_rate: float = option(1e-3, "peak learning rate of Adam", low=0.0)
    schedule: Literal["constant", "cosine"] = option(
        "cosine", "learning rate over time; cosine falls to final_rate of its peak"
    )
    final_rate: float = option(0.02, "share of the learning rate left at the end", low=0, high=1)
    b1: float = option(0.9, "Adam's decay of the mean gradient", low=0.0, high=0.9999999)
    b2: float = option(0.9, "Adam's decay of the squared gradient", low=0.0, high=0.9999999)
    clip_norm: float = option(0.9, "largest global norm of the gradient", low=1e-8)
    temperature: float = option(1.0, "temperature of the relaxed emission", low=1e-3)
    chunk_epochs: int = option(
        5, "epochs per compiled call: the grain of progress, snapshots and checkpoints", low=1
    )
    snapshot_every: int = option(20, "epochs between snapshots of the parameters; 0: none", low=0)
    checkpoint_every: int = option(20, "epochs between resumable checkpoints", low=1)
    keep_checkpoints: int = option(3, "newest checkpoints kept", low=2)
    max_bad_steps: int = option(20, "non-finite steps in a row after which training stops", low=1)
    activity_penalty: float = option(
        0.0,
        "weight of the mean squared hidden state, in units of noise_std^2, added to what is "
        "minimised, so that long runs stay bounded; 0: none",
        low=0.0,
        since=3,
        before=0.0,
    )
    validate_every: int = option(
        1, "epochs between validations; the last is always validated", low=1, since=3, before=1
    )
    average_epochs: int = option(
        0,
        "last epochs, at most all, whose parameters are averaged into mean_params.npz; 0: none",
        low=0,
        since=3,
        before=0,
    )
    keep_state_at: int = option(
        0,
        "epoch whose state is kept in state.npz, for another training to start from; 0: none",
        low=0,
        since=3,
        before=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("snapshot_every", "checkpoint_every", "keep_state_at"):
            value = getattr(self, name)
            if value % self.chunk_epochs:
                raise InputError(
                    f"train.{name}={value}: must be a multiple of "
                    f"train.chunk_epochs={self.chunk_epochs}"
                )
        if self.keep_state_at > self.epochs:
            raise InputError(
                f"train.keep_state_at={self.keep_state_at}: more than train.epochs={self.epochs}"
            )

    @property
    def penalised(self) -> bool:
        """Whether activity is, also where its weight is an argument of a compiled program."""
        return not _is_zero(self.activity_penalty)


PAPER_CLIP = {"fully3": 0.3, "cyclic4": 0.3}
PAPER_EPOCHS = {"fully3": 1000, "cyclic4": 1000, "linear5": 1500}
"""Where they are not 500: the paper's for `fully3`, the authors' list of trained models beyond."""

PAPER_AVERAGE = 50
"""Last epochs of the paper's recipe whose parameters are also kept as their mean."""


TRACED = ("learning_rate", "clip_norm", "activity_penalty")
"""Options of `train` that are arguments of compiled programs, since no bit depends on it."""


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training depends on but its noise level and its random key.

    A pytree: its leaves are the numbers in `TRACED` unless they are zero, all else is static. So
    trainings that differ in these numbers only share their compiled programs.
    """

    target: Target  # an HMM, or sequences as data
    net: NetConfig = field(default_factory=NetConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        if self.data.n_steps == 0:
            data = dataclasses.replace(self.data, n_steps=self.target.training_length)
            object.__setattr__(self, "data", data)
        if self.data.n_steps < 2:
            raise InputError(f"data.n_steps={self.data.n_steps}: a sequence has at least 2 steps")
        n_train = self.n_training_sequences
        if self.data.source == "fixed" and self.train.batch_size > n_train:
            raise InputError(
                f"train.batch_size={self.train.batch_size}: larger than the {n_train} training "
                f"sequences (a third of data.n_sequences={self.data.n_sequences}, or of the data)"
            )
        _ = self.objective, self.validation_objective  # refuse n-grams that do not fit

    @property
    def cell(self) -> RNNCell:
        """The network to train."""
        return make_cell(self.net, self.target.n_symbols)

    @property
    def objective(self) -> Objective:
        """What training minimises."""
        return make_objective(self.loss, self.target.parts.train, self.data.n_steps)

    @property
    def validation_objective(self) -> Objective:
        """The same with the law of what validates."""
        return make_objective(self.loss, self.target.parts.validation, self.data.n_steps)

    @property
    def n_training_sequences(self) -> int:
        """Sequences of a fixed set, or windows of data, that train."""
        data = self.data
        return self.target.n_training_sequences(data.n_sequences, data.n_steps)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch."""
        if self.data.source == "fresh":
            return self.train.steps_per_epoch
        return -(-self.n_training_sequences // self.train.batch_size)

    @classmethod
    def profile(cls, name: str, hmm: Target) -> "TrainConfig":
        """The ready-made `smoke` (seconds), `laptop` (minutes) or `paper`; `hmm` is the target."""
        if name not in PROFILES:
            raise InputError(f"profile={name}: unknown; there are {', '.join(PROFILES)}")
        return PROFILES[name](hmm)

    def replace(self, **sections: dict[str, Any]) -> "TrainConfig":
        """A copy with options changed: `config.replace(train={"epochs": 10})`."""
        changed = {
            name: dataclasses.replace(getattr(self, name), **options)
            for name, options in sections.items()
        }
        return dataclasses.replace(self, **changed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as read by `from_dict`."""
        sections = {name: dataclasses.asdict(getattr(self, name)) for name in SECTIONS}
        return {"format": FORMAT_VERSION, "target": self.target.to_dict(), **sections}

    @classmethod
    def from_dict(cls, fields: Any, folder: Path | None = None) -> "TrainConfig":  # noqa: ANN401
        """The configuration that `to_dict` described, in this format or an older one.

        What an older one lacks is what was done then. Data are read from `folder`.

        Raises:
            InputError: a newer format, or missing or unknown fields.
        """
        fields, version = upgraded(fields)
        expect_keys("config", fields, {"format", "target", *SECTIONS})
        sections: dict[str, Any] = {}
        for name, section in SECTIONS.items():
            _expect_object(name, fields[name])
            options = {**values_before(section, version), **fields[name]}
            expect_keys(name, options, {f.name for f in dataclasses.fields(section)})
            sections[name] = section(**options)
        return cls(target=target_of(fields["target"], folder), **sections)

    def tree_flatten(self) -> tuple[tuple, "TrainConfig"]:
        """The traced numbers, and the configuration with None in their places."""
        numbers = {name: getattr(self.train, name) for name in TRACED}
        traced = {name: value for name, value in numbers.items() if not _is_zero(value)}
        return tuple(traced.values()), _with_numbers(self, dict.fromkeys(traced))

    @classmethod
    def tree_unflatten(cls, static: "TrainConfig", leaves: tuple) -> "TrainConfig":
        """A configuration with any leaves, unchecked."""
        traced = [name for name in TRACED if getattr(static.train, name) is None]
        return _with_numbers(static, dict(zip(traced, leaves, strict=True)))


def _with_numbers(config: TrainConfig, numbers: dict[str, Any]) -> TrainConfig:
    """A copy with `numbers` in `train`, which may be tracers: nothing is checked."""
    changed, train = copy.copy(config), copy.copy(config.train)
    vars(train).update(numbers)
    vars(changed)["train"] = train
    return changed


def _is_zero(number: Any) -> bool:  # noqa: ANN401
    return isinstance(number, float) and number == 0


SECTIONS: dict[str, type[Section]] = {
    "net": NetConfig,
    "loss": LossConfig,
    "data": DataConfig,
    "train": OptimConfig,
}


BOOKKEEPING = {
    "chunk_epochs": 1,
    "snapshot_every": 1,
    "checkpoint_every": 1,
    "keep_checkpoints": 2,
    "validate_every": 1,
    "average_epochs": 0,
    "keep_state_at": 0,
}
"""Options of `train` that say what is kept of a training, and when; they change no parameter."""


def recipe(config: TrainConfig) -> TrainConfig:
    """The configuration without its bookkeeping: two of one recipe make the same network."""
    return config.replace(train=BOOKKEEPING)


FINGERPRINT_FORMAT = 2


def fingerprinted(config: TrainConfig) -> dict[str, Any]:
    """What a fingerprint is of: options added later only where they make another network.

    So a folder of networks that an older version began is known again.
    """
    fields = {**config.to_dict(), "format": FINGERPRINT_FORMAT}
    fields["hmm"] = fields.pop("target")  # its name in that format
    for name, section in SECTIONS.items():
        before = values_before(section, FINGERPRINT_FORMAT)
        fields[name] = {
            option: value
            for option, value in fields[name].items()
            if option not in before or (value != before[option] and option not in BOOKKEEPING)
        }
    return fields


def upgraded(fields: Any) -> tuple[dict[str, Any], int]:  # noqa: ANN401
    """The fields with today's names, and the format that they came in. Raises `InputError`."""
    _expect_object("config", fields)
    version = fields.get("format")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise InputError(
            f"config format {version}: this version of hmmrnn reads formats 1 to {FORMAT_VERSION}; "
            "use the version named in the run's manifest.json"
        )
    if version < 4 and "hmm" in fields:
        fields = {"target" if name == "hmm" else name: fields[name] for name in fields}
    if version == 1:
        return _from_format_1(fields), version
    if version == 2 and isinstance(fields.get("train"), dict):  # the first of them lack it
        return {**fields, "train": {"sequences_at_once": 0, **fields["train"]}}, version
    return fields, version


def _from_format_1(fields: dict[str, Any]) -> dict[str, Any]:
    """The Sinkhorn loss was the only one, and its iterations beyond the schedule were counted."""
    loss: Any = fields.get("loss")
    _expect_object("loss", loss)
    expect_keys("loss", loss, {"debias", "cost", "blur", "extra_iterations"})
    if loss["extra_iterations"] != 0:
        raise InputError(
            f"loss.extra_iterations={loss['extra_iterations']}: a number of iterations can no "
            "longer be asked for, only a loss.tolerance; train anew"
        )
    of_today = {"divergence": loss["debias"], "cost": loss["cost"], "blur": loss["blur"]}
    return {**fields, "loss": of_today}


def _expect_object(where: str, fields: Any) -> None:  # noqa: ANN401
    if not isinstance(fields, dict):
        raise InputError(f"{where} is {type(fields).__name__}, not an object with named fields")


def expect_keys(where: str, fields: Any, expected: set[str]) -> None:  # noqa: ANN401
    """Raise an `InputError` that names missing and unknown keys."""
    _expect_object(where, fields)
    missing, unknown = sorted(expected - set(fields)), sorted(set(fields) - expected)
    if missing or unknown:
        raise InputError(f"{where}: missing fields {missing}, unknown fields {unknown}")


def _smoke(target: Target) -> TrainConfig:
    """Seconds on a CPU; for tests of the plumbing, not for science."""
    return TrainConfig(
        target,
        net=NetConfig(hidden_size=16, noise_dim=8),
        data=DataConfig(n_steps=min(12, target.training_length)),
        train=OptimConfig(
            epochs=8,
            steps_per_epoch=5,
            batch_size=64,
            chunk_epochs=1,
            snapshot_every=2,
            checkpoint_every=1,
        ),
    )


LAPTOP_STEPS_OF_TIME = 240_000
"""Optimiser steps times sequence length, so that every preset takes two to three minutes."""

LAPTOP_PENALTY = 1e-3
"""Weight of the mean squared activity in profile `laptop`, chosen in docs/choosing_a_loss.md."""


def _laptop(target: Target) -> TrainConfig:
    """A faithful network in minutes on 2 CPU cores: the exact law of 6-grams and nothing else.

    Many steps of small batches; see docs/choosing_a_loss.md.
    """
    n_steps, steps_per_epoch, chunk_epochs = target.training_length, 20, 5
    n_chunks = LAPTOP_STEPS_OF_TIME / (n_steps * steps_per_epoch * chunk_epochs)
    return TrainConfig(
        target,
        loss=_law(target, n_steps),
        train=OptimConfig(
            epochs=chunk_epochs * round(n_chunks),
            steps_per_epoch=steps_per_epoch,
            chunk_epochs=chunk_epochs,
            batch_size=128,
            learning_rate=2e-3,
            activity_penalty=LAPTOP_PENALTY,
        ),
    )


def _law(target: Target, n_steps: int) -> LossConfig:
    """The law of n-grams, n = 6 or what fits; with very many symbols, samples instead.

    Of data it takes ten windows for each possible n-gram, and samples where pairs have fewer.
    """
    fitting = [
        n
        for n in range(2, min(6, n_steps) + 1)
        if target.n_symbols**n <= 4096 and target.parts.train.supports(n)
    ]
    if not fitting and (target.n_symbols**2 > MAX_NGRAMS or not target.parts.train.supports(2)):
        return LossConfig()
    order = max(fitting, default=2)
    return LossConfig(divergence="none", ngram_weight=1.0, ngram_orders=(order,))


def _paper(target: Target) -> TrainConfig:
    """The recipe of Torre et al. (2025) to the letter."""
    name, data = target.label, DataConfig(source="fixed")
    n_train = target.n_training_sequences(data.n_sequences, target.training_length)
    return TrainConfig(
        target,
        loss=LossConfig(divergence="reference"),
        data=data,
        train=OptimConfig(
            epochs=PAPER_EPOCHS.get(name, 500),
            batch_size=min(4096, n_train),
            schedule="constant",
            clip_norm=PAPER_CLIP.get(name, 0.9),
            chunk_epochs=1,
            snapshot_every=10,
            checkpoint_every=10,
            validate_every=10,
            average_epochs=PAPER_AVERAGE,
        ),
    )


PROFILES = {"smoke": _smoke, "laptop": _laptop, "paper": _paper}
