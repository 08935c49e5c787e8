"""Exact likelihood and filtered posteriors, by the forward recursion in log space."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hmmrnn.arrays import Symbols
from hmmrnn.hmm.model import HMM
from hmmrnn.results import result


@result
class Filtered(NamedTuple):
    """What one sequence says about the hidden state as it unfolds."""

    posterior: Float[Array, "T M"]  # p(z_t | x_1..x_t); 0 from the first impossible symbol on
    log_likelihood: Float[Array, ""]  # log p(x_1..x_T), in nats; -inf if impossible


def filtered_posteriors(hmm: HMM, symbols: Symbols) -> Filtered:
    """Filter one sequence: alpha_t = emission[:, x_t] * (transition^T alpha_{t-1}), normalised.

    Rabiner (1989), eqs. 19-20, carried as logarithms, so zero probabilities and sequences of any
    length are exact. A symbol that the HMM does not have is impossible.
    """
    # With the dtype named: jax 0.10 else reuses the float32 copy that it made of the same numpy
    # array before x64 was switched on, for as long as that copy lives.
    dtype = jnp.result_type(float)
    return _filter(jax.tree.map(lambda p: jnp.asarray(p, dtype), hmm), jnp.asarray(symbols))


@jax.jit
def _filter(hmm: HMM, symbols: Symbols) -> Filtered:
    log_initial, log_transition, log_emission = (
        jnp.log(p) for p in (hmm.initial, hmm.transition, hmm.emission)
    )

    def tick(log_prior: Float[Array, " M"], symbol: Array) -> tuple[Array, tuple[Array, Array]]:
        known = (symbol >= 0) & (symbol < hmm.n_symbols)
        log_joint = log_prior + jnp.where(known, log_emission[:, symbol], -jnp.inf)
        log_evidence = _logsumexp(log_joint, axis=0)
        possible = jnp.isfinite(log_evidence)
        log_posterior = jnp.where(possible, log_joint - log_evidence, -jnp.inf)
        log_next = _logsumexp(log_posterior[:, None] + log_transition, axis=0)
        return log_next, (jnp.exp(log_posterior), log_evidence)

    _, (posterior, log_evidence) = jax.lax.scan(tick, log_initial, symbols)
    return Filtered(posterior, jnp.sum(log_evidence))


def log_likelihood(hmm: HMM, symbols: Symbols) -> Float[Array, ""]:
    """Log p(x_1..x_T) in nats; -inf for a sequence that the HMM cannot emit."""
    return filtered_posteriors(hmm, symbols).log_likelihood


def _logsumexp(x: Array, axis: int) -> Array:
    """Log of the summed exponentials; -inf, not NaN, where every term is -inf."""
    top = jnp.max(x, axis=axis, keepdims=True)
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    return jnp.log(jnp.sum(jnp.exp(x - top), axis=axis)) + jnp.squeeze(top, axis)
