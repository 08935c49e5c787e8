"""Networks of a few seconds, trained side by side on simulated devices."""

import json
import shutil
import threading

import jax
import numpy as np
import pytest

from hmmrnn import InputError, StorageError, load, programs
from hmmrnn.storage import write_json
from hmmrnn.sweep.folder import failure, is_done
from hmmrnn.sweep.grid import Entry
from hmmrnn.sweep.lanes import Sweep, Watch, lanes_of
from hmmrnn.training import RunSpec
from hmmrnn.training.ensemble import Placement
from hmmrnn.training.run import train_run
from hmmrnn.training.run_folder import only_trainer
from hmmrnn.training.signals import InterruptedRun

SEEDS = (3, 4, 5, 6, 7)
DIVERGING = 3e38  # the noise level


@pytest.fixture(scope="module")
def config(smoke):
    return smoke.replace(train={"epochs": 6, "max_bad_steps": 3})


@pytest.fixture(scope="module")
def grid(config):
    return [Entry(f"seed{seed}", RunSpec(config, 1.0, seed)) for seed in SEEDS]


@pytest.fixture(scope="module")
def solo(grid, tmp_path_factory):
    """Each network trained alone into its own folder."""
    root = tmp_path_factory.mktemp("solo")
    for name, spec in grid:
        train_run(root / name, spec)
    return root


def with_level(entry, level):
    return entry._replace(spec=entry.spec._replace(noise_std=level))


def alone(config, n):
    return 1


def up_to_three(config, n):
    return min(3, n)


def measure(folder):
    load(folder)
    write_json(folder / "fidelity.json", {"measured": folder.name})


class Seen:
    """What the lanes told: (lane, name) at the beginnings, name and failure at the ends."""

    def __init__(self):
        self.began, self.ended, self.epochs = [], [], []

    @property
    def watch(self):
        return Watch(
            lambda lane, batch: self.began.append((lane, *(e.name for e in batch.entries))),
            lambda lane, progress: self.epochs.append((lane, int(progress.state.epoch[0]))),
            lambda lane, entry, failed: self.ended.append((entry.name, failed)),
        )


def finish(outdir, entries, members=alone, n_lanes=2, measure=measure, stopping=lambda: False):
    seen = Seen()
    sweep = Sweep(outdir, measure, seen.watch, stopping)
    sweep.finish(entries, members, lanes_of(jax.devices()[:n_lanes]))
    return seen


def assert_same_bits(folder, other):
    ours, theirs = load(folder), load(other)
    assert ours.config == theirs.config
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (folder / "config.json").read_bytes() == (other / "config.json").read_bytes()


def assert_all_as_alone(outdir, entries, solo):
    for name, _ in entries:
        assert_same_bits(outdir / name, solo / name)
        assert is_done(outdir / name)


def contents(outdir):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in outdir.rglob("*")
        if path.is_file()
    }


def test_lanes_are_cpus_one_by_one():
    lanes = lanes_of(jax.devices()[:2])
    assert lanes == [Placement((device,), vectorised=False) for device in jax.devices()[:2]]


@pytest.fixture(scope="module")
def whole(grid, solo, tmp_path_factory):
    """A sweep that two lanes have finished, and what they told."""
    root = tmp_path_factory.mktemp("sweep")
    return root, finish(root, grid)


def test_two_lanes_train_each_network_once_as_it_would_be_alone(whole, grid, solo):
    root, seen = whole
    assert sorted(name for _, name in seen.began) == sorted(name for name, _ in grid)
    assert sorted(seen.ended) == sorted((name, None) for name, _ in grid)
    assert {lane for lane, _ in seen.began} == {0, 1}
    assert_all_as_alone(root, grid, solo)
    assert {path.name for path in root.iterdir()} == {name for name, _ in grid}
    for name, _ in grid:
        assert json.loads((root / name / "fidelity.json").read_text()) == {"measured": name}
        assert json.loads((root / name / "manifest.json").read_text())["networks_at_once"] == 1


