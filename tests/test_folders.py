"""One owner, all or nothing, nothing foreign: of any folder of results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hmmrnn.errors import FolderInUseError, InputError, StorageError
from hmmrnn.folders import LOCK, MANIFEST, NEW, READY, foreign_in, owned, replacing, settle
from hmmrnn.storage import PARTIAL, read_json, write_json

ROOT = Path(__file__).parents[1]
EARLIER = {"a.json": "old", "b.npz": "old", "figures/x.svg": "old", "figures/y.svg": "old"}
LATER = {"a.json": "new", "b.npz": "new", "figures/x.svg": "new", "figures/z.svg": "new"}


def write(folder, texts, by="us", **options):
    with replacing(folder, by, **options) as beside:
        for name, text in texts.items():
            (beside / name).parent.mkdir(exist_ok=True)
            (beside / name).write_text(text)


def seen(folder):
    """Texts by name, but the manifest and the lock."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (MANIFEST, LOCK)
    }


def listed(folder):
    return read_json(folder / MANIFEST)["files"]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "run", EARLIER)
    return tmp_path / "run"


def test_results_take_the_places_of_earlier_ones(folder):
    write(folder, {"c.json": "of others"}, by="others")
    write(folder, LATER)
    assert seen(folder) == {**LATER, "c.json": "of others"}
    assert listed(folder) == {**dict.fromkeys(LATER, "us"), "c.json": "others"}


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), StorageError("full")])
def test_what_fails_changes_nothing(folder, error):
    def write_half():
        with replacing(folder, "us") as beside:
            (beside / "a.json").write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert seen(folder) == EARLIER
    assert listed(folder) == dict.fromkeys(EARLIER, "us")


@pytest.mark.parametrize("n_moved", range(6))
def test_a_process_that_dies_while_files_change_places_is_finished_by_the_next(
    folder, n_moved, monkeypatch
):
    moved, replace = [], Path.replace

    def dying(path, target):
        if len(moved) == n_moved and READY in path.parts:
            raise KeyboardInterrupt
        if READY in path.parts:
            moved.append(target)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", dying)
    if n_moved < len(LATER) + 1:
        with pytest.raises(KeyboardInterrupt):
            write(folder, LATER)
        assert (folder / READY).is_dir()
    else:
        write(folder, LATER)
    monkeypatch.undo()
    with owned(folder):
        assert seen(folder) == LATER
        assert listed(folder) == dict.fromkeys(LATER, "us")
    settle(folder)
    assert seen(folder) == LATER


def test_a_process_that_died_before_leaves_no_trace(folder):
    for left in (folder / f"{NEW}abc", folder / f".a.json.12345678{PARTIAL}"):
        left.mkdir() if NEW in left.name else left.write_text("half")
    (folder / f"{NEW}abc" / "a.json").write_text("half")
    (folder / "figures" / f".x.svg.87654321{PARTIAL}").write_text("half")
    with owned(folder):
        assert seen(folder) == EARLIER


