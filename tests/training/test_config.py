import dataclasses
import json

import jax
import pytest

from hmmrnn import InputError, TrainConfig, hmm
from hmmrnn.losses import LossConfig
from hmmrnn.training import DataConfig, OptimConfig
from hmmrnn.training.config import FORMAT_VERSION


@pytest.mark.parametrize("profile", ["smoke", "laptop", "paper"])
@pytest.mark.parametrize("name", ["linear2", "cyclic4"])
def test_dict_round_trip(profile, name):
    plain = TrainConfig.profile(profile, hmm.preset(name))
    for config in (plain, plain.replace(loss={"ngram_weight": 2.0, "ngram_orders": (2, 4, 6)})):
        for fields in (config.to_dict(), json.loads(json.dumps(config.to_dict()))):
            again = TrainConfig.from_dict(fields)
            assert again == config
            assert hash(again) == hash(config)


@pytest.mark.parametrize(
    ("name", "n_steps", "epochs", "clip"),
    [
        ("linear2", 100, 500, 0.9),
        ("linear3", 30, 500, 0.9),
        ("linear4", 30, 500, 0.9),
        ("linear5", 40, 1500, 0.9),
        ("fully3", 30, 1000, 0.3),
        ("cyclic4", 40, 1000, 0.3),
    ],
)
def test_paper_profile_is_the_recipe_of_the_paper(name, n_steps, epochs, clip):
    config = TrainConfig.profile("paper", hmm.preset(name))
    assert dataclasses.asdict(config.net) == {
        "hidden_size": 150,
        "noise_dim": 100,
        "activation": "relu",
        "bias": False,
        "initial_state": "zero",
    }
    assert (config.loss.divergence, config.loss.cost) == ("reference", "squared")
    assert (config.loss.blur, config.loss.tolerance, config.loss.ngram_weight) == (0.2, 0.0, 0.0)
    assert config.data == DataConfig(source="fixed", n_sequences=30_000, n_steps=n_steps)
    options = config.train
    assert (options.epochs, options.batch_size, options.clip_norm) == (epochs, 4096, clip)
    assert (options.learning_rate, options.schedule) == (1e-3, "constant")
    assert (options.b1, options.b2, options.temperature) == (0.9, 0.9, 1.0)
    assert config.steps_per_epoch == 3  # 10 000 sequences: 4096, 4096 and the last 1808


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "train.epochs=0: must be at least 1"),
        ({"batch_size": 2}, "train.batch_size=2: must be at least 4"),
        ({"epochs": 2.5}, "train.epochs=2.5: must be of type int"),
        ({"learning_rate": float("nan")}, "train.learning_rate=nan: must be finite"),
        ({"learning_rate": "fast"}, "train.learning_rate='fast': must be of type float"),
        ({"schedule": "step"}, "train.schedule=step: allowed are constant, cosine"),
        ({"final_rate": 1.5}, "train.final_rate=1.5: must be at most 1"),
        ({"snapshot_every": 7}, "train.snapshot_every=7: must be a multiple of train.chunk_epochs"),
        ({"checkpoint_every": 3}, "train.checkpoint_every=3: must be a multiple"),
        ({"epochs": True}, "train.epochs=True: must be of type int"),
    ],
)
def test_bad_options_name_the_flag_the_value_and_what_is_allowed(options, message):
    with pytest.raises(InputError) as raised:
        OptimConfig(**options)
    assert str(raised.value).startswith(message)


def test_batch_larger_than_the_fixed_data_is_refused(linear3):
    config = TrainConfig.profile("paper", linear3)
    with pytest.raises(InputError, match=r"train\.batch_size=4096.* 3333 "):
        config.replace(data={"n_sequences": 10_000})


def test_ngrams_that_do_not_fit_the_sequences_are_refused(smoke):
    law = {"ngram_weight": 1.0, "ngram_orders": (7,), "ngram_strides": (2,)}
    with pytest.raises(InputError, match=r"13 .*data\.n_steps=12"):
        smoke.replace(loss=law)
    assert smoke.replace(loss=law, data={"n_steps": 13}).loss.ngram_orders == (7,)
    with pytest.raises(InputError, match=r"loss\.ngram_orders=11: .*177147"):
        smoke.replace(loss={"ngram_weight": 1.0, "ngram_orders": (11,)})
    fields = smoke.to_dict()
    with pytest.raises(InputError, match=" 13 "):  # also where it comes from a file
        TrainConfig.from_dict({**fields, "loss": {**fields["loss"], **law}})


def test_other_versions_and_fields_are_refused(smoke):
    fields = smoke.to_dict()
    for other in (0, FORMAT_VERSION + 1, 99, None, "2", True):
        with pytest.raises(InputError, match=f"config format {other}: "):
            TrainConfig.from_dict({**fields, "format": other})
    with pytest.raises(InputError, match="colour"):
        TrainConfig.from_dict({**fields, "colour": 1})
    net = {name: value for name, value in fields["net"].items() if name != "bias"}
    with pytest.raises(InputError, match=r"net: .*bias"):
        TrainConfig.from_dict({**fields, "net": net})
    with pytest.raises(InputError, match="config is list"):
        TrainConfig.from_dict([])


def test_unknown_profile_lists_the_known_ones(linear3):
    with pytest.raises(InputError, match=r"profile=cluster: .*smoke, laptop"):
        TrainConfig.profile("cluster", linear3)


def test_own_hmm_gets_a_default_length():
    own = hmm.random(3, 4, jax.random.key(0))
    assert TrainConfig.profile("laptop", own).data.n_steps == 40


@pytest.mark.parametrize(
    ("n_symbols", "order"), [(2, 6), (3, 6), (5, 5), (16, 3), (64, 2), (256, 2)]
)
def test_laptop_profile_matches_the_law_of_the_longest_ngrams_that_fit(n_symbols, order):
    config = TrainConfig.profile("laptop", hmm.random(2, n_symbols, jax.random.key(0)))
    assert config.loss == LossConfig(divergence="none", ngram_weight=1.0, ngram_orders=(order,))


def test_laptop_profile_compares_samples_where_there_are_too_many_symbols():
    config = TrainConfig.profile("laptop", hmm.random(2, 257, jax.random.key(0)))
    assert config.loss == LossConfig()


def test_laptop_profile_simulates_as_many_steps_of_time_for_every_target():
    for name in hmm.PRESETS:
        config = TrainConfig.profile("laptop", hmm.preset(name))
        updates = config.train.epochs * config.steps_per_epoch
        assert updates * config.data.n_steps == pytest.approx(240_000, rel=0.02)


def test_laptop_takes_samples_where_even_pairs_are_too_many():
    config = TrainConfig.profile("laptop", hmm.random(2, 257, jax.random.key(0)))
    assert config.loss == LossConfig()  # the independent Sinkhorn divergence alone
