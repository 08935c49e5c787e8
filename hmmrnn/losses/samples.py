"""Divergences between two samples of sequences: `loss(x, y, key) -> (value, diagnostics)`."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.losses.config import LossConfig
from hmmrnn.losses.sinkhorn import Transport, cost_matrix, self_transport, transport
from hmmrnn.results import result


@result
class LossDiagnostics(NamedTuple):
    """How far the value of a loss can be trusted."""

    marginal_error: Float[Array, ""]  # largest over the transport problems, 0 to 2; NaN: none


Loss = Callable[..., tuple[Float[Array, ""], LossDiagnostics]]
"""loss(x, y, key, own=None) -> (value, diagnostics): generated x (B, T, K) against target y
(B, T, K). `own` is what `own_term` makes of y, for a target that comes again and again.
"""


def make_loss(config: LossConfig) -> Loss:
    """The divergence between samples that `config` names."""
    problem: dict[str, Any] = {
        "cost": config.cost,
        "blur": config.blur,
        "tolerance": config.tolerance,
    }
    losses: dict[str, Loss] = {
        "reference": partial(reference, **problem),
        "independent": partial(independent, **problem),
        "energy": energy,
        "none": no_divergence,
    }
    return losses[config.divergence]


def own_term(config: LossConfig) -> Callable[[Array], Transport] | None:
    """The term of the divergence that depends on the target y (B, T, K) alone, as a function of it.

    None where there is none: halves of y are drawn anew in every step, or nothing is compared.
    """
    terms: dict[str, Callable[[Array], Transport]] = {
        "reference": partial(
            self_transport, cost=config.cost, blur=config.blur, tolerance=config.tolerance
        ),
        "energy": _spread,
    }
    return terms.get(config.divergence)


def reference(
    x: Float[Array, "B T K"],
    y: Float[Array, "b T K"],
    key: Key,
    own: Transport | None = None,
    **problem: Any,  # noqa: ANN401
) -> tuple[Float[Array, ""], LossDiagnostics]:
    """Sinkhorn divergence OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2 (Feydy et al. 2019, eq. 3).

    The loss of Torre et al. (2025). At their blur each point is matched to itself in the self
    terms, which vanish: the value is raw transport between two finite samples, positive even
    where both come from one law.
    """
    terms = [
        transport(x, y, **problem),
        self_transport(x, **problem),
        self_transport(y, **problem) if own is None else own,
    ]
    value = terms[0].value - terms[1].value / 2 - terms[2].value / 2
    return value, LossDiagnostics(jnp.max(jnp.stack([term.marginal_error for term in terms])))


def independent(
    x: Float[Array, "B T K"],
    y: Float[Array, "b T K"],
    key: Key,
    own: None = None,
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
    _expect_pairs(x, y, equal=True)
    x1, x2 = jnp.split(x[: len(x) // 2 * 2], 2)
    mixed = jax.random.permutation(key, y)
    y1, y2 = jnp.split(mixed[: len(y) // 2 * 2], 2)
    pairs = jnp.stack([x1, x2, x1, y1]), jnp.stack([y1, y2, x2, y2])
    terms = jax.vmap(lambda p, q: transport(p, q, **problem))(*pairs)
    value = jnp.dot(terms.value, jnp.array([1.0, 1.0, -1.0, -1.0], terms.value.dtype))
    return value, LossDiagnostics(jnp.max(terms.marginal_error))


def energy(
    x: Float[Array, "B T K"], y: Float[Array, "b T K"], key: Key, own: Transport | None = None
) -> tuple[Float[Array, ""], LossDiagnostics]:
    """2 E|x - y| - E|x - x'| - E|y - y'| over pairs of different sequences (a U-statistic).

    The energy distance (Szekely & Rizzo 2013, eq. 6.1 without its diagonal), unbiased: zero in
    the mean where both samples follow one law. Half of it is the limit of Euclidean Sinkhorn
    divergences at large blur.

    Raises:
        InputError: a sample of less than 2 sequences.
    """
    _expect_pairs(x, y, equal=False)
    across = jnp.mean(cost_matrix(x, y, "euclidean"))
    within = _spread(x).value, (_spread(y) if own is None else own).value
    return 2 * across - within[0] - within[1], _no_transport(across)


def _spread(z: Float[Array, "B T K"]) -> Transport:
    """E|z - z'| over pairs of different sequences, with nothing that could fail to converge."""
    value = jnp.sum(cost_matrix(z, z, "euclidean")) / (len(z) * (len(z) - 1))
    return Transport(value, jnp.full_like(value, jnp.nan))


def no_divergence(
    x: Array, y: Array, key: Key, own: None = None
) -> tuple[Float[Array, ""], LossDiagnostics]:
    """Zero: the samples are not compared."""
    zero = jnp.zeros((), x.dtype)
    return zero, _no_transport(zero)


def _no_transport(value: Array) -> LossDiagnostics:
    return LossDiagnostics(jnp.full_like(value, jnp.nan))


def _expect_pairs(x: Array, y: Array, *, equal: bool) -> None:
    if min(len(x), len(y)) < 2 or (equal and len(x) != len(y)):
        needed = "equal numbers, at least 2" if equal else "at least 2 of each"
        raise InputError(f"{len(x)} sequences against {len(y)}: this loss needs {needed}")
