"""Trainings that are killed or stopped from outside, and resumed, end in the same bits."""

import random
import shutil
import signal
import time

import jax
import numpy as np
import pytest

from hmmrnn import train
from hmmrnn.training.run_folder import save_fit

EPOCHS = 150
FLAGS = (
    "--preset=linear3",
    "--profile=smoke",
    f"--train.epochs={EPOCHS}",
    "--train.snapshot_every=10",
    "--seed=2",
)


def begin(start, folder, *more):
    return start("train", *FLAGS, f"--outdir={folder}", *more)


def finish(process):
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors


def newest(folder):
    """Epoch of the newest whole checkpoint, 0 if there is none."""
    names = [path.parent.name for path in folder.glob("checkpoints/*/commit_success.txt")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def wait_for_progress(process, folder):
    """Wait until the process has saved a checkpoint of its own."""
    before = newest(folder)
    while newest(folder) <= before:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def uninterrupted(smoke, folder, epochs):
    """The same training without interruption, computed in this process by the library."""
    config = smoke.replace(train={"epochs": epochs, "snapshot_every": 10})
    folder.mkdir()
    save_fit(folder, train(config, 1.0, jax.random.key(2)))
    return folder


def assert_same_bits(folder, whole):
    for name in ("params.npz", "snapshots.npz", "history.npz"):
        found, expected = (np.load(path / name) for path in (folder, whole))
        assert found.files == expected.files
        for key in expected.files:
            np.testing.assert_array_equal(found[key], expected[key], err_msg=f"{name}: {key}")


def kill_repeatedly(start, folder, n_kills, seed, *flags):
    """Start, `kill -9` at a random moment, resume, and so on; most kills hit the training."""
    moments, kills = random.Random(seed), 0
    while kills < n_kills:
        process = begin(start, folder, "--resume", *flags)
        if kills % 5 == 4:
            time.sleep(moments.uniform(0, 5))  # also while it starts
        else:
            wait_for_progress(process, folder)
            time.sleep(moments.uniform(0, 0.2))
        assert process.poll() is None, f"finished before: {process.communicate()}"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1


def test_stopped_stopped_and_killed(started, door, smoke, tmp_path):
    """SIGTERM, then SIGINT, each with the command to go on; then SIGKILL."""
    folder = tmp_path / "run"
    process = begin(started, folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        wait_for_progress(process, folder)
        process.send_signal(number)
        printed, errors = process.communicate(timeout=120)
        assert process.returncode == 128 + number, errors
        assert "stopped after epoch" in printed
        command = printed.strip().splitlines()[-1].split()
        program = command[: command.index("train")]
        assert shutil.which(program[0])
        assert program[1:] in ([], ["-m", "hmmrnn"])
        assert command[-1] == "--resume"
        process = begin(door.start, folder, "--resume")
    wait_for_progress(process, folder)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finish(begin(door.start, folder, "--resume"))
    assert_same_bits(folder, uninterrupted(smoke, tmp_path / "whole", EPOCHS))


@pytest.mark.slow
def test_killed_ten_times_at_random_moments(started, smoke, tmp_path):
    longer = 6 * EPOCHS  # too long to end between ten kills
    kill_repeatedly(started, tmp_path / "run", 10, 1, f"--train.epochs={longer}")
    finish(begin(started, tmp_path / "run", "--resume", f"--train.epochs={longer}"))
    assert_same_bits(tmp_path / "run", uninterrupted(smoke, tmp_path / "whole", longer))
