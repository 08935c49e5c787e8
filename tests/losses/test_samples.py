import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.errors import InputError
from hmmrnn.losses import (
    LossConfig,
    energy,
    independent,
    make_loss,
    own_term,
    reference,
)

from .oracles import (
    annealed,
    costs_between,
    halved_schedule,
    hmm_sequences,
    slopes_from,
    soft_sequences,
    with_bumps,
)

OPTIONS = ("cost", "blur", "tolerance")
LOSSES = {"independent": independent, "reference": reference}
solve = {name: jax.jit(loss, static_argnames=OPTIONS) for name, loss in LOSSES.items()}
both = pytest.mark.parametrize("name", list(LOSSES))
KEY = jax.random.key(0)


def annealed_between(x, y):
    schedule = halved_schedule(np.sqrt(np.prod(x.shape[1:])), 0.2, 2)
    return annealed(costs_between(x, y), schedule)[:2]


def values_over_draws(name, first, second, n_draws=60, n_sequences=128, n_steps=30):
    """Loss between `n_draws` pairs of fresh samples of two HMMs, and the marginal errors."""
    x, y = (
        hmm_sequences(hmm, n_draws * n_sequences, n_steps, seed).reshape(
            n_draws, n_sequences, n_steps, 3
        )
        for seed, hmm in enumerate((first, second))
    )
    values, diagnostics = over_draws[name](x, y, jax.random.split(KEY, n_draws))
    return np.asarray(values, float), np.asarray(diagnostics.marginal_error, float)


def mapped(loss):
    return jax.jit(lambda *draws: jax.lax.map(lambda draw: loss(*draw), draws))


over_draws = {name: mapped(loss) for name, loss in (LOSSES | {"energy": energy}).items()}


def test_independent_has_mean_zero_on_the_same_hmm_and_is_positive_on_another():
    same, errors = values_over_draws("independent", "linear3", "linear3")
    standard_error = same.std(ddof=1) / np.sqrt(len(same))
    assert abs(same.mean()) < 3 * standard_error
    assert standard_error < 0.1  # or the line above says nothing
    assert np.all((errors > 0.1) & (errors <= 2))
    other, _ = values_over_draws("independent", "linear3", "linear2")
    assert other.mean() > 10 * other.std(ddof=1) / np.sqrt(len(other))


def test_energy_has_mean_zero_on_the_same_hmm_and_is_positive_on_another():
    same, errors = values_over_draws("energy", "linear3", "linear3")
    standard_error = same.std(ddof=1) / np.sqrt(len(same))
    assert abs(same.mean()) < 3 * standard_error
    other, _ = values_over_draws("energy", "linear3", "linear2")
    assert other.mean() > 10 * other.std(ddof=1) / np.sqrt(len(other))
    assert standard_error < 0.03 * other.mean()  # or the mean of zero says nothing
    assert np.isnan(errors).all()  # there is no transport


def test_reference_is_positive_on_the_same_hmm():
    values, _ = values_over_draws("reference", "linear3", "linear3", n_draws=20)
    assert values.min() > 2
    assert values.mean() > 100 * values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("m", [4, 6])
def test_reference_is_three_transport_problems(m):
    x, y = hmm_sequences("linear3", 4, 8, seed=0), hmm_sequences("fully3", m, 8, seed=1)
    (xy, e_xy), (xx, e_xx), (yy, e_yy) = (
        annealed_between(a, b) for a, b in ((x, y), (x, x), (y, y))
    )
    value, diagnostics = solve["reference"](x, y, KEY)
    np.testing.assert_allclose(value, xy - xx / 2 - yy / 2, rtol=1e-5)
    error = max(e_xy, e_xx, e_yy)
    np.testing.assert_allclose(diagnostics.marginal_error, error, rtol=1e-3, atol=1e-5)


def test_independent_is_four_transport_problems_between_halves():
    x, y = hmm_sequences("linear3", 4, 8, seed=2), hmm_sequences("fully3", 4, 8, seed=3)
    possible = []
    for order in itertools.permutations(range(4)):
        x1, x2, y1, y2 = x[:2], x[2:], y[list(order[:2])], y[list(order[2:])]
        terms = [annealed_between(*pair) for pair in ((x1, y1), (x2, y2), (x1, x2), (y1, y2))]
        signs = (1, 1, -1, -1)
        possible.append(
            (sum(s * t[0] for s, t in zip(signs, terms, strict=True)), max(t[1] for t in terms))
        )
    possible = np.array(possible)
    seen = set()
    for seed in range(20):
        value, diagnostics = solve["independent"](x, y, jax.random.key(seed))
        distance = np.abs(possible - [float(value), float(diagnostics.marginal_error)])
        nearest = distance.sum(axis=1).argmin()
        assert distance[nearest].max() < 1e-3
        seen.add(round(float(value), 3))
    assert len(seen) > 1  # the key decides on the halves


