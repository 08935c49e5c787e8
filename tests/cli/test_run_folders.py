"""Many runs in one process: which ones, in what groups, and what becomes of those that fail."""

import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hmmrnn import hmm
from hmmrnn.circuits import Sizes as CircuitSizes
from hmmrnn.cli import circuits, dynamics, evaluate, run_folders
from hmmrnn.cli.run_folders import (
    Many,
    Step,
    analyse_all,
    in_groups,
    in_place,
    matching,
    one_or_many,
    second_process,
)
from hmmrnn.dynamics import Sizes
from hmmrnn.errors import DivergingNetworkError, InputError, StorageError
from hmmrnn.storage import read_arrays, read_json, write_arrays, write_json, write_text
from hmmrnn.training import RunSpec, load
from hmmrnn.training.run import train_run

DYNAMICS_SIZES = Sizes(n_trajectories=6, n_steps=80, n_starts=8, n_states=24)
CIRCUIT_SIZES = CircuitSizes(n_runs=6, n_steps=120)
N_SEQUENCES = 200
TOLERANCE = 1e-5
"""Side by side the compiler may order sums differently: rounding, which these networks forget."""


@pytest.fixture(scope="module")
def trained(smoke, tmp_path_factory):
    """Three alike, one of them diverging, one of another HMM, one unfinished and one damaged."""
    root = tmp_path_factory.mktemp("runs")
    config = smoke.replace(train={"epochs": 2, "snapshot_every": 1})
    other = type(config).profile("smoke", hmm.preset("linear2")).replace(train={"epochs": 2})
    for name, chosen, seed in (("a", config, 0), ("b", config, 1), ("other", other, 0)):
        train_run(root / name, RunSpec(chosen, 1.0, seed))
    shutil.copytree(root / "a", root / "bad")
    params = read_arrays(root / "bad" / "params.npz")
    write_arrays(root / "bad" / "params.npz", {**params, "W_rec": params["W_rec"] * 1e6})
    shutil.copytree(root / "a", root / "half")
    (root / "half" / "params.npz").unlink()
    shutil.copytree(root / "a", root / "torn")
    write_text(root / "torn" / "config.json", '{"hmm":')
    (root / "notes").mkdir()
    return root


@pytest.fixture
def runs(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "runs")


def fake(measure=None, write=None, shape=lambda spec: spec.config.cell, **options):
    """A step whose record is the seed of each network's first weight, and whose line is that."""

    def measured(fits):
        yield from (float(fit.params["W_rec"][0, 0]) for fit in fits)

    def written(folder, network, record):
        write_json(folder / "fake.json", {"weight": record})
        return f"weight {record:.3f}"

    return Step("fake.json", shape, measure or measured, write or written, **options)


def done(step, pattern, **options):
    """Exit code of an analysis of all."""
    try:
        analyse_all(step, Many(str(pattern), **options))
    except SystemExit as end:
        return end.code
    return 0


def test_only_run_folders_match_and_in_order(trained):
    names = [path.name for path in matching(f"{trained}/*")]
    assert names == ["a", "b", "bad", "half", "other", "torn"]
    assert [path.name for path in matching(f"{trained}/[ab]")] == ["a", "b"]
    with pytest.raises(InputError, match=r"runs=.*/notes: "):
        matching(f"{trained}/notes")


def spec_of(shape):
    return SimpleNamespace(shape=shape)


@pytest.mark.parametrize(
    ("shapes", "at_once", "expected"),
    [
        ("aaa", 8, [("012", 3)]),
        ("abab", 8, [("02", 2), ("13", 2)]),
        ("aaaaaaaaa", 8, [("01234", 5), ("5678", 5)]),
        ("aab", 1, [("0", 1), ("1", 1), ("2", 1)]),
        ("", 8, []),
    ],
)
def test_groups_are_alike_even_and_no_larger_than_allowed(shapes, at_once, expected):
    runs = [(Path(str(i)), spec_of(shape)) for i, shape in enumerate(shapes)]
    found = in_groups(runs, lambda spec: spec.shape, at_once)
    assert [("".join(map(str, group)), size) for group, size in found] == expected


