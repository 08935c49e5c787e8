"""How right discovery must be on networks whose circuit is known; the worst network counts.

By default one network of each kind with a quarter of the trials, with five whole ones if slow.
"""

from functools import partial

import pytest

from hmmrnn.tasks import hmm_inference, ring_attractor, trained_inference
from hmmrnn.tasks.ring import CONDITIONS
from scripts.discovery_table import edges_row, filter_row, units_row, worst

FEW, MANY = (16, range(100, 101)), (64, range(5))
networks = pytest.mark.parametrize(
    ("n_trials", "seeds"), [FEW, pytest.param(*MANY, marks=pytest.mark.slow)], ids=["1", "5"]
)
EASIER = [condition for condition in CONDITIONS if condition != "jumping"]
conditions = pytest.mark.parametrize("condition", CONDITIONS)


@networks
@pytest.mark.parametrize(
    "condition", ["jumping", *(pytest.param(c, marks=pytest.mark.slow) for c in EASIER)]
)
def test_a_clean_ring_is_found(condition, n_trials, seeds):
    make = partial(ring_attractor, condition=condition, n_trials=n_trials)
    found = worst(make, (units_row, edges_row), seeds)
    assert found["AUPRC"] >= 0.99
    assert found["precision"] >= 0.97
    assert found["timing"] >= 0.95
    assert found["edges"] >= 0.85
    assert -found["-unconnected"] <= 1e-6
    if condition == "jumping":
        assert -found["-relays"] < 0.01


@networks
@conditions
def test_a_contaminated_ring_is_found_and_baselines_are_beaten(condition, n_trials, seeds):
    """Weights out of the ring give it away: it alone drives all distractors.

    Edges reach 0.7 only: contaminating weights move the readout more than the weakest planted ones.
    """
    make = partial(
        ring_attractor, condition=condition, n_trials=n_trials, contamination=0.2, noise_std=0.1
    )
    found = worst(make, (units_row, edges_row), seeds)
    assert found["AUPRC"] >= 0.95
    assert found["timing"] >= 0.95
    assert found["margin"] >= 0.25
    assert found["margin over weights out"] >= -0.02
    assert found["edges"] >= 0.7
    if condition == "jumping":
        assert -found["-relays"] < 0.01


@networks
@pytest.mark.parametrize(
    ("contamination", "auprc"), [(0.0, 0.99), (0.02, 0.85)], ids=["clean", "contaminated"]
)
def test_a_planted_filter_is_found_and_does_it_alone(contamination, auprc, n_trials, seeds):
    make = partial(
        hmm_inference,
        n_trials=n_trials,
        contamination=contamination,
        noise_std=5 * contamination,
    )
    found = worst(make, (units_row, filter_row), seeds)
    assert found["AUPRC"] >= auprc
    assert found["faithfulness"] >= 0.95
    assert found["KL to spare"] >= 0
    assert found["decoded by circuit"] > 0.75
    assert -found["-unconnected"] <= 1e-6


@pytest.mark.slow
def test_a_trained_filter_is_found():
    """A circuit of 0.95 faithfulness lacks a unit or two of it, so its KL is larger than that."""
    found = worst(trained_inference, (units_row, filter_row), range(5))
    assert found["AUPRC"] >= 0.99
    assert found["faithfulness"] >= 0.95
    assert -found["-KL of circuit"] < 0.02


KINDS = [
    *(partial(ring_attractor, condition=condition, contamination=0.2) for condition in CONDITIONS),
    partial(hmm_inference, contamination=0.02),
]


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS, ids=[*CONDITIONS, "filter"])
def test_noise_costs_little(make):
    auprc = [
        worst(partial(make, noise_std=noise), (units_row,), range(5))["AUPRC"]
        for noise in (0.0, 0.1, 0.3, 1.0)
    ]
    assert min(auprc) >= auprc[0] - 0.05
