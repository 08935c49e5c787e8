from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of, weights

from hmmrnn import InputError, hmm
from hmmrnn.errors import DivergingNetworkError
from hmmrnn.fidelity import Sizes, compare, compare_many, excess_surprise
from hmmrnn.fidelity.surprise import surprise
from hmmrnn.intervals import bootstrap_weights
from hmmrnn.nets import RNNCell
from hmmrnn.storage import plain

SIZES = {"n_sequences": 2_000, "n_steps": 30, "n_long": 60, "n_long_steps": 400, "n_matched": 200}
P = np.array([0.6, 0.1, 0.3])


def planted(k=3):
    """A network without recurrence whose symbols are independent draws from P."""
    n = 4
    readout = np.zeros((k, n), np.float32)
    readout[:3, 0] = np.log(P)
    params = weights(
        W_in=np.zeros((n, 2)),
        W_rec=np.zeros((n, n)),
        W_out=readout,
        b_rec=np.ones(n),
        b_out=np.zeros(k),
    )
    cell = RNNCell(n_symbols=k, hidden_size=n, noise_dim=2, bias=True)
    return net_of(cell, params, jnp.float32(1))


@pytest.fixture(scope="module")
def twin():
    """The HMM that the planted network emulates perfectly: independent symbols."""
    return hmm.HMM(initial=[1.0], transition=[[1.0]], emission=[P])


@pytest.fixture(scope="module")
def perfect(twin):
    return compare(planted(), twin, jax.random.key(0), **SIZES)


@pytest.fixture(scope="module")
def wrong():
    return compare(planted(), hmm.preset("linear3"), jax.random.key(0), **SIZES)


def test_a_perfect_network_scores_like_its_floor(perfect):
    for n, entry in perfect.kl.items():
        # The expected KL of an empirical law of n-grams is about (G - 1) / 2 windows.
        bound = 3 * (3**n - 1) / (2 * 2_000 * 30 / n)
        assert 0 <= entry.network.value < bound
        assert 0 <= entry.floor.value < bound
    assert abs(perfect.excess_surprise.network.value) < 0.01
    assert perfect.volatility.exact == pytest.approx(1 - np.sum(P**2))
    assert perfect.volatility.network.value == pytest.approx(perfect.volatility.exact, abs=0.01)
    assert perfect.transition_error.network.value < 0.05
    assert perfect.impossible_share == 0


def test_known_values_of_independent_symbols(perfect):
    for i, entry in enumerate(perfect.symbol_shares):
        assert entry.exact == pytest.approx(P[i])
        assert entry.network.low - 0.005 < P[i] < entry.network.high + 0.005
    for p, dwell in zip(P, perfect.dwell, strict=True):
        # Runs of independent symbols are geometric: mean 1/(1-p), CV sqrt(p).
        assert dwell.mean.exact == pytest.approx(1 / (1 - p))
        assert dwell.mean.network.value == pytest.approx(1 / (1 - p), rel=0.05)
        assert dwell.cv.exact == pytest.approx(np.sqrt(p))
        assert dwell.cv.network.value == pytest.approx(np.sqrt(p), rel=0.1)
        np.testing.assert_allclose(dwell.exact, p ** (dwell.lengths - 1) * (1 - p), atol=1e-9)
    np.testing.assert_allclose(perfect.transitions, np.tile(P, (3, 1)), atol=0.05)
    np.testing.assert_allclose(perfect.exact_transitions, np.tile(P, (3, 1)), atol=1e-12)


def test_a_wrong_network_is_seen_by_every_measure(wrong):
    assert wrong.kl[2].network.low > 0.1 > wrong.kl[2].floor.high
    assert wrong.kl[6].network.value > wrong.kl[2].network.value > wrong.kl[1].network.value
    assert wrong.excess_surprise.network.low > 0.1
    assert abs(wrong.excess_surprise.floor.value) < 0.02
    assert wrong.volatility.network.low > wrong.volatility.floor.high
    assert wrong.transition_error.network.low > wrong.transition_error.floor.high
    assert wrong.matched_distance.network.low > wrong.matched_distance.floor.high
    assert wrong.dwell[0].mean.network.high < wrong.dwell[0].mean.floor.low


def test_floors_of_the_hmm_are_its_exact_values(wrong):
    exact = hmm.volatility(hmm.preset("linear3"), 30)
    assert wrong.volatility.exact == pytest.approx(exact)
    assert wrong.volatility.floor.low - 0.01 < exact < wrong.volatility.floor.high + 0.01
    for dwell in wrong.dwell:
        assert dwell.mean.floor.value == pytest.approx(dwell.mean.exact, rel=0.1)


