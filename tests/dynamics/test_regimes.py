"""The verdict: on planted networks, and on numbers at both sides of each threshold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import net_of

from hmmrnn.dynamics import pca, project
from hmmrnn.dynamics.kramers_moyal import (
    Wells,
    bin_edges,
    drift_diffusion,
    kramers_moyal,
    readout_difference,
)
from hmmrnn.dynamics.probability_current import flow, flow_sums, reversal_p
from hmmrnn.dynamics.regimes import Evidence, evidence, regime
from hmmrnn.dynamics.rotation import net_turns
from hmmrnn.intervals import UNKNOWN, Estimate, bootstrap_weights, estimate
from hmmrnn.nets import RNNCell
from hmmrnn.recordings.recorder import driven_runs
from hmmrnn.report import regime_sentence


def wells(*at, barrier=1.0, drift_part=0.4):
    if len(at) < 2:
        return Wells(len(at), np.array(at, float), UNKNOWN, UNKNOWN)
    part = Estimate(drift_part, drift_part - 0.1, drift_part + 0.1)
    return Wells(len(at), np.array(at), Estimate(barrier, barrier - 0.1, barrier + 0.1), part)


ORBIT = Evidence(
    transitions_per_step=0.05,
    rotation=Estimate(0.9, 0.8, 1.0),
    rotation_p=0.001,
    density_wells=wells(0.1),
    drift_wells=wells(0.1),
    share=Estimate(0.6, 0.5, 0.7),
    share_p=0.001,
)
DOUBLE_WELL = ORBIT._replace(
    rotation=Estimate(0.02, 0.0, 0.05),
    rotation_p=0.4,
    density_wells=wells(-1.0, 1.0),
    drift_wells=wells(-1.0, 1.0),
    share_p=0.4,
)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({}, "orbit", "It orbits: it turns 0.90 times per pair of transitions (0.80 to 1.00)"),
        ({"rotation": Estimate(0.75, 0.26, 1.1)}, "orbit", "unlike time-reversed"),
        ({"rotation": Estimate(0.75, 0.25, 1.1)}, "neither", "too uncertain"),
        ({"rotation": Estimate(0.74, 0.7, 0.8)}, "neither", "between back and forth"),
        ({"rotation": Estimate(0.26, 0.2, 0.3)}, "neither", "with one well"),
        ({"rotation_p": 0.049}, "orbit", "(p = 0.049)"),
        ({"rotation_p": 0.05}, "neither", "no more than in its time-reversed surrogates"),
        ({"rotation_p": np.nan}, "neither", "was not compared with"),
        ({"rotation": Estimate(0.9, np.nan, np.nan)}, "neither", "too uncertain"),
    ],
)
def test_what_counts_as_an_orbit(changes, kind, words):
    found = regime(ORBIT._replace(**changes))
    assert found.kind == kind
    assert words in regime_sentence(found)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({}, "double well", "hops between two wells without orbiting: it turns 0.02 times"),
        ({}, "double well", "2.7 times rarer on the barrier"),
        ({}, "double well", "40 % of the barrier is drift back into the wells"),
        ({"drift_wells": wells(-1, 1, drift_part=0)}, "double well", "all of it is noise"),
        ({"drift_wells": wells(-1, 1, drift_part=1.2)}, "double well", "all of the barrier is dri"),
        ({"density_wells": wells(-1, 0, 1)}, "double well", "three wells"),
        ({"rotation": Estimate(0.25, 0.2, 0.3)}, "double well", "0.25 times"),
        ({"rotation": Estimate(0.26, 0.2, 0.3)}, "neither", "with two wells"),
        ({"density_wells": wells(0.1)}, "neither", "no second peak of the density"),
        ({"drift_wells": wells(0.1)}, "neither", "two peaks, but drift and diffusion do not"),
        ({"density_wells": wells(0.2, 1.0)}, "neither", "all on the side of one symbol"),
        ({"density_wells": wells(0.1), "drift_wells": wells(0)}, "neither", "one broad well"),
        ({"density_wells": wells(), "drift_wells": wells()}, "neither", "too few steps"),
        ({"share_p": 0.04}, "double well", "a current remains, for 60 % of the flow"),
    ],
)
def test_what_counts_as_a_double_well(changes, kind, words):
    found = regime(DOUBLE_WELL._replace(**changes))
    assert found.kind == kind
    assert words in regime_sentence(found)


def test_a_current_is_mentioned_only_if_it_is_real_and_notable():
    for changes in ({}, {"share_p": 0.04, "share": Estimate(0.009, 0.0, 0.02)}, {"share_p": 0.05}):
        assert "current" not in regime_sentence(regime(DOUBLE_WELL._replace(**changes)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transitions_per_step": 0.0, "rotation": UNKNOWN}, "never switches"),
        ({"transitions_per_step": np.nan, "rotation": UNKNOWN}, "nothing to judge"),
        ({"rotation": UNKNOWN}, "rotation is not defined"),
    ],
)
def test_nothing_to_judge(changes, words):
    found = regime(ORBIT._replace(**changes))
    assert found.kind == "neither"
    assert words in regime_sentence(found)


def judged(w_rec, noise_std, w_out=((1, 0), (-1, 0)), n_steps=500, n_runs=48):
    """The verdict on a tanh network of two units, all measures together."""
    cell = RNNCell(n_symbols=2, hidden_size=2, noise_dim=2, activation="tanh")
    params = {"W_in": jnp.eye(2), "W_rec": jnp.array(w_rec), "W_out": jnp.array(w_out, float)}
    runs = driven_runs(
        net_of(cell, params, noise_std), n_steps, jax.random.split(jax.random.key(0), n_runs)
    )
    weights = bootstrap_weights(n_runs, jax.random.key(1))
    points = project(pca(runs.states, 2), runs.states)
    turns, changes = net_turns(points), jnp.sum(runs.changes, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rotation = estimate(
            lambda means: np.where(means[:, 1] > 0, 2 * abs(means[:, 0]) / means[:, 1], np.nan),
            jnp.stack([turns, changes], axis=1),
            weights,
        )
    x = readout_difference(runs.logits, jnp.array([0, 1]))
    return regime(
        evidence(
            float(jnp.mean(changes)) / n_steps,
            rotation,
            reversal_p(np.asarray(turns)[:, None], jax.random.key(2)),
            kramers_moyal(drift_diffusion(x, bin_edges(x)), weights),
            flow(flow_sums(points), weights, jax.random.key(3)),
        )
    )


def test_two_wells_are_a_double_well():
    found = judged(1.5 * np.eye(2), 0.5)
    assert found.kind == "double well", regime_sentence(found)
    assert "two wells" in regime_sentence(found)


def test_a_rotor_orbits():
    c, s = 1.3 * np.cos(0.3), 1.3 * np.sin(0.3)
    found = judged([[c, -s], [s, c]], 0.02)
    assert found.kind == "orbit", regime_sentence(found)


def test_one_well_that_noise_pushes_across_the_boundary_is_neither():
    found = judged(0.5 * np.eye(2), 0.2)
    assert found.kind == "neither"
    assert "one broad well" in regime_sentence(found)


def test_a_network_that_never_switches_is_neither():
    found = judged(0.5 * np.eye(2), 0.2, w_out=((0, 0), (0, 0)), n_steps=50, n_runs=4)
    assert found.kind == "neither"
    assert "never switches" in regime_sentence(found)
