"""How faithful the network was at each snapshot of its training."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from hmmrnn.arrays import Key, Params
from hmmrnn.fidelity.ngrams import kl_from_law, ngram_shares
from hmmrnn.fidelity.statistics import compared_orders
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights, estimate
from hmmrnn.nets import Network
from hmmrnn.targets import Target

ORDER = 4
SNAPSHOTS_AT_ONCE = 4


def kl_through_training(
    network: Network,
    snapshots: Params,
    hmm: Target,
    n_steps: int,
    key: Key,
    *,
    n_sequences: int = 1_000,
) -> Estimate:
    """KL of 4-grams from the law of `hmm`, in nats, of each of E snapshots of the parameters (E,).

    From held-out data where those are the target, of shorter n-grams if there are few.
    All snapshots get the same noise. NaN for one that diverges within `n_steps` or generates only
    what is impossible. Intervals are over sequences.
    """
    key_generate, key_boot = jax.random.split(key)
    longest = min(ORDER, n_steps)
    order = longest if hmm.exact else compared_orders(hmm, longest)[-1]
    law = hmm.compared_law(order, n_steps)
    symbols = _generate_all(network.bare, dict(snapshots), n_sequences, n_steps, key_generate)
    weights = bootstrap_weights(n_sequences, key_boot)
    found = []
    for sequences in symbols:
        if bool(jnp.any(sequences < 0)):
            found.append(UNKNOWN)
            continue
        shares = ngram_shares(sequences, order, hmm.n_symbols)
        found.append(estimate(partial(kl_from_law, law=law), shares, weights))
    return Estimate.stack(found)


@partial(jax.jit, static_argnames=("n_sequences", "n_steps"))
def _generate_all(
    network: Network, snapshots: Params, n_sequences: int, n_steps: int, key: Key
) -> Int[Array, "E B T"]:
    return jax.lax.map(
        lambda params: network.replace(**params).generate(n_sequences, n_steps, key),
        snapshots,
        batch_size=SNAPSHOTS_AT_ONCE,
    )
