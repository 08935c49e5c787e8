"""The command lines of the zoo and of all analyses together."""

import pytest

import hmmrnn as hr
from hmmrnn.training import load

NAME = "linear2-ngram-seed1"


def test_the_list_has_a_line_for_each_network(door):
    done = door("zoo")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [entry.name for entry in hr.zoo.list()]


def test_a_network_is_copied_into_a_run_folder(door, tmp_path):
    folder = tmp_path / "own"
    done = door("zoo", f"--network={NAME}", f"--outdir={folder}")
    assert done.returncode == 0, done.stderr
    assert f"hmmrnn analyse --run={folder}" in done.stdout
    assert load(folder).config == hr.zoo.load("linear2", seed=1).config
    again = door("zoo", f"--network={NAME}", f"--outdir={folder}")
    assert again.returncode == 1
    assert again.stderr == f"error: outdir={folder}: is not empty; choose another folder\n"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ((f"--network={NAME}",), "give both to copy a network"),
        (("--outdir=somewhere",), "give both to copy a network"),
        (("--network=linear2-ngram-seed", "--outdir=x"), "did you mean linear2-ngram-seed"),
        (("--network=?", "--outdir=x"), "hmmrnn zoo lists what there is"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(door, flags, problem):
    done = door("zoo", *flags)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert problem in line


def test_analyse_needs_a_finished_run(door, tmp_path):
    done = door("analyse", f"--run={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


@pytest.mark.slow
def test_a_network_of_the_zoo_has_its_report_after_two_commands(from_shell, tmp_path):
    folder = tmp_path / "look"
    assert from_shell("zoo", f"--network={NAME}", f"--outdir={folder}").returncode == 0
    done = from_shell("analyse", f"--run={folder}")
    assert done.returncode == 0, done.stderr
    for name in ("fidelity", "dynamics", "circuits", "discovery"):
        assert (folder / f"{name}.json").exists()
    assert done.stdout.splitlines()[-1] == f"report: {folder / 'report.html'}"
