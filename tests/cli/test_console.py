"""The console command as a whole: its list of doors, where it can print, how it ends."""

import importlib.metadata
import io
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hmmrnn.cli import outputs
from hmmrnn.cli.console import DOORS, open_door, sentence

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [(), ("--help",), ("help",), ("--seed=1", "-h")])
def test_help_lists_every_door_with_its_sentence(door, arguments):
    done = door(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line[:2] == "  ")
    assert listed == {name: sentence(name) for name in DOORS}
    assert all(text.endswith(".") or ":" in text for text in listed.values())


def test_every_module_with_flags_of_its_own_is_a_door():
    folder = Path(outputs.__file__).parent
    doors = {path.stem for path in folder.glob("*.py") if "\ndef main() ->" in path.read_text()}
    assert doors - {"console"} == set(DOORS)
    assert {path.stem for path in (ROOT / "experiments").glob("*.py")} > set(DOORS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("trian", "--seed=1"), "did you mean train?"),
        (("analyze",), "did you mean analyse?"),
        (("qqqq",), "hmmrnn --help lists them"),
        (("--run=runs/c",), "a door comes first"),
        (("train", "--sede=3"), "Did you mean: seed"),
        (("analyse",), "error: run: has to be given"),
    ],
)
def test_a_mistyped_door_or_flag_is_one_line(door, arguments, told):
    done = door(*arguments)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith("error: "), told in line) == (1, True, True)
    assert done.stdout == ""


def test_short_help_of_a_door_is_its_help(door):
    short, whole = (door("report", flag) for flag in ("-h", "--help"))
    assert short.returncode == 0
    assert short.stdout == whole.stdout != door("--help").stdout


def test_the_version_is_that_of_the_package(door):
    assert door("--version").stdout == f"hmmrnn {importlib.metadata.version('hmmrnn')}\n"


def test_a_program_of_the_checkout_is_the_door(door):
    """In a process of its own, from another folder, with the checkout on Python's path."""
    done = subprocess.run(
        [sys.executable, "-m", "experiments.report", "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == door("report", "--help").stdout


def test_a_terminal_that_knows_ascii_only_fails_no_command(monkeypatch):
    written = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, stream in written.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding="ascii"))
    outputs.print_anywhere()
    print("−0.5 ± 0.1, λ = 3")  # noqa: RUF001
    print("α…β", file=sys.stderr, flush=True)  # noqa: RUF001
    sys.stdout.flush()
    assert written["stdout"].getvalue() == b"-0.5 +- 0.1, ? = 3\n"
    assert written["stderr"].getvalue() == b"?...?\n"


@pytest.mark.parametrize("arguments", [("--version",), ("zoo",), ("train", "--help")])
def test_a_closed_pipe_ends_quietly(started, arguments):
    nobody, ours = os.pipe()
    os.close(nobody)
    process = started(*arguments, stdout=ours)
    os.close(ours)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (128 + signal.SIGPIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [("--version",), ("report", "--help")])
def test_a_full_disk_behind_the_output_is_one_line(started, arguments):
    with Path("/dev/full").open("w") as full:
        process = started(*arguments, stdout=full)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1


def test_a_stop_while_modules_are_imported(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr("importlib.import_module", interrupted)
    with pytest.raises(SystemExit) as ended:
        open_door("report", ())
    assert ended.value.code == outputs.stopped_by(signal.SIGINT)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_closed_outputs_fail_no_command():
    command = f"{shlex.quote(sys.executable)} -m hmmrnn --version >&- 2>&-"
    done = subprocess.run(command, shell=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_have_the_exit_code_of_shells(number):
    assert outputs.stopped_by(number) == 128 + number == {2: 130, 15: 143}[number]
