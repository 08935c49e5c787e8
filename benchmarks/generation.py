"""Time to generate 30 000 sequences of length 100 from a network: ours against PyTorch.

    python -m benchmarks generation

PyTorch runs a loop over steps and draws a symbol in each: for all sequences together, or for one
sequence after the other (a hundredth of them, scaled).
"""

from collections.abc import Iterator

import jax

from benchmarks.measure import Comparison, compare
from benchmarks.plan import Plan
from hmmrnn.nets import Network, init_params

PART = 100


def cases(plan: Plan) -> Iterator[Comparison]:
    """Untrained networks; PyTorch with all sequences together, then with one after the other."""
    n, n_steps = (200, 6) if plan.small else (30_000, 100)
    config = plan.config(4096, n_steps)
    key_init, key = jax.random.split(jax.random.key(0))
    params = init_params(config.cell, key_init)

    def ours() -> object:
        return Network(params, 1.0, config.cell).generate(n, n_steps, key)

    case = f"generation of {n} sequences, T={n_steps}"
    if (baseline := plan.torch) is None:
        yield compare(case, ours, None, plan.rounds)
        return
    model = plan.trainer(config).model
    yield compare(case, ours, lambda: baseline.generate(model, n, n_steps), plan.rounds)

    def one_by_one() -> None:
        for _ in range(n // PART):
            baseline.generate(model, 1, n_steps)

    case = f"{case}, PyTorch one by one"
    yield compare(case, ours, one_by_one, plan.rounds, share=(n // PART) / n)
