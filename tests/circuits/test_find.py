"""The whole circuit of a planted network, and of networks in which there is none to find."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn import DivergingNetworkError
from hmmrnn.circuits import find
from hmmrnn.circuits.find import circuit_of, find_kick_circuit, name_of
from hmmrnn.dynamics import pca, project
from hmmrnn.recordings.events import find_events
from hmmrnn.recordings.recorder import record
from hmmrnn.storage import plain
from hmmrnn.tasks.kick_circuit import PAIRS, kick_network

KEY = jax.random.key(41)
NAMES = ("population 0>1", "population 1>0", "kick 0>1", "kick 1>0")


@pytest.fixture(scope="module")
def planted():
    """A network of 50 units, a recording of it, and the circuit in that."""
    net = kick_network(jax.random.key(1), n_distractors=20)
    key_record, key_find = jax.random.split(KEY)
    recording = record(net, 24, 300, key_record)
    return net, recording, circuit_of(net, recording, key_find)


def test_groups_are_the_planted_ones(planted):
    net, _, found = planted
    assert tuple(found.groups) == NAMES
    assert [each.pair for each in found.pairs] == list(PAIRS)
    for each in found.pairs:
        own = "{}{}".format(*each.pair)
        truth = net.groups[f"population {own}"]
        np.testing.assert_array_equal(each.kick.kick, net.groups[f"kick {own}"])
        assert each.population.members[truth].all()
        opposite = net.groups["population {1}{0}".format(*each.pair)]
        assert not each.population.members[opposite].any()
        assert not each.population.beyond_chance[net.groups["distractors"]].any()
        assert each.population.prediction[truth].min() > 0.5
        assert each.population.prediction[truth].mean() > 0.58
        assert each.population.difference.low > 0
        assert each.population.agreement.low > 0
        np.testing.assert_array_equal(found.groups[f"kick {name_of(each.pair)}"], each.kick.kick)


def test_blocks_have_the_signs_of_the_paper(planted):
    _, _, found = planted
    blocks = found.blocks
    assert blocks.names == NAMES
    weight, z = (
        {(s, t): table[NAMES.index(t), NAMES.index(s)] for s in NAMES for t in NAMES}
        for table in (blocks.mean, blocks.z)
    )
    for own, other in (("0>1", "1>0"), ("1>0", "0>1")):
        source, kick = f"population {own}", f"kick {own}"
        for target, sign in [
            (kick, 1), (f"kick {other}", -1), (source, 1), (f"population {other}", -1),
        ]:  # fmt: skip
            assert sign * weight[source, target] > 0
        assert weight[kick, f"kick {other}"] < 0 < weight[kick, kick]
        assert z[source, kick] > 2
        assert z[source, f"kick {other}"] < -2
        assert z[kick, kick] > 2
        assert z[kick, f"kick {other}"] < -2


def test_opposite_circuits_share_no_unit(planted):
    _, _, found = planted
    assert found.shared.names == NAMES
    np.testing.assert_array_equal(np.diag(found.shared.jaccard), 1)
    np.testing.assert_array_equal(found.shared.jaccard[~np.eye(4, dtype=bool)], 0)


def test_activity_is_the_mean_of_each_group_around_the_onset(planted):
    _, recording, found = planted
    states = np.asarray(recording.states, np.float64)
    for each in found.pairs:
        events = find_events(recording.symbols, each.pair, before=20, after=10)
        assert set(each.activity) == set(NAMES)
        for name, path in each.activity.items():
            assert path.shape == (30,)
            for step in (0, 19, 20, 29):
                seen = [states[r, t + step - 20] for r, t in zip(events.run, events.onset,
                                                                  strict=True)]  # fmt: skip
                expected = np.mean(seen, axis=0)[found.groups[name]].mean()
                assert path[step] == pytest.approx(expected, abs=1e-5)
        own = each.activity[f"kick {name_of(each.pair)}"]
        assert 12 <= np.argmax(own) <= 22
        assert own[0] < 0.2 * own.max()


def test_what_is_kept_for_pictures_are_steps_of_the_recording(planted):
    net, recording, found = planted
    a = np.asarray(recording.preactivation).reshape(-1, net.cell.hidden_size)
    assert found.seen.shape == (3_000, 2)
    assert found.seen_preactivation.shape == (3_000, 50)
    plane = pca(recording.states, 2)
    seen = np.asarray(project(plane, recording.states.reshape(-1, 50)))
    rows = {row.tobytes(): i for i, row in enumerate(a)}
    chosen = [rows[row.tobytes()] for row in found.seen_preactivation]
    assert chosen == sorted(set(chosen))
    np.testing.assert_allclose(found.seen, seen[chosen], atol=1e-4)


def test_numbers_are_json_and_name_the_units(planted):
    net, _, found = planted
    text = json.dumps(plain(found), allow_nan=False)
    saved = json.loads(text)
    assert set(saved) == {"pairs", "groups", "blocks", "shared"}
    for pair, each in zip(saved["pairs"], found.pairs, strict=True):
        own = "{}{}".format(*pair["pair"])
        assert pair["kick"] == np.flatnonzero(net.groups[f"kick {own}"]).tolist()
        assert pair["population"] == np.flatnonzero(each.population.members).tolist()
        assert len(pair["score"]) == len(pair["levels"]["source"]) == 50
        assert set(pair["group_push"]) == {"value", "low", "high"}
        assert pair["n_events"] == each.kick.n_events
        assert pair["problem"] == ""
    assert np.shape(saved["blocks"]["mean"]) == np.shape(saved["shared"]["chance"]) == (4, 4)


@pytest.fixture
def front_door(monkeypatch):
    """`find_kick_circuit` with as many runs as `planted` has."""
    monkeypatch.setattr(find, "N_RUNS", 24)
    monkeypatch.setattr(find, "N_STEPS", 300)
    return find_kick_circuit


def test_the_front_door_records_and_finds(front_door, planted):
    net, _, found = planted
    assert plain(front_door(net, KEY)) == plain(found)


@pytest.fixture(scope="module")
def still():
    """A network that never switches, in which nothing can be found."""
    net = kick_network(jax.random.key(1), n_distractors=20, kick_strength=0.0)
    recording = jax.tree.map(lambda x: x[:6, :60], record(net, 24, 300, KEY))
    return circuit_of(net, recording, KEY)


def test_one_symbol_only_has_no_circuit(still):
    assert still.pairs == ()
    assert still.groups == {}
    assert still.blocks.mean.shape == still.shared.jaccard.shape == (0, 0)
    assert len(still.seen) == len(still.seen_preactivation) == 360
    assert json.loads(json.dumps(plain(still), allow_nan=False))["pairs"] == []


def test_pairs_whose_kick_neurons_are_unknown_have_empty_groups(planted):
    """Without zones there is no kick neuron; populations then have no member."""
    net, recording, _ = planted
    found = circuit_of(net, recording._replace(zone=jnp.full_like(recording.zone, -1)), KEY)
    assert [each.pair for each in found.pairs] == list(PAIRS)
    for each in found.pairs:
        assert not each.kick.kick.any()
        assert not each.population.members.any()
        assert each.kick.problem
        assert each.activity == {}
        assert np.isnan(each.population.agreement.parts).all()
    assert np.isnan(found.blocks.mean).all()
    json.dumps(plain(found), allow_nan=False)


def test_a_diverging_network_is_refused(front_door):
    net = kick_network(jax.random.key(1), n_distractors=20)
    with pytest.raises(DivergingNetworkError, match="diverges"):
        front_door(net.replace(W_rec=9 * net.params["W_rec"]), KEY)
