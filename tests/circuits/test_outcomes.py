from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SMALL, net_of, relabelled, switch

from hmmrnn import InputError
from hmmrnn.circuits.assays import (
    all_cluster_starts,
    assay,
    has_critical_pair,
    measure,
    measure_baseline,
)
from hmmrnn.circuits.free_runs import counts, escapes, settled
from hmmrnn.circuits.outcomes import FLOOR, Outcomes, outcomes, quantities, weights_of
from hmmrnn.dynamics import spectrum
from hmmrnn.dynamics.spectra import spectra_along
from hmmrnn.interventions import Arms
from hmmrnn.interventions.engine import arms_of
from hmmrnn.losses import kl_of_law, ngram_shares
from hmmrnn.nets import NO_INTERVENTION, Intervention, RNNCell, init_params
from hmmrnn.nets.noise import white_noise
from hmmrnn.recordings.events import find_events
from hmmrnn.recordings.recorder import WARM_UP, Recording, record, recorded

KEY = jax.random.key(3)
N_STEPS = 200


N = 8
NET = switch()


@pytest.fixture(scope="module")
def setting():
    recording = record(NET, 16, N_STEPS, jax.random.key(1))
    law = np.full(16, 1 / 16)
    return assay(NET, recording, law, KEY, n_runs=16, n_steps=N_STEPS, n_starts=40)


@pytest.fixture(scope="module")
def baseline(setting):
    return measure_baseline(setting, n_spectra=4)


def silenced(*units):
    return Intervention(state_gain=jnp.ones(N).at[jnp.array(units)].set(0.0))


def in_numpy(network, h0, noise, gates):
    """States (T, B, N) in float64, one step after the other."""
    p = {name: np.asarray(x, float) for name, x in network.params.items()}
    gates = [np.asarray(gate, float) for gate in gates]
    h, states = np.asarray(h0, float), []
    for x in np.asarray(noise, float):
        a = gates[0] * (h @ p["W_rec"].T) + gates[1] * (x @ p["W_in"].T) + p["b_rec"]
        h = gates[2] * np.maximum(a, 0) + gates[3]
        states.append(h)
    return np.array(states), np.array(states) @ p["W_out"].T + p["b_out"]


def settled_by_hand(symbols):
    now, found = -1, []
    for t in range(len(symbols) - 4):
        if len(set(symbols[t : t + 5])) == 1:
            now = symbols[t]
        found.append(now)
    return found


def counted_by_hand(symbols, k):
    """Steps, changes and dwell times of each symbol of one run."""
    steps, changes, dwells, last = np.zeros(k), np.zeros((k, k)), [[] for _ in range(k)], None
    for t in range(1, len(symbols)):
        before, now = symbols[t - 1], symbols[t]
        if before < 0:
            continue
        steps[before] += 1
        if now != before:
            changes[before, now] += 1
            if last is not None:
                dwells[before].append(t - last)
            last = t
    return steps, changes, dwells


def flickering(rng, shape, k, rate):
    """Symbols that stay, change, and flicker now and then."""
    symbols = np.zeros(shape, int)
    for run in symbols:
        now = 0
        for t in range(len(run)):
            now = rng.integers(k) if rng.random() < rate else now
            run[t] = rng.integers(k) if rng.random() < 0.1 else now
    return symbols


def test_settled_symbols_stay_for_five_steps():
    symbols = flickering(np.random.default_rng(0), (20, 120), 3, 0.1)
    found = jax.vmap(settled)(jnp.asarray(symbols))
    np.testing.assert_array_equal(found, [settled_by_hand(run) for run in symbols])
    never = settled(jnp.arange(50) % 4)
    np.testing.assert_array_equal(never, np.full(46, -1))


def test_two_states_without_memory_have_the_cv_that_is_promised():
    changes = np.random.default_rng(2).random(200_000) < 0.05
    _, _, dwells = counted_by_hand(settled_by_hand(np.cumsum(changes) % 2), 2)
    pooled = np.concatenate(dwells)
    assert np.std(pooled) / np.mean(pooled) == pytest.approx(0.845, abs=0.02)


