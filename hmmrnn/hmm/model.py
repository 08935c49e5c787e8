"""The record of a discrete hidden Markov model, validated when it is made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn import hmm as hmms  # its functions take this record, whose methods call them
from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.targets import OF_HMM, Batch, Law, Parts, Rows, Target, Words

ROW_SUM_TOLERANCE = 1e-6
ROUNDING = 1e-14  # rows this close to 1 stay as they are, so that a saved HMM reads back equal
DEFAULT_N_STEPS = 40


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True, eq=False, repr=False)
class HMM(Target):
    """A hidden Markov model with M states and K >= 2 symbols.

    z_1 ~ initial, z_t ~ transition[z_{t-1}], x_t ~ emission[z_t] (Rabiner 1989).
    Fields are float64 numpy arrays, rows rescaled to sum to one within rounding; two HMMs are
    equal when their arrays are. It is also a pytree, so it can be an argument of jitted functions.

    Raises:
        InputError: wrong shapes, K = 1, negative, non-finite or unnormalised probabilities.
    """

    initial: np.ndarray  # (M,)
    transition: np.ndarray  # (M, M) row i: law of the next state
    emission: np.ndarray  # (M, K) row i: law of the symbol

    words: ClassVar[Words] = OF_HMM
    exact: ClassVar[bool] = True
    padded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        initial = _as_probabilities("initial", self.initial, 1)
        transition = _as_probabilities("transition", self.transition, 2)
        emission = _as_probabilities("emission", self.emission, 2)
        n_states = len(initial)
        if transition.shape != (n_states, n_states):
            raise InputError(
                f"transition has shape {transition.shape}, not ({n_states}, {n_states}); "
                f"initial has {n_states} states"
            )
        if emission.shape[0] != n_states:
            raise InputError(
                f"emission has {emission.shape[0]} rows, not {n_states}; one row for each state"
            )
        if emission.shape[1] < 2:
            raise InputError("emission has 1 column; an HMM needs at least 2 symbols")
        for name, value in (
            ("initial", initial),
            ("transition", transition),
            ("emission", emission),
        ):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    @property
    def n_states(self) -> int:
        """M."""
        return int(self.transition.shape[-1])

    @property
    def n_symbols(self) -> int:
        """K."""
        return int(self.emission.shape[-1])

    @property
    def label(self) -> str:
        """The preset that it equals, or `custom`."""
        return next((name for name, p in hmms.PRESETS.items() if p.hmm == self), "custom")

    @property
    def parts(self) -> "Parts[HMM]":
        """Itself, to train, to validate and to compare with."""
        return Parts(self, self, self)

    @property
    def training_length(self) -> int:
        """The sequence length T that the paper uses for it; 40 for an HMM of one's own."""
        known = hmms.PRESETS.get(self.label)
        return known.n_steps if known else DEFAULT_N_STEPS

    def n_training_sequences(self, n_sequences: int, n_steps: int) -> int:
        """A third of the fixed set."""
        return n_sequences // 3

    def training_set(self, n_fixed: int, n_steps: int, most: int, key: Key) -> tuple[Rows, Batch]:
        """Two of three thirds of a fixed set; nothing where every step draws anew."""
        third, nothing = n_fixed // 3, self.rows(n_steps)
        if not n_fixed:
            return nothing, nothing
        symbols = self.draw(nothing, n_fixed, n_steps, key).astype(jnp.int8)
        return symbols[:third], symbols[third : 2 * third]

    def supports(self, n: int) -> bool:
        """Every law is known."""
        return True

    def law(self, n: int, n_steps: int | None = None, stride: int = 1) -> Law:
        """`hmmrnn.hmm.ngram_law`, flat: G = K^n, first symbol slowest."""
        return hmms.ngram_law(self, n, n_steps, stride).ravel()

    compared_law = law

    def volatility(self, n_steps: int) -> float:
        """Expected share of steps at which the symbol changes."""
        return hmms.volatility(self, n_steps)

    def rows(self, n_steps: int) -> Rows:
        """None, since it draws its sequences."""
        return jnp.zeros((0, n_steps), jnp.int8)

    def draw(self, rows: Rows, n_sequences: int, n_steps: int, key: Key) -> Batch:
        """Symbols of independent sequences."""
        return hmms.sample_batch(self, n_sequences, n_steps, key)[1]

    def flag(self, folder: Path) -> str:
        """Its preset, or a file hmm.json that the report shows how to write."""
        return "--hmm=hmm.json" if self.label == "custom" else f"--preset={self.label}"

    def to_dict(self) -> dict[str, list]:
        """Plain nested lists, as read by `from_dict`."""
        return {
            "initial": self.initial.tolist(),
            "transition": self.transition.tolist(),
            "emission": self.emission.tolist(),
        }

    @classmethod
    def from_dict(cls, fields: Any) -> "HMM":  # noqa: ANN401
        """The HMM of `{"initial": [...], "transition": [[...]], "emission": [[...]]}`."""
        if not isinstance(fields, dict) or set(fields) != {"initial", "transition", "emission"}:
            found = sorted(map(str, fields)) if isinstance(fields, dict) else type(fields).__name__
            raise InputError(f"an HMM needs the keys initial, transition, emission; found {found}")
        return cls(**fields)

    def tree_flatten(self) -> tuple[tuple, None]:
        """The three arrays."""
        return (self.initial, self.transition, self.emission), None

    @classmethod
    def tree_unflatten(cls, _: None, children: tuple) -> "HMM":
        """An HMM of any leaves, unchecked."""
        hmm = object.__new__(cls)  # children may be tracers: nothing to validate
        for name, child in zip(("initial", "transition", "emission"), children, strict=True):
            object.__setattr__(hmm, name, child)
        return hmm

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HMM) and all(
            np.array_equal(a, b)
            for a, b in zip(self.tree_flatten()[0], other.tree_flatten()[0], strict=True)
        )

    def __hash__(self) -> int:
        return hash(tuple(np.asarray(a, np.float64).tobytes() for a in self.tree_flatten()[0]))

    def __repr__(self) -> str:
        return f"HMM(n_states={self.n_states}, n_symbols={self.n_symbols})"


def _as_probabilities(name: str, value: object, ndim: int) -> np.ndarray:
    """`value` as a float64 array of `ndim` axes whose rows are probabilities."""
    try:
        array = np.array(value, dtype=np.float64) + 0.0  # no negative zeros: they hash differently
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is not a rectangular array of numbers: {error}") from None
    if array.ndim != ndim or 0 in array.shape:
        raise InputError(f"{name} has shape {array.shape}; expected {ndim} non-empty axes")
    for row, index in zip(np.atleast_2d(array), range(len(np.atleast_2d(array))), strict=True):
        label = name if ndim == 1 else f"{name}[{index}]"
        if not np.all(np.isfinite(row)):
            wrong = row[~np.isfinite(row)][0]
            raise InputError(f"{label} contains {wrong}; probabilities are finite")
        if np.any(row < 0):
            raise InputError(f"{label} contains {row.min():g}; probabilities are not negative")
        if abs(row.sum() - 1) > ROW_SUM_TOLERANCE:
            raise InputError(
                f"{label} sums to {row.sum():.6g}, not 1; rows of {name} are probabilities"
            )
    total = array.sum(axis=-1, keepdims=True)
    return np.where(np.abs(total - 1) < ROUNDING, array, array / total)