def test_independent_leaves_out_an_odd_sequence():
    x, y = hmm_sequences("linear3", 5, 8, seed=4), hmm_sequences("linear3", 5, 8, seed=5)
    gradient = jax.jit(jax.grad(lambda x: independent(x, jnp.asarray(y), KEY)[0]))
    found = np.asarray(gradient(jnp.asarray(x)))
    np.testing.assert_array_equal(found[-1], np.zeros((8, 3)))
    assert np.all(np.abs(found[:-1]).max(axis=(1, 2)) > 0)


def test_reference_vanishes_on_equal_samples_and_knows_no_key():
    x, y = hmm_sequences("linear3", 4, 8, seed=6), hmm_sequences("linear3", 4, 8, seed=7)
    np.testing.assert_allclose(solve["reference"](x, x, KEY)[0], 0.0, atol=1e-5)
    values = [solve["reference"](x, y, jax.random.key(seed))[0] for seed in range(2)]
    assert values[0] == values[1]


def test_the_order_of_rows_and_samples_does_not_matter_to_reference():
    rng = np.random.default_rng(8)
    x, y = hmm_sequences("linear3", 9, 8, seed=8), hmm_sequences("fully3", 9, 8, seed=9)
    gradient = jax.jit(jax.value_and_grad(lambda x, y: reference(x, y, KEY)[0], argnums=(0, 1)))
    value, (to_x, to_y) = gradient(x, y)
    rows, others = rng.permutation(9), rng.permutation(9)
    shuffled, (found_x, found_y) = gradient(x[rows], y[others])
    np.testing.assert_allclose(shuffled, value, rtol=1e-5)
    np.testing.assert_allclose(found_x, np.asarray(to_x)[rows], atol=1e-5)
    np.testing.assert_allclose(found_y, np.asarray(to_y)[others], atol=1e-5)
    swapped, (found_y, found_x) = gradient(y, x)
    np.testing.assert_allclose(swapped, value, rtol=1e-5)
    np.testing.assert_allclose(found_x, to_x, atol=1e-5)
    np.testing.assert_allclose(found_y, to_y, atol=1e-5)


@pytest.mark.parametrize("sizes", [(5, 5), (6, 3), (2, 7)])
@pytest.mark.parametrize(
    "draw", [soft_sequences, lambda n, T, K, s: hmm_sequences("linear3", n, T, s)]
)
def test_energy_is_the_mean_over_pairs_of_different_sequences(draw, sizes):
    x, y = (draw(n, 6, 3, seed) for seed, n in enumerate(sizes))

    def apart(a, b):
        return np.sqrt(np.sum((a.astype(float) - b) ** 2))

    across = np.mean([apart(a, b) for a in x for b in y])
    within = [np.mean([apart(a, b) for a, b in itertools.permutations(z, 2)]) for z in (x, y)]
    value, _ = jax.jit(energy)(x, y, KEY)
    np.testing.assert_allclose(value, 2 * across - sum(within), atol=2e-6)
    np.testing.assert_allclose(jax.jit(energy)(y, x, KEY)[0], value, atol=2e-6)


def test_energy_is_the_limit_of_the_reference_loss_at_a_large_blur():
    x, y = soft_sequences(9, 4, 3, seed=2), soft_sequences(7, 4, 3, seed=3)
    with jax.enable_x64(True):
        pair = jnp.asarray(x), jnp.asarray(y)
        value, _ = jax.jit(energy)(*pair, KEY)
        wide, _ = solve["reference"](*pair, KEY, cost="euclidean", blur=1e6)
    # the self terms of the limit count the pairs of a sequence with itself
    diagonal = sum(costs_between(z, z, "euclidean").mean() / (len(z) - 1) for z in (x, y))
    np.testing.assert_allclose(value, 2 * float(wide) - diagonal, rtol=1e-5)