def test_every_event_is_a_completed_transition():
    symbols = flickering(np.random.default_rng(1), (20, 400), 3, 0.08)
    steady = np.array([settled_by_hand(run) for run in symbols])
    n_events = 0
    for s in range(3):
        for t in {0, 1, 2} - {s}:
            events = find_events(symbols, (s, t))
            n_events += len(events.run)
            np.testing.assert_array_equal(steady[events.run, events.onset], t)
            np.testing.assert_array_equal(steady[events.run, events.onset - 1], s)
    completed = np.sum((steady[:, 1:] != steady[:, :-1]) & (steady[:, :-1] >= 0))
    assert 100 < n_events < completed


def test_without_intervention_runs_are_those_of_a_recording():
    keys = jax.random.split(KEY, 4)
    net = net_of(NET.cell, NET.params, 1.0)
    found = counts(net, arms_of([NO_INTERVENTION], N), 50, keys)
    for b, symbols in enumerate(np.asarray(recorded(net, 50, keys).symbols)):
        steps, changes, _ = counted_by_hand(symbols, 2)
        np.testing.assert_array_equal(found.raw_steps[0, b], steps)
        np.testing.assert_array_equal(found.raw[0, b], changes)
    assert found.finite.all()


def test_counts_equal_a_simulation_in_numpy(setting):
    gains = [NO_INTERVENTION, silenced(3), Intervention(noise_gain=jnp.ones(N).at[2].set(2.0))]
    found = measure(setting, gains).counts
    split = jax.vmap(jax.random.split)(setting.keys)
    noise = white_noise(split[:, 1], WARM_UP + N_STEPS, 2)
    for g, gates in enumerate(gains):
        states, logits = in_numpy(NET, np.zeros((16, N)), noise, gates)
        np.testing.assert_allclose(found.last[g], states[-1], atol=1e-4)
        logits = np.swapaxes(logits[WARM_UP:], 0, 1)
        softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        for b, symbols in enumerate(logits.argmax(-1)):
            steps, changes, dwells = counted_by_hand(settled_by_hand(symbols), 2)
            np.testing.assert_array_equal(found.steps[g, b], steps)
            np.testing.assert_array_equal(found.completed[g, b], changes)
            moments = [(len(d), np.sum(d), np.sum(np.square(d))) for d in dwells]
            np.testing.assert_array_equal(found.dwells[g, b], moments)
            raw_steps, raw, _ = counted_by_hand(symbols, 2)
            np.testing.assert_array_equal(found.raw_steps[g, b], raw_steps)
            np.testing.assert_array_equal(found.raw[g, b], raw)
            grams = np.zeros((2,) * 4)
            for t in range(N_STEPS - 3):
                grams += np.einsum("a,b,c,d->abcd", *softmax[b, t : t + 4]) / (N_STEPS - 3)
            np.testing.assert_allclose(found.ngrams[g, b], grams.ravel(), atol=1e-5)
    assert found.completed[0].sum() > 40


def test_numbers_are_ratios_of_the_sums_over_runs(setting, baseline):
    found = outcomes(setting, baseline, baseline, KEY)
    run = jax.tree.map(lambda x: np.asarray(x, float)[0].sum(0), baseline.counts)
    n, total, square = run.dwells.T
    cv = np.sqrt(square / n - (total / n) ** 2) / (total / n)
    rate = run.completed[0, 1] / run.steps[0]
    for estimate, value in [
        (found.per_step, [run.completed.sum() / run.steps.sum()]),
        (found.raw_rate, [run.raw / run.raw_steps[:, None]]),
        (found.rate, [[[0, rate], [run.completed[1, 0] / run.steps[1], 0]]]),
        (found.dwell_mean, [total / n]),
        (found.dwell_cv, [cv]),
        (found.pooled_mean, [total.sum() / n.sum()]),
    ]:
        np.testing.assert_allclose(estimate.value, value)
        assert np.all(estimate.low <= estimate.value)
        assert np.all(estimate.high >= estimate.value)
    # a binomial rate has this interval if runs were as good as independent steps
    width = 2 * 1.96 * np.sqrt(rate / run.steps[0])
    assert (found.rate.high - found.rate.low)[0, 0, 1] == pytest.approx(width, rel=0.5)
    assert (found.n_valid == 16).all()
    assert (found.n_valid_starts == 40).all()