HOLD = """
import sys, pathlib
from hmmrnn.folders import owned
with owned(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_refused_and_a_dead_one_forgotten(folder):
    command = [sys.executable, "-c", HOLD, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError), owned(folder):
            pass
        other.kill()
    with owned(folder), pytest.raises(FolderInUseError), owned(folder):
        pass


@pytest.mark.parametrize("name", ["c.json", "figures/fig1.pdf"])
def test_a_file_of_somebody_else_is_never_replaced(folder, name):
    (folder / name).write_text("theirs")
    with pytest.raises(InputError, match="not written by hmmrnn"):
        write(folder, {**LATER, name: "ours"})
    assert seen(folder) == {**EARLIER, name: "theirs"}
    write(folder, LATER)
    assert seen(folder) == {**LATER, name: "theirs"}
    assert foreign_in(folder, listed(folder)) == [name]


def test_a_manifest_of_somebody_else_is_never_replaced(tmp_path):
    (tmp_path / MANIFEST).write_text('{"name": "of an application"}')
    with pytest.raises(InputError, match=MANIFEST):
        write(tmp_path, LATER)
    assert read_json(tmp_path / MANIFEST) == {"name": "of an application"}


def test_nothing_is_written_or_removed_through_links(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("x.svg", "y.svg", "z.svg"):
        (outside / name).write_text("theirs")
    for path in (folder / "figures").iterdir():
        path.unlink()
    (folder / "figures").rmdir()
    (folder / "figures").symlink_to(outside)
    with pytest.raises(InputError, match="is a link"):
        write(folder, LATER)
    write(folder, {"a.json": "new"}, by="us")
    assert {path.name: path.read_text() for path in outside.iterdir()} == dict.fromkeys(
        ("x.svg", "y.svg", "z.svg"), "theirs"
    )


def test_alone_nothing_else_of_ours_stays_but_all_else_does(folder):
    (folder / "checkpoints" / "3" / "default").mkdir(parents=True)
    (folder / "checkpoints" / "3" / "default" / "arrays.npz").write_text("ours")
    (folder / "checkpoints" / "2024").mkdir()
    (folder / "checkpoints" / "2024" / "diary").write_text("theirs")
    (folder / "checkpoints" / "model.bin").write_text("theirs")
    write_json(folder / MANIFEST, {"files": {**dict.fromkeys(EARLIER, "us"), "checkpoints": "run"}})
    (folder / "notes.txt").write_text("theirs")
    write(folder, {"config.json": "{}"}, by="run", alone=True)
    assert seen(folder) == {
        "config.json": "{}",
        "notes.txt": "theirs",
        "checkpoints/model.bin": "theirs",
        "checkpoints/2024/diary": "theirs",
    }


def test_a_list_never_leads_out_of_its_folder(folder, tmp_path):
    (tmp_path / "theirs.txt").write_text("theirs")
    names = ["../theirs.txt", str(tmp_path / "theirs.txt"), "a.json"]
    write_json(folder / MANIFEST, {"files": dict.fromkeys(names, "us")})
    write(folder, {"c.json": "new"})
    assert (tmp_path / "theirs.txt").read_text() == "theirs"
    assert not (folder / "a.json").exists()


def test_folders_of_before_there_were_lists(folder):
    """Names that fit are ours where the numbers are, or a run; not elsewhere."""
    (folder / MANIFEST).unlink()
    patterns = ("a.json", "b.npz", "figures/*.svg")
    write(folder, LATER, before=patterns)
    assert seen(folder) == LATER
    (folder / MANIFEST).unlink()
    (folder / "a.json").unlink()
    with pytest.raises(InputError, match="not written by hmmrnn"):
        write(folder, LATER, before=patterns)


def test_hidden_files_of_others_are_none_of_ours(folder):
    for name in (".ready", ".new-idea", f".movie.mp4{PARTIAL}"):
        (folder / name).write_text("theirs")
    with owned(folder):
        pass
    assert {".ready", ".new-idea", f".movie.mp4{PARTIAL}"} <= {p.name for p in folder.iterdir()}


PLANS = ("[]", "{", '{"remove": ["../theirs", ".", "a\\u0000"]}', '{"remove": 3}')


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_never_leads_out_of_its_folder(folder, tmp_path, plan):
    (tmp_path / "theirs").write_text("theirs")
    (folder / READY).mkdir()
    (folder / READY / ".plan.json").write_text(plan)
    (folder / READY / "a.json").write_text("new")
    with owned(folder):
        assert seen(folder) == EARLIER | {"a.json": "new"}
    assert (tmp_path / "theirs").exists()


def test_a_folder_in_the_place_of_a_file_stops_before_anything_is_moved(folder):
    (folder / "b.npz").unlink()
    (folder / "b.npz" / "x").mkdir(parents=True)
    with pytest.raises(InputError, match=r"b\.npz"):
        write(folder, LATER)
    assert (folder / "a.json").read_text() == "old"
    assert not (folder / READY).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(folder):
    folder.chmod(0o500)
    with pytest.raises(StorageError), owned(folder):
        pass
    folder.chmod(0o700)
