"""Planted networks: the equations that they state, and what silencing their parts does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.nets import Intervention, Network
from hmmrnn.recordings.events import find_events
from hmmrnn.recordings.symbols import preferred_symbols
from hmmrnn.tasks.kick_circuit import (
    N_KICK,
    N_POPULATION,
    N_STATE,
    PAIRS,
    barrier_network,
    kick_network,
)

KEY = jax.random.key(21)
B, T = 64, 300
SETTLED = 20


@pytest.fixture(scope="module")
def planted():
    return kick_network(jax.random.key(0))


@jax.jit
def run(network, h0, gates):
    return network.run(h0, network.noise(jax.random.split(KEY, B), T), gates)


def run_of(net, silent=None, no_noise=None, h0=None):
    """States and preferred symbols (B, T); always the same noise.

    Units are silenced or lose their noise. Without h0, the runs start at zero, and their first
    steps, to one of the two states, are left out.
    """
    ones = np.ones(net.cell.hidden_size, np.float32)
    gates = Intervention(
        state_gain=jnp.asarray(ones if silent is None else ones - silent),
        noise_gain=jnp.asarray(ones if no_noise is None else ones - no_noise),
    )
    start = jnp.zeros((B, net.cell.hidden_size)) if h0 is None else h0
    found = run(net.bare, start, gates)
    first = SETTLED if h0 is None else 0
    symbols = np.asarray(preferred_symbols(found.logits)).T[:, first:]
    return np.swapaxes(found.states, 0, 1)[:, first:], symbols


def symbols_of(net, **interventions):
    return run_of(net, **interventions)[1]


def starts_in(net, symbol):
    """B states of the network's own run with that symbol, far from each other in time."""
    states, symbols = run_of(net)
    found = states[:, 100::20][symbols[:, 100::20] == symbol]
    return jnp.asarray(found[np.linspace(0, len(found) - 1, B).astype(int)])


def rate(symbols, pair):
    """Lasting changes per step in the old symbol."""
    return len(find_events(symbols, pair).run) / np.sum(symbols == pair[0])


def rates(symbols):
    return np.array([rate(symbols, pair) for pair in PAIRS])


def some_of(mask, n, seed=0):
    chosen = np.zeros_like(mask)
    chosen[np.random.default_rng(seed).choice(np.flatnonzero(mask), n, replace=False)] = True
    return chosen


def test_the_circuit_switches_both_ways_by_itself(planted):
    symbols = symbols_of(planted)
    assert ((rates(symbols) > 1 / 120) & (rates(symbols) < 1 / 20)).all()
    assert 0.3 < symbols.mean() < 0.7
    assert isinstance(planted, Network)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("stopped", "spared"), [PAIRS, PAIRS[::-1]])
def test_silent_kick_neurons_stop_their_change_alone(seed, stopped, spared):
    net = kick_network(jax.random.key(seed))
    kick = net.groups["kick {}{}".format(*stopped)]
    before, after = starts_in(net, stopped[0]), starts_in(net, spared[0])
    assert rate(symbols_of(net, h0=before), stopped) > 1 / 120
    assert rate(symbols_of(net, h0=before, silent=kick), stopped) == 0
    clean, silent = symbols_of(net, h0=after), symbols_of(net, h0=after, silent=kick)
    assert np.sum(silent == spared[0]) > 1_000
    assert 0.7 < rate(silent, spared) / rate(clean, spared) < 1.4


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("stopped", "spared"), [PAIRS, PAIRS[::-1]])
def test_a_population_without_noise_stops_its_change_and_not_the_other(seed, stopped, spared):
    net = kick_network(jax.random.key(seed))
    group = net.groups["population {}{}".format(*stopped)]
    before, after = starts_in(net, stopped[0]), starts_in(net, spared[0])
    assert rate(symbols_of(net, h0=before), stopped) > 1 / 120
    assert rate(symbols_of(net, h0=before, no_noise=group), stopped) == 0
    clean, without = symbols_of(net, h0=after), symbols_of(net, h0=after, no_noise=group)
    assert rate(without, spared) > 0.7 * rate(clean, spared)  # inhibited less, it may be more often


@pytest.mark.parametrize("seed", range(3))
def test_as_many_distractors_do_nothing(planted, seed):
    clean = symbols_of(planted)
    for n, intervention in [(N_KICK, "silent"), (N_POPULATION, "no_noise")]:
        few = some_of(planted.groups["distractors"], n, seed)
        control = symbols_of(planted, **{intervention: few})
        np.testing.assert_allclose(rates(control), rates(clean), rtol=0.2)
        assert (control == clean).mean() > 0.9  # the noise is the same, and so are the runs