def test_no_intervention_is_the_baseline_exactly(setting, baseline):
    again = measure(setting, [silenced(3), NO_INTERVENTION], n_spectra=4)
    for one, other in zip(*(jax.tree.leaves(x) for x in (again, baseline)), strict=True):
        np.testing.assert_array_equal(one[1], other[0])
    found = outcomes(setting, again, baseline, KEY)
    for ratio in (found.ratio, found.hazard_ratio):
        for side in ratio.parts:
            np.testing.assert_array_equal(side[1], [[np.nan, 1], [1, np.nan]])
    for side in found.escape_change.parts:
        np.testing.assert_array_equal(side[1], 0)
    np.testing.assert_array_equal(found.per_step_ratio.low[1], 1)


def test_silencing_a_kick_unit_stops_its_transition_and_no_other(setting, baseline):
    measured = measure(setting, [silenced(3), silenced(5), silenced(3, 5)])
    found = outcomes(setting, measured, baseline, KEY)
    for g, (s, t) in enumerate([(0, 1), (1, 0)]):
        assert found.hazard.value[g, s, t] == found.escape.value[g, s] == 0
        assert found.hazard_ratio.high[g, s, t] == 0
        assert found.escape_change.high[g, s] < -0.3
        assert found.hazard_ratio.value[g, t, s] == pytest.approx(1, abs=0.1)
        # all runs end in s, whose rate is known; that of t is not
        assert found.ratio.value[g, s, t] == found.ratio.high[g, s, t] == 0
    np.testing.assert_array_equal(found.escape.value[2], 0)
    assert found.per_step.value[2] == 0
    assert np.isnan(found.pooled_cv.value).all()


def test_more_and_fewer_interventions_than_a_block_give_the_same(setting):
    some = [silenced(3), silenced(5), silenced(2)] * 3
    many = measure(setting, some, n_spectra=2)
    one = measure(setting, some[8:], n_spectra=2)
    for x, y in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        assert len(x) == 9
        np.testing.assert_array_equal(x[8], y[0])


def test_escapes_equal_a_simulation_in_numpy(setting):
    gains = [NO_INTERVENTION, Intervention(noise_gain=1.5 * jnp.ones(N))]
    found = measure(setting, gains).escapes
    noise = np.asarray(white_noise(setting.keys_starts, 60, 2))
    for g, gates in enumerate(gains):
        for s in range(2):
            logits = in_numpy(NET, setting.starts.states[s], noise[:, s], gates)[1]
            away = logits.argmax(-1) != s
            never = ~away.any(0)
            time = np.where(never, 60, away.argmax(0) + 1)
            np.testing.assert_array_equal(found.time[g, s], time)
            np.testing.assert_array_equal(found.symbol[g, s], np.where(never, -1, 1 - s))
    assert found.time[0].min() < found.time[0].max() == 60


def test_leaving_by_a_coin_has_a_hazard_of_one_half():
    """Without memory the next symbol is 0, 1 or 2 with known chances."""
    cell = RNNCell(n_symbols=3, hidden_size=1, noise_dim=1, activation="tanh", bias=True)
    weights = {"W_in": [[1]], "W_rec": [[0]], "W_out": [[1], [-1], [0]], "b_rec": [0]}
    params = {name: jnp.asarray(x, jnp.float32) for name, x in weights.items()}
    params["b_out"] = jnp.array([0, 0, -9.0])  # symbol 2 never
    n = 4_000
    left = escapes(
        net_of(cell, params, 1.0),
        arms_of([NO_INTERVENTION], 1),
        jnp.zeros((3, n, 1)),
        jax.random.split(KEY, (3, n)),
    )
    left = jax.tree.map(np.asarray, left)
    for s in (0, 1):
        assert np.sum(left.symbol[0, s] == 1 - s) / left.time[0, s].sum() == pytest.approx(
            0.5, abs=0.02
        )
    np.testing.assert_array_equal(left.time[0, 2], 1)
    assert np.mean(left.symbol[0, 2] == 0) == pytest.approx(0.5, abs=0.03)


