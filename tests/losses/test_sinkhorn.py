from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from hmmrnn.losses import reference, self_transport, sinkhorn, transport
from hmmrnn.losses.sinkhorn import annealing, cost_matrix, softmin

from .oracles import (
    annealed,
    annealed_by_ott,
    converged,
    cosine_and_ratio,
    costs_between,
    entropic_cost,
    halved_schedule,
    hmm_sequences,
    one_hot,
    plan_slopes,
    slopes_from,
    soft_sequences,
    with_bumps,
)

GOLDENS = Path(__file__).parents[1] / "goldens" / "sinkhorn_geomloss.npz"
EXPONENT = {"squared": 2, "euclidean": 1}
solve = jax.jit(transport, static_argnames=("cost", "blur", "tolerance"))
few = settings(max_examples=50, deadline=None, derandomize=True)


# geomloss


@pytest.mark.parametrize("case", ["short", "long", "uneven"])
def test_the_reference_loss_is_that_of_geomloss(case):
    golden = np.load(GOLDENS)
    x, y = (jnp.asarray(one_hot(golden[f"{case}_{side}"])) for side in "xy")
    loss = jax.jit(jax.value_and_grad(lambda x, y: reference(x, y, jax.random.key(0))[0]))
    value, gradient = loss(x, y)
    expected = golden[f"{case}_value"]
    assert abs(float(value) / expected - 1) < 2e-4
    cosine, ratio = cosine_and_ratio(gradient, golden[f"{case}_gradient"])
    assert cosine > 0.9999
    assert abs(ratio - 1) < 2e-3


# the schedule


@pytest.mark.parametrize(
    ("diameter", "blur", "exponent", "expected"),
    [
        (
            np.sqrt(300), 0.2, 2,
            [300, 300, 75, 18.75, 4.6875, 1.171875, 0.29296875, 0.0732421875, 0.04],
        ),
        (10, 0.3, 2, [100, 100, 25, 6.25, 1.5625, 0.390625, 0.09765625, 0.09]),
        (10, 0.3, 1, [10, 10, 5, 2.5, 1.25, 0.625, 0.3125, 0.3]),
        (np.sqrt(90), 5, 1, [np.sqrt(90), np.sqrt(90), 5]),
        (2, 3, 2, [4, 9]),
    ],
)  # fmt: skip
def test_the_schedule_written_by_hand(diameter, blur, exponent, expected):
    np.testing.assert_allclose(annealing(diameter, blur, exponent), expected, rtol=1e-12)


@given(st.floats(0.1, 50), st.floats(1e-3, 20), st.sampled_from([1, 2]))
@few
def test_the_schedule_halves_the_blur(diameter, blur, exponent):
    halvings = np.log2(diameter / blur)
    assume(abs(halvings - round(halvings)) > 1e-6)  # there, rounding decides on one more step
    expected = halved_schedule(diameter, blur, exponent)
    np.testing.assert_allclose(annealing(diameter, blur, exponent), expected, rtol=1e-9)


# the costs


@given(st.integers(0, 1000))
@few
def test_the_squared_cost_of_one_hot_sequences_is_the_hamming_distance(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(3, size=(6, 40)), rng.integers(3, size=(4, 40))
    found = cost_matrix(jnp.asarray(one_hot(x)), jnp.asarray(one_hot(y)), "squared")
    np.testing.assert_array_equal(found, np.sum(x[:, None] != y, axis=-1))


@pytest.mark.parametrize("cost", ["squared", "euclidean"])
def test_the_costs_are_those_of_scipy(cost):
    x, y = soft_sequences(6, 30, 3, seed=0), soft_sequences(4, 30, 3, seed=1)
    for a, b in [(x, y), (10 * x, 10 * y), (x, x)]:
        found = cost_matrix(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32), cost)
        expected = costs_between(a, b, cost)
        # where points meet, float32 leaves a square of 1e-5 and a distance of 3e-3
        loose = 4e-3 if cost == "euclidean" and a is b else 2e-5 * expected.max()
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=loose)


