import jax
import numpy as np
import pytest

from hmmrnn.dynamics.across_seeds import across_networks
from hmmrnn.intervals import UNKNOWN, Estimate


def entries(values):
    return {f"seed {i}": Estimate(v, v - 1, v + 1) for i, v in enumerate(values)}


def test_interval_is_close_to_that_of_the_normal_law_for_many_networks():
    values = np.random.default_rng(0).normal(3.0, 1.0, 200).tolist()
    found = across_networks(entries(values), jax.random.key(0))
    half = 1.96 * np.std(values) / 200**0.5
    assert found.mean.value == pytest.approx(np.mean(values))
    assert found.mean.low == pytest.approx(np.mean(values) - half, abs=0.3 * half)
    assert found.mean.high == pytest.approx(np.mean(values) + half, abs=0.3 * half)
    assert found.n_valid == 200


def test_networks_without_the_number_are_left_out():
    known = across_networks(entries([1.0, 2.0, 4.0]), jax.random.key(0))
    holed = across_networks({**entries([1.0, 2.0, 4.0]), "still": UNKNOWN}, jax.random.key(0))
    assert holed.mean == known.mean
    assert holed.n_valid == 3
    assert list(holed.networks) == ["seed 0", "seed 1", "seed 2", "still"]


def test_one_network_has_no_interval_and_none_no_mean():
    one = across_networks(entries([2.0]), jax.random.key(0))
    assert one.mean.value == 2
    assert np.isnan([one.mean.low, one.mean.high]).all()
    none = across_networks({"still": UNKNOWN}, jax.random.key(0))
    assert np.isnan(none.mean.value)
    assert none.n_valid == 0
