"""A sweep from the command line: from a shell where that matters, else by its main."""

import csv
import io
import json
import shutil
import signal
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from hmmrnn import InputError, load, train, zoo
from hmmrnn.cli import sweep
from hmmrnn.hmm import preset
from hmmrnn.storage import read_json, write_json
from hmmrnn.sweep.folder import failure, is_done, is_trained, open_sweep, working_as
from hmmrnn.sweep.grid import entries, read_grid
from hmmrnn.sweep.lanes import lanes_of
from hmmrnn.sweep.table import read_table
from hmmrnn.training import TrainConfig
from hmmrnn.training.ensemble import Placement
from hmmrnn.training.run_folder import save_fit

EPOCHS = 20
SMALL, LARGE = 8, 16
SHARED = {
    "profile": "smoke",
    "preset": "linear3",
    "train.epochs": EPOCHS,
    "train.snapshot_every": 10,
}
GRID = [
    {"base": SHARED, "vary": {"net.hidden_size": [SMALL]}},
    {"base": SHARED, "vary": {"net.hidden_size": [LARGE], "seed": [0, 1]}},
]
NAMES = {f"linear3-hidden_size{n}-seed{s}": (n, s) for n, s in ((SMALL, 0), (LARGE, 0), (LARGE, 1))}


def printed_by(done, code=0):
    """To both outputs."""
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def written(path, value):
    path.write_text(json.dumps(value))
    return path


