"""HMMs and recorded sequences answer the same questions."""

import ast
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from hmmrnn import TrainConfig, hmm
from hmmrnn.sequences import SymbolSequences, target_of
from hmmrnn.storage import plain
from hmmrnn.targets import OF_DATA, OF_HMM, Source, Target

ROOT = Path(__file__).parents[1]
KEY = jax.random.key(0)
KINDS = {"HMM", "SymbolSequences"}


def recorded():
    """Sequences of 20 to 60 steps of a chain that repeats its symbol at every second step."""
    rng = np.random.default_rng(0)
    return [(np.cumsum(rng.integers(0, 2, rng.integers(20, 61))) % 3) for _ in range(80)]


TARGETS = {
    "preset": hmm.preset("linear3"),
    "custom": hmm.fully(4, stay=0.9),
    "data": SymbolSequences.of(recorded(), name="own"),
    "recording": SymbolSequences.of([np.arange(2000) // 3 % 4]),
}


@pytest.fixture(params=TARGETS)
def target(request):
    return TARGETS[request.param]


def parts_of(target):
    return target.parts.train, target.parts.validation, target.parts.held_out


def test_both_kinds_are_targets(target):
    assert isinstance(target, Target)
    for part in parts_of(target):
        assert isinstance(part, Source)
        assert part.n_symbols == target.n_symbols
    assert target.words == (OF_HMM if target.exact else OF_DATA)
    assert hash(target) == hash(TrainConfig.profile("smoke", target).target)


def test_what_a_folder_holds_is_the_target_again(target, tmp_path):
    target.write(tmp_path)
    fields = json.loads(json.dumps(plain(target.to_dict())))
    assert target_of(fields, tmp_path) == target
    assert target_of(fields, tmp_path).label == target.label
    assert any(tmp_path.iterdir()) == (not target.exact)


@pytest.mark.parametrize(
    ("name", "label", "flag"),
    [
        ("preset", "linear3", "--preset=linear3"),
        ("custom", "custom", "--hmm=hmm.json"),
        ("data", "data:own", "--data=runs/a/data.npz"),
    ],
)
def test_it_is_named(name, label, flag):
    assert TARGETS[name].label == label
    assert TARGETS[name].flag(Path("runs/a")) == flag


def test_facts_are_told_of_data(target):
    facts = target.facts()
    assert bool(facts) != target.exact
    if facts:
        assert list(facts) == [
            "symbols",
            "training part",
            "validation part",
            "held-out part",
            "digest",
        ]
        assert facts["digest"] == target.digest


def test_laws_are_laws(target):
    k, n_steps = target.n_symbols, target.training_length
    for part in parts_of(target):
        assert part.supports(1)
        for n in (1, 2):
            law = part.law(n, n_steps)
            assert law.shape == (k**n,)
            assert law.min() >= 0
            assert law.sum() == pytest.approx(1)
    for law in (target.compared_law(2), target.compared_law(2, n_steps)):
        assert law.shape == (k**2,)
        assert law.sum() == pytest.approx(1)
    kept = np.trace(target.parts.held_out.law(2, n_steps).reshape(k, k))
    assert target.volatility(n_steps) == pytest.approx(1 - kept)


def test_of_an_hmm_all_parts_are_exact():
    preset = TARGETS["preset"]
    np.testing.assert_array_equal(preset.law(3, 20, 2), hmm.ngram_law(preset, 3, 20, 2).ravel())
    np.testing.assert_array_equal(preset.compared_law(3), hmm.ngram_law(preset, 3).ravel())
    assert all(part is preset for part in parts_of(preset))
    assert preset.supports(50)
    assert preset.volatility(20) == hmm.volatility(preset, 20)


def test_sequences_are_drawn_from_every_part(target):
    n_steps = target.training_length
    for part in parts_of(target):
        drawn = np.asarray(part.draw(part.rows(n_steps), 50, n_steps, KEY))
        assert drawn.shape == (50, n_steps)
        assert drawn.min() >= (-1 if part.padded else 0)
        assert set(np.unique(drawn)) - {-1} == set(range(target.n_symbols))
        other = part.draw(part.rows(n_steps), 50, n_steps, jax.random.key(1))
        assert not np.array_equal(drawn, other)


def test_training_sets(target):
    n_steps = target.training_length
    fixed, validation = target.training_set(999, n_steps, 10, KEY)
    assert fixed.shape == (target.n_training_sequences(999, n_steps), n_steps)
    assert len(validation) >= 10 or not target.exact
    assert target.exact or len(validation) <= 10
    fresh, again = target.training_set(0, n_steps, 10, KEY)
    assert len(again) == (0 if target.exact else len(validation))
    drawn = target.parts.train.draw(fresh, 7, n_steps, KEY)
    rows = target.parts.train.rows(n_steps)
    np.testing.assert_array_equal(drawn, target.parts.train.draw(rows, 7, n_steps, KEY))


def test_the_fixed_set_of_an_hmm_is_one_draw_in_thirds():
    preset = TARGETS["preset"]
    _, symbols = hmm.sample_batch(preset, 31, 12, KEY)
    train, validation = preset.training_set(31, 12, 3, KEY)
    np.testing.assert_array_equal(train, symbols[:10])
    np.testing.assert_array_equal(validation, symbols[10:20])
    assert train.dtype == np.int8


def test_a_configuration_takes_it_by_position_or_as_hmm(target):
    config = TrainConfig.profile("smoke", target)
    assert config == TrainConfig.profile("smoke", hmm=target)
    assert config.target is target


def test_nobody_else_asks_which_kind_it_is():
    """Only the two rooms themselves may look at the type of a target."""
    asked = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for room in ("hmmrnn", "experiments", "scripts")
        for path in (ROOT / room).rglob("*.py")
        if path.parent.name not in ("hmm", "sequences")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "isinstance"
        for name in ast.walk(call.args[1])
        if getattr(name, "id", getattr(name, "attr", "")) in KINDS
    ]
    assert not asked