def test_too_typical_sequences_have_negative_excess():
    """The single most likely symbol, repeated, is less surprising than the HMM itself."""
    model = hmm.preset("linear2")
    typical = surprise(model, jnp.zeros((50, 40), jnp.int32))
    sample = surprise(model, hmm.sample_batch(model, 50, 40, jax.random.key(1))[1])
    weights = bootstrap_weights(50, jax.random.key(2))
    found = excess_surprise(model, typical, sample, 40, weights, jax.random.key(3))
    assert found.network.value < -0.05


def test_impossible_symbols_are_counted_and_the_rest_is_measured():
    """The HMM never emits symbol 1 and changes at random between 0 and 2."""
    half = [0.5, 0.5]
    model = hmm.HMM(initial=half, transition=[half, half], emission=[[1, 0, 0], [0, 0, 1]])
    found = compare(planted(), model, jax.random.key(0), **SIZES)
    given_possible = np.array([0.6, 0.3]) / 0.9
    expected = np.sum(given_possible * np.log(given_possible / 0.5))
    for n in (1, 3):
        assert found.kl[n].network.value == pytest.approx(n * expected, rel=0.1)
    assert found.impossible_share == pytest.approx(1 - 0.9**6, abs=0.02)
    assert found.impossible_sequences == pytest.approx(1 - 0.9**30, abs=0.02)
    assert found.excess_surprise.network.value == pytest.approx(0, abs=1e-5)  # all equally likely
    assert np.isnan(found.dwell[1].mean.exact)


def test_a_symbol_that_is_never_generated_is_the_largest_error():
    silent = planted()
    silent.params["W_out"] = silent.params["W_out"].at[1, 0].set(-500.0)
    found = compare(silent, hmm.preset("fully3"), jax.random.key(0), **SIZES)
    assert found.transition_error.network.value == 1
    assert np.isnan(found.transitions[1]).all()


def exploding(growth):
    """One unit that grows by `growth` in each step, whatever its noise."""
    network = planted()
    size = network.hidden_size
    network.params["W_rec"] = growth * jnp.eye(size)
    network.params["W_in"] = jnp.abs(network.params["W_in"]) + 1
    return network


def test_a_network_that_diverges_is_refused_or_has_no_dwell_times():
    with pytest.raises(InputError, match=" 30 steps"):
        compare(exploding(1e3), hmm.preset("linear3"), jax.random.key(0), **SIZES)
    with pytest.warns(UserWarning, match="64 of 64"):
        late = compare(exploding(1.5), hmm.preset("linear3"), jax.random.key(0), **SIZES)
    assert np.isfinite(late.kl[1].network.value)
    for dwell in late.dwell:
        assert dwell.n_runs == 0
        assert np.isnan([dwell.mean.network.value, dwell.cv.network.value]).all()
        assert np.isfinite(dwell.cv.floor.value)


def test_sizes_that_do_not_fit_are_refused(twin):
    with pytest.raises(InputError, match=r"4 symbols.* 3"):
        compare(planted(4), twin, jax.random.key(0))
    with pytest.raises(InputError, match="n_steps=1"):
        compare(planted(), twin, jax.random.key(0), n_steps=1)


def test_many_networks_are_compared_as_each_alone_and_one_may_diverge(perfect, twin):
    biased = planted()
    biased.params["b_out"] = jnp.asarray([1.0, 0, 0])
    together = [planted(), exploding(1e3), biased]
    first, broken, last = compare_many(together, twin, jax.random.key(0), Sizes(**SIZES))
    assert plain(first) == plain(perfect)
    assert plain(last) == plain(compare(biased, twin, jax.random.key(0), **SIZES))
    assert isinstance(broken, DivergingNetworkError)
    assert "not all logits of 30 steps are finite" in str(broken)


def test_the_hmm_of_each_comparison_is_its_own(twin, perfect):
    """Floors are kept from one network to the next of the same HMM, and of no other."""
    other = compare(planted(), hmm.preset("fully3"), jax.random.key(0), **SIZES)
    again = compare(planted(), twin, jax.random.key(0), **SIZES)
    assert plain(again) == plain(perfect)
    assert other.volatility.floor != again.volatility.floor
    assert compare(planted(), twin, jax.random.key(1), **SIZES).kl[3].floor != again.kl[3].floor


def test_networks_of_different_cells_do_not_run_side_by_side(twin):
    other = replace(planted(), cell=RNNCell(n_symbols=3, hidden_size=5, noise_dim=2, bias=True))
    with pytest.raises(InputError, match="different cells"):
        next(compare_many([planted(), other], twin, jax.random.key(0), Sizes(**SIZES)))
