"""Kick neurons of planted networks, of networks that have none, and of recordings made by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn.circuits import windows
from hmmrnn.circuits.kick_neurons import (
    AFTER,
    BEFORE,
    MIN_SHUFFLES,
    N_EVENTS,
    Levels,
    best_by_chance,
    kick_neurons,
    kick_score,
    levels_of,
)
from hmmrnn.nets import RNNCell, init_params
from hmmrnn.recordings.events import find_events
from hmmrnn.recordings.recorder import Recording, record
from hmmrnn.recordings.residency_times import CLUSTER, KICK_ZONE, OTHER, TRANSITION
from hmmrnn.tasks.kick_circuit import PAIRS, barrier_network, kick_network

KEY = jax.random.key(31)
UNTRAINED = {
    "the paper's cell": RNNCell(n_symbols=3, hidden_size=150, noise_dim=100),
    "the planted cell": RNNCell(n_symbols=2, hidden_size=130, noise_dim=120, bias=True),
    "slow units": RNNCell(n_symbols=2, hidden_size=50, noise_dim=120, bias=True),
}
SMALL = {"kick": 20, "barrier": 42}
"""Distractors with which both planted networks have 50 units, and so share their programs."""


def some_and_all(some, everything, small):
    """A few seeds of small networks, and many with as many distractors as users get."""
    everything = pytest.param(list(everything), {}, marks=pytest.mark.slow, id="all")
    return [pytest.param(list(some), {"n_distractors": small}, id="some"), everything]


def found_in(net, n_runs, n_steps, key, pairs=PAIRS):
    key_record, key_find = jax.random.split(key)
    recording = record(net, n_runs, n_steps, key_record)
    keys = jax.random.split(key_find, len(pairs))
    return [
        kick_neurons(net, recording, p, len(pairs), k) for p, k in zip(pairs, keys, strict=True)
    ]


def precision_and_recall(net, found):
    """Over both kick groups of a planted network; a unit in the wrong group is a mistake."""
    truth = np.array([net.groups["kick {}{}".format(*each.pair)] for each in found])
    answer = np.array([each.kick for each in found])
    right = np.sum(truth & answer)
    return right / max(answer.sum(), 1), right / truth.sum()


@pytest.mark.parametrize(("seeds", "options"), some_and_all(range(3), range(20), SMALL["kick"]))
def test_planted_kick_neurons_are_found(seeds, options):
    """20 seeds on one core: precision 1.00 and recall 1.00 in each."""
    scores = []
    for seed in seeds:
        key_net, key_find = jax.random.split(jax.random.key(seed))
        net = kick_network(key_net, **options)
        found = found_in(net, 24, 300, key_find)
        scores.append(precision_and_recall(net, found))
        print(f"seed {seed}: precision {scores[-1][0]:.2f}, recall {scores[-1][1]:.2f}")
    assert (np.mean(scores, axis=0) >= 0.9).all()
    assert np.min(scores) >= 0.6


def expect_nothing(found, least_events=0):
    assert sum(each.n_events >= least_events for each in found) > 0
    for each in found:
        assert not each.kick.any()
        assert each.problem


def test_nothing_where_kick_neurons_send_nothing():
    net = kick_network(jax.random.key(0), kick_strength=0.0, n_distractors=SMALL["kick"])
    found = found_in(net, 24, 300, KEY)
    expect_nothing(found)
    assert [each.n_events for each in found] == [0, 0]


@pytest.mark.parametrize(("seeds", "options"), some_and_all([11], range(5), SMALL["barrier"]))
def test_nothing_where_noise_takes_the_state_over_a_barrier(seeds, options):
    enough = 0
    for seed in seeds:
        key_net, key_find = jax.random.split(jax.random.key(seed))
        net = barrier_network(key_net, **options)
        found = found_in(net, 24 if options else 48, 300, key_find)
        expect_nothing(found)
        enough += all(each.n_events >= 20 for each in found)
    assert enough > len(seeds) / 2


@pytest.mark.parametrize(
    ("kind", "seed", "n_runs"),
    [
        ("the paper's cell", 2, 160),
        pytest.param("the planted cell", 2, 100, marks=pytest.mark.slow),
        pytest.param("the planted cell", 3, 180, marks=pytest.mark.slow),
        *[("slow units", seed, 24) for seed in (1, 2)],
    ],
)
def test_nothing_in_untrained_networks(kind, seed, n_runs):
    """Those with slow units have clusters, kick-zones and transitions too: all tests are made."""
    cell = UNTRAINED[kind]
    key_net, key_find = jax.random.split(jax.random.key(seed))
    params = init_params(cell, key_net)
    if kind == "slow units":
        n = cell.hidden_size
        centred = {name: w - w.mean(-1, keepdims=True) for name, w in params.items()}
        W_rec = 0.97 * jnp.eye(n) + 0.02 * centred["W_rec"] - 1 / n
        assert jnp.linalg.norm(W_rec, 2) < 1  # stable, whichever units are active
        params |= {"W_rec": W_rec, "W_out": 10 * centred["W_out"]}
    net = net_of(cell, params, jnp.asarray(1.0))
    K = cell.n_symbols
    pairs = [(s, t) for s in range(K) for t in range(K) if s != t]
    found = found_in(net, n_runs, 300, key_find, pairs)
    expect_nothing(found, least_events=20)
    if kind == "slow units":
        assert any(np.isfinite(each.p_value).any() for each in found)


@pytest.fixture(scope="module")
def small():
    """A planted network of 50 units, and what is found in it."""
    net = kick_network(jax.random.key(1), n_distractors=SMALL["kick"])
    return net, found_in(net, 24, 300, KEY)


def test_what_is_reported_of_a_planted_network(small):
    net, found = small
    assert precision_and_recall(net, found) == (1, 1)
    for each in found:
        c, k, t, d = each.levels
        kick = each.kick
        assert (kick <= each.kick_like).all()
        assert (each.score[each.kick_like] > 0).all()
        assert (c[kick] < -0.5).all()
        assert (t[kick] > 0.5).all()
        assert (d[kick] < t[kick]).all()
        assert (np.abs(k[kick]) < (t[kick] - c[kick]) / 2).all()
        assert (each.p_value[kick] <= 0.025).all()
        assert np.median(each.p_value) > 0.2
        assert (each.push_low[kick] > 0).all()
        assert each.group_push.low > 0.2
        # Together they do at least what the strongest does alone, and about the sum of all.
        assert each.group_push.high > each.push[kick].max()
        distractors = net.groups["distractors"]
        assert np.abs(each.push[distractors]).max() < each.push[kick].min()
        assert each.problem == ""


def test_relabelling_units_permutes_the_answer(small):
    net, found = small
    order = np.random.default_rng(0).permutation(net.cell.hidden_size)
    params = {
        "W_rec": net.params["W_rec"][np.ix_(order, order)],
        "W_in": net.params["W_in"][order],
        "W_out": net.params["W_out"][:, order],
        "b_rec": net.params["b_rec"][order],
        "b_out": net.params["b_out"],
    }
    relabelled = found_in(net.replace(**params), 24, 300, KEY)
    for one, other in zip(found, relabelled, strict=True):
        assert other.n_events == one.n_events
        assert other.pair == one.pair
        np.testing.assert_array_equal(other.kick, one.kick[order])
        np.testing.assert_array_equal(other.kick_like, one.kick_like[order])
        for name in ("score", "push", "p_value"):  # a state at a threshold may change its zone
            expected = getattr(one, name)[order]
            np.testing.assert_allclose(getattr(other, name), expected, atol=0.02, err_msg=name)
        np.testing.assert_allclose(other.group_push.parts, one.group_push.parts, atol=0.01)


def test_units_that_do_the_same_and_send_nothing_are_no_kick_neurons(small):
    net, _ = small
    params = {name: np.array(x) for name, x in net.params.items()}
    kick, free = (np.flatnonzero(net.groups[g]) for g in ("kick 01", "distractors"))
    echoes = free[: len(kick)]
    for name in ("W_rec", "W_in", "b_rec"):
        params[name][echoes] = params[name][kick]
    params["W_rec"][:, echoes] = 0
    params["W_out"][:, echoes] = 0
    net = net.replace(**{name: jnp.asarray(x) for name, x in params.items()})
    found = found_in(net, 24, 300, KEY)
    assert found[0].kick_like[echoes].all()
    assert found[0].score[echoes] == pytest.approx(found[0].score[kick], abs=1e-4)
    np.testing.assert_allclose(found[0].push[echoes], 0, atol=1e-6)
    assert precision_and_recall(net, found) == (1, 1)


def test_fewer_pairs_are_judged_less_strictly():
    """The level of the shuffles is shared among the pairs, and more pairs get more shuffles."""
    net = kick_network(jax.random.key(1), n_distractors=SMALL["kick"])
    recording = record(net, 24, 300, jax.random.split(KEY)[0])
    one, many = (kick_neurons(net, recording, (0, 1), n, KEY) for n in (1, 20))
    np.testing.assert_array_equal(one.kick_like, (one.score > 0) & (one.p_value <= 0.05))
    np.testing.assert_array_equal(many.kick_like, (many.score > 0) & (many.p_value <= 0.05 / 20))
    assert np.nanmin(many.p_value) < 1 / (1 + MIN_SHUFFLES)
    assert many.kick[net.groups["kick 01"]].all()


@pytest.mark.parametrize(
    ("levels", "score"),
    [
        ((-2, 0, 2, 0), 2),
        ((-2, 1, 2, 0), 1),  # above threshold in the kick-zone already
        ((-2, 0, 2, 1.5), 0.5),
        ((-2, 0, 2, 3), -1),  # codes the new symbol
        ((-0.3, 0, 2, -1), 0.3),
        ((0.5, 0.2, 2, 0), -0.5),  # on in the source cluster
        ((-2, -1, -0.1, -2), -0.1),  # off in the transition
        ((-1, -3, 2, -1), -1.5),  # lower in the kick-zone than in the cluster
        ((-2, 2.5, 2, 0), -0.5),
        ((-2, np.nan, 2, 0), np.nan),
    ],
)
def test_scores_by_hand(levels, score):
    found = kick_score(Levels(*(np.array([x, 0.0]) for x in levels)))
    assert found[0] == pytest.approx(score, nan_ok=True)


def by_hand(seed, memory=0.0, n_units=20, n_runs=8, n_steps=400):
    """A recording of two symbols that take turns, with units that do not know of them.

    Neighbouring steps of a unit have correlation `memory`. Each dwell is a cluster but
    for its last 6 steps: 4 of the kick-zone, 2 of transition.
    """
    rng = np.random.default_rng(seed)
    moves = rng.random((n_runs, n_steps)) > 0.97
    symbols = (np.cumsum(moves, axis=1) + rng.integers(0, 2, (n_runs, 1))) % 2
    to_go = np.full((n_runs, n_steps), 100)
    for t in range(n_steps - 2, -1, -1):
        to_go[:, t] = np.where(symbols[:, t] != symbols[:, t + 1], 1, to_go[:, t + 1] + 1)
    zone = np.select([to_go <= 2, to_go <= 6], [TRANSITION, KICK_ZONE], CLUSTER)
    a = rng.normal(size=(n_runs, n_steps + 40, n_units))
    for t in range(1, n_steps + 40):
        a[:, t] = memory * a[:, t - 1] + (1 - memory**2) ** 0.5 * a[:, t]
    empty = jnp.zeros((n_runs, n_steps, 1))
    a = jnp.asarray(a[:, 40:], jnp.float32)
    return Recording(
        jnp.maximum(a, 0), empty, a, empty, jnp.asarray(symbols), jnp.asarray(zone)
    ), to_go


def chances(recording, key):
    events = find_events(recording.symbols, (0, 1), before=BEFORE, after=AFTER)
    assert len(events.run) >= 15
    levels, paths = levels_of(recording, events)
    best = best_by_chance(recording, events, levels, paths, key)
    score = kick_score(levels)
    return score, (1 + (best[:, None] >= score).sum(0)) / (1 + len(best))


@pytest.mark.parametrize(("memory", "most"), [(0.0, 0.1), (0.8, 0.2)])
def test_units_that_know_nothing_of_transitions_pass_rarely(memory, most):
    """Of 150 recordings, 7 % without and 15 % with memory have a unit that passes at 5 %.

    With memory, the mean over a cluster is itself of few independent steps; shuffles share it.
    """
    smallest, any_passes = [], []
    for seed in range(40):
        score, p_value = chances(by_hand(seed, memory)[0], jax.random.key(seed))
        smallest.append(p_value.min())
        any_passes.append(((score > 0) & (p_value <= 0.05)).any())
    assert np.mean(np.array(smallest) <= 0.05) <= most
    assert np.mean(any_passes) <= most
    assert 0.25 < np.mean(smallest) < 0.7  # that of the best of all units, about uniform


def path_of(recording, to_go):
    """Off, at threshold and on before the changes from 0 to 1, and off elsewhere."""
    path = np.select([to_go <= 2, to_go <= 6], [2.0, 0.0], -1.0)
    return np.where(np.asarray(recording.symbols) == 0, path, -1.0)


def test_units_that_are_off_at_threshold_and_on_pass():
    recording, to_go = by_hand(0)
    a = recording.preactivation.at[..., 3].add(jnp.asarray(path_of(recording, to_go)))
    score, p_value = chances(recording._replace(preactivation=a), KEY)
    assert np.argmax(score) == 3
    assert score[3] > 0
    assert p_value[3] == 1 / (1 + MIN_SHUFFLES)
    assert np.delete(p_value, 3).min() > 0.05


def test_levels_are_those_of_a_plain_loop():
    rng = np.random.default_rng(7)
    recording, _ = by_hand(3)
    zone = np.where(rng.random(recording.zone.shape) < 0.3, OTHER, recording.zone)
    third = np.where(rng.random(zone.shape) < 0.02, 2, recording.symbols)  # breaks some stays
    recording = recording._replace(zone=jnp.asarray(zone), symbols=jnp.asarray(third))
    events = find_events(third, (1, 0), before=BEFORE, after=AFTER)
    a = np.asarray(recording.preactivation, np.float64)
    kick_zone, transition, n_broken = [], [], 0
    for run, onset in zip(events.run, events.onset, strict=True):
        transition.append(a[run, onset])
        for t in range(onset - 1, onset - BEFORE - 1, -1):
            if third[run, t] != 1:
                n_broken += 1
                break
            if zone[run, t] == KICK_ZONE:
                kick_zone.append(a[run, t])
            if zone[run, t] == TRANSITION:
                transition.append(a[run, t])
    assert n_broken > 0
    source, target = ((zone == CLUSTER) & (third == symbol) for symbol in (1, 0))
    spread = a[third == 1].std(0)
    expected = [np.mean(x, axis=0) / spread for x in (a[source], kick_zone, transition, a[target])]
    levels, paths = levels_of(recording, events)
    np.testing.assert_allclose(levels, expected, atol=1e-5)
    assert paths.kick_zone.sum() == len(kick_zone)
    assert paths.transition.sum() == len(transition)
    assert paths.transition[:, -1].all()


def test_a_source_without_a_cluster_has_no_kick_neurons():
    recording, _ = by_hand(0)
    calm = np.asarray(recording.zone) == CLUSTER
    fleeting = recording._replace(zone=jnp.asarray(np.where(calm, OTHER, recording.zone)))
    events = find_events(recording.symbols, (0, 1), before=BEFORE, after=AFTER)
    levels, paths = levels_of(fleeting, events)
    assert np.isnan(levels.source).all()
    assert np.isfinite(levels.transition).all()
    assert np.isposinf(best_by_chance(fleeting, events, levels, paths, KEY)).all()
    net = net_of(UNTRAINED["slow units"], {}, jnp.asarray(1.0))
    found = kick_neurons(net, fleeting, (0, 1), 2, KEY)
    assert "has no state" in found.problem
    assert not found.enough
    assert not found.kick.any()


def test_one_symbol_only_has_no_kick_neurons():
    recording, _ = by_hand(0)
    same = recording._replace(symbols=jnp.zeros_like(recording.symbols))
    net = net_of(UNTRAINED["slow units"], {}, jnp.asarray(1.0))
    for pair in PAIRS:
        found = kick_neurons(net, same, pair, 2, KEY)
        assert found.n_events == 0
        assert "only 0 lasting changes" in found.problem
        assert not found.kick.any()
        assert np.isnan(found.group_push.parts).all()


def test_a_unit_that_never_moves_has_no_score():
    recording, to_go = by_hand(0)
    a = recording.preactivation.at[..., 3].add(jnp.asarray(path_of(recording, to_go)))
    recording = recording._replace(preactivation=a.at[..., 5].set(-1.0))
    score, p_value = chances(recording, KEY)
    assert np.isnan(score[5])
    assert np.isfinite(np.delete(score, 5)).all()
    assert p_value[3] == 1 / (1 + MIN_SHUFFLES)


def test_recordings_with_other_numbers_of_events_run_the_same_programs(small, monkeypatch):
    net, _ = small
    whole = record(net, 24, 300, jax.random.split(KEY)[0])
    for program, static in (
        (windows.unit_push, ("before", "first", "last", "horizon")),
        (windows.windowed_runs, ("before", "width")),
    ):
        name = program.__name__
        once = chex.assert_max_traces(program.__wrapped__, n=1)
        compiled = jax.jit(once, static_argnames=static)
        monkeypatch.setattr(f"hmmrnn.circuits.kick_neurons.{name}", compiled)
    found = [
        kick_neurons(net, jax.tree.map(lambda x: x[:n_runs], whole), (0, 1), 2, KEY)  # noqa: B023
        for n_runs in (24, 16, 12)
    ]
    assert len({min(each.n_events, N_EVENTS) for each in found}) > 1
    for each in found:
        np.testing.assert_array_equal(each.kick, net.groups["kick 01"])