def test_a_network_that_diverges_is_left_out_and_counted(setting, baseline):
    """Unit 2 excites itself a thousandfold."""
    wild = Intervention(recurrent_gain=jnp.ones(N).at[2].set(1e4))
    measured = measure(setting, [wild, silenced(3)], n_spectra=4)
    found = outcomes(setting, measured, baseline, KEY)
    assert list(found.n_valid) == [0, 16]
    np.testing.assert_array_equal(found.n_valid_starts, [[0, 0], [40, 40]])
    for name in set(Outcomes._fields) - {"n_valid", "n_valid_starts"}:
        assert np.isnan(getattr(found, name).value[0]).all(), name
    alone = outcomes(setting, measure(setting, [silenced(3)]), baseline, KEY)
    np.testing.assert_array_equal(found.rate.value[1], alone.rate.value[0])


def test_runs_that_diverge_leave_the_others_alone(setting, baseline):
    finite = baseline.counts.finite.copy()
    finite[0, :7] = False
    ngrams = np.where(finite[..., None], baseline.counts.ngrams, np.nan)
    broken = baseline._replace(counts=baseline.counts._replace(finite=finite, ngrams=ngrams))
    weights = weights_of(setting, KEY)
    found = quantities(setting, broken, baseline, *weights)
    rest = jax.tree.map(lambda x: x[:, 7:], baseline.counts)
    expected = quantities(
        setting._replace(keys=setting.keys[7:]),
        baseline._replace(counts=rest, critical=baseline.critical[:, 7:]),
        baseline._replace(counts=rest),
        weights[0][:1, 7:],
        weights[1][:1],
    )
    for name in ("rate", "kl", "pooled_cv"):
        np.testing.assert_allclose(found[name][:1], expected[name], rtol=1e-12)
    np.testing.assert_array_equal(found["ratio"][:, 0, 0, 1], 1)  # of the runs that both have


def test_a_network_without_noise_has_no_transition(setting):
    """From the middle of each cluster, where no kick has begun."""
    states = setting.starts.states
    middle = jnp.broadcast_to(jnp.median(states, axis=1, keepdims=True), states.shape)
    starts = setting.starts._replace(states=middle)
    still = setting._replace(
        network=setting.network.replace(noise_std=jnp.zeros(())), starts=starts
    )
    found = outcomes(still, *[measure_baseline(still)] * 2, KEY)
    assert found.per_step.value == np.nanmax(found.rate.value) == 0
    np.testing.assert_array_equal(found.escape.value, 0)
    for unknown in (found.ratio, found.hazard_ratio, found.dwell_cv, found.critical):
        assert np.isnan(unknown.value).all()


