import json
import shutil
import signal

import jax
import numpy as np
import pytest

from hmmrnn import InputError, load, train
from hmmrnn.training import RunSpec, read_origin
from hmmrnn.training.ensemble import Placement
from hmmrnn.training.run import Run, train_run, train_runs
from hmmrnn.training.signals import InterruptedRun

SEEDS = (3, 4, 5)


@pytest.fixture(scope="module")
def config(smoke):
    return smoke.replace(train={"epochs": 6, "max_bad_steps": 3})


@pytest.fixture(scope="module")
def solo(config, tmp_path_factory):
    """Each network trained alone into its own folder."""
    root = tmp_path_factory.mktemp("solo")
    for seed in SEEDS:
        train_run(root / f"seed{seed}", RunSpec(config, 1.0, seed))
    return root


def runs_in(root, config, levels=(1.0, 1.0, 1.0)):
    return [
        Run(root / f"seed{seed}", RunSpec(config, level, seed))
        for seed, level in zip(SEEDS, levels, strict=True)
    ]


def one_device():
    return Placement(tuple(jax.devices()[:1]), vectorised=False)


def assert_same_network(folder, other):
    ours, theirs = load(folder), load(other)
    assert ours.config == theirs.config
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_folders_are_those_of_solo_runs_bit_for_bit(config, solo, tmp_path):
    assert train_runs(runs_in(tmp_path, config), one_device()) == [None] * 3
    for seed in SEEDS:
        ours, theirs = tmp_path / f"seed{seed}", solo / f"seed{seed}"
        assert_same_network(ours, theirs)
        assert {p.name for p in ours.iterdir()} == {p.name for p in theirs.iterdir()}
        assert (ours / "config.json").read_text() == (theirs / "config.json").read_text()
        assert json.loads((ours / "manifest.json").read_text())["networks_at_once"] == 3


def test_four_devices_for_three_networks(config, solo, tmp_path):
    four = Placement(tuple(jax.devices()[:4]), vectorised=True)
    assert train_runs(runs_in(tmp_path, config), four) == [None] * 3
    for seed in SEEDS:
        ours, theirs = load(tmp_path / f"seed{seed}"), load(solo / f"seed{seed}")
        for name in ours.params:
            np.testing.assert_allclose(ours.params[name], theirs.params[name], atol=2e-4)


def test_a_stop_saves_every_member_and_going_on_changes_nothing(config, solo, tmp_path):
    seen = []

    def observe(progress):
        seen.append(np.asarray(progress.state.epoch).tolist())

    runs = runs_in(tmp_path, config)
    with pytest.raises(InterruptedRun) as stop:
        train_runs(runs, one_device(), stopping=lambda: len(seen) == 3, observe=observe)
    assert stop.value.epoch == 2
    assert seen == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    for run in runs:
        assert (run.folder / "checkpoints" / "2").exists()
        assert json.loads((run.folder / "manifest.json").read_text())["status"] == "interrupted"
        assert not (run.folder / "params.npz").exists()
    assert train_runs(runs, one_device()) == [None] * 3
    for seed in SEEDS:
        assert_same_network(tmp_path / f"seed{seed}", solo / f"seed{seed}")


def test_members_that_are_behind_catch_up_first(config, solo, tmp_path):
    """One has finished, one was killed in its middle, one never began."""
    shutil.copytree(solo / "seed3", tmp_path / "seed3")
    with pytest.raises(InterruptedRun):
        train_runs(
            runs_in(tmp_path, config)[1:2],
            one_device(),
            stopping=iter([False, False, False, True]).__next__,
        )
    epochs = []
    assert (
        train_runs(
            runs_in(tmp_path, config),
            one_device(),
            observe=lambda p: epochs.append(np.asarray(p.state.epoch).tolist()),
        )
        == [None] * 3
    )
    assert epochs == [
        [0], [1], [2], [3],
        [3, 3], [4, 4], [5, 5], [6, 6],
        [6, 6, 6],
    ]  # fmt: skip
    for seed in SEEDS:
        assert_same_network(tmp_path / f"seed{seed}", solo / f"seed{seed}")


def test_one_that_diverges_is_told_apart_and_the_others_finish(config, solo, tmp_path):
    problems = train_runs(runs_in(tmp_path, config, levels=(1.0, 3e38, 1.0)), one_device())
    assert problems[0] is problems[2] is None
    assert "training stopped at epoch 1: 3 steps in a row" in problems[1]
    assert not (tmp_path / "seed4" / "params.npz").exists()
    assert json.loads((tmp_path / "seed4" / "manifest.json").read_text())["status"] == "diverged"
    for seed in (3, 5):
        assert_same_network(tmp_path / f"seed{seed}", solo / f"seed{seed}")


def test_all_diverging_stops_early(config, tmp_path):
    epochs = []
    problems = train_runs(
        runs_in(tmp_path, config, levels=(3e38, 3e38, 3e38)),
        one_device(),
        observe=lambda p: epochs.append(int(p.state.epoch[0])),
    )
    assert all("non-finite" in problem for problem in problems)
    assert max(epochs) == 1


def test_other_configurations_and_foreign_folders_are_refused(config, tmp_path):
    mixed = runs_in(tmp_path, config)
    other = mixed[2].spec._replace(config=config.replace(train={"epochs": 7}))
    with pytest.raises(InputError, match="seed and noise level only"):
        train_runs([*mixed[:2], mixed[2]._replace(spec=other)], one_device())
    (tmp_path / "seed4").mkdir()
    (tmp_path / "seed4" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="no run"):
        train_runs(mixed, one_device())


def test_networks_that_begin_where_one_was_left(config, tmp_path):
    """Each as it would alone, all from the same state; from another one they are no ensemble."""
    train_run(tmp_path / "first", RunSpec(config.replace(train={"keep_state_at": 4}), 1.0, 0))
    origin = read_origin(tmp_path / "first" / "state.npz")
    short = config.replace(train={"epochs": 2})
    runs = [run._replace(spec=run.spec._replace(origin=origin)) for run in runs_in(tmp_path, short)]
    assert train_runs(runs, one_device()) == [None] * 3
    for run in runs:
        alone = train(short, 1.0, jax.random.key(run.spec.seed), origin)
        for name, expected in alone.params.items():
            np.testing.assert_array_equal(load(run.folder).params[name], expected)
    with pytest.raises(InputError, match="seed and noise level only"):
        train_runs([*runs[:2], runs_in(tmp_path, short)[2]], one_device())


@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_one_whose_checkpoints_are_all_damaged_begins_again(config, solo, tmp_path):
    with pytest.raises(InterruptedRun):
        train_runs(
            runs_in(tmp_path, config),
            one_device(),
            stopping=iter([0, 0, 0, signal.SIGTERM]).__next__,
        )
    for path in (tmp_path / "seed4" / "checkpoints").rglob("arrays.npz"):
        path.write_bytes(path.read_bytes()[:50])
    epochs = []
    with pytest.warns(UserWarning, match="this network begins again"):
        train_runs(
            runs_in(tmp_path, config),
            one_device(),
            observe=lambda p: epochs.append(np.asarray(p.state.epoch).tolist()),
        )
    assert epochs[0] == [0]
    assert epochs[-1] == [6, 6, 6]
    for seed in SEEDS:
        assert_same_network(tmp_path / f"seed{seed}", solo / f"seed{seed}")
