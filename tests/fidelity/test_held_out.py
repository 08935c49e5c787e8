"""Fidelity against held-out data: planted networks, and every number against loops."""

import itertools

import jax
import numpy as np
import pytest
from fidelity.test_comparison import P, planted

from hmmrnn import InputError, hmm
from hmmrnn.fidelity import compare, kl_through_training
from hmmrnn.fidelity.markov import fitted, surprises
from hmmrnn.fidelity.statistics import compared_orders
from hmmrnn.sequences import SymbolSequences, windows
from hmmrnn.storage import plain

KEY = jax.random.key(0)
N_STEPS = 12


def independent(n=800, shortest=4, longest=20, seed=0):
    """Sequences of symbols drawn from P, of different lengths."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, n)
    return SymbolSequences.of([rng.choice(3, n, p=P) for n in lengths])


@pytest.fixture(scope="module")
def data():
    return independent()


@pytest.fixture(scope="module")
def perfect(data):
    return compare(planted(), data, KEY, n_steps=N_STEPS)


def inside(symbols):
    return [row[row >= 0].tolist() for row in symbols]


def runs_of(rows, symbol):
    """Lengths of the runs that neither end of their sequence cuts."""
    for row in rows:
        runs = [(key, len(list(group))) for key, group in itertools.groupby(row)]
        yield from (n for key, n in runs[1:-1] if key == symbol)


def kl_of(rows, held, n, k=3):
    """KL from held-out shares with half a count added, by dictionaries."""

    def count(rows):
        found = dict.fromkeys(itertools.product(range(k), repeat=n), 0)
        for row in rows:
            for i in range(len(row) - n + 1):
                found[tuple(row[i : i + n])] += 1
        return found

    ours, theirs = count(rows), count(held)
    total, mass = sum(ours.values()), sum(theirs.values()) + 0.5 * k**n
    return sum(
        c / total * np.log(c / total / ((theirs[g] + 0.5) / mass)) for g, c in ours.items() if c
    )


def test_a_network_with_the_law_of_the_data_scores_as_the_training_part(perfect):
    assert list(perfect.kl) == [1, 2, 3, 4]  # 200 held-out sequences have 2000 windows of 4
    for entry in (*perfect.kl.values(), perfect.transition_error):
        assert entry.network.value < 1.7 * entry.floor.value + 0.01
    assert perfect.excess_surprise.network.low < 0.02
    assert perfect.excess_surprise.network.high > -0.02
    near = [perfect.volatility, *perfect.symbol_shares]
    near += [entry for dwell in perfect.dwell for entry in (dwell.mean, dwell.cv)]
    for entry in near:
        wide = entry.network.high - entry.network.low
        assert abs(entry.network.value - entry.exact) < 1.5 * wide
    distance = perfect.matched_distance
    assert distance.network.value == pytest.approx(distance.floor.value, rel=0.05)


def test_floors_are_those_of_the_training_part_by_loops(data, perfect):
    """Windows of N_STEPS for n-grams; whole sequences for dwell times."""
    parts = data.parts
    rows = inside(windows(parts.train.symbols, N_STEPS)[0])
    held, train = inside(parts.held_out.symbols), inside(parts.train.symbols)
    assert perfect.n_sequences == len(rows)
    for n, entry in perfect.kl.items():
        assert entry.floor.value == pytest.approx(kl_of(rows, held, n), rel=1e-4, abs=1e-6)
    changes = [a != b for row in rows for a, b in itertools.pairwise(row)]
    assert perfect.volatility.floor.value == pytest.approx(np.mean(changes), rel=1e-5)
    symbols = list(itertools.chain(*rows))
    for i, (share, dwell) in enumerate(zip(perfect.symbol_shares, perfect.dwell, strict=True)):
        assert share.floor.value == pytest.approx(np.mean(np.array(symbols) == i), rel=1e-5)
        ours, theirs = (list(runs_of(part, i)) for part in (train, held))
        assert dwell.mean.floor.value == pytest.approx(np.mean(ours), rel=1e-5)
        assert dwell.cv.floor.value == pytest.approx(np.std(ours) / np.mean(ours), rel=1e-4)
        assert dwell.mean.exact == pytest.approx(np.mean(theirs), rel=1e-5)
        np.testing.assert_allclose(
            dwell.exact[:3], [np.mean(np.array(theirs) == n) for n in (1, 2, 3)], rtol=1e-5
        )


def test_dwell_times_of_the_network_are_cut_off_as_those_of_the_data():
    """Of 4 steps, a complete run has 1 or 2; P(2 | complete) by enumeration of all sequences."""
    data = independent(n=2_000, shortest=4, longest=4)
    weight = dict.fromkeys((1, 2), 0.0)
    for row in itertools.product(range(3), repeat=4):
        for length in runs_of([row], 0):
            weight[length] += np.prod(P[list(row)])
    mean = (weight[1] + 2 * weight[2]) / sum(weight.values())
    found = compare(planted(), data, KEY, n_steps=4).dwell[0].mean
    for value in (found.network.value, found.floor.value, found.exact):
        assert value == pytest.approx(mean, abs=0.06)
    assert mean < 1.3 < 1 / (1 - P[0])  # the law without an end


def test_a_network_of_another_law_is_far(data):
    """Data that never repeat a symbol: half of what the planted network does is new to them."""
    rows = [(np.cumsum(np.random.default_rng(i).integers(1, 3, 15)) % 3) for i in range(400)]
    found = compare(planted(), SymbolSequences.of(rows), KEY, n_steps=N_STEPS)
    assert found.kl[2].network.value > 30 * found.kl[2].floor.value
    assert found.excess_surprise.network.low > 0.5
    assert found.volatility.exact == 1.0
    assert found.transition_error.network.value > 0.5
    assert all(np.isnan(found.impossible_share) for _ in range(1))
    assert plain(found)["impossible_share"] is None


def test_surprise_is_the_mean_log_of_a_markov_model(data):
    """Of order 1 by loops, from the pairs of the training part with half a count added."""
    part = data.parts.train
    first, pairs = np.full(3, 0.5), np.full((3, 3), 0.5)
    for row in inside(part.symbols):
        for i, x in enumerate(row):
            first[x] += 1
            if i:
                pairs[row[i - 1], x] += 1
    first, pairs = first / first.sum(), pairs / pairs.sum(axis=1, keepdims=True)
    held = data.parts.held_out.symbols
    expected = [
        -np.log(first[row[0]]) - sum(np.log(pairs[a, b]) for a, b in itertools.pairwise(row))
        for row in inside(held)
    ]
    found = surprises(fitted(part, 1), held)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-10)
    np.testing.assert_array_equal(found[:, 1], [len(row) for row in inside(held)])
    # order 0 does not look back, whatever the sequence
    np.testing.assert_allclose(
        surprises(fitted(part, 0), np.array([[0, 1, -1]])), [[-np.log(first[:2]).sum(), 2]]
    )


def test_recordings_are_resampled_in_windows():
    rng = np.random.default_rng(0)
    recording = SymbolSequences.of([rng.choice(3, 6_000, p=P)])
    found = compare(planted(), recording, KEY, n_steps=N_STEPS)
    assert found.n_sequences == 3_000 // N_STEPS
    for entry in (found.volatility, found.kl[1], found.dwell[0].mean):
        assert entry.floor.low < entry.floor.value < entry.floor.high


def test_orders_are_those_that_the_held_out_part_supports(data):
    assert compared_orders(data, N_STEPS) == [1, 2, 3, 4]
    assert compared_orders(data, 3) == [1, 2, 3]
    tiny = SymbolSequences.of([[0, 1, 2, 1]] * 8)
    assert compared_orders(tiny, 4) == [1]
    assert data.compared_law(3).shape == (27,)
    assert data.compared_law(3).sum() == pytest.approx(1)
    assert tiny.compared_law(3).min() > 0


def test_snapshots_are_compared_with_held_out_data(data):
    network = planted()
    params = {name: np.stack([p, 2 * p]) for name, p in network.params.items()}
    right, wrong = kl_through_training(
        network, jax.tree.map(jax.numpy.asarray, params), data, N_STEPS, KEY
    )
    assert right.value < 0.1 < wrong.value


def test_networks_of_other_symbols_are_refused(data):
    with pytest.raises(InputError, match=r"4 symbols.* 3"):
        compare(planted(4), data, KEY)
    with pytest.raises(InputError, match=r"4 symbols.* 3"):
        compare(planted(4), hmm.preset("linear3"), KEY)