def test_divergence_from_the_law_is_that_of_the_loss(setting, baseline):
    found = outcomes(setting, baseline, baseline, KEY)
    logits = recorded(net_of(NET.cell, NET.params, 1.0), N_STEPS, setting.keys).logits
    shares = jax.nn.softmax(logits)
    law = jnp.asarray(setting.law)
    expected = kl_of_law(partial(ngram_shares, n=4), shares, law, FLOOR)
    np.testing.assert_allclose(found.kl.value, [expected], rtol=1e-4)
    own = np.asarray(ngram_shares(shares, 4), float)
    same = outcomes(setting._replace(law=own / own.sum()), baseline, baseline, KEY)
    np.testing.assert_allclose(same.kl.value, 0, atol=1e-5)
    none = outcomes(setting._replace(law=None), baseline, baseline, KEY)
    assert np.isnan(none.kl.value).all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_critical_pairs_are_those_of_the_network_under_the_intervention(activation):
    cell = SMALL.clone(activation=activation, bias=True)
    params = init_params(cell, jax.random.key(1))
    params["W_rec"] = 3 * params["W_rec"]
    key_states, key_gains = jax.random.split(KEY)
    states = jax.random.normal(key_states, (30, 12))
    gain, scale = jnp.exp(0.3 * jax.random.normal(key_gains, (2, 12)))
    p = {name: np.asarray(x, float) for name, x in params.items()}
    w = np.asarray(gain, float)[:, None] * p["W_rec"]
    a = np.asarray(states, float) @ w.T + p["b_rec"]
    slope = (a > 0) if activation == "relu" else 1 - np.tanh(a) ** 2
    matrices = (np.asarray(scale) * slope)[:, :, None] * w
    expected = spectrum(jnp.asarray(matrices, jnp.float32)).n_critical_pairs > 0
    gates = Intervention(recurrent_gain=gain, state_gain=scale)
    np.testing.assert_array_equal(has_critical_pair(net_of(cell, params), gates, states), expected)
    assert 0 < expected.sum() < 30
    plain = spectra_along(net_of(cell, params), states).n_critical_pairs > 0
    np.testing.assert_array_equal(
        has_critical_pair(net_of(cell, params), NO_INTERVENTION, states), plain
    )


def test_a_rotation_is_critical_until_it_is_weakened():
    c, s = np.cos(0.3), np.sin(0.3)
    cell = RNNCell(n_symbols=2, hidden_size=2, noise_dim=1, activation="tanh")
    params = {"W_rec": jnp.array([[c, -s], [s, c]]), "W_in": jnp.zeros((2, 1))}
    params["W_out"] = jnp.zeros((2, 2))
    at = partial(has_critical_pair, net_of(cell, params), states=jnp.zeros((1, 2)))
    assert at(NO_INTERVENTION) == 1
    assert at(Intervention(recurrent_gain=0.5)) == 0
    assert at(Intervention(state_gain=0.5)) == 0
    assert at(Intervention(recurrent_gain=0.5, state_gain=2.0)) == 1
    assert np.isnan(at(Intervention(recurrent_gain=np.nan)))


def test_starts_come_from_the_clusters():
    states = jnp.arange(2 * 5 * 3, dtype=float).reshape(2, 5, 3)
    symbols = jnp.array([[0, 0, 1, 1, 0], [0, 1, 1, 0, 0]])
    zone = jnp.array([[0, 0, 2, 0, 1], [1, 2, 0, 0, 3]])
    blank = jnp.zeros((2, 5, 1))
    recording = Recording(states, blank, states, jnp.zeros((2, 5, 3)), symbols, zone)
    found = all_cluster_starts(recording, 50, KEY)
    np.testing.assert_array_equal(found.n_found, [3, 2, 0])
    for s, where in enumerate([{(0, 0), (0, 1), (1, 3)}, {(0, 3), (1, 2)}]):
        seen = set()
        for state, run in zip(np.asarray(found.states[s]), found.run[s], strict=True):
            (steps,) = [np.flatnonzero((np.asarray(states[run]) == state).all(1))]
            seen.add((int(run), int(steps[0])))
        assert seen == where
    assert np.isnan(found.states[2]).all()
    assert found.n_runs == 2
    assert not np.array_equal(found.run, all_cluster_starts(recording, 50, jax.random.key(4)).run)


def test_a_symbol_without_a_cluster_has_no_escape(setting, baseline):
    states = setting.starts.states.at[1].set(jnp.nan)
    none = setting._replace(starts=setting.starts._replace(states=states))
    found = outcomes(none, *[measure_baseline(none)] * 2, KEY)
    np.testing.assert_array_equal(found.n_valid_starts, [[40, 0]])
    np.testing.assert_array_equal(np.isnan(found.escape.value), [[False, True]])
    known = outcomes(setting, baseline, baseline, KEY)
    np.testing.assert_array_equal(found.hazard.value[0, 0], known.hazard.value[0, 0])


