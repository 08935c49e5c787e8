"""The survey of planted networks: what was planted is found, and numbers are those of the parts."""

import json

import jax
import numpy as np
import pytest

from hmmrnn.discovery import (
    case_of,
    effects,
    judgement,
    overlaps,
    stand_ins,
    survey,
    units,
)
from hmmrnn.discovery.attributions import METHODS
from hmmrnn.discovery.known_truth import divergence
from hmmrnn.discovery.rankings import BASELINES
from hmmrnn.discovery.surveys import agreement
from hmmrnn.storage import plain
from hmmrnn.tasks import hmm_inference

KEY = jax.random.key(2)


@pytest.fixture(scope="module")
def task():
    return hmm_inference(KEY, n_trials=24, n_steps=60, n_distractors=20)


@pytest.fixture(scope="module")
def case(task):
    return case_of(task, KEY)


@pytest.fixture(scope="module")
def found(task, case):
    return survey(case, task.groups, "mean", KEY)


@pytest.fixture(scope="module")
def judged(found, task, case):
    return judgement(found, case, task, KEY)


def test_effects_are_those_of_the_interventions(case, found):
    exact = effects(case, units(case), stand_ins(case, "mean")).mean(-1)
    np.testing.assert_allclose(found.effect.value, exact, rtol=1e-5, atol=1e-7)
    assert np.all(found.effect.low <= found.effect.value)
    assert np.all(found.effect.value <= found.effect.high)
    assert set(found.strengths) == {"intervention", *METHODS, *BASELINES}


def test_the_filter_is_found_and_does_it_alone(task, found, judged):
    truth = task.truth[0]
    assert judged.units["intervention"]["windows"][0].auprc >= 0.99
    assert judged.units["path cut"]["windows"][0].auprc >= 0.99
    assert judged.unconnected <= 1e-6
    (circuit,) = found.circuits
    assert not (circuit.units & ~truth).any()
    assert circuit.faithfulness.value >= 0.95
    assert judged.isolation.isolated <= 2 * judged.isolation.full + 1e-3
    assert judged.isolation.others > 0.1
    assert judged.edges["attribution"][0].auprc > 0.9 > 0.3 > judged.edges["weights"][0].auprc
    assert judged.decoded_as == "accuracy"
    assert 0.6 < judged.decoding.random < judged.decoding.circuit < 0.9
    (edges,) = found.edge_circuits
    inside = np.outer(truth, truth)
    assert edges.faithfulness.value > 0.9
    assert not (edges.edges & ~inside).any()


def test_groups_and_twins_beside_single_units(task, found):
    groups = dict(zip(found.groups.names, found.groups.effect[0], strict=True))
    assert groups["filter"] == pytest.approx(found.groups.effect[0].max())
    assert groups["random"] == 0
    np.testing.assert_allclose(
        found.groups.alone[0, found.groups.names.index("filter")],
        np.sqrt(found.effect.value[0, task.groups["filter"]]).sum() ** 2,
        rtol=1e-5,
    )
    assert found.twins.effect.shape == found.effect.value.shape


def test_the_movie_shows_the_units_that_matter(task, found):
    movie = found.movie
    assert set(np.flatnonzero(task.truth[0])) >= set(movie.units)
    assert set(movie.group) == {"filter"}
    assert movie.single.shape == movie.mean.shape == (6, len(movie.units), len(movie.units))
    assert np.abs(movie.mean).max() > 0.01


def test_agreement_is_that_of_the_estimates(found):
    (one,) = found.agreement["path cut"]
    assert one.rank > 0.98
    exact, estimate = found.effect.value[0], found.attributed["path cut"][0]
    assert one.slope == pytest.approx(float(np.polyfit(exact, estimate, 1)[0]), rel=0.1)
    assert np.isnan(agreement(np.zeros(4), np.arange(4.0)).rank)
    assert np.isnan(agreement(np.arange(4.0), np.zeros(4)).slope)
    doubled = agreement(2 * np.arange(5.0), np.arange(5.0))
    assert (doubled.rank, doubled.slope, doubled.n) == (pytest.approx(1), pytest.approx(2), 5)


def test_numbers_are_strict_json_and_arrays_are_complete(task, found, judged):
    text = json.dumps(plain(found), allow_nan=False)
    fields = json.loads(text)
    assert fields["windows"] == {"all": [0, 60]}
    assert fields["circuits"][0]["units"] == list(np.flatnonzero(found.circuits[0].units))
    np.testing.assert_allclose(fields["effect"]["value"], found.effect.value)
    for curve in (fields["curves"]["intervention"][0], fields["edges"][0]["curve"]):
        sizes = [len(curve["faithfulness"][end]) for end in ("value", "low", "high")]
        assert sizes == [len(curve["sizes"])] * 3
    strongest = fields["edges"][0]["strongest"][0]
    place = np.unravel_index(found.edges[0].argmax(), found.edges[0].shape)
    assert (strongest["receiver"], strongest["sender"]) == place
    listed = [tuple(pair["units"]) for pair in fields["twins"][0]]
    assert len(set(listed)) == len(listed)
    assert all(a < b for a, b in listed)
    kept = found.arrays()
    np.testing.assert_array_equal(kept["units intervention"], found.effect.value)
    assert kept["edges"].shape == (1, *task.edges.shape)


def test_overlaps_count_units_and_what_chance_gives(task, found):
    n_units, chosen = len(task.truth[0]), found.circuits[0].units
    groups = {"circuit": chosen, "nobody": np.zeros(n_units, bool), "filter": task.groups["filter"]}
    beside = overlaps(found, groups)
    assert beside["circuit"].shared == [chosen.sum()]
    assert beside["circuit"].auprc == [1.0]
    assert beside["nobody"].shared == [0]
    assert np.isnan(beside["nobody"].auprc[0])
    assert beside["filter"].expected[0] == pytest.approx(chosen.sum() * 4 / n_units)


def test_divergence_of_log_odds_and_of_log_probabilities():
    p, q = np.array([0.2, 0.8]), np.array([0.5, 0.5])
    exact = (p * np.log(p / q)).sum()
    odds = [jax.numpy.full((3, 2, 1), np.log(x[1] / x[0])) for x in (p, q)]
    assert divergence(*odds) == pytest.approx(exact, rel=1e-5)
    laws = [jax.numpy.broadcast_to(np.log(x) + 3.0, (3, 2, 2)) for x in (p, q)]
    assert divergence(*laws) == pytest.approx(exact, rel=1e-5)