def test_the_euclidean_cost_has_a_finite_gradient_where_points_meet():
    x = hmm_sequences("linear3", 5, 10, seed=0)
    x[1] = x[0]
    apart = costs_between(x, x, "euclidean")
    assert np.sum(apart == 0) > 5
    total = jax.jit(jax.grad(lambda z, y: jnp.sum(cost_matrix(z, y, "euclidean"))))
    difference = (x[:, None] - x).reshape(5, 5, 30)
    unit = difference / np.where(apart > 0, apart, 1)[..., None]  # 0 where points meet
    np.testing.assert_allclose(np.reshape(total(x, x), (5, 30)), unit.sum(axis=1), atol=1e-5)
    whole = jax.jit(jax.grad(lambda z, y: transport(z, y, cost="euclidean").value))(x, x)
    assert np.isfinite(whole).all()


# transport, as annealed


@pytest.mark.parametrize(
    ("sizes", "cost", "blur"),
    [
        ((12, 12), "squared", 0.2),
        ((16, 6), "squared", 0.2),
        ((5, 11), "squared", 0.7),
        ((7, 10), "euclidean", 0.2),
    ],
)
def test_value_marginal_error_and_gradient_follow_the_annealed_loop(sizes, cost, blur):
    x, y = (soft_sequences(n, 4, 3, seed) for seed, n in enumerate(sizes))
    schedule = halved_schedule(np.sqrt(12), blur, EXPONENT[cost])
    costs = costs_between(x, y, cost)
    value, error, plan = annealed(costs, schedule)

    def problem(x, y):
        out = transport(x, y, cost=cost, blur=blur)
        return out.value, out

    with jax.enable_x64(True):
        to_x, found = jax.jit(jax.grad(problem, has_aux=True))(jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(found.value, value, rtol=1e-10)
    np.testing.assert_allclose(found.marginal_error, error, rtol=1e-8)
    np.testing.assert_allclose(to_x, plan_slopes(x, y, costs, plan, cost), atol=1e-10)


def test_single_precision_is_enough_for_the_annealed_loop():
    x, y = hmm_sequences("linear2", 64, 30, seed=1), hmm_sequences("linear3", 64, 30, seed=2)
    value, error, _ = annealed(costs_between(x, y), halved_schedule(np.sqrt(90), 0.2, 2))
    found = solve(x, y)
    np.testing.assert_allclose(found.value, value, rtol=1e-5)
    np.testing.assert_allclose(found.marginal_error, error, rtol=1e-3)


def by_ott(x, y, cost):
    """`transport` with the potentials that OTT's solver finds along the same schedule."""
    diameter, fixed = np.sqrt(np.prod(x.shape[1:])), jax.lax.stop_gradient((x, y))
    schedule = jnp.asarray(halved_schedule(diameter, 0.2, EXPONENT[cost]), x.dtype)
    potentials = annealed_by_ott(cost_matrix(*fixed, cost), schedule)
    f, g = jax.lax.stop_gradient(potentials)
    f_last = softmin(cost_matrix(x, fixed[1], cost), g, schedule[-1], axis=1)
    g_last = softmin(cost_matrix(fixed[0], y, cost), f, schedule[-1], axis=0)
    return jnp.mean(f_last) + jnp.mean(g_last)


@pytest.mark.parametrize("sizes", [(64, 64), (128, 96)])
@pytest.mark.parametrize("cost", ["squared", "euclidean"])
@pytest.mark.parametrize("name", ["linear2", "cyclic4"])
def test_the_annealed_loop_is_that_of_otts_own_solver(name, cost, sizes):
    x, y = (jnp.asarray(hmm_sequences(name, n, 30, seed)) for seed, n in enumerate(sizes))
    both = (0, 1)
    slow = jax.jit(jax.value_and_grad(partial(by_ott, cost=cost), argnums=both))
    fast = jax.jit(jax.value_and_grad(lambda x, y: transport(x, y, cost=cost).value, argnums=both))
    (expected, truth), (value, gradient) = slow(x, y), fast(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for side in both:
        cosine, ratio = cosine_and_ratio(gradient[side], truth[side])
        assert cosine > 0.9999
        assert abs(ratio - 1) < 1e-3


def test_two_points_apart_have_a_closed_form():
    # f = g is constant: OT_eps = -eps log((1 + exp(-c / eps)) / 2), from the first iteration on
    x = one_hot([[0, 0, 0], [2, 2, 2]])
    for blur in (0.5, 1.5):
        found = solve(x, x, blur=blur)
        expected = -(blur**2) * np.log((1 + np.exp(-3 / blur**2)) / 2)
        np.testing.assert_allclose(found.value, expected, rtol=1e-5)
        assert found.marginal_error < 1e-6


@pytest.mark.parametrize("cost", ["squared", "euclidean"])
def test_single_sequences_pay_their_distance(cost):
    x, y = one_hot([[0, 1, 2, 2]]), one_hot([[0, 2, 2, 1]])
    found = solve(x, y, cost=cost)  # |x - y|^2 is 2 for each mismatch
    np.testing.assert_allclose(found.value, 2.0, rtol=1e-5)
    assert found.marginal_error < 1e-6


def test_a_very_large_blur_gives_the_mean_cost():
    x, y = soft_sequences(9, 4, 3, seed=2), soft_sequences(7, 4, 3, seed=3)
    with jax.enable_x64(True):
        found = solve(jnp.asarray(x), jnp.asarray(y), blur=1e3)
    np.testing.assert_allclose(found.value, costs_between(x, y).mean(), rtol=1e-6)


# transport, converged


@pytest.mark.parametrize("cost", ["squared", "euclidean"])
def test_the_converged_value_is_that_of_plain_alternating_updates(cost):
    x, y = hmm_sequences("linear3", 24, 12, seed=1), hmm_sequences("linear2", 16, 12, seed=2)
    costs = costs_between(x, y, cost)
    value, plan = converged(costs, 1.0)
    np.testing.assert_allclose(entropic_cost(costs, plan, 1.0), value, rtol=1e-9)
    found = solve(x, y, cost=cost, blur=1.0, tolerance=1e-6)
    np.testing.assert_allclose(found.value, value, rtol=1e-5)
    assert found.marginal_error < 1e-5


def test_a_small_blur_comes_to_the_exact_assignment():
    n, blur = 24, 0.05
    x, y = soft_sequences(n, 4, 3, seed=4), soft_sequences(n, 4, 3, seed=5)
    costs = costs_between(x, y)
    exact = costs[linear_sum_assignment(costs)].mean()
    with jax.enable_x64(True):
        found = solve(jnp.asarray(x), jnp.asarray(y), blur=blur, tolerance=1e-4)
    assert float(found.marginal_error) < 1e-3
    # OT_0 <= OT_eps <= OT_0 + eps log n: the entropy of a plan is at most that of an assignment
    most = blur**2 * np.log(n)
    assert most < 0.03 * exact
    assert -1e-3 * exact < float(found.value) - exact < most


def test_on_one_hot_sequences_a_small_blur_comes_to_the_exact_assignment():
    x, y = hmm_sequences("linear3", 32, 20, seed=3), hmm_sequences("linear3", 32, 20, seed=4)
    costs = costs_between(x, y)
    exact = costs[linear_sum_assignment(costs)].mean()
    found = solve(x, y, blur=0.2, tolerance=1e-4)
    assert -2e-3 * exact < found.value - exact < 0.04 * np.log(32)


def test_the_marginal_error_vanishes_with_the_tolerance():
    x, y = hmm_sequences("linear3", 24, 12, seed=1), hmm_sequences("linear2", 16, 12, seed=2)
    errors = [
        float(solve(x, y, blur=1.0, tolerance=tolerance).marginal_error)
        for tolerance in (0.0, 1e-2, 1e-5)
    ]
    assert errors[0] > 0.03
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < 1e-5


@pytest.mark.parametrize("cost", ["squared", "euclidean"])
@pytest.mark.parametrize("name", ["linear2", "fully3"])
def test_the_tolerance_is_kept_at_the_blur_of_the_paper(name, cost):
    x, y = (hmm_sequences(name, 64, 20, seed) for seed in range(2))
    for tolerance in (1e-1, 1e-3):
        error = solve(x, y, cost=cost, tolerance=tolerance).marginal_error
        assert 0.2 * tolerance < error < 1.1 * tolerance  # and no more work than asked for


@pytest.mark.parametrize("cost", ["squared", "euclidean"])
def test_with_a_tolerance_the_annealing_does_not_matter(cost, monkeypatch):
    x, y = soft_sequences(16, 4, 3, seed=6), soft_sequences(12, 4, 3, seed=7)
    found = {}
    for factor in (0.5, 0.9, 1e-6):
        monkeypatch.setattr(sinkhorn, "ANNEALING_FACTOR", factor)
        for tolerance in (0.0, 1e-12):

            def value(x, tolerance=tolerance):
                return transport(x, jnp.asarray(y), cost=cost, tolerance=tolerance).value

            with jax.enable_x64(True):
                found[factor, tolerance] = jax.jit(jax.value_and_grad(value))(jnp.asarray(x))
    value, gradient = found[0.5, 1e-12]
    for factor in (0.9, 1e-6):
        np.testing.assert_allclose(found[factor, 1e-12][0], value, rtol=1e-9)
        np.testing.assert_allclose(found[factor, 1e-12][1], gradient, atol=1e-9)
        assert abs(float(found[factor, 0.0][0]) / float(found[0.5, 0.0][0]) - 1) > 1e-5


@pytest.mark.parametrize("name", ["linear2", "linear3", "fully3", "cyclic4"])
def test_the_schedule_of_the_paper_is_far_from_convergence_on_hmm_data(name):
    for seed in range(5):
        x, y = (hmm_sequences(name, 64, 30, seed=2 * seed + side) for side in range(2))
        assert 0.1 < solve(x, y).marginal_error <= 2


def test_the_marginal_error_stays_between_0_and_2():
    rng = np.random.default_rng(0)
    errors = []
    for scale in (0.1, 0.3, 1.0, 3.0, 30.0):
        x, y = (scale * rng.normal(size=(2, 64, 30, 3))).astype(np.float32)
        found = solve(x, y)
        assert np.isfinite(found.value)
        errors.append(float(found.marginal_error))
    assert min(errors) >= 0
    assert 0.3 < max(errors) <= 2


# self_transport


def to_itself(x, **problem):
    return transport(x, x, **problem)


def with_slopes(solve, **problem):
    """Transport of x and its gradient."""

    def value(x):
        out = solve(x, blur=1.0, **problem)
        return out.value, out

    return jax.grad(value, has_aux=True)


@pytest.mark.parametrize("tolerance", [0.0, 1e-11])
@pytest.mark.parametrize("cost", ["squared", "euclidean"])
@pytest.mark.parametrize("x", [soft_sequences(20, 4, 3, 8), hmm_sequences("linear3", 20, 9, 9)])
def test_self_transport_is_transport_to_itself(x, cost, tolerance):
    with jax.enable_x64(True):
        (gradient, found), (truth, expected) = (
            jax.jit(with_slopes(solve, cost=cost, tolerance=tolerance))(jnp.asarray(x, float))
            for solve in (self_transport, to_itself)
        )
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-9)
    np.testing.assert_allclose(gradient, truth, atol=1e-9 * np.abs(truth).max())
    if tolerance:
        assert float(found.marginal_error) < 2 * tolerance
    else:
        np.testing.assert_allclose(found.marginal_error, expected.marginal_error, rtol=1e-9)


@pytest.mark.parametrize("tolerance", [0.0, 1e-4])
@pytest.mark.parametrize("cost", ["squared", "euclidean"])
def test_self_transport_in_single_precision_under_vmap(cost, tolerance):
    samples = np.stack([hmm_sequences("linear3", 48, 12, seed) for seed in range(10, 13)])
    batch = jax.jit(jax.vmap(with_slopes(self_transport, cost=cost, tolerance=tolerance)))
    gradients, found = batch(samples)
    for i, x in enumerate(samples):
        with jax.enable_x64(True):
            alone = jax.jit(with_slopes(to_itself, cost=cost, tolerance=tolerance))
            truth, expected = alone(jnp.asarray(x, float))
        np.testing.assert_allclose(found.value[i], expected.value, rtol=1e-4)
        cosine, ratio = cosine_and_ratio(gradients[i], truth)
        assert cosine > 0.9999
        assert abs(ratio - 1) < 1e-3
        if tolerance:
            assert found.marginal_error[i] < 2 * tolerance
        else:
            np.testing.assert_allclose(found.marginal_error[i], expected.marginal_error, rtol=1e-3)


# gradients


@pytest.mark.parametrize(("cost", "blur"), [("squared", 1.0), ("euclidean", 0.5)])
def test_the_gradient_is_that_of_finite_differences(cost, blur):
    x, y = soft_sequences(7, 3, 3, seed=6), soft_sequences(5, 3, 3, seed=7)

    def value(x, y):
        return transport(x, y, cost=cost, blur=blur, tolerance=1e-13).value

    for side, name in enumerate("xy"):
        with jax.enable_x64(True):
            bumped = with_bumps((x, y)[side])
            points = [bumped if i == side else jnp.asarray(z) for i, z in enumerate((x, y))]
            axes = [0 if i == side else None for i in range(2)]
            both = jax.jit(jax.vmap(jax.value_and_grad(value, argnums=side), in_axes=axes))
            values, gradients = both(*points)
        slopes = slopes_from(values).reshape(gradients[0].shape)
        error = np.abs(np.asarray(gradients)[0] - slopes).max()
        assert error < 1e-6 * np.abs(slopes).max(), name


@pytest.mark.parametrize("blur", [0.1, 0.02])
def test_a_small_blur_stays_within_single_precision(blur):
    x, y = hmm_sequences("linear3", 64, 30, seed=4), hmm_sequences("fully3", 64, 30, seed=5)

    def both(x, y):
        return jax.jit(jax.value_and_grad(lambda x, y: transport(x, y, blur=blur).value))(x, y)

    value, gradient = both(x, y)
    with jax.enable_x64(True):
        exact = both(*(jnp.asarray(np.asarray(z), jnp.float64) for z in (x, y)))
    assert float(value) == pytest.approx(float(exact[0]), rel=1e-5)
    found, expected = (np.asarray(g, float).ravel() for g in (gradient, exact[1]))
    sizes = np.linalg.norm(found), np.linalg.norm(expected)
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-3)
    assert found @ expected / np.prod(sizes) > 0.9999