def test_what_is_done_is_left_alone(whole, grid):
    root, _ = whole
    before = contents(root)
    seen = finish(root, grid)
    assert seen.began == seen.ended == []
    assert contents(root) == before


def test_a_network_that_lacks_its_measures_is_measured_only(whole, grid, tmp_path):
    root, _ = whole
    shutil.copytree(root / "seed5", tmp_path / "seed5")
    before = contents(tmp_path)
    (tmp_path / "seed5" / "fidelity.json").unlink()
    seen = finish(tmp_path, grid[2:3])
    assert seen.ended == [("seed5", None)]
    assert seen.epochs == []
    after = contents(tmp_path)
    changed = [path.name for path in after if after[path] != before[path]]
    assert changed == ["fidelity.json"]


def test_a_network_with_damaged_results_is_made_again(whole, grid, solo, tmp_path):
    root, _ = whole
    shutil.copytree(root / "seed5", tmp_path / "seed5")
    params = tmp_path / "seed5" / "params.npz"
    params.write_bytes(params.read_bytes()[:100])
    assert finish(tmp_path, grid[2:3]).ended == [("seed5", None)]
    assert_all_as_alone(tmp_path, grid[2:3], solo)


@pytest.fixture(scope="module")
def one_diverging(grid, tmp_path_factory):
    root = tmp_path_factory.mktemp("diverging")
    entries = [with_level(grid[0], DIVERGING), *grid[1:4]]
    return root, entries, finish(root, entries, up_to_three)


def test_one_that_diverges_is_tried_again_alone_and_given_up(one_diverging, grid, solo):
    root, _, seen = one_diverging
    batches = [names for _, *names in seen.began]
    assert sorted(batches[:-1]) == [["seed3", "seed4"], ["seed5", "seed6"]]
    assert batches[-1] == ["seed3"]
    assert [name for name, _ in seen.ended].count("seed3") == 2
    first, second = (failed for name, failed in seen.ended if name == "seed3")
    assert not first.given_up
    assert second.given_up
    assert failure(root / "seed3") == second
    for reason in second.reasons:
        assert "training stopped at epoch 1: 3 steps in a row" in reason
    assert not (root / "seed3" / "params.npz").exists()
    manifest = json.loads((root / "seed3" / "manifest.json").read_text())
    assert (manifest["status"], manifest["networks_at_once"]) == ("diverged", 1)
    assert_all_as_alone(root, grid[1:4], solo)


def test_one_that_was_given_up_is_not_tried_again(one_diverging):
    root, entries, _ = one_diverging
    before = contents(root)
    assert finish(root, entries).began == []
    assert contents(root) == before


@pytest.mark.parametrize(
    ("n_lanes", "members"),
    [(1, up_to_three), pytest.param(2, up_to_three, marks=pytest.mark.slow)],
)
def test_several_in_a_batch_are_the_same_bits(grid, solo, tmp_path, n_lanes, members):
    seen = finish(tmp_path, grid, members, n_lanes)
    assert sorted(names for _, *names in seen.began) == [
        ["seed3", "seed4", "seed5"],
        ["seed6", "seed7"],
    ]
    assert_all_as_alone(tmp_path, grid, solo)


def test_a_stop_in_the_middle_and_going_on_are_the_same_bits(grid, solo, tmp_path):
    calls, lock = [], threading.Lock()

    def stopping():
        with lock:
            calls.append(1)
            return len(calls) > 12

    with pytest.raises(InterruptedRun):
        finish(tmp_path, grid, stopping=stopping)
    statuses = [json.loads(path.read_text())["status"] for path in tmp_path.glob("*/manifest.json")]
    assert "interrupted" in statuses
    assert len(statuses) < len(grid)
    assert not any(failure(tmp_path / name).reasons for name, _ in grid)
    n_done = sum(is_done(tmp_path / name) for name, _ in grid)  # one may be trained, not measured
    seen = finish(tmp_path, grid)
    assert max(epoch for _, epoch in seen.epochs) == 6
    assert len(seen.ended) == len(grid) - n_done
    assert_all_as_alone(tmp_path, grid, solo)