def test_relabelled_units_behave_the_same(setting, baseline):
    order = np.array([4, 2, 7, 0, 5, 1, 6, 3])
    params = relabelled(NET.params, order)
    starts = setting.starts._replace(states=setting.starts.states[..., order])
    other = setting._replace(network=net_of(NET.cell, params), starts=starts)
    ours = measure(setting, silenced(3))
    theirs = measure(other, Intervention(state_gain=silenced(3).state_gain[order]))
    for name in ("completed", "raw", "dwells"):
        np.testing.assert_array_equal(getattr(ours.counts, name), getattr(theirs.counts, name))
    np.testing.assert_array_equal(ours.escapes.time, theirs.escapes.time)
    np.testing.assert_allclose(ours.counts.last[..., order], theirs.counts.last, atol=1e-5)


def test_networks_side_by_side_equal_each_alone():
    networks = [NET, switch(kick=1.0, threshold=1.5)]
    both = jax.tree.map(lambda *x: jnp.stack(x), *networks)
    gains = arms_of([NO_INTERVENTION, silenced(3)], N)
    keys = jax.random.split(KEY, (2, 3))
    starts = jnp.broadcast_to(jnp.eye(2, N)[:, None], (2, 3, N))
    count = partial(counts, arms=gains, n_steps=60)
    leave = partial(escapes, arms=gains, starts=starts, keys=keys)
    together = jax.vmap(lambda net, k: count(net, keys=k))(both, keys)
    left = jax.vmap(leave)(both)
    for i, net in enumerate(networks):
        alone = count(net, keys=keys[i])
        np.testing.assert_array_equal(together.completed[i], alone.completed)
        np.testing.assert_allclose(together.ngrams[i], alone.ngrams, atol=1e-6)
        np.testing.assert_array_equal(left.time[i], leave(net).time)
    assert not np.array_equal(left.time[0], left.time[1])


def test_the_intervention_is_there_from_the_first_step():
    """Unit 0 starts ahead by its own offset, which a warm-up without it would not show."""
    keys = jax.random.split(KEY, 3)
    params = NET.params | {"W_in": jnp.zeros((N, 2))}
    others = arms_of([silenced(1), silenced(0)], N)
    found = counts(net_of(NET.cell, params, 1.0), others, 10, keys)
    np.testing.assert_array_equal(found.raw_steps[0], [[9, 0]] * 3)
    np.testing.assert_array_equal(found.raw_steps[1], [[0, 9]] * 3)


def test_what_cannot_be_measured_is_refused(setting):
    recording = Recording(*[jnp.zeros((2, 5, 2))] * 4, *[jnp.zeros((2, 5), int)] * 2)
    with pytest.raises(InputError, match="n_runs=0"):
        assay(NET, recording, None, KEY, n_runs=0)
    with pytest.raises(InputError, match=r"law .*81.*16"):
        assay(NET, recording, np.full(81, 1 / 81), KEY)
    gains = arms_of([NO_INTERVENTION], N)
    with pytest.raises(InputError, match="n_steps=5"):
        counts(net_of(NET.cell, NET.params, 1.0), gains, 5, setting.keys)
    with pytest.raises(InputError, match="order=17"):
        counts(net_of(NET.cell, NET.params, 1.0), gains, 50, setting.keys, order=17)


def test_spectra_are_those_of_the_weights_of_an_arm(setting):
    """A rotation by a quarter turn in two units has a critical pair, no weights have none."""
    still = jnp.zeros((N, N))
    turning = still.at[0, 1].set(-1.0).at[1, 0].set(1.0)
    cell = RNNCell(n_symbols=2, hidden_size=N, noise_dim=2, activation="tanh")
    params = {name: NET.params[name] for name in ("W_in", "W_out")} | {"W_rec": still}
    own = setting._replace(network=net_of(cell, params, 0.01))
    found = measure(own, Arms(weights={"W_rec": jnp.stack([still, turning])}), n_spectra=3)
    np.testing.assert_array_equal(found.critical[:, :3], [[0] * 3, [1] * 3])


@pytest.mark.parametrize("name", ["held", "push", "steps"])
def test_what_free_runs_cannot_do_is_named(setting, name):
    with pytest.raises(InputError, match=name):
        measure(setting, Arms(**{name: jnp.zeros((2, N))}))
