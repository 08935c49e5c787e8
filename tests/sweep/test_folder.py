import itertools
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hmmrnn import InputError, StorageError
from hmmrnn.storage import write_json
from hmmrnn.sweep import folder as module
from hmmrnn.sweep.folder import (
    Failure,
    failure,
    fingerprint,
    forget_failure,
    is_done,
    is_trained,
    note_failure,
    open_sweep,
    working_as,
)
from hmmrnn.sweep.grid import entries
from hmmrnn.training import RunSpec
from hmmrnn.training.run import train_run

ROOT = Path(__file__).parents[2]


def grid(**vary):
    return entries({"base": {"profile": "smoke", "preset": "linear3"}, "vary": vary})


THREE = grid(seed=[0, 1, 2])


def test_a_new_folder_and_an_empty_one_are_described(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").write_text("")
    for name in ("a/b/new", "empty"):
        open_sweep(tmp_path / name, THREE, resume=False)
        stored = json.loads((tmp_path / name / "sweep.json").read_text())
        assert stored == {
            "measures": {},
            "networks": {e.name: fingerprint(e.spec) for e in THREE},
        }


def test_other_measures_of_the_same_grid_are_refused(tmp_path):
    open_sweep(tmp_path, THREE, resume=False, measures={"n_sequences": 100})
    open_sweep(tmp_path, THREE, resume=True, measures={"n_sequences": 100})
    with pytest.raises(InputError, match=r"'n_sequences': 100"):
        open_sweep(tmp_path, THREE, resume=True, measures={"n_sequences": 200})


def test_two_ways_to_share_a_grid_exclude_each_other(tmp_path):
    with (
        working_as(tmp_path, 1, 2),
        working_as(tmp_path, 0, 2),
        pytest.raises(InputError, match=r"num_processes=1: .*2 "),
        working_as(tmp_path, 0, 1),
    ):
        pass
    with working_as(tmp_path, 0, 1):
        pass


def test_the_same_grid_again_only_to_resume(tmp_path):
    open_sweep(tmp_path, THREE, resume=True)  # to begin is fine as well
    before = (tmp_path / "sweep.json").read_bytes()
    with pytest.raises(InputError, match=f"^outdir={tmp_path}: .*--resume"):
        open_sweep(tmp_path, THREE, resume=False)
    open_sweep(tmp_path, THREE[::-1], resume=True)  # the order does not matter
    assert (tmp_path / "sweep.json").read_bytes() == before


@pytest.mark.parametrize("resume", [False, True])
def test_another_grid_is_refused_with_what_differs(tmp_path, resume):
    open_sweep(tmp_path, THREE, resume=False)
    before = (tmp_path / "sweep.json").read_bytes()
    for other, told in (
        (grid(seed=[0, 1]), "of 3 networks (this one has 2); they differ in linear3-seed2;"),
        (
            grid(seed=[0, 1, 2, 3, 4, 5, 6]),
            "3, linear3-seed4, linear3-seed5 and others; choose another folder",
        ),
        (
            entries(
                {
                    "base": {"profile": "smoke", "preset": "linear3", "net.bias": True},
                    "vary": {"seed": [0, 1, 2]},
                }
            ),
            "differ in linear3-seed0, linear3-seed1, linear3-seed2; choose",
        ),
    ):
        with pytest.raises(InputError) as refusal:
            open_sweep(tmp_path, other, resume=resume)
        assert told in str(refusal.value)
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_a_fingerprint_is_of_everything_that_makes_a_network():
    spec = THREE[0].spec
    changed = [
        spec,
        spec._replace(seed=1),
        spec._replace(noise_std=0.5),
        *(
            RunSpec(spec.config.replace(**{section: {option: value}}), 1.0, 0)
            for section, option, value in (
                ("net", "bias", True),
                ("loss", "blur", 0.3),
                ("data", "n_steps", 13),
                ("train", "learning_rate", 1.0000001e-3),
            )
        ),
        entries({"base": {"profile": "smoke", "preset": "linear2"}})[0].spec,
    ]
    assert len({fingerprint(s) for s in changed}) == len(changed)
    assert fingerprint(spec) == fingerprint(grid(seed=[0])[0].spec)


@pytest.mark.parametrize("resume", [False, True])
def test_foreign_folders_and_files_are_left_alone(tmp_path, resume):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files that are no sweep; choose another"):
        open_sweep(tmp_path / "thesis", THREE, resume=resume)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match=r"thesis\.txt: "):
        open_sweep(tmp_path / "thesis" / "thesis.txt", THREE, resume=resume)
    with pytest.raises(StorageError, match="Not a directory"):
        open_sweep(tmp_path / "thesis" / "thesis.txt" / "below", THREE, resume=resume)


@pytest.mark.parametrize("text", ["", '{"networks": {"a', "[]", '{"networks": 3}', "{}"])
def test_a_damaged_description_is_refused(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(InputError, match=r"sweep\.json: "):
        open_sweep(tmp_path, THREE, resume=True)


def test_processes_that_begin_at_the_same_moment(tmp_path, monkeypatch):
    """Threads stand for them; on a slow disk, so that all are there before one has written."""
    flush, together = os.fsync, threading.Barrier(6)
    monkeypatch.setattr(os, "fsync", lambda file: (time.sleep(0.02), flush(file)))

    def begin(_):
        together.wait(timeout=20)
        open_sweep(tmp_path / "new", THREE, resume=True)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(begin, range(6))) == [None] * 6
    assert len(json.loads((tmp_path / "new" / "sweep.json").read_text())["networks"]) == 3