def test_stopped_before_anything_began(grid, tmp_path):
    with pytest.raises(InterruptedRun):
        finish(tmp_path, grid, stopping=lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_all_lanes(grid, solo, tmp_path):
    def full(folder):
        if folder.name == "seed3":
            raise StorageError("the disk is full")
        measure(folder)

    with pytest.raises(StorageError, match="the disk is full"):
        finish(tmp_path, grid, measure=full)
    assert len(list(tmp_path.iterdir())) < len(grid)
    assert not any(failure(tmp_path / name).reasons for name, _ in grid)
    finish(tmp_path, grid)
    assert_all_as_alone(tmp_path, grid, solo)


def test_a_shape_that_does_not_fit_is_recorded_and_others_go_on(grid, solo, smoke, tmp_path):
    other = [Entry(f"large{seed}", RunSpec(smoke, 1.0, seed)) for seed in (0, 1)]

    def refusing(config, n):
        if config == smoke:
            raise InputError("needs 9 GB of memory")
        return 1

    seen = finish(tmp_path, [*other, grid[0]], refusing)
    for name, _ in other:
        assert failure(tmp_path / name).reasons == ["needs 9 GB of memory"] * 2
        assert [told for told, _ in seen.ended].count(name) == 2
        assert (tmp_path / name / "config.json").exists()
    assert_all_as_alone(tmp_path, grid[:1], solo)


def test_a_refusal_leaves_what_was_trained_so_far(grid, solo, tmp_path):
    """Memory may be short today only; two refusals must not cost a week of training."""
    calls = []
    with pytest.raises(InterruptedRun):
        finish(tmp_path, grid[:1], stopping=lambda: calls.append(1) or len(calls) > 5)
    checkpoints = contents(tmp_path / "seed3" / "checkpoints")
    assert checkpoints

    def refusing(config, n):
        raise InputError("too little memory")

    finish(tmp_path, grid[:1], refusing)
    assert failure(tmp_path / "seed3").given_up
    assert contents(tmp_path / "seed3" / "checkpoints") == checkpoints


def test_measures_that_fail_are_recorded_and_tried_again(whole, grid, tmp_path):
    root, _ = whole
    for name in ("seed3", "seed4"):
        shutil.copytree(root / name, tmp_path / name)
        (tmp_path / name / "fidelity.json").unlink()
    calls = []

    def failing(folder):
        calls.append(folder.name)
        if folder.name == "seed3" or calls.count(folder.name) == 1:
            raise InputError(f"no numbers in attempt {calls.count(folder.name)}")
        measure(folder)

    seen = finish(tmp_path, grid[:2], measure=failing)
    assert sorted(calls) == ["seed3", "seed3", "seed4", "seed4"]
    assert seen.epochs == []  # nothing is trained again
    reasons = ["no numbers in attempt 1", "no numbers in attempt 2"]
    assert failure(tmp_path / "seed3").reasons == reasons
    assert failure(tmp_path / "seed3").given_up
    assert is_done(tmp_path / "seed4")
    assert not failure(tmp_path / "seed4").given_up
    assert seen.ended[-1][1] is None or seen.ended[-2][1] is None


@pytest.mark.parametrize(
    "error", [RuntimeError("RESOURCE_EXHAUSTED: out of memory"), MemoryError()]
)
def test_measures_that_run_out_of_memory_do_not_end_the_sweep(whole, grid, tmp_path, error):
    """As in training; else one network would stop the others at every attempt to go on."""
    root, _ = whole
    for name in ("seed3", "seed4"):
        shutil.copytree(root / name, tmp_path / name)
        (tmp_path / name / "fidelity.json").unlink()

    def failing(folder):
        if folder.name == "seed3":
            raise error
        measure(folder)

    finish(tmp_path, grid[:2], measure=failing)
    assert failure(tmp_path / "seed3").given_up
    assert is_done(tmp_path / "seed4")


def test_a_compiler_that_runs_out_of_memory_does_not_end_the_sweep(grid, smoke, solo, tmp_path):
    """The plan of a batch compiles its program, which fails as training may fail."""

    def failing(config, n):
        if config == smoke:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return 1

    finish(tmp_path, [Entry("large", RunSpec(smoke, 1.0, 0)), grid[0]], failing)
    assert "RESOURCE_EXHAUSTED" in failure(tmp_path / "large").reasons[0]
    assert_all_as_alone(tmp_path, grid[:1], solo)


def test_a_foreign_folder_is_recorded_and_left_alone(grid, solo, tmp_path):
    (tmp_path / "seed4").mkdir()
    (tmp_path / "seed4" / "thesis.txt").write_text("mine")
    finish(tmp_path, grid[:3])
    assert failure(tmp_path / "seed4").given_up
    assert "holds files that are no run" in failure(tmp_path / "seed4").reasons[0]
    assert (tmp_path / "seed4" / "thesis.txt").read_text() == "mine"
    assert_all_as_alone(tmp_path, [grid[0], grid[2]], solo)


def test_a_foreign_folder_does_not_harm_its_batch(grid, solo, tmp_path):
    (tmp_path / "seed4").mkdir()
    (tmp_path / "seed4" / "thesis.txt").write_text("mine")
    finish(tmp_path, grid[:3], up_to_three)
    assert failure(tmp_path / "seed4").given_up
    assert_all_as_alone(tmp_path, [grid[0], grid[2]], solo)


def test_another_run_in_a_folder_is_never_replaced(grid, solo, tmp_path):
    """Such as one that the user has begun there with other options."""
    other = grid[0].spec._replace(seed=99)
    with pytest.raises(InterruptedRun):
        finish(
            tmp_path,
            [Entry("seed3", other)],
            stopping=iter([False, False, False, *[True] * 9]).__next__,
            n_lanes=1,
        )
    before = contents(tmp_path / "seed3" / "checkpoints")
    finish(tmp_path, grid[:1])
    assert failure(tmp_path / "seed3").given_up
    assert "holds a run with different seed" in failure(tmp_path / "seed3").reasons[0]
    assert json.loads((tmp_path / "seed3" / "config.json").read_text())["seed"] == 99
    assert contents(tmp_path / "seed3" / "checkpoints") == before


@pytest.mark.filterwarnings("ignore:.*checkpoint")
def test_checkpoints_that_are_all_damaged_concern_one_network(grid, solo, tmp_path):
    calls = []
    with pytest.raises(InterruptedRun):
        finish(tmp_path, grid[:1], stopping=lambda: calls.append(1) or len(calls) > 5)
    for path in (tmp_path / "seed3" / "checkpoints").rglob("arrays.npz"):
        path.write_bytes(path.read_bytes()[:50])
    finish(tmp_path, grid[:2])
    assert_all_as_alone(tmp_path, grid[:2], solo)


@pytest.mark.slow
def test_code_forgotten_by_one_lane_is_no_harm_to_the_other(grid, solo, tmp_path, monkeypatch):
    """As after many shapes: here all compiled code is dropped after every network."""
    monkeypatch.setattr(programs, "MANY_MAPPINGS", 0)
    finish(tmp_path, grid[:3])
    assert_all_as_alone(tmp_path, grid[:3], solo)


def test_no_networks(tmp_path):
    assert finish(tmp_path, []).began == []


def test_a_network_that_another_process_trains_is_left_to_it(grid, solo, tmp_path):
    """No failure is noted, nothing is written into its folder, and the others are trained."""
    taken, *others = grid
    with only_trainer(tmp_path / taken.name):
        finish(tmp_path, grid)
        assert [path.name for path in (tmp_path / taken.name).iterdir()] == [".run.lock"]
    assert failure(tmp_path / taken.name).reasons == []
    assert all(is_done(tmp_path / entry.name) for entry in others)
    finish(tmp_path, grid)
    assert is_done(tmp_path / taken.name)