def contents(folder):
    """Bytes and times of all files of the networks."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.glob("*/**/*")
        if path.is_file() and path.parent != folder / "figures"
    }


def table_without_times(folder):
    """The text of sweep.csv without the column of wall times."""
    lines = list(csv.reader(io.StringIO((folder / "sweep.csv").read_text())))
    place = lines[0].index("training.wall_time_s")
    return [line[:place] + line[place + 1 :] for line in lines]


@pytest.fixture(scope="module")
def whole(from_shell, tmp_path_factory):
    """A sweep of three networks in two shapes, with its grid file and what it printed."""
    root = tmp_path_factory.mktemp("sweep")
    grid, folder = written(root / "grid.json", GRID), root / "out"
    flags = (f"--grid={grid}", f"--outdir={folder}", "--cpu_devices=2", "--n_sequences=200")
    return grid, folder, printed_by(from_shell("sweep", *flags))


def test_the_folder_holds_the_networks_and_their_table(whole):
    _, folder, (printed, errors) = whole
    assert printed.splitlines() == [str(folder / "sweep.csv"), str(folder / "sweep.npz")]
    assert "Traceback" not in errors
    for name in NAMES:
        assert f"{name} finished; " in errors
    assert "3 of 3 networks finished, 0 failed" in " ".join(errors.split())
    found = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert found == {*NAMES, "sweep.json", "sweep.csv", "sweep.npz", "figures", "manifest.json"}
    assert list((folder / "figures").glob("*.svg"))


def test_rows_hold_options_and_all_numbers(whole):
    _, folder, _ = whole
    rows = {row["name"]: row for row in read_table(folder)}
    assert list(rows) == list(NAMES)
    arrays = np.load(folder / "sweep.npz", allow_pickle=False)
    for place, (name, row) in enumerate(rows.items()):
        assert (row["status"], row["reason"], row["hmm"]) == ("finished", "", "linear3")
        assert (row["net.hidden_size"], row["seed"]) == NAMES[name]
        assert (row["train.epochs"], row["noise_std"]) == (EPOCHS, 1.0)
        history = np.load(folder / name / "history.npz")
        assert row["training.loss"] == pytest.approx(history["loss"][-1], rel=1e-12)
        fidelity = read_json(folder / name / "fidelity.json")
        for n in ("1", "6"):
            stored = fidelity["kl"][n]["network"]["value"]
            assert row[f"fidelity.kl.{n}.network.value"] == stored
            assert arrays[f"fidelity.kl.{n}.network.value"][place] == stored
        assert row["training.wall_time_s"] > 0
    assert len({row["fidelity.kl.6.network.value"] for row in rows.values()}) == 3


@pytest.mark.slow
def test_networks_are_those_of_the_library_bit_for_bit(whole, tmp_path):
    _, folder, _ = whole
    smoke = TrainConfig.profile("smoke", preset("linear3"))
    for name, (size, seed) in NAMES.items():
        config = smoke.replace(
            net={"hidden_size": size}, train={"epochs": EPOCHS, "snapshot_every": 10}
        )
        (tmp_path / name).mkdir()
        save_fit(tmp_path / name, train(config, 1.0, jax.random.key(seed)))
        for file in ("params.npz", "snapshots.npz", "history.npz"):
            ours, theirs = (np.load(path / name / file) for path in (folder, tmp_path))
            assert ours.files == theirs.files
            for key in ours.files:
                np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{file}: {key}")


def test_measures_are_those_of_evaluate(whole, door, tmp_path):
    _, folder, _ = whole
    name = f"linear3-hidden_size{LARGE}-seed1"
    own = shutil.copytree(folder / name, tmp_path / name)
    (own / "fidelity.json").unlink()
    shutil.rmtree(own / "figures")
    printed_by(door("evaluate", f"--run={own}", "--n_sequences=200"))
    for file in (
        "fidelity.json",
        *(f"figures/{n}.svg" for n in ("transitions", "ngrams", "dwell")),
    ):
        assert (own / file).read_bytes() == (folder / name / file).read_bytes(), file


@pytest.mark.slow  # one of two processes is killed by default, in test_distributed
def test_killed_in_the_middle_and_resumed_is_the_same_table(whole, started, from_shell, tmp_path):
    """With one network at a time where the other sweep trained two: no number may tell."""
    grid, expected, _ = whole
    folder = tmp_path / "out"
    flags = (f"--grid={grid}", f"--outdir={folder}", "--cpu_devices=1", "--n_sequences=200")
    process = started("sweep", *flags)
    second = folder / f"linear3-hidden_size{LARGE}-seed1"
    while process.poll() is None and not any(second.glob("checkpoints/*/commit_success.txt")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    assert not (folder / "sweep.csv").exists()
    assert not (second / "fidelity.json").exists()
    first = contents(folder / f"linear3-hidden_size{LARGE}-seed0")
    printed, _ = printed_by(from_shell("sweep", *flags, "--resume"))
    assert "not finished" not in printed
    assert contents(folder / f"linear3-hidden_size{LARGE}-seed0") == first
    assert table_without_times(folder) == table_without_times(expected)
    for name in NAMES:
        for file in ("params.npz", "snapshots.npz", "history.npz", "fidelity.json"):
            ours, theirs = (path / name / file for path in (folder, expected))
            assert ours.read_bytes() == theirs.read_bytes(), (name, file)


def test_what_is_wrong_is_one_line_and_exit_code_1(door, tmp_path):
    grid = written(tmp_path / "grid.json", {"base": {**SHARED, "net.hiden_size": 5}})
    done = door("sweep", f"--grid={grid}", f"--outdir={tmp_path / 'out'}")
    printed, errors = printed_by(done, code=1)
    assert printed == ""
    assert errors == (
        f"error: grid={grid}: net.hiden_size: there is no such field; "
        "did you mean net.hidden_size?\n"
    )
    assert not (tmp_path / "out").exists()


DEFAULTS = {
    "resume": False, "retry_failed": False, "members_per_batch": 0, "cpu_devices": 4,
    "n_sequences": 200, "analysis_seed": 0, "distributed": False, "coordinator": None,
    "num_processes": None, "process_id": None,
}  # fmt: skip


@pytest.fixture
def given(monkeypatch):
    """A function that runs the main program in this process, with these flags."""

    def run(grid, folder, **flags):
        own = SimpleNamespace(**{**DEFAULTS, "grid": str(grid), "outdir": str(folder), **flags})
        monkeypatch.setattr(sweep, "FLAGS", own)
        # nobody can tell JAX after its first computation
        monkeypatch.setattr(sweep.jax.config, "update", lambda name, value: None)
        sweep.main()

    return run


def test_a_second_sweep_into_the_folder_is_refused(whole, given):
    grid, folder, _ = whole
    before = contents(folder)
    with pytest.raises(InputError, match=f"outdir={folder}: .*--resume"):
        given(grid, folder)
    assert contents(folder) == before


def test_to_resume_what_is_done_changes_nothing(whole, given, capsys):
    grid, folder, _ = whole
    before = contents(folder)
    tables = [(folder / name).read_bytes() for name in ("sweep.csv", "sweep.npz")]
    given(grid, folder, resume=True)
    assert contents(folder) == before
    assert [(folder / name).read_bytes() for name in ("sweep.csv", "sweep.npz")] == tables
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.splitlines() == [str(folder / "sweep.csv"), str(folder / "sweep.npz")]


def test_another_grid_is_refused(whole, given, tmp_path):
    _, folder, _ = whole
    other = written(tmp_path / "grid.json", {"base": {**SHARED, "train.epochs": 30}})
    before = contents(folder)
    with pytest.raises(InputError, match=" 3 networks"):
        given(other, folder, resume=True)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("grid", "flags", "message"),
    [
        ({}, {}, "the grid is empty"),
        ([], {}, "the grid is empty"),
        (GRID, {"num_processes": 2, "process_id": 2}, "process_id=2: must be below num_proc"),
        (GRID, {"process_id": 1}, "process_id=1: needs --num_processes"),
        (GRID, {"coordinator": "host:1"}, "coordinator: only with --distributed"),
    ],
)
def test_wrong_grids_and_flags_begin_nothing(grid, flags, message, given, tmp_path):
    with pytest.raises(InputError, match=message):
        given(written(tmp_path / "grid.json", grid), tmp_path / "out", **flags)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_which_another_process_works(given, tmp_path):
    grid = written(tmp_path / "grid.json", GRID)
    with (
        working_as(tmp_path / "out", 0),
        pytest.raises(InputError, match="process_id=0: "),
    ):
        given(grid, tmp_path / "out", resume=True)


TINY = {
    "base": {"profile": "smoke", "preset": "linear3", "train.epochs": 6, "train.max_bad_steps": 3},
    "vary": {"seed": [3, 4, 5, 6]},
}


def stub_measure(folder):
    load(folder)
    write_json(folder / "fidelity.json", {"n_sequences": 1})


def test_two_processes_train_one_half_each(given, tmp_path, monkeypatch, capsys):
    """One after the other, unknown to each other; the last one's table has all networks."""
    monkeypatch.setattr(sweep, "measure", stub_measure)
    grid, folder = written(tmp_path / "grid.json", TINY), tmp_path / "out"
    given(grid, folder, num_processes=2, process_id=0, cpu_devices=1)
    first = {path.parent.name for path in folder.glob("*/params.npz")}
    assert len(first) == 2
    assert len(read_table(folder)) == 2
    assert "2 of 4 networks are not finished" in capsys.readouterr().out
    before = contents(folder)
    given(grid, folder, num_processes=2, process_id=1, cpu_devices=1)
    assert before.items() <= contents(folder).items()
    rows = read_table(folder)
    assert [row["name"] for row in rows] == [f"linear3-seed{seed}" for seed in (3, 4, 5, 6)]
    assert {row["status"] for row in rows} == {"finished"}
    assert "not finished" not in capsys.readouterr().out