def test_a_process_that_looks_while_another_one_begins_to_train(tmp_path, monkeypatch):
    """There was no description when it looked, but now there is one, and a run folder as well."""
    read = Path.iterdir

    def late(path):
        write_json(tmp_path / "sweep.json", described)
        (tmp_path / THREE[0].name).mkdir(exist_ok=True)
        return read(path)

    described = {"networks": {e.name: fingerprint(e.spec) for e in THREE}}
    monkeypatch.setattr(Path, "iterdir", late)
    open_sweep(tmp_path, THREE, resume=True)


def test_one_process_of_each_number(tmp_path):
    with working_as(tmp_path / "new", 0), working_as(tmp_path / "new", 1):
        with (
            pytest.raises(InputError, match="process_id=1: "),
            working_as(tmp_path / "new", 1),
        ):
            pass
        with (
            pytest.raises(InputError, match="process_id=0: "),
            working_as(tmp_path / "new", 0),
        ):
            pass
    with working_as(tmp_path / "new", 1):
        pass
    assert all(path.name.startswith(".") for path in (tmp_path / "new").iterdir())


def test_an_error_frees_the_place_though_it_is_kept(tmp_path):
    with pytest.raises(KeyError) as kept, working_as(tmp_path, 0):
        raise KeyError("as in a notebook, which keeps its last error")
    with working_as(tmp_path, 0):
        assert kept.value


def test_the_place_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, time, pathlib\n"
        "from hmmrnn.sweep.folder import working_as\n"
        "with working_as(pathlib.Path(sys.argv[1]), 3):\n"
        "    print('here', flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "here\n"
    with (
        pytest.raises(InputError, match="process_id=3: "),
        working_as(tmp_path, 3),
    ):
        pass
    with working_as(tmp_path, 0):
        pass
    holder.kill()
    holder.communicate()
    with working_as(tmp_path, 3):
        pass


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match="Not a directory"),
        working_as(tmp_path / "file" / "x", 0),
    ):
        pass


def test_failures_are_counted_until_given_up(tmp_path):
    run = tmp_path / "run"
    assert failure(run) == Failure([])
    assert not failure(run).given_up
    once = note_failure(run, "first")
    assert once == failure(run) == Failure(["first"])
    assert not once.given_up
    twice = note_failure(run, "second")
    assert twice == failure(run) == Failure(["first", "second"])
    assert twice.given_up
    stored = json.loads((run / "failure.json").read_text())
    assert stored == {"attempts": 2, "reasons": ["first", "second"], "given_up": True}
    forget_failure(run)
    assert failure(run) == Failure([])
    forget_failure(run)
    forget_failure(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    [
        *("", '{"reasons": ["a', "[]", "3", "null", "{}"),
        *('{"reasons": 3}', '{"reasons": null}', '{"reasons": "text"}'),
    ],
)
def test_a_damaged_record_of_failures_lets_the_network_be_tried(tmp_path, text):
    (tmp_path / "failure.json").write_text(text)
    assert failure(tmp_path) == Failure([])


@pytest.fixture(scope="module")
def trained(smoke, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    train_run(folder, RunSpec(smoke.replace(train={"epochs": 2}), 1.0, 0))
    return folder


@pytest.fixture
def changed(trained):
    """A function that gives a file of the run other contents; afterwards all is as it was."""
    before = {}

    def change(name, edit):
        before[name] = (trained / name).read_bytes()
        now = edit(before[name])
        (trained / name).unlink()
        if now is not None:
            (trained / name).write_bytes(now)

    yield change
    for name, content in before.items():
        (trained / name).write_bytes(content)


def test_trained_and_measured(trained, tmp_path):
    assert is_trained(trained)
    assert not is_done(trained)
    write_json(trained / module.MEASURED, {})
    assert not is_done(trained)
    write_json(trained / module.MEASURED, {"kl": 1})
    assert is_done(trained)
    (trained / module.MEASURED).unlink()
    assert not is_trained(tmp_path)
    assert not is_trained(tmp_path / "nowhere")


DAMAGES = {
    "missing": lambda content: None,
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "a bit flipped": lambda content: flipped(content, len(content) // 2),
}


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product(("params.npz", "snapshots.npz", "history.npz"), DAMAGES),
        *itertools.product(("config.json", "manifest.json"), ("missing", "empty", "cut")),
    ],
)
def test_a_run_with_a_damaged_file_is_not_trained(trained, changed, name, damage):
    changed(name, DAMAGES[damage])
    write_json(trained / module.MEASURED, {})
    try:
        assert not is_trained(trained)
        assert not is_done(trained)
    finally:
        (trained / module.MEASURED).unlink()


def test_a_run_is_trained_when_its_manifest_says_so(trained, changed):
    changed("manifest.json", lambda content: content.replace(b'"finished"', b'"running"'))
    assert not is_trained(trained)
