"""Two ways to take the entropic bias out of transport between samples."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.losses.sinkhorn import transport


class LossDiagnostics(NamedTuple):
    """How far the value of a loss can be trusted."""

    marginal_error: Float[Array, ""]  # largest over the transport problems solved, 0 to 2


def reference(
    x: Float[Array, "B T K"],
    y: Float[Array, "b T K"],
    key: Key,
    **problem: Any,  # noqa: ANN401
) -> tuple[Float[Array, ""], LossDiagnostics]:
    """Sinkhorn divergence OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2 (Feydy et al. 2019, eq. 3).

    The loss of Torre et al. (2025). At their blur each point is matched to itself in the self
    terms, which vanish: the value is raw transport between two finite samples, positive even
    where both come from one law.
    """
    terms = [transport(p, q, **problem) for p, q in ((x, y), (x, x), (y, y))]
    value = terms[0].value - terms[1].value / 2 - terms[2].value / 2
    return value, LossDiagnostics(jnp.max(jnp.stack([term.marginal_error for term in terms])))


def independent(
    x: Float[Array, "B T K"],
    y: Float[Array, "b T K"],
    key: Key,
    **problem: Any,  # noqa: ANN401
) -> tuple[Float[Array, ""], LossDiagnostics]:
    """OT(x1, y1) + OT(x2, y2) - OT(x1, x2) - OT(y1, y2) over halves of both samples.

    Every term compares independent samples of equal size, so the bias of finite samples cancels:
    the expectation is zero when x and y follow the same law. The halves of y are drawn at random,
    so that a fixed target pairs differently in every step; x is split in order, and an odd
    sequence out is left out.

    Raises:
        InputError: samples of different size, or of less than 2.
    """
    if len(x) != len(y) or len(x) < 2:
        raise InputError(
            f"{len(x)} sequences against {len(y)}: this loss needs equal numbers, at least 2"
        )
    x1, x2 = jnp.split(x[: len(x) // 2 * 2], 2)
    mixed = jax.random.permutation(key, y)
    y1, y2 = jnp.split(mixed[: len(y) // 2 * 2], 2)
    pairs = jnp.stack([x1, x2, x1, y1]), jnp.stack([y1, y2, x2, y2])
    terms = jax.vmap(lambda p, q: transport(p, q, **problem))(*pairs)
    value = jnp.dot(terms.value, jnp.array([1.0, 1.0, -1.0, -1.0], terms.value.dtype))
    return value, LossDiagnostics(jnp.max(terms.marginal_error))
