"""Training on sequences: windows, padding that never matters, runs that stop and go on."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training.test_run import stop_at

from hmmrnn import InputError, TrainConfig, load, storage
from hmmrnn.losses import Generated, LossConfig
from hmmrnn.sequences import SymbolSequences, windows, write_sequences
from hmmrnn.sequences.splits import Part
from hmmrnn.training import RunSpec, loss_floor, read_spec
from hmmrnn.training.data import ended_as, make_data, one_hot
from hmmrnn.training.run import train_run
from hmmrnn.training.run_folder import expect_same
from hmmrnn.training.signals import InterruptedRun

KEY = jax.random.key(0)
LAW = {"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (2,)}
QUICK = {"epochs": 3, "steps_per_epoch": 2, "batch_size": 8}
SAMPLES = {
    "reference": LossConfig(divergence="reference"),
    "independent": LossConfig(),
    "energy": LossConfig(divergence="energy", cost="euclidean"),
    "law": LossConfig(**LAW),
    "chi2": LossConfig(**LAW, ngram_discrepancy="chi2", ngram_source="symbols"),
}


def some(n=24, seed=0, k=3):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, k, rng.integers(4, 15)) for _ in range(n)]


@pytest.fixture(scope="module")
def data():
    return SymbolSequences.of(some(40), name="own")


@pytest.fixture(scope="module")
def config(data):
    return TrainConfig.profile("smoke", data).replace(train=QUICK, loss=LAW)


@pytest.fixture(scope="module")
def spec(config):
    return RunSpec(config, 1.0, 3)


@pytest.fixture(scope="module")
def finished(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    train_run(folder, spec)
    return folder


def test_windows_lie_inside_and_every_step_counts_alike():
    """Symbols tell where they stand: 0-9 in a short sequence, 10-209 in a long one."""
    rows = jnp.full((2, 200), -1).at[0, :10].set(jnp.arange(10)).at[1].set(jnp.arange(10, 210))
    part = Part("training", np.asarray(rows), 210)
    drawn = np.asarray(part.draw(rows, 40_000, 20, KEY))
    short = drawn[:, 0] < 10
    np.testing.assert_array_equal(drawn[short][:, :10], np.tile(np.arange(10), (short.sum(), 1)))
    assert (drawn[short][:, 10:] == -1).all()
    assert (np.diff(drawn[~short], axis=1) == 1).all()
    assert short.mean() == pytest.approx(1 / 11, abs=0.006)  # 1 window against 200 / 20
    starts = np.bincount(drawn[~short][:, 0] - 10, minlength=181)
    assert len(starts) == 181
    np.testing.assert_allclose(starts.mean() / starts[[0, 90, 180]], 1, atol=0.25)
    assert not np.array_equal(drawn, part.draw(rows, 40_000, 20, jax.random.key(1)))


@pytest.mark.parametrize("loss", SAMPLES)
def test_what_lies_after_the_end_never_matters(config, loss):
    """Neither value nor gradient depend on what the network does after the end of its sequence."""
    config = TrainConfig(config.target, loss=SAMPLES[loss], data=config.data, train=config.train)
    target = one_hot(config, make_data(config, KEY).validation[:6])
    ended = jnp.sum(target, axis=-1, keepdims=True) == 0
    assert 5 < ended.sum() < ended.size - 20
    k1, k2, k3 = jax.random.split(KEY, 3)
    made = Generated(*(jax.nn.softmax(jax.random.normal(k, target.shape)) for k in (k1, k2)))
    others = Generated(*(jnp.where(ended, jax.random.uniform(k3, x.shape), x) for x in made))

    def value(made):
        return config.objective(ended_as(config, made, target), target, k3)[0]

    measured = jax.jit(jax.value_and_grad(value))
    (found, gradient), (again, same) = measured(made), measured(others)
    assert found == again
    assert any(np.any(g) for g in gradient)
    for g, other in zip(gradient, same, strict=True):
        np.testing.assert_array_equal(g, other)
        assert not np.any(np.where(ended, g, 0))


def test_of_an_hmm_nothing_is_cut(smoke):
    made = Generated(jnp.ones((2, 3, 3)), jnp.ones((2, 3, 3)))
    assert ended_as(smoke, made, jnp.zeros((2, 3, 3))) is made


def test_fixed_data_are_all_windows_of_their_part(config, data):
    fixed = config.replace(data={"source": "fixed", "n_steps": 6}, train={"batch_size": 12})
    made, parts = make_data(fixed, KEY), data.parts
    np.testing.assert_array_equal(made.train, windows(parts.train.symbols, 6)[0])
    np.testing.assert_array_equal(made.validation, windows(parts.validation.symbols, 6)[0])
    assert fixed.steps_per_epoch == -(-len(made.train) // 12)
    with pytest.raises(InputError, match=r"train\.batch_size=512"):
        fixed.replace(train={"batch_size": 512})
    long = SymbolSequences.of([np.arange(400) % 3] * 16)
    most = TrainConfig.profile("smoke", long).replace(data={"n_steps": 4}, train={"batch_size": 5})
    assert make_data(most, KEY).validation.shape == (10, 4)  # of 400


def test_floor_compares_held_out_with_training_data():
    """Training sequences are all of symbol 0, held-out ones of symbol 1: sqrt(2 T) apart."""
    rows = [[1 if i % 4 == 3 else 0] * 5 + [0] * (i % 4 != 3) for i in range(16)]
    config = TrainConfig.profile("smoke", SymbolSequences.of(rows)).replace(
        loss={"divergence": "energy", "cost": "euclidean"}, data={"n_steps": 5}
    )
    floor = loss_floor(config, KEY)
    assert float(floor.mean) == pytest.approx(2 * 10**0.5, rel=1e-5)
    assert float(floor.std) == pytest.approx(0, abs=1e-5)


def test_validation_has_a_law_of_its_own():
    """Every second sequence trains and is constant, those that validate change at every step."""
    rows = [[0, 1] * 3 if i % 4 == 1 else [i % 4 // 2] * 6 for i in range(16)]
    config = TrainConfig.profile("smoke", SymbolSequences.of(rows)).replace(loss=LAW)
    train, validation = (one_hot(config, symbols) for symbols in make_data(config, KEY)[:2])
    for x, low, high in (
        (train, config.objective, config.validation_objective),
        (validation, config.validation_objective, config.objective),
    ):
        assert low(Generated(x, x), x, KEY)[0] == pytest.approx(0, abs=1e-4)
        assert high(Generated(x, x), x, KEY)[0] > 5


def test_profiles_suit_the_data(data):
    laptop, paper = (TrainConfig.profile(name, data) for name in ("laptop", "paper"))
    assert laptop.loss == LossConfig(divergence="none", ngram_weight=1.0, ngram_orders=(2,))
    assert laptop.data.n_steps == data.parts.train.symbols.shape[1] == 13
    assert paper.train.batch_size == len(data.parts.train.symbols)
    few = TrainConfig.profile("laptop", SymbolSequences.of(some(k=9)))  # 81 pairs
    assert few.loss == LossConfig()
    enough = SymbolSequences.of([np.random.default_rng(0).integers(0, 3, 4000)] * 8)
    assert TrainConfig.profile("laptop", enough).loss.ngram_orders == (6,)
    with pytest.raises(InputError, match=r"data\.n_steps=14: .* 13"):
        laptop.replace(data={"n_steps": 14})


def test_the_folder_holds_the_data(spec, finished, config):
    assert read_spec(finished) == spec
    assert read_spec(finished).config.target.name == "own"
    fields = storage.read_json(finished / "config.json")
    assert fields["format"] == 4
    assert fields["target"]["sequences"]["file"] == "data.npz"
    fit = load(finished)
    assert fit.config == config
    assert np.isfinite(fit.records.validation_loss).all()


def test_a_folder_that_calls_it_hmm_is_the_same_run(spec, finished, tmp_path):
    """As formats up to 3 did."""
    folder = shutil.copytree(finished, tmp_path / "older")
    fields = storage.read_json(folder / "config.json")
    older = {"hmm": fields.pop("target"), **fields, "format": 3}
    storage.write_json(folder / "config.json", older)
    with pytest.raises(InputError, match="was edited"):
        read_spec(folder)
    (folder / "manifest.json").unlink()
    assert read_spec(folder) == spec
    expect_same(folder, spec)
    assert load(folder).config.target == spec.config.target


def test_interrupted_it_ends_in_the_same_bits(spec, finished, tmp_path):
    with pytest.raises(InterruptedRun):
        train_run(tmp_path / "run", spec, observe=stop_at(1))
    train_run(tmp_path / "run", read_spec(tmp_path / "run"), resume=True)
    pairs = zip(*(jax.tree.leaves(load(f)) for f in (tmp_path / "run", finished)), strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)


def test_changed_or_missing_data_are_told_in_one_line(spec, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    other = SymbolSequences.of(some(seed=1))
    config = TrainConfig.profile("smoke", other).replace(train=QUICK, loss=LAW)
    with pytest.raises(InputError, match=r"target\.sequences"):
        train_run(folder, RunSpec(config, 1.0, 3), resume=True)
    write_sequences(folder / "data.npz", other)
    for broken in (lambda: None, (folder / "data.npz").unlink):
        broken()
        for act in (load, read_spec, lambda f: train_run(f, spec, resume=True)):
            with pytest.raises(InputError, match=r"data\.npz: ") as e:
                act(folder)
            assert "\n" not in str(e.value)
    train_run(folder, spec, overwrite=True)
    assert read_spec(folder) == spec