def test_the_gradient_of_energy_is_that_of_finite_differences():
    x, y = soft_sequences(6, 2, 3, seed=10), soft_sequences(5, 2, 3, seed=11)
    with jax.enable_x64(True):
        both = jax.value_and_grad(lambda x: energy(x, jnp.asarray(y), KEY)[0])
        values, gradients = jax.jit(jax.vmap(both))(with_bumps(x))
    gradient, slopes = np.asarray(gradients)[0], slopes_from(values).reshape(x.shape)
    np.testing.assert_allclose(gradient, slopes, atol=1e-6 * np.abs(slopes).max())


@both
def test_the_converged_gradient_is_that_of_finite_differences(name):
    x, y = soft_sequences(6, 2, 3, seed=10), soft_sequences(6, 2, 3, seed=11)
    with jax.enable_x64(True):

        def value(x):
            problem = dict(blur=1.0, tolerance=1e-13)
            return LOSSES[name](x, jnp.asarray(y), KEY, **problem)[0]

        values, gradients = jax.jit(jax.vmap(jax.value_and_grad(value)))(with_bumps(x))
    gradient, slopes = np.asarray(gradients)[0], slopes_from(values).reshape(x.shape)
    np.testing.assert_allclose(gradient, slopes, atol=1e-6 * np.abs(slopes).max())
    assert np.abs(gradient).max() > 1e-3


@both
def test_vmap_equals_a_loop(name):
    pairs = [
        (hmm_sequences("linear3", 4, 8, seed=s), hmm_sequences("fully3", 4, 8, seed=s + 3))
        for s in range(3)
    ]
    keys = jax.random.split(jax.random.key(1), 3)
    stacked = [np.stack(side) for side in zip(*pairs, strict=True)]
    values, diagnostics = jax.jit(jax.vmap(LOSSES[name]))(*stacked, keys)
    errors = np.asarray(diagnostics.marginal_error)
    for i, pair in enumerate(pairs):
        value, alone = solve[name](*pair, keys[i])
        np.testing.assert_allclose(np.asarray(values)[i], value, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(errors[i], alone.marginal_error, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("n", "m"), [(1, 4), (4, 1), (0, 0)])
def test_energy_raises_on_too_few(n, m):
    x, y = jnp.zeros((n, 4, 3)), jnp.zeros((m, 4, 3))
    with pytest.raises(InputError, match=f"{n} .*{m}: .*2"):
        energy(x, y, KEY)


@pytest.mark.parametrize(("n", "m"), [(5, 4), (1, 1), (0, 0)])
def test_independent_raises_on_odd_differences_and_too_few(n, m):
    x, y = jnp.zeros((n, 4, 3)), jnp.zeros((m, 4, 3))
    with pytest.raises(InputError, match=f"{n} .*{m}: .*2"):
        independent(x, y, jax.random.key(0))


def test_independent_raises_on_samples_of_different_size():
    x, y = hmm_sequences("linear3", 8, 8, seed=0), hmm_sequences("fully3", 6, 8, seed=1)
    with pytest.raises(InputError, match=r"8 .*6"):
        independent(jnp.asarray(x), jnp.asarray(y), KEY)


@pytest.mark.parametrize("divergence", ["reference", "energy"])
def test_the_term_of_the_target_alone_can_be_known_before(divergence):
    """The value to rounding of the terms that it is the difference of, and the same gradient."""
    cost = "euclidean" if divergence == "energy" else "squared"
    config = LossConfig(divergence=divergence, cost=cost)
    x, y = (jnp.asarray(hmm_sequences("linear3", 64, 12, seed)) for seed in (0, 1))
    loss, own = make_loss(config), own_term(config)(y)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: loss(x, y, KEY)[0]))(x)
    known, same = jax.jit(jax.value_and_grad(lambda x, own: loss(x, y, KEY, own)[0]))(x, own)
    rounding = 32 * float(np.finfo(np.float32).eps) * max(1, abs(float(own.value)))
    assert float(known) == pytest.approx(float(value), abs=rounding)
    np.testing.assert_allclose(same, gradient, atol=1e-5 * float(np.abs(gradient).max()))
    wrong = own._replace(value=own.value + 1)
    assert abs(float(loss(x, y, KEY, wrong)[0]) - float(value)) > 0.4


def test_what_is_drawn_anew_or_not_compared_has_no_such_term():
    assert own_term(LossConfig()) is None
    assert own_term(LossConfig(divergence="none", ngram_weight=1.0)) is None
