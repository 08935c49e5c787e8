"""Networks go into a zoo and come back as they were; what was changed since is refused."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn import InputError
from hmmrnn.nets import long_run
from hmmrnn.storage import write_json
from hmmrnn.sweep.grid import Entry
from hmmrnn.training import Fit, RunSpec, load
from hmmrnn.training.ensemble import member, start
from hmmrnn.training.fit import Snapshots, snapshot_epochs
from hmmrnn.training.run_folder import open_run, save_fit, write_manifest
from hmmrnn.zoo import entries, pack

NAMES = ("linear3-ngram-seed0", "linear3-ngram-seed1")
COMMANDS = {
    NAMES[0]: "hmmrnn sweep --grid=zoo --outdir=runs/zoo --resume",
    NAMES[1]: "hmmrnn train --preset=linear3 --seed=1",
}


def measures(kl=0.01):
    def of(value):
        return {"network": {"value": value, "low": value, "high": value}, "exact": value}

    return {
        "kl": {"2": of(kl / 10), "6": of(kl)},
        "volatility": of(0.25),
        "symbol_shares": [of(0.5), of(0.01), of(0.49)],
        "exact_transitions": [[0.75, 0.01, 0.24], [0.5, 0.0, 0.5], [0.24, 0.01, 0.75]],
    }


def untrained(spec):
    """A network as it begins, with snapshots of no merit."""
    progress = member(start(spec.config, jax.random.key(spec.seed)[None]), 0)
    rng = np.random.default_rng(spec.seed)
    snapshots = Snapshots(
        jnp.array(snapshot_epochs(spec.config)),
        {
            name: jnp.asarray(rng.normal(size=value.shape), jnp.float32)
            for name, value in progress.snapshots.params.items()
        },
    )
    return Fit.of(spec.config, jnp.float32(1.0), progress._replace(snapshots=snapshots))


@pytest.fixture(scope="module")
def runs(smoke, tmp_path_factory):
    """Two run folders with parameters of no merit, and what was asked for."""
    folder = tmp_path_factory.mktemp("runs")
    wanted = {name: RunSpec(smoke, 1.0, seed) for seed, name in enumerate(NAMES)}
    for name, spec in wanted.items():
        open_run(folder / name, spec, resume=False, overwrite=False)
        save_fit(folder / name, untrained(spec))
        write_manifest(folder / name, spec, "finished", 12.5)
        (folder / name / "fidelity.json").write_text(json.dumps(measures()))
    return folder, wanted


def edit(folder, spec):
    """Another configuration, which the manifest knows."""
    write_json(folder / "config.json", spec.to_dict())
    write_manifest(folder, spec, "finished", 12.5)


@pytest.fixture
def grids(runs, monkeypatch):
    """The grids of the zoo hold these two and a third one."""
    _, wanted = runs
    listed = [Entry(name, spec) for name, spec in wanted.items()]
    third = Entry("linear3-ngram-seed2", listed[0].spec._replace(seed=2))
    monkeypatch.setattr(pack, "read_grid", lambda grid: [*listed, third])


@pytest.fixture
def home(runs, grids, tmp_path, monkeypatch):
    """A zoo of these two in place of the real one."""
    folder, _ = runs
    for name in reversed(NAMES):
        pack.add(folder / name, COMMANDS[name], tmp_path / "zoo")
    monkeypatch.setattr(entries, "HOME", tmp_path / "zoo")
    entries._index.cache_clear()
    yield tmp_path / "zoo"
    entries._index.cache_clear()


def test_a_network_comes_back_as_it_was(runs, home):
    folder, _ = runs
    for seed, name in enumerate(NAMES):
        ours, theirs = entries.load_network("linear3", seed=seed), load(folder / name)
        assert ours.config == theirs.config
        for key, value in theirs.params.items():
            np.testing.assert_array_equal(ours.params[key], value)
        np.testing.assert_array_equal(ours.records.loss, theirs.records.loss)


def test_snapshots_are_kept_for_the_first_seed_in_sixteen_bits(runs, home):
    folder, _ = runs
    ours, theirs = entries.load_network("linear3", seed=0), load(folder / NAMES[0])
    np.testing.assert_array_equal(ours.snapshots.epochs, theirs.snapshots.epochs)
    for key, value in theirs.snapshots.params.items():
        np.testing.assert_allclose(ours.snapshots.params[key], value, rtol=2.0**-16, atol=0)
    other = entries.load_network("linear3", seed=1).snapshots
    assert len(other.epochs) == 0
    assert all(len(value) == 0 for value in other.params.values())


def test_the_index_says_where_a_network_comes_from(home):
    first, second = entries.list_networks()
    assert (first.name, second.name) == NAMES
    assert (first.preset, first.loss, first.seed, first.n_snapshots) == ("linear3", "ngram", 0, 5)
    assert (first.kl, first.volatility, first.learned) == (0.01, 0.25, True)
    assert (first.wall_time_s, first.command) == (12.5, COMMANDS[NAMES[0]])
    assert second.command == COMMANDS[NAMES[1]]
    assert first.bounded_share == long_run(load(home / "networks" / NAMES[0]), 12).bounded_share
    assert "jax" in first.versions
    assert set(first.files) == {*pack.COPIED, "snapshots.npz"}


@pytest.mark.parametrize("name", ["params.npz", "config.json"])
def test_a_file_that_was_changed_is_refused(home, name):
    path = home / "networks" / NAMES[0] / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="not the file that was shipped"):
        entries.load_network("linear3")


def test_a_file_that_is_gone_is_named(home, tmp_path):
    (home / "networks" / NAMES[0] / "params.npz").unlink()
    with pytest.raises(InputError, match=r"params\.npz: "):
        entries.unpack(tmp_path / "new", "linear3")


def test_an_index_of_another_version_is_refused(home):
    (home / "index.json").write_text('{"networks": [{"name": "x"}]}')
    entries._index.cache_clear()
    with pytest.raises(InputError, match="install anew"):
        entries.list_networks()


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (("linear9", "ngram", 0), "preset=linear9: the zoo has linear3"),
        (("linear3", "energy", 0), "loss=energy: the zoo has ngram"),
        (("linear3", "ngram", 7), "seed=7: the zoo has 0, 1"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(home, wanted, problem):
    with pytest.raises(InputError, match=problem):
        entries.find(*wanted)


def test_an_unpacked_network_is_a_run_folder(home, tmp_path):
    folder = entries.unpack(tmp_path / "own", "linear3", seed=1)
    assert load(folder).config == entries.load_network("linear3", seed=1).config
    with pytest.raises(InputError, match="not empty"):
        entries.unpack(folder, "linear3")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not empty"):
        entries.unpack(tmp_path / "file", "linear3")


def test_only_finished_and_measured_runs_of_a_grid_are_taken(runs, home, tmp_path):
    folder, wanted = runs
    before = (home / "index.json").read_text()
    shutil.copytree(folder, tmp_path / "runs")
    name, spec = next(iter(wanted.items()))
    run = tmp_path / "runs" / name
    edit(run, spec._replace(seed=5))
    with pytest.raises(InputError, match="is none of the networks"):
        pack.add(run, "", home)
    (run / "fidelity.json").unlink()
    with pytest.raises(InputError, match="has not finished"):
        pack.add(run, "", home)
    with pytest.raises(InputError, match="has not finished"):
        pack.add(tmp_path / "nowhere", "", home)
    assert (home / "index.json").read_text() == before
    assert sorted(path.name for path in (home / "networks").iterdir()) == [*NAMES]


def test_a_network_takes_the_place_of_its_like(runs, home, tmp_path):
    """Its bookkeeping may differ; the others stay as they are."""
    folder, wanted = runs
    shutil.copytree(folder / NAMES[0], tmp_path / "run")
    config = wanted[NAMES[0]].config.replace(train={"keep_checkpoints": 7, "checkpoint_every": 4})
    edit(tmp_path / "run", wanted[NAMES[0]]._replace(config=config))
    assert pack.same_network(tmp_path / "run", wanted[NAMES[0]])
    (tmp_path / "run" / "fidelity.json").write_text(json.dumps(measures(0.02)))
    pack.add(tmp_path / "run", "another command", home)
    entries._index.cache_clear()
    first, second = entries.list_networks()
    assert (first.name, first.kl, first.command) == (NAMES[0], 0.02, "another command")
    assert (second.name, second.kl) == (NAMES[1], 0.01)
    assert entries.load_network("linear3").config == config
    other = config.replace(train={"learning_rate": 0.5})
    assert not pack.same_network(tmp_path / "run", wanted[NAMES[0]]._replace(config=other))


def test_what_the_files_say_is_read_again(home):
    """An index of before long runs were looked at; a network that was changed meanwhile."""
    index = json.loads((home / "index.json").read_text())
    for entry in index["networks"]:
        del entry["bounded_share"]
    write_json(home / "index.json", index)
    path = home / "networks" / NAMES[1] / "fidelity.json"
    path.write_text(json.dumps(measures(0.03)))
    found = {entry.name: entry for entry in pack.reindex(home)}
    assert [found[name].kl for name in NAMES] == [0.01, 0.03]
    assert all(entry.bounded_share > 0 for entry in found.values())
    entries._index.cache_clear()
    assert entries.list_networks() == list(found.values())
    for entry in found.values():
        entries.expect_unchanged(entry)


def test_snapshots_are_shipped_of_few():
    assert pack.ships_snapshots("linear2-ngram-seed0")
    assert pack.ships_snapshots("cyclic4-paper-seed0")
    assert not pack.ships_snapshots("cyclic4-ngram-seed0")
    assert not pack.ships_snapshots("linear2-paper-seed1")


def test_rounding_is_to_the_nearest_of_sixteen_bits():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    found = pack.rounded(values)
    np.testing.assert_allclose(found, values, rtol=2.0**-16)
    mantissas, _ = np.frexp(found.astype(np.float64))
    np.testing.assert_array_equal(mantissas * 2**16, np.round(mantissas * 2**16))
    _, exponents = np.frexp(values)
    assert np.all(np.abs(found.astype(np.float64) - values) <= np.ldexp(0.5, exponents - 16))
    np.testing.assert_array_equal(pack.rounded(found), found)
    assert pack.rounded(np.zeros(3, np.float32)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("n", [1, 5, 12, 13, 41])
def test_a_dozen_snapshots_are_chosen_evenly(n):
    places = pack.chosen(n)
    assert len(places) == min(n, 12)
    assert (places[0], places[-1]) == (0, n - 1)
    assert max(np.diff(places), default=0) - min(np.diff(places), default=0) <= 1