@pytest.mark.parametrize("seed", range(3))
def test_without_what_kick_neurons_send_nothing_switches(seed):
    symbols = symbols_of(kick_network(jax.random.key(seed), kick_strength=0.0))
    assert (np.ptp(symbols, axis=1) == 0).all()
    assert set(np.unique(symbols)) == {0, 1}


@pytest.mark.parametrize("seed", range(3))
def test_the_barrier_network_switches_without_kick_neurons_or_populations(seed):
    net = barrier_network(jax.random.key(seed))
    assert set(net.groups) == {"state 0", "state 1", "distractors"}
    clean = symbols_of(net)
    assert (rates(clean) > 1 / 1_000).all()
    control = symbols_of(net, silent=some_of(net.groups["distractors"], N_KICK, seed))
    np.testing.assert_allclose(rates(control), rates(clean), rtol=0.3)
    still = symbols_of(net, no_noise=net.groups["state 0"] | net.groups["state 1"])
    assert (np.ptp(still, axis=1) == 0).all()


def test_the_circuit_follows_its_equations():
    """Each group's units receive what the docstring of `kick_network` says, in every step."""
    net = kick_network(jax.random.key(4), contamination=0.0)
    states, _ = run_of(net)
    m = {name: states[:, :-1, mask].mean(-1) for name, mask in net.groups.items()}
    expected = {}
    for s, t in PAIRS:
        own, other = f"{s}{t}", f"{t}{s}"
        expected[f"state {s}"] = (
            1 + 0.7 * m[f"state {s}"] - 1.5 * m[f"state {t}"]
            - 2 * m[f"kick {own}"] + 2 * m[f"kick {other}"]
        )  # fmt: skip
        expected[f"kick {own}"] = (
            -2.6 + m[f"population {own}"] - 0.5 * m[f"population {other}"]
            + 0.3 * m[f"state {s}"] - 1.5 * m[f"state {t}"]
            + 0.8 * m[f"kick {own}"] - m[f"kick {other}"]
        )  # fmt: skip
        expected[f"population {own}"] = (
            0.9 * m[f"population {own}"] - 0.3 * m[f"population {other}"]
        )
    W, b = np.asarray(net.params["W_rec"]), np.asarray(net.params["b_rec"])
    received = states[:, :-1] @ W.T + b
    for name, value in expected.items():
        units = received[..., net.groups[name]]
        np.testing.assert_allclose(units, np.broadcast_to(value[..., None], units.shape), atol=1e-4)
    assert m["kick 01"].max() > 0.5
    assert m["state 1"].max() > 1


def test_groups_are_all_units_once_in_an_order_of_its_own_for_each_key():
    sizes = {"state": N_STATE, "population": N_POPULATION, "kick": N_KICK, "distractors": 100}
    one, other = (kick_network(jax.random.key(seed)) for seed in (0, 1))
    for name, mask in one.groups.items():
        assert mask.sum() == sizes[name.split()[0]]
        assert (mask != other.groups[name]).any()
    np.testing.assert_array_equal(np.sum(list(one.groups.values()), axis=0), 1)
    again = kick_network(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, dict(one.params), dict(again.params))


def test_noise_reaches_each_group_as_strongly_as_it_should(planted):
    spread = np.linalg.norm(planted.params["W_in"], axis=1)
    for name, mask in planted.groups.items():
        strength = {"population": 2.3, "distractors": 1.0}.get(name.split()[0], 0.3)
        assert spread[mask].mean() == pytest.approx(strength, rel=0.1)


@pytest.mark.parametrize("contamination", [0.0, 0.05])
def test_distractors_send_into_the_circuit_what_they_should(contamination):
    net = kick_network(jax.random.key(0), contamination=contamination, n_distractors=60)
    free = net.groups["distractors"]
    into = np.asarray(net.params["W_rec"])[np.ix_(~free, free)]
    assert into.std() == pytest.approx(contamination, rel=0.1)
    assert free.sum() == 60
    circuit_out = np.asarray(net.params["W_out"])[:, net.groups["state 0"]]
    np.testing.assert_allclose(circuit_out[0], 1.5 / N_STATE)
    np.testing.assert_array_equal(circuit_out[1], 0)
    assert kick_network(KEY, n_distractors=0).cell.hidden_size == 30
