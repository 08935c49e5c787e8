import functools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given

from hmmrnn.hmm import HMM, sample, sample_batch
from hmmrnn.hmm.sampling import cumulative, invert

from .oracles import few, hmms, probability_rows

LOPSIDED = HMM(
    initial=np.array([0.0, 0.7, 0.3]),
    transition=np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8], [0.6, 0.0, 0.4]]),
    emission=np.array([[0.0, 0.1, 0.9, 0.0], [0.3, 0.0, 0.0, 0.7], [0.25, 0.25, 0.25, 0.25]]),
)
N_SEQUENCES, N_STEPS = 4000, 12


@functools.cache
def batch(key=0):
    states, symbols = sample_batch(LOPSIDED, N_SEQUENCES, N_STEPS, jax.random.key(key))
    return np.asarray(states), np.asarray(symbols)


def assert_frequencies(counts, n, p):
    """Counts of a binomial law lie within 4.5 standard deviations, and 0 where p is 0."""
    n, p = np.broadcast_to(n, counts.shape), np.broadcast_to(p, counts.shape)
    np.testing.assert_array_equal(counts[p == 0], 0)
    uncertain = (p > 0) & (p < 1) & (n > 0)
    z = ((counts - n * p) / np.sqrt(np.where(uncertain, n * p * (1 - p), 1)))[uncertain]
    assert np.abs(z).max() < 4.5


def test_shapes_and_dtypes():
    states, symbols = sample(LOPSIDED, 40, jax.random.key(0))
    assert states.shape == symbols.shape == (40,)
    assert states.dtype == symbols.dtype == jnp.int32
    states, symbols = sample_batch(LOPSIDED, 6, 40, jax.random.key(0))
    assert states.shape == symbols.shape == (6, 40)


def test_state_and_symbol_frequencies_at_every_step():
    states, symbols = batch()
    law = LOPSIDED.initial
    for t in range(N_STEPS):
        counts = np.bincount(states[:, t], minlength=3)
        assert_frequencies(counts, N_SEQUENCES, law)
        counts = np.bincount(symbols[:, t], minlength=4)
        assert_frequencies(counts, N_SEQUENCES, law @ LOPSIDED.emission)
        law = law @ LOPSIDED.transition


def test_transition_frequencies():
    states, _ = batch()
    counts = np.zeros((3, 3))
    np.add.at(counts, (states[:, :-1], states[:, 1:]), 1)
    assert_frequencies(counts, counts.sum(axis=1, keepdims=True), LOPSIDED.transition)


def test_emission_frequencies():
    states, symbols = batch()
    counts = np.zeros((3, 4))
    np.add.at(counts, (states, symbols), 1)
    assert_frequencies(counts, counts.sum(axis=1, keepdims=True), LOPSIDED.emission)


def test_symbol_and_next_state_are_independent_given_the_state():
    states, symbols = batch()
    counts = np.zeros((3, 4, 3))
    np.add.at(counts, (states[:, :-1], symbols[:, :-1], states[:, 1:]), 1)
    joint = LOPSIDED.emission[:, :, None] * LOPSIDED.transition[:, None, :]
    assert_frequencies(counts, counts.sum(axis=(1, 2), keepdims=True), joint)


def test_symbol_is_independent_of_the_state_before():
    states, symbols = batch()
    counts = np.zeros((3, 3, 4))
    np.add.at(counts, (states[:, :-1], states[:, 1:], symbols[:, 1:]), 1)
    assert_frequencies(counts, counts.sum(axis=2, keepdims=True), LOPSIDED.emission[None])


def test_sequences_of_a_batch_are_independent():
    states, _ = batch()
    counts = np.zeros((3, 3))
    np.add.at(counts, (states[0::2, 1], states[1::2, 1]), 1)
    law = LOPSIDED.initial @ LOPSIDED.transition
    assert_frequencies(counts, N_SEQUENCES / 2, np.outer(law, law))


@few
@given(hmm=hmms(n_states=(3, 3), n_symbols=(4, 4)))
def test_zero_probabilities_are_never_sampled(hmm):
    states, symbols = (np.asarray(a) for a in sample_batch(hmm, 6, 40, jax.random.key(0)))
    assert np.all(hmm.initial[states[:, 0]] > 0)
    assert np.all(hmm.transition[states[:, :-1], states[:, 1:]] > 0)
    assert np.all(hmm.emission[states, symbols] > 0)


def indices_at_the_edges(row):
    """What `invert` gives at, just below and just above every step of the cumulative law."""
    law = jax.jit(cumulative)(jnp.asarray(row, jnp.float32))
    steps = np.concatenate([[0, 1], np.asarray(law)]).astype(np.float32)
    u = np.concatenate([steps, np.nextafter(steps, 0), np.nextafter(steps, 2)]).astype(np.float32)
    u = np.minimum(u, np.nextafter(np.float32(1), np.float32(0)))
    return np.asarray(jax.vmap(invert, in_axes=(None, 0))(law, jnp.asarray(u)))


@few
@given(rows=probability_rows(1, 12))
def test_zero_probabilities_are_skipped_at_the_edges_of_the_law(rows):
    padded = np.concatenate([np.zeros(2), rows[0], np.zeros(2)])
    assert np.all(padded[indices_at_the_edges(padded)] > 0)


def test_zero_probabilities_are_skipped_among_500_symbols():
    rng = np.random.default_rng(0)
    for row in rng.dirichlet(np.ones(500), 20):
        row[rng.random(500) < 0.4] = 0
        assert np.all(row[indices_at_the_edges(row / row.sum())] > 0)


def test_invert_cuts_the_unit_interval_into_the_given_lengths():
    law = cumulative(jnp.array([0.0, 0.25, 0.5, 0.0, 0.25, 0.0]))
    u = jnp.array([0.0, 0.2499, 0.25, 0.5, 0.7499, 0.75, 0.9999])
    drawn = jax.vmap(invert, in_axes=(None, 0))(law, u)
    np.testing.assert_array_equal(drawn, [1, 1, 2, 2, 2, 4, 4])


def test_two_keys_differ_and_one_key_repeats():
    first, second, again = batch(0), batch(1), batch.__wrapped__(0)
    for a, b, c in zip(first, second, again, strict=True):
        assert np.mean(a != b) > 0.3
        np.testing.assert_array_equal(a, c)


def test_sequences_of_a_batch_are_distinct():
    _, symbols = batch()
    assert len(np.unique(symbols[:20], axis=0)) == 20


def test_vmap_equals_a_loop_bit_for_bit():
    key = jax.random.key(4)
    states, symbols = sample_batch(LOPSIDED, 6, 40, key)
    for i, one in enumerate(jax.random.split(key, 6)):
        alone = sample(LOPSIDED, 40, one)
        np.testing.assert_array_equal(states[i], alone[0])
        np.testing.assert_array_equal(symbols[i], alone[1])


def test_deterministic_hmm_gives_its_one_sequence():
    cycle = HMM(
        initial=np.array([0.0, 0.0, 1.0]),
        transition=np.roll(np.eye(3), 1, axis=1),
        emission=np.eye(4)[[1, 0, 3]],
    )
    states, symbols = sample(cycle, 40, jax.random.key(0))
    np.testing.assert_array_equal(states, [2, 0, 1] * 13 + [2])
    np.testing.assert_array_equal(symbols, [3, 1, 0] * 13 + [3])