@pytest.mark.parametrize("process_id", [0, 1])
def test_only_the_process_that_writes_the_table_tells_of_the_others(
    given, process_id, tmp_path, monkeypatch, capsys
):
    """Two that know of each other, of which nobody trains anything."""
    monkeypatch.setattr(sweep, "join", lambda *_: (process_id, 2))
    for name in ("all_are_there", "leave", "wait_for_others", "train_all"):
        monkeypatch.setattr(sweep, name, lambda *_: None)
    grid, n_judged = written(tmp_path / "grid.json", TINY), 2 if process_id else 4
    with pytest.raises(InputError, match=f"of {n_judged} networks"):
        given(grid, tmp_path / "out", distributed=True, num_processes=2, process_id=process_id)
    told = capsys.readouterr().out
    assert ("2 of 4 networks are not finished" in told) == (process_id == 0)
    assert ("sweep.csv" in told) == (process_id == 0)


def test_failures_are_rows_and_an_error_and_tried_again_on_request(given, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "measure", stub_measure)
    grid = written(tmp_path / "grid.json", {**TINY, "vary": {"seed": [3], "noise_std": [1, 3e38]}})
    folder, flags = tmp_path / "out", {"cpu_devices": 2}
    with pytest.raises(
        InputError, match=r"^1 of 2 networks failed \(linear3-noise_std3e\+38-seed3"
    ):
        given(grid, folder, **flags)
    good, bad = sorted(read_table(folder), key=lambda row: row["status"] != "finished")
    assert (good["name"], good["status"], good["reason"]) == (
        "linear3-noise_std1-seed3", "finished", "",
    )  # fmt: skip
    assert (bad["name"], bad["status"]) == ("linear3-noise_std3e+38-seed3", "failed")
    assert "training stopped at epoch 1: 3 steps in a row" in bad["reason"]
    tried = (folder / bad["name"] / "failure.json").stat().st_mtime_ns
    with pytest.raises(InputError, match="1 of 2 networks failed"):
        given(grid, folder, **flags, resume=True)
    assert (folder / bad["name"] / "failure.json").stat().st_mtime_ns == tried
    with pytest.raises(InputError, match="1 of 2 networks failed"):
        given(grid, folder, **flags, resume=True, retry_failed=True)
    assert (folder / bad["name"] / "failure.json").stat().st_mtime_ns > tried
    assert len(failure(folder / bad["name"]).reasons) == 2


