"""What runs answer: small pure functions of logits, symbols and margins over steps.

A symbol is reached when it is preferred for some steps in a row; it is left at the first step that
prefers another. What is not finite has no answer: NaN.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Index = Int[Array, ""] | int

LASTING = 3
"""Steps that a symbol must be preferred in a row to count as reached."""
N_START = 5
"""First steps of a run, from which the swing of the readout is measured."""


def prefers(logits: Float[Array, "L *B K"], symbol: Index) -> Float[Array, "L *B"]:
    """1 where a symbol is preferred, 0 where another is, NaN where logits are not finite."""
    finite = jnp.isfinite(logits).all(-1)
    return jnp.where(finite, jnp.argmax(logits, axis=-1) == symbol, jnp.nan)


def onset_of(
    preferred: Float[Array, "L *B"] | Bool[Array, "L *B"], n_lasting: int = LASTING
) -> Float[Array, "*B"]:
    """The first step from which a symbol is preferred `n_lasting` times in a row; NaN if never."""
    n_starts = len(preferred) - n_lasting + 1
    if n_starts < 1:  # too short to last
        return jnp.full(preferred.shape[1:], jnp.nan)
    here = jnp.stack([preferred[i : i + n_starts] == 1 for i in range(n_lasting)]).all(0)
    return jnp.where(here.any(0), jnp.argmax(here, axis=0), jnp.nan)


def first_of(there: Bool[Array, "L *B"], never: int) -> Int[Array, "*B"]:
    """The first step, from 1, at which something is so; `never` if it is at none."""
    return jnp.where(there.any(0), 1 + jnp.argmax(there, axis=0), never)


def margin(logits: Float[Array, "*L K"], pair: tuple[Index, Index]) -> Float[Array, "*L"]:
    """How far the second symbol of a pair is ahead of the first, z_t - z_s."""
    return logits[..., pair[1]] - logits[..., pair[0]]


def swing_lost(
    clean: Float[Array, "L E"],
    cut: Float[Array, "J n E"],
    before: int,
    horizon: tuple[int, int],
) -> Float[Array, "J E"]:
    """(clean - cut) over the mean swing of `clean`, from its first steps to the n of the horizon.

    The mean is over events: the swing of a single one can be close to zero.
    """
    end = clean[before + horizon[0] : before + horizon[1]]
    swing = jnp.nanmean(jnp.mean(end, axis=0) - jnp.mean(clean[:N_START], axis=0))
    return jnp.mean(end - cut, axis=1) / swing


def if_finite(logits: Float[Array, "L *B K"], value: Array) -> Float[Array, "*B"]:
    """A value of each run; NaN where the run is not finite."""
    finite = jnp.isfinite(logits).all((0, -1))
    return jnp.where(finite, value.astype(logits.dtype), jnp.nan)
