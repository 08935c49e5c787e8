"""The networks that are shipped: whole, readable, what they are said to be, and made anew."""

import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hmmrnn as hr
from hmmrnn.fidelity.learned import learned
from hmmrnn.nets import long_run
from hmmrnn.report.commands import of_training
from hmmrnn.storage import read_json
from hmmrnn.sweep.grid import read_grid
from hmmrnn.training import read_spec, train
from hmmrnn.training.ensemble import advance, member, start
from hmmrnn.zoo.entries import HOME, expect_unchanged
from hmmrnn.zoo.pack import GRIDS, same_network, ships_snapshots

WHEEL_LIMIT = 40e6  # bytes
NAMES = [entry.name for entry in hr.zoo.list()]


@pytest.fixture(scope="module")
def grid():
    return {entry.name: entry.spec for name in GRIDS for entry in read_grid(name)}


@pytest.mark.parametrize("entry", hr.zoo.list(), ids=NAMES)
def test_an_entry_is_what_the_index_says(entry, grid):
    expect_unchanged(entry)
    assert {path.name for path in entry.folder.iterdir()} == set(entry.files)
    assert same_network(entry.folder, grid[entry.name])
    bounded = long_run(hr.load(entry.folder), entry.n_steps).bounded_share
    assert bounded == pytest.approx(entry.bounded_share, abs=0.1)  # rounding differs
    measures = read_json(entry.folder / "fidelity.json")
    assert measures["kl"]["6"]["network"]["value"] == entry.kl
    assert learned(measures) is entry.learned
    net = hr.zoo.load(entry.preset, loss=entry.loss, seed=entry.seed)
    assert len(net.snapshots.epochs) == entry.n_snapshots
    assert all(np.isfinite(value).all() for value in net.params.values())
    if entry.n_snapshots:
        for name, value in net.params.items():
            np.testing.assert_allclose(net.snapshots.params[name][-1], value, rtol=2.0**-16)


def test_the_command_of_a_single_training_makes_the_network():
    """Whatever the defaults of its profile are by now."""
    alone = [entry for entry in hr.zoo.list() if entry.command.startswith("hmmrnn train ")]
    assert len(alone) > 30
    for entry in alone:
        assert entry.command == of_training(Path("runs", entry.name), read_spec(entry.folder))


def test_some_first_seeds_have_a_dozen_snapshots():
    for entry in hr.zoo.list():
        assert entry.n_snapshots == (12 if ships_snapshots(entry.name) else 0)


def test_networks_of_the_ngram_law_are_faithful():
    found = {entry.name: entry.kl for entry in hr.zoo.list() if entry.loss == "ngram"}
    assert found
    assert max(found.values()) < 0.006


def test_folders_and_index_hold_the_same_networks():
    assert sorted(NAMES) == sorted(path.name for path in (HOME / "networks").iterdir())


def test_the_zoo_leaves_room_in_the_wheel(tmp_path):
    with zipfile.ZipFile(tmp_path / "zoo.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in HOME.rglob("*"):
            if path.is_file():
                packed.write(path, path.relative_to(HOME))
    assert (tmp_path / "zoo.zip").stat().st_size < WHEEL_LIMIT - 2e6


@pytest.mark.slow
def test_the_training_of_an_entry_begins_again_as_it_did():
    """The first 400 steps; other machines round differently, which grows with the steps."""
    entry = hr.zoo.load("linear3")
    config, keys = entry.config, jax.random.key(0)[None]
    chunks = advance(config, jnp.ones(1), start(config, keys), keys)
    progress = next(later for later in (member(c, 0) for c in chunks) if later.state.epoch == 20)
    ours, theirs = (records.loss[:20] for records in (progress.records, entry.records))
    np.testing.assert_allclose(ours[:2], theirs[:2], rtol=1e-3)
    np.testing.assert_allclose(np.log(ours), np.log(theirs), atol=0.1)


@pytest.mark.slow
def test_an_entry_trained_anew_has_the_same_numbers():
    entry = next(e for e in hr.zoo.list() if e.name == "linear3-ngram-seed0")
    shipped = hr.zoo.load("linear3")
    fit = train(shipped.config, 1.0, jax.random.key(0))
    hmm = hr.hmm.preset("linear3")
    found, before = (
        hr.fidelity.compare(net, hmm, jax.random.key(0), n_steps=30) for net in (fit, shipped)
    )
    assert found.kl[6].network.value < before.kl[6].network.high
    assert found.volatility.network.value == pytest.approx(entry.volatility, rel=0.02)
    assert before.kl[6].network.value == pytest.approx(entry.kl, rel=0.05)
