import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import rel_entr

from hmmrnn.errors import InputError
from hmmrnn.hmm import ngram_law, preset
from hmmrnn.losses import Generated, LossConfig, make_loss, make_objective

from .oracles import cosine_and_ratio, enumerated_shares, hmm_sequences, soft_sequences

HMM = preset("linear3")
N_STEPS = 12
KEY = jax.random.key(0)
ALONE = {"divergence": "none", "ngram_weight": 1.0}


def batch(n_sequences=8, seed=0, name="fully3", dtype=np.float32):
    """Made-up output of a network, and target."""
    symbols = hmm_sequences(name, n_sequences, N_STEPS, seed)
    probabilities = soft_sequences(n_sequences, N_STEPS, 3, seed)
    target = hmm_sequences("linear3", n_sequences, N_STEPS, seed + 100)
    made = Generated(jnp.asarray(symbols, dtype), jnp.asarray(probabilities, dtype))
    return made, jnp.asarray(target, dtype)


def value_of(config, generated, target, key=KEY):
    return jax.jit(make_objective(config, HMM, N_STEPS))(generated, target, key)


# terms


@pytest.mark.parametrize("source", ["probabilities", "symbols"])
@pytest.mark.parametrize("discrepancy", ["kl", "chi2"])
def test_the_objective_is_the_divergence_plus_the_weighted_discrepancies(discrepancy, source):
    generated, target = batch()
    config = LossConfig(
        ngram_weight=3.0,
        ngram_orders=(2, 3),
        ngram_strides=(1, 4),
        ngram_discrepancy=discrepancy,
        ngram_source=source,
        ngram_floor=1e-3,
    )
    x = np.asarray(getattr(generated, source), float)
    distance = 0.0
    for n, stride in itertools.product((2, 3), (1, 4)):
        law = ngram_law(HMM, n, N_STEPS, stride)
        if discrepancy == "kl":
            smooth = (enumerated_shares(x, n, stride) + 1e-3) / (1 + 1e-3 * law.size)
            distance += rel_entr(law, smooth).sum()
        else:
            errors = [enumerated_shares(half, n, stride) - law for half in (x[:4], x[4:])]
            distance += np.sum(errors[0] * errors[1] / (law + 1e-3))
    divergence, expected = make_loss(LossConfig())(generated.symbols, target, KEY)
    value, diagnostics = value_of(config, generated, target)
    np.testing.assert_allclose(value, float(divergence) + 3 * distance, rtol=1e-5)
    np.testing.assert_allclose(diagnostics.marginal_error, expected.marginal_error, rtol=1e-3)


def test_without_weight_the_objective_is_the_divergence():
    generated, target = batch()
    config = LossConfig(ngram_orders=(40,))  # which would not fit
    value, _ = value_of(config, generated, target)
    divergence = make_loss(config)(generated.symbols, target, KEY)[0]
    np.testing.assert_allclose(value, divergence, rtol=1e-5)


@pytest.mark.parametrize(
    ("source", "other"), [("probabilities", "symbols"), ("symbols", "probabilities")]
)
@pytest.mark.parametrize("discrepancy", ["kl", "chi2"])
def test_the_law_alone_looks_at_its_source_only(discrepancy, source, other):
    config = LossConfig(**ALONE, ngram_source=source, ngram_discrepancy=discrepancy)
    generated, target = batch()
    another, another_target = batch(seed=1)
    value, diagnostics = value_of(config, generated, target)
    assert np.isnan(diagnostics.marginal_error)
    moved = generated._replace(**{other: getattr(another, other)})
    assert value_of(config, moved, another_target, jax.random.key(1))[0] == value
    moved = generated._replace(**{source: getattr(another, source)})
    assert value_of(config, moved, target)[0] != value
    objective = make_objective(config, HMM, N_STEPS)
    gradient = jax.jit(jax.grad(lambda g: objective(g, target, KEY)[0]))(generated)
    np.testing.assert_array_equal(getattr(gradient, other), 0)
    assert np.all(np.abs(getattr(gradient, source)).max(axis=(1, 2)) > 0)


def test_the_law_of_the_hmm_itself_costs_least():
    config = LossConfig(**ALONE, ngram_orders=(2, 4))
    costs = {}
    for name in ("linear2", "linear3", "fully3"):
        x = jnp.asarray(hmm_sequences(name, 2000, N_STEPS, seed=2))
        costs[name] = float(value_of(config, Generated(x, x), x)[0])
    assert costs["linear3"] < 0.02
    assert min(costs["linear2"], costs["fully3"]) > 10 * costs["linear3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ngram_orders": (13,)}, "loss.ngram_orders=13: 3 symbols have 1594323 13-grams"),
        (
            {"ngram_orders": (4,), "ngram_strides": (4,)},
            "loss.ngram_orders=4, loss.ngram_strides=4: spans 13 steps, more than data.n_steps=12",
        ),
    ],
)
def test_ngrams_that_do_not_fit_name_the_options(options, message):
    with pytest.raises(InputError) as raised:
        make_objective(LossConfig(**ALONE, **options), HMM, N_STEPS)
    assert str(raised.value).startswith(message)


# precision


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cost": "euclidean"},
        {"divergence": "reference"},
        {"divergence": "reference", "cost": "euclidean", "blur": 1.0},
        {"blur": 1.0, "tolerance": 1e-4},
        {"divergence": "reference", "blur": 1.0, "tolerance": 1e-4},
        {"divergence": "energy", "cost": "euclidean"},
        {**ALONE, "ngram_orders": (2, 4, 6)},
        {**ALONE, "ngram_orders": (3,), "ngram_strides": (1, 5), "ngram_source": "symbols"},
        {**ALONE, "ngram_discrepancy": "chi2"},
        {"ngram_weight": 5.0, "ngram_orders": (2, 4)},
    ],
)
def test_single_precision_under_vmap_is_double_precision_alone(options):
    objective = make_objective(LossConfig(**options), HMM, N_STEPS)
    keys = jax.random.split(KEY, 2)
    slopes = jax.value_and_grad(lambda *problem: objective(*problem)[0])
    problems = [batch(64, seed, name) for seed, name in enumerate(("fully3", "linear2"))]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems)
    values, gradients = jax.jit(jax.vmap(slopes))(*stacked, keys)
    for i, name in enumerate(("fully3", "linear2")):
        with jax.enable_x64(True):
            value, truth = jax.jit(slopes)(*batch(64, i, name, np.float64), keys[i])
        np.testing.assert_allclose(values[i], value, rtol=1e-4)
        for found, expected in zip(gradients, truth, strict=True):
            if not np.any(expected):
                np.testing.assert_array_equal(found[i], 0)
                continue
            cosine, ratio = cosine_and_ratio(found[i], expected)
            assert cosine > 0.9999
            assert abs(ratio - 1) < 1e-3