@pytest.mark.parametrize(
    ("run", "runs", "missing_only", "expected"),
    [
        ("x", None, False, Path("x")),
        (None, "x*", True, Many("x*", True, 3)),
        ("x", "x*", False, "give one of them"),
        (None, None, False, "give one of them"),
        ("x", None, True, "missing_only: goes with --runs"),
    ],
)
def test_one_folder_or_a_pattern(monkeypatch, run, runs, missing_only, expected):
    given = SimpleNamespace(run=run, runs=runs, missing_only=missing_only, networks_at_once=3)
    monkeypatch.setattr(run_folders, "FLAGS", given)
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            one_or_many()
    else:
        assert one_or_many() == expected


def test_what_cannot_be_read_is_said_and_spares_the_others(runs, capsys):
    assert done(fake(), runs / "*") == 1
    printed, errors = capsys.readouterr()
    lines = printed.splitlines()
    assert lines[-1] == "4 analysed, 2 skipped"
    assert [line.split(":")[0] for line in lines[:-1]] == [
        str(runs / name) for name in ("a", "b", "bad", "other")
    ]
    assert "(6 of 6)" in lines[-2]
    assert all(" of 6, about " in line for line in lines[:-2])
    torn, half = errors.splitlines()
    assert torn.startswith(f"skipped {runs / 'torn'}: ")
    assert half.startswith(f"skipped {runs / 'half'}: ")
    assert "has not finished; continue with --resume" in half
    first = load(runs / "b").params["W_rec"][0, 0]
    assert read_json(runs / "b" / "fake.json")["weight"] == pytest.approx(float(first))


def test_groups_of_one_shape_are_filled_up_to_one_size(runs):
    sizes = []

    def measure(fits) -> Iterator[float]:
        sizes.append(len(fits))
        yield from np.arange(len(fits), dtype=float)

    (runs / "torn" / "config.json").unlink()
    assert done(fake(measure), runs / "*", at_once=2) == 1
    # a and b; bad, for half could not be loaded, twice; other, twice
    assert sizes == [2, 2, 2]
    assert read_json(runs / "bad" / "fake.json")["weight"] == 0


XLA = RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\n\nlong\nallocations")
FIRST_LINE = "RuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (DivergingNetworkError("too large"), "too large"),
        (StorageError("disk full"), "disk full"),
        (XLA, FIRST_LINE),
        (MemoryError(), "MemoryError: MemoryError"),
    ],
)
def test_one_network_that_fails_does_not_stop_the_others(runs, capsys, wrong, told):
    def measure(fits):
        for i, _ in enumerate(fits):
            yield wrong if i == 1 else float(i)

    assert done(fake(measure), runs / "[ab]*", at_once=8) == 1
    printed, errors = capsys.readouterr()
    assert errors == f"skipped {runs / 'b'}: {told}\n"
    assert printed.splitlines()[-1] == "2 analysed, 1 skipped"
    assert [(runs / name / "fake.json").exists() for name in ("a", "b", "bad")] == [1, 0, 1]


def test_a_failure_of_a_whole_group_or_of_a_file_is_said_of_each(runs, capsys):
    def refuse(fits):
        raise InputError("n_states=1")
        yield

    def full(folder, network, record):
        raise StorageError("disk full")

    def broken(folder, network, record):
        raise XLA

    assert done(fake(refuse), runs / "[ab]", at_once=2) == 1
    assert done(fake(write=full), runs / "[ab]") == 1
    assert done(fake(write=broken), runs / "[ab]") == 1
    told = ("n_states=1", "disk full", FIRST_LINE)
    expected = [f"skipped {runs / n}: {e}" for e in told for n in "ab"]
    assert capsys.readouterr().err.splitlines() == expected


def test_what_was_analysed_before_is_left_out_on_demand(runs, capsys):
    assert done(fake(), runs / "a") == 0
    capsys.readouterr()
    assert done(fake(), runs / "[ab]", missing_only=True) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "1 left out, which have fake.json"
    assert len(printed) == 3
    assert printed[2] == "1 analysed, 0 skipped"
    assert done(fake(), runs / "[ab]", missing_only=True) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2 left out, which have fake.json",
        "0 analysed, 0 skipped",
    ]
    assert done(fake(), runs / "[ab]") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 analysed, 0 skipped"


