"""All measures together, on planted networks and on networks with nothing to measure."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import READ, TURN, rotor, tanh_network, two_wells

from hmmrnn.dynamics import Course, Sizes, survey, survey_many
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.recordings import ZONES
from hmmrnn.storage import plain

SIZES = Sizes(n_trajectories=48, n_steps=500, n_starts=40, n_states=96)
EPOCHS = (10, 20, 30)


def course(network, epochs=EPOCHS):
    """A training that was over from the beginning."""
    return Course(
        jnp.asarray(epochs, jnp.int32),
        {name: jnp.tile(x, (len(epochs), 1, 1)) for name, x in network.params.items()},
        np.linspace(2, 1, 30),
    )


def look(network, key=0, sizes=SIZES, given=None):
    given = course(network) if given is None else given
    return survey(network, given, jax.random.key(key), sizes)


def written(found):
    """The numbers as dynamics.json has them: strict JSON."""
    return json.loads(json.dumps(plain(found), allow_nan=False))


def values(entries):
    return np.array([entry.value for entry in entries])


def period_without_noise():
    """Steps per turn of the rotor, by numpy."""
    h, angles = np.array([0.5, 0.0]), []
    for _ in range(1000):
        h = np.tanh(TURN @ h)
        angles.append(np.arctan2(h[1], h[0]))
    angles = np.unwrap(angles)
    return 2 * np.pi * 900 / (angles[-1] - angles[-901])


@pytest.fixture(scope="module")
def orbiting():
    return look(rotor())


@pytest.fixture(scope="module")
def hopping():
    return look(two_wells(0.5))


def test_a_rotor_orbits(orbiting):
    whole = orbiting.in_plane
    assert whole.regime.kind == "orbit", whole.regime
    assert whole.orbit.rotation.value == pytest.approx(1, abs=0.02)
    assert orbiting.portrait.rotation.value == pytest.approx(whole.orbit.rotation.value, abs=0.02)
    assert whole.orbit.period.value == pytest.approx(period_without_noise(), rel=0.03)
    for null in (whole.time_reversed, whole.phase_shuffled):
        assert null.null_low < 0 < null.null_high
        assert null.null_high < 0.75
        assert null.p_value < 0.05
    assert whole.flow.share.value > 0.9
    assert orbiting.portrait.end.n_settled == orbiting.fixed.n_settled == 0
    assert not orbiting.fixed.stable.any()


def test_two_wells_are_hopped_between(hopping):
    whole = hopping.in_plane
    assert whole.regime.kind == "double well", whole.regime
    assert whole.orbit.rotation.value < 0.1
    assert whole.along.density_wells.n == 2
    assert hopping.fixed.stable.sum() == 4
    zones = np.bincount(hopping.by_zone.zone[hopping.by_zone.zone >= 0], minlength=len(ZONES))
    assert zones[ZONES.index("cluster")] > zones[ZONES.index("transition")]


def test_a_training_that_changes_nothing_has_no_bifurcation(orbiting):
    found = orbiting.development
    assert found.n_valid == len(EPOCHS)
    np.testing.assert_allclose(values(found.rotation), 1, atol=0.05)
    assert np.isnan(found.bifurcation_by_jump)
    assert np.isnan(found.bifurcation.epoch)


def test_the_view_has_every_snapshot_and_the_zones_of_its_last_path(orbiting):
    view = orbiting.view
    assert view.epochs.tolist() == list(EPOCHS)
    np.testing.assert_array_equal(view.driven[0], view.driven[-1])
    assert view.driven.shape == (3, 400, 3)
    assert np.all(view.zones >= 0)
    np.testing.assert_allclose(view.explained[:2], orbiting.portrait.plane.explained, rtol=1e-3)


def test_numbers_are_strict_json_with_all_that_the_report_reads(orbiting, hopping):
    for found in (orbiting, hopping):
        fields = written(found)
        assert set(fields) == {
            *("plane", "transitions_per_step", "dwell_cv", "rotation", "end"),
            *("n_trajectories", "n_steps", "orbit", "surrogates", "emission_by_phase", "readout"),
            *("noise_levels", "regime", "pairs", "fixed_points", "zones", "critical_share"),
            *("n_states", "n_valid", "censored_share", "noise_sensitivity", "mean_shift"),
            "development",
        }
        assert list(fields["zones"]) == list(ZONES)
        assert fields["regime"]["reason"] == found.in_plane.regime.reason
        assert fields["rotation"] == found.in_plane.orbit.rotation._asdict()
        assert "rotation" not in fields["orbit"]  # one number, one interval
        assert fields["fixed_points"]["n_starts"] == 40
        assert fields["development"]["epochs"] == list(EPOCHS)
        assert len(fields["development"]["median_mean_shift"]) == len(EPOCHS)
        assert fields["pairs"] == []  # one pair of symbols: it is the whole
        for places in (
            fields["development"]["rotation"],
            fields["noise_levels"]["radius"],
            fields["fixed_points"]["attracted"],
        ):
            assert all(set(place) == {"value", "low", "high"} for place in places)


def test_the_key_decides_and_repeats(orbiting):
    again, other = look(rotor()), look(rotor(), key=1)
    assert written(again) == written(orbiting)
    np.testing.assert_array_equal(again.view.driven, orbiting.view.driven)
    assert other.portrait.rotation != orbiting.portrait.rotation
    assert not np.array_equal(other.view.driven, orbiting.view.driven)
    assert not np.array_equal(other.by_zone.points, orbiting.by_zone.points)
    assert not np.array_equal(other.fixed.starts_in_plane, orbiting.fixed.starts_in_plane)
    assert other.development.rotation != orbiting.development.rotation


@pytest.mark.parametrize(
    "network",
    [
        tanh_network(np.zeros((2, 2)), [[0, 0], [0, 0]], noise_std=0.0),
        tanh_network(TURN, [[0, 0], [0, 0]], noise_std=0.02),
    ],
    ids=["at rest", "turning"],
)
def test_a_network_that_never_switches_says_so(network):
    found = look(network)
    fields = written(found)
    assert fields["regime"]["reason"] == "never switches"
    assert fields["rotation"]["value"] is None
    assert fields["dwell_cv"]["value"] is None
    assert (fields["orbit"]["n_transitions"], fields["orbit"]["n_valid"]) == (0, 0)
    assert fields["surrogates"]["time_reversed"]["p_value"] is None
    assert np.isnan(values(found.development.rotation)).all()


@pytest.mark.parametrize("what", ["grows", "nan"])
def test_what_diverges_is_one_error(what):
    network = tanh_network(1e3 * np.eye(2), noise_std=0.7, activation="relu")
    if what == "nan":
        network = rotor()
        network.params["W_rec"] = network.params["W_rec"].at[0, 0].set(jnp.nan)
    with pytest.raises(DivergingNetworkError, match="the network diverges under its noise"):
        look(network)


def test_snapshots_that_are_nan_leave_gaps_only(orbiting):
    given = course(rotor())
    given.params["W_rec"] = given.params["W_rec"].at[0].set(jnp.nan)
    found = look(rotor(), given=given)
    assert found.development.n_valid == 2
    assert np.isnan(values(found.development.transitions_per_step)).tolist() == [True, False, False]
    assert np.isnan(found.view.driven[..., 0]).all(axis=1).tolist() == [True, False, False]
    assert written(found)["development"]["median_mean_shift"][0] is None
    assert found.in_plane.regime[:2] == orbiting.in_plane.regime[:2]


def test_without_snapshots_only_the_final_network_is_known():
    found = look(rotor(), given=course(rotor(), epochs=()))
    assert found.development is None
    assert written(found)["development"] is None
    assert found.view.epochs.tolist() == [30]  # of the losses
    assert len(found.view.driven) == 1


def test_one_unit_goes_back_and_forth():
    found = look(tanh_network([[1.5]], [[1], [-1]], noise_std=0.5))
    fields = written(found)
    assert fields["rotation"]["value"] == pytest.approx(0, abs=0.05)  # half a turn may be left over
    assert fields["regime"]["kind"] != "orbit"
    assert fields["plane"]["explained"] == [pytest.approx(1)]
    assert fields["transitions_per_step"]["value"] > 0.01
    assert fields["fixed_points"]["n_points"] >= 2


@pytest.mark.parametrize(
    ("n_steps", "w_out"),
    [
        pytest.param(2, READ, marks=pytest.mark.slow, id="two"),
        pytest.param(5, [[1, 0], [1, 0], [1, 0]], id="five"),
    ],
)
def test_few_steps_and_one_symbol_of_three_give_no_verdict(n_steps, w_out):
    """A run is far shorter than its warm-up; wells are not seen in so few steps."""
    sizes = Sizes(n_trajectories=4, n_steps=n_steps, n_starts=3, n_states=4)
    found = look(tanh_network(1.5 * np.eye(2), w_out, noise_std=0.7), sizes=sizes)
    fields = written(found)
    assert fields["regime"]["kind"] == "neither"
    assert fields["n_steps"] == n_steps
    assert fields["orbit"]["n_periods"] == 0
    assert fields["orbit"]["period"]["value"] is None
    if len(w_out) == 3:
        assert fields["transitions_per_step"]["value"] == 0
        assert fields["pairs"] == []


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (Sizes(1, 500, 40, 96), "n_trajectories=1"),
        (Sizes(48, 1, 40, 96), "n_steps=1"),
        (Sizes(48, 500, 40, 47), "n_states=47"),
    ],
)
def test_sizes_that_are_too_small_are_named(sizes, words):
    with pytest.raises(InputError, match=words):
        look(rotor(), sizes=sizes)


def test_a_network_of_one_symbol_is_refused():
    with pytest.raises(InputError, match="symbol"):
        look(tanh_network(TURN, [[1, 0]], noise_std=0.7), sizes=Sizes(4, 2, 3, 4))


def test_networks_side_by_side_are_surveyed_as_each_alone(orbiting, hopping):
    """But for rounding, which turns the axes of a circle and orders points of equal rank."""
    networks = [rotor(), two_wells(0.5)]
    many = survey_many(networks, list(map(course, networks)), jax.random.key(0), SIZES)
    for found, alone in zip(many, map(written, (orbiting, hopping)), strict=True):
        numbers = written(found)
        points, own = (x.pop("fixed_points") for x in (numbers, alone))
        for name in ("n_found", "n_attracted", "from_origin"):
            assert sorted(points[name]) == pytest.approx(sorted(own[name]), abs=1e-6)
        assert points["n_settled"] == own["n_settled"]
        assert jax.tree.structure(numbers) == jax.tree.structure(alone)
        for one, other in zip(jax.tree.leaves(numbers), jax.tree.leaves(alone), strict=True):
            expected = other if isinstance(other, str) else pytest.approx(other, 5e-3, 1e-4)
            assert one == expected


def test_networks_that_do_not_fit_are_not_measured_side_by_side():
    one, larger = rotor(), tanh_network(0.5 * np.eye(3), ((1, 0, 0), (-1, 0, 0)), noise_std=0.7)
    with pytest.raises(InputError, match="2 different cells"):
        next(survey_many([one, larger], [course(one), course(larger)], jax.random.key(0), SIZES))
    with pytest.raises(InputError, match="same number of snapshots"):
        next(survey_many([one, one], [course(one), course(one, (1,))], jax.random.key(0), SIZES))
