import jax
import pytest

from hmmrnn import InputError
from hmmrnn.memory import SHARE, free_bytes
from hmmrnn.training.ensemble import Placement
from hmmrnn.training.memory import members_that_fit, needed_bytes


@pytest.fixture(scope="module")
def config(smoke):
    """Several megabytes a member: the states of a batch alone take 512 * 12 * 64 * 4 bytes."""
    law = {"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (3,)}
    return smoke.replace(loss=law, net={"hidden_size": 64}, train={"batch_size": 512})


def placed(n_devices, vectorised=True):
    return Placement(tuple(jax.devices()[:n_devices]), vectorised)


def test_need_grows_with_members_and_batch_and_not_below_the_states(config):
    one, four = (needed_bytes(config, placed(1), n) for n in (1, 4))
    states = 512 * 12 * 64 * 4
    assert states < one < 20 * states
    assert 3.5 * one < four < 5 * one
    wide = config.replace(train={"batch_size": 1024})
    assert 1.7 * one < needed_bytes(wide, placed(1), 1) < 2.1 * one


def test_one_after_another_and_over_devices_members_cost_little(config):
    one = needed_bytes(config, placed(1), 1)
    assert needed_bytes(config, placed(1, vectorised=False), 4) < 1.5 * one
    assert needed_bytes(config, placed(4), 4) < 1.5 * one


@pytest.mark.slow
def test_the_largest_number_that_fits(config):
    four = needed_bytes(config, placed(1), 4)
    free = int(four / SHARE) + 1000
    n = members_that_fit(config, placed(1), 9, free)
    assert needed_bytes(config, placed(1), n) <= SHARE * free
    assert needed_bytes(config, placed(1), n + 1) > SHARE * free
    assert members_that_fit(config, placed(1), 2, free) == 2
    assert members_that_fit(config, placed(4), 32, free) % 4 == 0


def test_what_cannot_fit_is_refused_with_numbers_and_a_remedy(config):
    with pytest.raises(InputError) as refused:
        members_that_fit(config, placed(1), 3, 1_000_000)
    for part in ("net.hidden_size=64", "train.batch_size=512", "MB", "train.sequences_at_once"):
        assert part in str(refused.value)


def test_less_at_once_needs_less(config):
    parts = config.replace(train={"sequences_at_once": 64})
    assert needed_bytes(parts, placed(1), 1) < 0.8 * needed_bytes(config, placed(1), 1)


def test_a_cpu_has_the_memory_of_the_machine():
    assert 1e8 < free_bytes(jax.devices()[0]) < 1e14
