from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.errors import InputError
from hmmrnn.losses import LossConfig, independent, make_loss, reference

from .oracles import hmm_sequences

LOSSES = {"independent": independent, "reference": reference}


def test_the_default_is_the_squared_cost_at_the_blur_of_the_paper():
    config = LossConfig()
    assert (config.debias, config.cost) == ("independent", "squared")
    assert (config.blur, config.extra_iterations) == (0.2, 0)


def test_make_loss_hands_on_every_option():
    x, y = (jnp.asarray(hmm_sequences("linear3", 6, 5, seed)) for seed in (0, 1))
    key = jax.random.key(2)
    programs = set()
    for config in [
        LossConfig(),
        LossConfig(debias="reference"),
        LossConfig(cost="euclidean"),
        LossConfig(blur=1.0),
        LossConfig(extra_iterations=2),
    ]:
        options = dict(cost=config.cost, blur=config.blur, extra_iterations=config.extra_iterations)
        expected = jax.make_jaxpr(partial(LOSSES[config.debias], **options))(x, y, key)
        found = jax.make_jaxpr(make_loss(config))(x, y, key)
        assert str(found) == str(expected)
        assert len(found.consts) == len(expected.consts)
        for a, b in zip(found.consts, expected.consts, strict=True):
            np.testing.assert_array_equal(a, b)
        programs.add(str(found))
    assert len(programs) == 5  # every option changes the program


def test_a_whole_number_may_stand_for_the_blur():
    config = LossConfig(blur=1)
    assert config.blur == 1.0
    assert isinstance(config.blur, float)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"debias": "none"}, r"loss\.debias=none: allowed are independent, reference"),
        ({"cost": "cosine"}, r"loss\.cost=cosine: allowed are squared, euclidean"),
        ({"blur": -0.2}, r"loss\.blur=-0\.2: must be at least 0\.001"),
        ({"blur": 0.0}, r"loss\.blur=0\.0: must be at least 0\.001"),
        ({"blur": float("nan")}, r"loss\.blur=nan: must be finite"),
        ({"blur": float("inf")}, r"loss\.blur=inf: must be finite"),
        ({"blur": "0.2"}, r"loss\.blur='0\.2': must be of type float"),
        ({"blur": True}, r"loss\.blur=True: must be of type float"),
        ({"extra_iterations": -1}, r"loss\.extra_iterations=-1: must be at least 0"),
        ({"extra_iterations": 2.0}, r"loss\.extra_iterations=2\.0: must be of type int"),
        ({"extra_iterations": True}, r"loss\.extra_iterations=True: must be of type int"),
    ],
)
def test_wrong_settings_name_the_field_the_value_and_what_is_allowed(wrong, message):
    with pytest.raises(InputError, match=message):
        LossConfig(**wrong)