def test_values_and_gradients_are_symmetric_in_the_samples():
    x, y = hmm_sequences("linear3", 16, 12, seed=8), hmm_sequences("fully3", 16, 12, seed=9)
    both = jax.jit(jax.value_and_grad(lambda x, y: transport(x, y).value, argnums=(0, 1)))
    (there, found), (back, mirrored) = both(x, y), both(y, x)
    np.testing.assert_allclose(there, back, rtol=1e-5)
    for one, other in zip(found, mirrored[::-1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
        assert np.abs(one).max() > 1e-3


def test_diagnostics_carry_no_gradient():
    x, y = hmm_sequences("linear3", 16, 12, seed=8), hmm_sequences("fully3", 16, 12, seed=9)
    for tolerance in (0.0, 0.1):
        for error in (
            lambda x, y, t=tolerance: transport(x, y, tolerance=t).marginal_error,
            lambda x, y, t=tolerance: self_transport(x, tolerance=t).marginal_error,
        ):
            gradient = jax.jit(jax.grad(error))(x, y)
            np.testing.assert_array_equal(gradient, np.zeros_like(x))


# invariants


def test_the_value_is_symmetric_in_samples_of_different_size():
    x, y = hmm_sequences("linear2", 16, 12, seed=10), hmm_sequences("linear3", 9, 12, seed=11)
    there, back = (solve(*pair, cost="euclidean", blur=1.0) for pair in ((x, y), (y, x)))
    np.testing.assert_allclose(there.value, back.value, rtol=1e-5)


def test_the_order_of_rows_steps_and_symbols_does_not_matter():
    rng = np.random.default_rng(12)
    x, y = hmm_sequences("linear3", 16, 12, seed=12), hmm_sequences("linear2", 16, 12, seed=13)
    plain = solve(x, y)
    rows = rng.permutation(16), rng.permutation(16)
    steps, symbols = rng.permutation(12), rng.permutation(3)
    for other in [
        (x[rows[0]], y[rows[1]]),
        (x[:, steps], y[:, steps]),
        (x[:, :, symbols], y[:, :, symbols]),
    ]:
        found = solve(*other)
        np.testing.assert_allclose(found.value, plain.value, rtol=1e-5)
        np.testing.assert_allclose(found.marginal_error, plain.marginal_error, rtol=1e-3)


def test_a_shift_of_both_samples_does_not_matter_and_a_scale_rescales_the_cost():
    x, y = soft_sequences(7, 3, 3, seed=14), soft_sequences(5, 3, 3, seed=15)
    shift = np.random.default_rng(16).normal(size=(3, 3))
    with jax.enable_x64(True):
        plain = solve(jnp.asarray(x), jnp.asarray(y), blur=1.0, tolerance=1e-12)
        moved = solve(jnp.asarray(x + shift), jnp.asarray(y + shift), blur=1.0, tolerance=1e-12)
        # converged, OT_{s^2 eps}(s x, s y) = s^2 OT_eps(x, y)
        scaled = solve(jnp.asarray(3 * x), jnp.asarray(3 * y), blur=3.0, tolerance=1e-12)
    np.testing.assert_allclose(moved.value, plain.value, rtol=1e-9)
    np.testing.assert_allclose(scaled.value, 9 * float(plain.value), rtol=1e-9)


def test_vmap_equals_a_loop_and_jit_equals_no_jit():
    pairs = [
        (hmm_sequences("linear3", 16, 12, seed=s), hmm_sequences("fully3", 16, 12, seed=s + 1))
        for s in range(17, 20)
    ]
    stacked = [jnp.asarray(np.stack(side)) for side in zip(*pairs, strict=True)]
    batch = jax.jit(jax.vmap(transport))(*stacked)
    for i, pair in enumerate(pairs):
        alone = solve(*pair)
        np.testing.assert_allclose(batch.value[i], alone.value, rtol=1e-5)
        np.testing.assert_allclose(batch.marginal_error[i], alone.marginal_error, rtol=1e-3)
    plain = transport(*map(jnp.asarray, pairs[0]))
    np.testing.assert_allclose(plain.value, solve(*pairs[0]).value, rtol=1e-5)


# cost


def equations(jaxpr, inside=()):
    """Every equation with the names of the primitives around it."""
    for equation in jaxpr.eqns:
        yield equation, inside
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner, (*inside, equation.primitive.name))


LOOPS = {"scan", "while"}


@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
@pytest.mark.parametrize("cost", ["squared", "euclidean"])
@pytest.mark.parametrize(("problem", "n_products"), [(transport, 3), (self_transport, 2)])
def test_the_iterations_do_not_rebuild_the_cost_matrix(problem, n_products, cost, tolerance):
    samples = [jnp.asarray(hmm_sequences("linear3", 8, 12, seed)) for seed in (20, 21)]
    samples = samples[: 1 if problem is self_transport else 2]
    program = jax.make_jaxpr(partial(problem, cost=cost, tolerance=tolerance))(*samples)
    found = [(e.primitive.name, set(inside)) for e, inside in equations(program.jaxpr)]
    products = [inside for name, inside in found if name == "dot_general"]
    assert 0 < len(products) <= n_products
    assert not any(inside & LOOPS for inside in products)
    loops = {name for name, _ in found} & LOOPS
    assert loops == (LOOPS if tolerance else {"scan"})
    for loop in loops:  # the walk went in
        assert any(name == "exp" and loop in inside for name, inside in found)
