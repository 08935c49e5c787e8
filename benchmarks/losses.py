"""Value and gradient of the reference loss alone: ours against geomloss.

    python -m benchmarks losses

Small batches are computed several times in a row, each time to its end, as training would find the
machine. The floor is the time of the loss's matrix products. Both sides must give the same value.
"""

import math
from collections.abc import Iterator

import jax

from benchmarks.measure import Comparison, Work, compare
from benchmarks.plan import Plan, loss_flops
from hmmrnn.losses import reference
from hmmrnn.training.data import make_data, step_batch

TOLERANCE = 1e-4  # relative
SEQUENCES_PER_CALL = 4096


def cases(plan: Plan) -> Iterator[Comparison]:
    """One comparison for each size."""
    for n, n_steps in plan.sizes:
        yield one(plan, n, n_steps)


def one(plan: Plan, n: int, n_steps: int) -> Comparison:
    """Samples of the HMM against independent samples of the same HMM.

    Raises:
        SystemExit: the two sides disagree about the value.
    """
    config, units = plan.config(n, n_steps), max(1, SEQUENCES_PER_CALL // n)
    key_x, key_y, key_loss = jax.random.split(jax.random.key(0), 3)
    data = make_data(config, key_loss)
    x, y = (step_batch(config, data, key) for key in (key_x, key_y))
    graded = jax.jit(jax.value_and_grad(reference, has_aux=True))
    value = float(graded(x, y, key_loss)[0][0])
    theirs, note = None, f"value {value:.4f}"
    if (baseline := plan.torch) is not None:
        tensors = baseline.tensor(x), baseline.tensor(y)
        expected = float(baseline.value_and_gradient(*tensors)[0])
        if not math.isclose(value, expected, rel_tol=TOLERANCE):
            raise SystemExit(f"B={n} T={n_steps}: value {value}, geomloss has {expected}")
        theirs = repeated(lambda: baseline.value_and_gradient(*tensors), units)
        note = f"{note} and {expected:.4f}"
    return compare(
        f"losses B={n} T={n_steps}",
        repeated(lambda: graded(x, y, key_loss), units),
        theirs,
        plan.rounds,
        units=units,
        floor=plan.floor(loss_flops(n, n_steps, config.target.n_symbols)),
        note=note,
        baseline="geomloss",
    )


def repeated(work: Work, number: int) -> Work:
    """Do `work` so many times, each time to its end."""
    return lambda: [jax.block_until_ready(work()) for _ in range(number)]
