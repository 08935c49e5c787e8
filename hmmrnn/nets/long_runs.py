"""Whether a network stays bounded when it runs for longer than it was trained."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from hmmrnn.nets.network import Network
from hmmrnn.results import result

LONG_RUNS = 64
LONG_RUN_STEPS = 2_000
LARGEST_LOGIT = 1e3
GROWTH = 10.0
"""Times its own median in the second half of a training sequence that a logit may reach."""

BOUNDED = 0.95
"""Share of its runs from which on a network counts as bounded. Of a short training sequence the
median may be small by chance, and logits fluctuate, so that a run in a hundred or so is above
`GROWTH` times it without growing; a network that explodes does so in most of its runs.
"""


@result
class LongRun(NamedTuple):
    """Long runs of a network: how many of them stay bounded."""

    bounded_share: float
    n_runs: int
    n_steps: int

    @property
    def bounded(self) -> bool:
        """Whether enough of them do."""
        return self.bounded_share >= BOUNDED

    @property
    def n_bounded(self) -> int:
        """How many runs stay bounded."""
        return round(self.bounded_share * self.n_runs)

    @property
    def problem(self) -> str | None:
        """What is to be said wherever numbers of an unbounded network are shown."""
        if self.bounded:
            return None
        lost = self.n_runs - self.n_bounded
        return (
            f"unbounded: {lost} of {self.n_runs} runs of {self.n_steps} steps grow beyond bounds, "
            "so only its trained steps say anything"
        )


def long_run(network: Network, n_steps: int) -> LongRun:
    """How many of `LONG_RUNS` runs of `LONG_RUN_STEPS` steps, or `n_steps` if more, stay bounded.

    A run does if all its logits are finite and the largest |logit| of its last step is below
    `LARGEST_LOGIT` and at most `GROWTH` times its median over steps T/2 to T, where T = `n_steps`
    is the length that the network was trained on. The noise is always the same, so that whoever
    asks gets the same answer.
    """
    last = max(LONG_RUN_STEPS, n_steps)
    kept = _bounded(network.bare, n_steps, last)
    return LongRun(float(np.mean(np.asarray(kept))), LONG_RUNS, last)


@partial(jax.jit, static_argnames=("n_steps", "last"))
def _bounded(network: Network, n_steps: int, last: int) -> Bool[Array, " R"]:
    keys = jax.random.split(jax.random.key(LONG_RUN_STEPS), LONG_RUNS)
    logits = network.simulate(last, keys).logits
    largest = jnp.max(jnp.abs(logits), axis=-1)  # (T, R)
    typical = jnp.median(largest[n_steps // 2 : n_steps], axis=0)
    small = (largest[-1] < LARGEST_LOGIT) & (largest[-1] <= GROWTH * typical)
    return small & jnp.all(jnp.isfinite(largest), axis=0)
