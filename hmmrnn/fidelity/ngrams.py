"""Counts of n consecutive symbols and their divergence from the exact law."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


@partial(jax.jit, static_argnames=("n", "n_symbols"))
def ngram_shares(symbols: Int[Array, "B T"], n: int, n_symbols: int) -> Float[Array, "B G"]:
    """Share of each n-gram (G = K^n, first symbol slowest) within each sequence.

    Of a sequence padded with -1, the count of those inside over the places in a whole one.
    """
    n_windows = symbols.shape[1] - n + 1
    code = jnp.zeros((symbols.shape[0], n_windows), jnp.int32)
    for i in range(n):
        code = code * n_symbols + symbols[:, i : i + n_windows]
    code = jnp.where(symbols[:, n - 1 :] < 0, n_symbols**n, code)  # not counted
    count = jax.vmap(partial(jnp.bincount, length=n_symbols**n))(code)
    return count / n_windows


def kl_from_law(shares: Float[np.ndarray, "R G"], law: np.ndarray) -> Float[np.ndarray, " R"]:
    """KL(shares | law) in nats for each row, given that the n-gram is one that the law allows.

    What the law excludes is counted by `impossible_share`; it would make the divergence infinite.
    NaN where nothing else was generated.
    """
    possible = law.ravel() > 0
    shares, law = shares[:, possible], law.ravel()[possible]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = shares / shares.sum(axis=1, keepdims=True)
        return np.where(shares == 0, 0.0, shares * np.log(shares / law)).sum(axis=1)


def impossible_share(shares: Float[np.ndarray, "R G"], law: np.ndarray) -> Float[np.ndarray, " R"]:
    """Share of n-grams in each row that the law excludes."""
    return shares[:, law.ravel() == 0].sum(axis=1)