def same(a, b):
    """Whether two values of JSON are equal within rounding."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return a == pytest.approx(b, rel=TOLERANCE, abs=TOLERANCE)
    return a == b


def both_ways(runs, result, measure, write, shape, hosts=in_place):
    """Compare numbers of a, b and one that diverges, alone and side by side; the exit code."""
    alone = {}
    for name in "ab":
        fit = load(runs / name)
        (record,) = measure([fit])
        write(runs / name, fit.digest, record)
        alone[name] = read_json(runs / name / result)
        (runs / name / result).unlink()
    code = done(Step(result, shape, measure, write, hosts), runs / "[ab]*", at_once=3)
    for name in "ab":
        assert same(read_json(runs / name / result), alone[name]), name
    assert not same(alone["a"], alone["b"])
    return code


def test_fidelity_of_many_is_that_of_each_and_a_second_process_may_write_it(runs, capsys):
    measure = partial(evaluate.measure, N_SEQUENCES, 0)
    write, shape = evaluate.write, evaluate.shape
    assert both_ways(runs, "fidelity.json", measure, write, shape, second_process) == 1
    printed, errors = capsys.readouterr()
    assert "KL of 6-grams" in printed
    assert errors.startswith(f"skipped {runs / 'bad'}: the network diverges under its noise")
    assert not (runs / "bad" / "fidelity.json").exists()
    assert (runs / "b" / "figures" / "ngrams.svg").exists()


def test_dynamics_of_many_are_those_of_each(runs, monkeypatch, capsys):
    monkeypatch.setattr(dynamics, "save_figures", lambda *_: None)
    measure = partial(dynamics.measure, DYNAMICS_SIZES, 0)
    write = partial(dynamics.write_one, 0)
    assert both_ways(runs, "dynamics.json", measure, write, dynamics.shape) == 0
    assert "rotation " in capsys.readouterr().out
    assert "not finite" in read_json(runs / "bad" / "dynamics.json")["problem"]


def test_circuits_of_many_are_those_of_each(runs, monkeypatch, capsys):
    monkeypatch.setattr(circuits, "save_figures", lambda *_: None)
    measure = partial(circuits.measure, CIRCUIT_SIZES, 0)
    assert both_ways(runs, "circuits.json", measure, circuits.write, circuits.shape) == 0
    assert "0 kick neurons in 0 changes, verdict undecided" in capsys.readouterr().out
    assert "not finite" in read_json(runs / "bad" / "circuits.json")["problem"]


def die(folder, network, record):
    os._exit(1)


def test_a_second_process_that_is_killed_is_one_error_that_names_the_remedy(runs, capsys):
    with pytest.raises(StorageError, match="--missing_only"):
        done(fake(write=die, hosts=second_process), runs / "[ab]*")
    assert "analysed" not in capsys.readouterr().out


def test_an_interrupt_ends_the_network_in_the_second_process_and_begins_no_other(tmp_path):
    begun = []

    def interrupted(submit):
        begun.extend([submit(time.sleep, 0.5)])
        while not begun[0].running():
            time.sleep(0.01)
        begun.extend(submit(write_text, tmp_path / name, "late") for name in "abc")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), second_process() as submit:
        interrupted(submit)
    assert begun[0].result() is None
    assert begun[-1].cancelled()
    assert not (tmp_path / "c").exists()


def test_the_command_goes_through_mixed_shapes_and_ends_with_1(runs, door):
    ended = door("evaluate", f"--runs={runs}/*", f"--n_sequences={N_SEQUENCES}")
    lines = ended.stdout.splitlines()
    assert ended.returncode == 1
    assert lines[-1] == "3 analysed, 3 skipped"
    for name, line in zip(("a", "b", "other"), lines[:-1], strict=True):
        value = read_json(runs / name / "fidelity.json")["kl"]["6"]["network"]["value"]
        assert line.startswith(f"{runs / name}: KL of 6-grams {value:.4f} [")
    assert [line.split(":")[0] for line in ended.stderr.splitlines()] == [
        f"skipped {runs / name}" for name in ("torn", "bad", "half")
    ]
