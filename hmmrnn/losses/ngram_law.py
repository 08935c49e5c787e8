"""Matching the law of n-grams, exact of an HMM or counted in data, instead of samples from it."""

from collections.abc import Callable, Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hmmrnn.arrays import HIGHEST
from hmmrnn.errors import InputError
from hmmrnn.targets import Source

Discrepancy = Literal["kl", "chi2"]
MAX_NGRAMS = 65_536
"""Largest number of different n-grams, K^n, that a loss keeps a share of."""


def ngram_shares(
    probabilities: Float[Array, "B T K"], n: int, stride: int = 1
) -> Float[Array, " G"]:
    """Expected share of each n-gram (G = K^n, first symbol slowest), over sequences and positions.

    The symbols of a network are independent given its noise, so the mean of products of
    `probabilities` = softmax(logits) is an unbiased estimate of its n-gram law, with exact
    gradients: the sampling of symbols is integrated out (Rao-Blackwell). One-hot sequences give
    their plain counts.
    """
    half = n // 2
    n_windows = probabilities.shape[1] - (n - 1) * stride
    last = _products(probabilities[:, half * stride :], n - half, stride)[:, :n_windows]
    if half == 0:
        return jnp.mean(last, axis=(0, 1))
    first = _products(probabilities, half, stride)[:, :n_windows]
    total = jnp.einsum("bta,btc->ac", first, last, precision=HIGHEST)
    return total.reshape(-1) / (len(probabilities) * n_windows)


def shares_inside(
    probabilities: Float[Array, "B T K"], n: int, stride: int = 1
) -> Float[Array, " G"]:
    """`ngram_shares` of sequences that are zero after their ends, over windows that lie inside.

    sum_b sum_t over the windows inside / their number: a position counts as often as sequences
    reach it, which is how `ngram_counts` weighs the positions of data. Zero without any window.
    """
    shares = ngram_shares(probabilities, n, stride)
    n_windows = len(probabilities) * (probabilities.shape[1] - (n - 1) * stride)
    inside = jax.lax.stop_gradient(jnp.sum(shares))  # a share of all windows; softmax sums to 1
    return shares / jnp.maximum(inside, 0.5 / n_windows)


def kl_of_law(
    shares: Callable[[Array], Array], x: Array, law: Array, floor: float
) -> Float[Array, ""]:
    """KL(law | shares) in nats, of shares with `floor` added to each and normalised again.

    The floor keeps the value finite where an n-gram is not seen at all.
    """
    known = jnp.where(law > 0, law, 1.0)
    smooth = (shares(x) + floor) / (1 + floor * len(law))
    return jnp.sum(law * (jnp.log(known) - jnp.log(smooth)))


def chi2(shares: Callable[[Array], Array], x: Array, law: Array, floor: float) -> Float[Array, ""]:
    """sum_g (phi_g(x1) - law_g)(phi_g(x2) - law_g) / (law_g + floor) over halves of x.

    The halves are independent, so the value is unbiased: zero in the mean where x has this law.
    """
    middle = len(x) // 2
    errors = (shares(half) - law for half in (x[:middle], x[middle:]))
    return jnp.sum(next(errors) * next(errors) / (law + floor))


DISCREPANCIES: Mapping[str, Callable[..., Array]] = {"kl": kl_of_law, "chi2": chi2}


def exact_laws(
    source: Source, n_steps: int, orders: tuple[int, ...], strides: tuple[int, ...]
) -> dict[tuple[int, int], np.ndarray]:
    """The law (K^n,) of each order n and stride, over sequences of `n_steps` steps.

    Raises:
        InputError: an n-gram longer than a sequence, or too many of them to keep.
    """
    laws = {}
    for n in orders:
        if source.n_symbols**n > MAX_NGRAMS:
            raise InputError(
                f"loss.ngram_orders={n}: {source.n_symbols} symbols have "
                f"{source.n_symbols**n} {n}-grams, more than {MAX_NGRAMS}"
            )
        for stride in strides:
            span = (n - 1) * stride + 1
            if span > n_steps:
                raise InputError(
                    f"loss.ngram_orders={n}, loss.ngram_strides={stride}: spans {span} steps, "
                    f"more than data.n_steps={n_steps}"
                )
            laws[n, stride] = source.law(n, n_steps, stride).astype(np.float32)
    return laws


def _products(probabilities: Array, n: int, stride: int) -> Float[Array, "B W G"]:
    """p_t (x) p_{t+stride} (x) ... of n factors, flattened, at each position where they fit."""
    n_windows = probabilities.shape[1] - (n - 1) * stride
    product = probabilities[:, :n_windows]
    for i in range(1, n):
        factor = probabilities[:, i * stride : i * stride + n_windows]
        product = product[..., :, None] * factor[..., None, :]
        product = product.reshape(*product.shape[:2], -1)
    return product
