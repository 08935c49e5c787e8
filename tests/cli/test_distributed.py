"""A sweep by several processes on this machine, one of which is killed."""

import json
import signal
import socket
import time

import jax
import numpy as np
import pytest

from hmmrnn import load
from hmmrnn.sweep.grid import entries
from hmmrnn.sweep.plan import share
from hmmrnn.sweep.table import read_table
from hmmrnn.training.run import train_run

GRID = {
    "base": {
        "profile": "smoke",
        "preset": "linear3",
        "train.epochs": 150,
        "train.snapshot_every": 0,
        "train.checkpoint_every": 5,
    },
    "vary": {"seed": [0, 1, 2, 3]},
}


def flags(grid, outdir, port, process_id, *more):
    return (
        f"--grid={grid}", f"--outdir={outdir}", "--distributed",
        f"--coordinator=127.0.0.1:{port}", "--num_processes=2", f"--process_id={process_id}",
        "--cpu_devices=1", "--n_sequences=200", *more,
    )  # fmt: skip


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def epoch_of(folder):
    return max((int(p.name) for p in folder.glob("checkpoints/*") if p.name.isdigit()), default=0)


def wait_until(condition, *processes):
    patience = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < patience
        for process in processes:
            assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def swept(door, tmp_path_factory):
    """Process 1 is killed in the middle of its first network; then both are started again."""
    root = tmp_path_factory.mktemp("distributed")
    grid, outdir = root / "grid.json", root / "sweep"
    grid.write_text(json.dumps(GRID))
    theirs = outdir / share(entries(GRID), 1, 2)[0].name

    def both(*more):
        port = free_port()
        return [door.start("sweep", *flags(grid, outdir, port, i, *more)) for i in (0, 1)]

    first = both()
    wait_until(lambda: epoch_of(theirs) > 10, *first)
    first[1].send_signal(signal.SIGKILL)
    survivor = "".join(first[0].communicate(timeout=240))
    first[1].communicate()
    after_kill = {p.parent.name: p.stat().st_mtime_ns for p in outdir.glob("*/params.npz")}
    again = both("--resume")
    printed = ["".join(process.communicate(timeout=240)) for process in again]
    assert [process.returncode for process in again] == [0, 0], printed
    return outdir, first[0].returncode, survivor, after_kill, printed


@pytest.mark.slow
def test_the_survivor_finishes_its_share_and_says_what_is_missing(swept):
    _, returncode, survivor, after_kill, _ = swept
    assert returncode == 1, survivor  # a script that goes on should know
    assert set(after_kill) == {entry.name for entry in share(entries(GRID), 0, 2)}
    assert "2 of 4 networks are not finished" in survivor
    assert "sweep.csv" in survivor


@pytest.mark.slow
def test_every_result_is_there_once(swept):
    outdir, _, _, after_kill, printed = swept
    rows = read_table(outdir)
    assert [row["name"] for row in rows] == [f"linear3-seed{seed}" for seed in range(4)]
    assert {row["status"] for row in rows} == {"finished"}
    for name, written in after_kill.items():  # what was finished was not made again
        assert (outdir / name / "params.npz").stat().st_mtime_ns == written
    assert "sweep.csv" in printed[0]
    assert "sweep.csv" not in printed[1]


@pytest.mark.slow
def test_the_killed_network_has_the_bits_of_a_run_alone(swept, tmp_path):
    outdir = swept[0]
    entry = share(entries(GRID), 1, 2)[0]
    alone = train_run(tmp_path / "alone", entry.spec)
    ours = load(outdir / entry.name)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_number_that_is_taken_is_refused_and_harms_nobody(door, tmp_path):
    grid, outdir = tmp_path / "grid.json", tmp_path / "sweep"
    grid.write_text(json.dumps(GRID))
    given = flags(grid, outdir, free_port(), 1)
    first = door.start("sweep", *given)  # waits for process 0
    wait_until(lambda: list(outdir.glob(".process-1-*")), first)
    second = door("sweep", *given)
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith("error: process_id=1: another process")
    assert "Traceback" not in second.stderr


def test_processes_that_nobody_named_are_asked_for(door, tmp_path):
    grid = tmp_path / "grid.json"
    grid.write_text(json.dumps(GRID))
    done = door("sweep", f"--grid={grid}", "--distributed", f"--outdir={tmp_path / 'sweep'}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: distributed: ")
    assert "--coordinator=HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr
