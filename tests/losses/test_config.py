import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.errors import InputError
from hmmrnn.losses import LossConfig, energy, independent, make_loss, reference

from .oracles import hmm_sequences

LOSSES = {"independent": independent, "reference": reference}


def test_the_default_is_the_squared_cost_at_the_blur_of_the_paper():
    config = LossConfig()
    assert (config.divergence, config.cost) == ("independent", "squared")
    assert (config.blur, config.tolerance, config.ngram_weight) == (0.2, 0.0, 0.0)


def test_make_loss_hands_on_every_option():
    x, y = (jnp.asarray(hmm_sequences("linear3", 6, 5, seed)) for seed in (0, 1))
    key = jax.random.key(2)

    def program(loss):
        traced = jax.make_jaxpr(loss)(x, y, key)
        return re.sub("0x[0-9a-f]+", "", str(traced)), traced.consts

    programs = set()
    for config in [
        LossConfig(),
        LossConfig(divergence="reference"),
        LossConfig(cost="euclidean"),
        LossConfig(blur=1.0),
        LossConfig(tolerance=0.01),
        LossConfig(tolerance=0.02),
    ]:
        options = dict(cost=config.cost, blur=config.blur, tolerance=config.tolerance)
        expected, constants = program(partial(LOSSES[config.divergence], **options))
        found, own = program(make_loss(config))
        assert found == expected
        for a, b in zip(own, constants, strict=True):
            np.testing.assert_array_equal(a, b)
        programs.add(found)
    assert len(programs) == 6  # every option changes the program
    assert make_loss(LossConfig(divergence="energy", cost="euclidean")) is energy


def test_without_a_divergence_samples_are_not_compared():
    x, y = (jnp.asarray(hmm_sequences("linear3", 6, 5, seed)) for seed in (0, 1))
    nothing = make_loss(LossConfig(divergence="none", ngram_weight=1.0))
    value, diagnostics = nothing(x, y, jax.random.key(2))
    assert value == 0
    assert np.isnan(diagnostics.marginal_error)


@pytest.mark.parametrize(
    ("options", "title"),
    [
        ({}, "independent Sinkhorn"),
        ({"divergence": "reference", "tolerance": 1e-3}, "reference converged Sinkhorn"),
        ({"divergence": "energy", "cost": "euclidean"}, "energy distance"),
        ({"divergence": "none", "ngram_weight": 1}, "6-gram law"),
        ({"ngram_weight": 5.0}, "independent Sinkhorn + 6-gram law"),
        (
            {"ngram_weight": 5.0, "ngram_orders": (2, 4, 6), "tolerance": 1e-3},
            "independent converged Sinkhorn + 2, 4, 6-gram law",
        ),
        ({"ngram_orders": (2, 4)}, "independent Sinkhorn"),
    ],
)
def test_the_title_says_what_is_minimised(options, title):
    assert LossConfig(**options).title == title


def test_a_whole_number_may_stand_for_the_blur():
    config = LossConfig(blur=1)
    assert config.blur == 1.0
    assert isinstance(config.blur, float)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"divergence": "sum"}, r"loss\.divergence=sum: allowed are independent, reference, en"),
        ({"divergence": "none"}, r"loss\.divergence=none: needs loss\.ngram_weight above 0"),
        ({"divergence": "energy"}, r"loss\.divergence=energy: needs loss\.cost=euclidean"),
        ({"cost": "cosine"}, r"loss\.cost=cosine: allowed are squared, euclidean"),
        ({"blur": -0.2}, r"loss\.blur=-0\.2: must be at least 0\.001"),
        ({"blur": 0.0}, r"loss\.blur=0\.0: must be at least 0\.001"),
        ({"blur": float("nan")}, r"loss\.blur=nan: must be finite"),
        ({"blur": float("inf")}, r"loss\.blur=inf: must be finite"),
        ({"blur": "0.2"}, r"loss\.blur='0\.2': must be of type float"),
        ({"blur": True}, r"loss\.blur=True: must be of type float"),
        ({"tolerance": -1e-3}, r"loss\.tolerance=-0\.001: must be at least 0"),
        ({"tolerance": float("nan")}, r"loss\.tolerance=nan: must be finite"),
        ({"ngram_weight": -1}, r"loss\.ngram_weight=-1\.0: must be at least 0"),
        ({"ngram_orders": ()}, r"loss\.ngram_orders=\(\): must be a list of at least one value"),
        ({"ngram_orders": 6}, r"loss\.ngram_orders=6: must be a list of at least one value"),
        ({"ngram_orders": (2, 0)}, r"loss\.ngram_orders=0: must be at least 1"),
        ({"ngram_orders": (2.0,)}, r"loss\.ngram_orders=2\.0: must be of type int"),
        ({"ngram_strides": (1, 0)}, r"loss\.ngram_strides=0: must be at least 1"),
        ({"ngram_discrepancy": "l2"}, r"loss\.ngram_discrepancy=l2: allowed are kl, chi2"),
        ({"ngram_source": "h"}, r"loss\.ngram_source=h: allowed are probabilities, symbols"),
        ({"ngram_floor": 0.0}, r"loss\.ngram_floor=0\.0: must be at least 1e-12"),
    ],
)
def test_wrong_settings_name_the_field_the_value_and_what_is_allowed(wrong, message):
    with pytest.raises(InputError, match=message):
        LossConfig(**wrong)
