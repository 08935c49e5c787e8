"""Networks whose growth is known: h_t = rho h_{t-1} + noise of one unit, and what it reads out."""

import jax.numpy as jnp
import pytest
from networks import net_of

from hmmrnn.nets import LongRun, NetConfig, long_run, make_cell

CELL = make_cell(NetConfig(hidden_size=2, noise_dim=2), 2)


def net(*rho, gain=1.0, noise_std=1.0):
    params = {
        "W_in": jnp.eye(2),
        "W_rec": jnp.diag(jnp.array(rho, jnp.float32)),
        "W_out": gain * jnp.eye(2),
    }
    return net_of(CELL, params, jnp.float32(noise_std))


@pytest.mark.parametrize(
    ("network", "low", "high"),
    [
        (net(0.5, 0.9), 1.0, 1.0),
        (net(0.5, 0.9, noise_std=1e-4), 1.0, 1.0),
        (net(0.9, 1.2), 0.0, 0.0),  # overflows after 500 steps
        (net(0.9, 1.004, gain=1e-3), 0.0, 0.1),  # finite and small, but 1.004^2000 = 3000 times
        (net(0.5, 0.9, gain=1e5), 0.0, 0.3),  # does not grow, is beyond any logit unless silent
    ],
)
def test_shares_of_networks_whose_growth_is_known(network, low, high):
    found = long_run(network, 40)
    assert low <= found.bounded_share <= high
    assert (found.n_runs, found.n_steps) == (64, 2000)
    assert found.bounded is (low == 1)
    assert (found.problem is None) is (low == 1)


def test_longer_runs_than_usual_are_looked_at_whole():
    assert long_run(net(0.5, 0.9), 2500) == LongRun(1.0, 64, 2500)


def test_growth_is_judged_against_what_the_trained_length_shows():
    """A slow unit grows more than tenfold after the first steps, and no more once it has."""
    slow = net(0.9, 0.999)
    assert long_run(slow, 4).bounded_share < 0.9
    assert long_run(slow, 1500).bounded_share > 0.9


@pytest.mark.parametrize(("n_lost", "bounded"), [(0, True), (3, True), (4, False), (64, False)])
def test_a_few_runs_that_fluctuate_are_no_explosion(n_lost, bounded):
    ran = LongRun(1 - n_lost / 64, 64, 2000)
    assert (ran.n_bounded, ran.bounded) == (64 - n_lost, bounded)
    assert (ran.problem is None) is bounded
    assert bounded or f"{n_lost} of 64" in ran.problem