def test_given_up_networks_are_not_called_finished(given, tmp_path, monkeypatch):
    """One of the four was given up earlier; the progress told with the others must know it."""
    grid, folder = written(tmp_path / "grid.json", TINY), tmp_path / "out"
    followed = []

    class Followed(sweep.SweepProgress):
        def __post_init__(self):
            super().__post_init__()
            followed.append(self)

    monkeypatch.setattr(sweep, "SweepProgress", Followed)
    monkeypatch.setattr(sweep.Sweep, "finish", lambda *_, **__: None)
    measures = {"n_sequences": 200, "analysis_seed": 0}
    open_sweep(folder, entries(TINY), resume=False, measures=measures)
    write_json(folder / "linear3-seed4" / "failure.json", {"reasons": ["a", "b"]})
    with pytest.raises(InputError, match="1 of 4 networks failed"):
        given(grid, folder, resume=True)
    assert followed[0].totals().startswith("0 of 4 networks finished, 1 failed")


def test_a_number_of_members_is_enough_where_no_compiler_tells(given, monkeypatch, smoke):
    """As the refusal itself proposes."""

    def untold(*_):
        raise InputError("its compiler does not tell; say how many with --members_per_batch")

    monkeypatch.setattr(sweep, "members_that_fit", untold)
    lanes = [Placement(tuple(jax.devices()[:1]), vectorised=True)]
    monkeypatch.setattr(sweep, "FLAGS", SimpleNamespace(members_per_batch=0))
    with pytest.raises(InputError, match="--members_per_batch"):
        sweep.fitting(lanes)(smoke, 5)
    monkeypatch.setattr(sweep, "FLAGS", SimpleNamespace(members_per_batch=3))
    assert sweep.fitting(lanes)(smoke, 5) == 3


def test_members_are_one_for_each_cpu_and_all_on_other_devices(monkeypatch, smoke):
    tried = []

    def fits(config, placement, wanted, free):
        tried.append(wanted)
        return wanted

    monkeypatch.setattr(sweep, "members_that_fit", fits)
    monkeypatch.setattr(sweep, "FLAGS", SimpleNamespace(members_per_batch=0))
    assert sweep.fitting(lanes_of(jax.devices()))(smoke, 5) == 1
    vectorised = [Placement(tuple(jax.devices()), vectorised=True)]
    assert sweep.fitting(vectorised)(smoke, 5) == 5
    assert tried == [1, 5]


@pytest.mark.parametrize("n_sequences", [10_000, 500])
def test_a_grid_of_the_zoo_takes_from_it_what_it_has(tmp_path, capsys, monkeypatch, n_sequences):
    """Not what was begun already, nor a network of another recipe under the same name, nor measures
    that were made in another way.
    """
    monkeypatch.setattr(sweep, "FLAGS", SimpleNamespace(n_sequences=n_sequences, analysis_seed=0))
    listed = {entry.name: entry for entry in read_grid("paper_seeds")}
    name, begun, other = "linear3-paper-seed0", "linear3-paper-seed1", "linear4-paper-seed0"
    (tmp_path / begun).mkdir()
    spec = listed[other].spec
    changed = spec._replace(config=spec.config.replace(train={"learning_rate": 0.1}))
    absent = next(e for e in listed.values() if e.name not in {e.name for e in zoo.list()})
    chosen = [listed[name], listed[begun], listed[other]._replace(spec=changed), absent]
    sweep.take_from_zoo(tmp_path, chosen)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, begun]
    assert is_trained(tmp_path / name)
    assert is_done(tmp_path / name) is (n_sequences == 10_000)
    assert list((tmp_path / begun).iterdir()) == []
    assert capsys.readouterr().out == f"{tmp_path / name}: from the zoo\n"
