"""The command line of circuit discovery: what it writes, and what it says is wrong."""

import json
import shutil

import jax
import numpy as np
import pytest

from hmmrnn.discovery.attributions import METHODS
from hmmrnn.discovery.rankings import BASELINES
from hmmrnn.storage import plain, read_arrays, read_json, write_arrays, write_json
from hmmrnn.tasks import kick_network

SMALL = ("--n_trials=8", "--n_steps=70")
HARDLY = ("--profile=smoke", "--train.epochs=2")


@pytest.fixture(scope="module")
def planted(door, tmp_path_factory):
    folder = tmp_path_factory.mktemp("discover") / "filter"
    done = door("discover", "--task=hmm_inference", f"--outdir={folder}", *SMALL)
    return done, folder


def test_a_planted_task_leaves_numbers_arrays_figures_and_a_page(planted):
    done, folder = planted
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder / "report.html")
    found = read_json(folder / "discovery.json")
    assert list(found["cases"]) == ["two states", "three states"]
    assert found["problems"] == {}
    assert found["source"]["task"] == "hmm_inference"
    assert found["source"]["contamination"] == 0.02
    assert "--task=hmm_inference" in found["command"]
    for name, case in found["cases"].items():
        end = name.replace(" ", "_")
        assert set(case["judgement"]["units"]) == {"intervention", *METHODS, *BASELINES}
        arrays = read_arrays(folder / f"discovery_{end}.npz")
        np.testing.assert_allclose(arrays["units intervention"], case["effect"]["value"], rtol=1e-6)
        figures = {path.stem for path in (folder / "figures").glob(f"*_{end}.svg")}
        assert figures == {
            f"discovery_{kind}_{end}"
            for kind in ["map", "precision", "faithfulness", "edges", "agreement", "single", "mean"]
        }
    page = (folder / "report.html").read_text()
    assert "two states" in page
    assert page.count("<svg") >= 14


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(planted, door, tmp_path):
    folder = tmp_path / "again"
    door("discover", "--task=hmm_inference", f"--outdir={folder}", *SMALL)
    once, again = (read_json(place / "discovery.json")["cases"] for place in (planted[1], folder))
    assert json.dumps(once) == json.dumps(again)


@pytest.fixture(scope="module")
def trained(door, tmp_path_factory):
    """A network that hardly was, whose preferred symbol may hardly change."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    flags = ("--preset=fully3", *HARDLY, f"--outdir={folder}")
    assert door("train", *flags).returncode == 0
    return folder


@pytest.fixture(scope="module")
def switching(door, tmp_path_factory):
    """A run whose network is a planted kick circuit, and groups that another analysis found."""
    folder = tmp_path_factory.mktemp("switching") / "run"
    made = kick_network(jax.random.key(1), n_distractors=0)
    n_units, noise_dim = made.params["W_in"].shape
    sizes = (f"--net.hidden_size={n_units}", f"--net.noise_dim={noise_dim}", "--net.bias=true")
    flags = ("--preset=linear2", *HARDLY, f"--outdir={folder}", *sizes)
    assert door("train", *flags).returncode == 0
    params = {name: np.asarray(value) for name, value in made.params.items()}
    third = {"W_out": np.zeros((1, n_units), np.float32), "b_out": np.full(1, -99, np.float32)}
    params |= {name: np.concatenate([params[name], row]) for name, row in third.items()}
    write_arrays(folder / "params.npz", params)
    groups = {name.replace("kick ", "kick_"): mask for name, mask in made.groups.items()}
    found = {f"kick {a}>{b}": np.flatnonzero(groups[f"kick_{a}{b}"]) for a, b in ((0, 1), (1, 0))}
    write_json(folder / "circuits.json", {"groups": plain(found)})
    done = door("discover", f"--run={folder}", "--kind=zero", "--n_trials=24")
    return done, folder, found


@pytest.mark.slow
def test_changes_of_a_trained_network_stand_beside_its_kick_circuit(switching, door):
    done, folder, groups = switching
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder / "discovery.json")
    found = read_json(folder / "discovery.json")
    assert set(found["cases"]) == {"0_1", "1_0"}
    for name, case in found["cases"].items():
        before = list(case["windows"]).index("-4..-1")
        s, t = name.split("_")
        own, opposite = f"kick {s}>{t}", f"kick {t}>{s}"
        assert case["kick"][own]["n"] == len(groups[own])
        effect = {group: found["effect"][before] for group, found in case["groups"].items()}
        assert effect[own] > 1
        assert abs(effect[opposite]) < 0.05
        assert case["judgement"] is None
        assert not (folder / "figures" / f"discovery_precision_{name}.svg").exists()
        assert (folder / "figures" / f"discovery_map_{name}.svg").exists()
    (folder / "circuits.json").unlink()  # it holds groups only
    page = door("report", f"--run={folder}")
    assert page.returncode == 0, page.stderr
    assert "Most is at stake in steps" in (folder / "report.html").read_text()


def test_a_network_without_transitions_is_told(trained, door, tmp_path):
    folder = tmp_path / "still"
    shutil.copytree(trained, folder)
    with np.load(folder / "params.npz") as file:
        params = {name: file[name] for name in file.files}
    params["W_out"] = np.zeros_like(params["W_out"])
    np.savez(folder / "params.npz", **params)
    done = door("discover", f"--run={folder}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the preferred symbol hardly ever changes")
    assert not (folder / "discovery.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "error: give either --run, a run folder, or --task and --outdir"),
        (("--task=ring", "--run=x"), "error: give either --run"),
        (("--task=ring",), "error: --task needs --outdir"),
        (("--run=nowhere",), "error: run=nowhere: there is no such folder"),
        (("--task=maze", "--outdir=x"), "flag --task=maze"),
        (("--task=ring", "--outdir=x", "--n_trials=2"), "flag --n_trials=2"),
        (("--task=ring", "--outdir=x", "--n_steps=1"), "flag --n_steps=1"),
        (("--run=x", "--outdir=y"), "error: --outdir belongs to --task"),
    ],
)
def test_what_is_wrong_is_said_and_exit_code_1(door, tmp_path, flags, message):
    done = door("discover", *flags, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_run_is_not_for_tasks(trained, door):
    before = sorted(path.name for path in trained.iterdir())
    done = door("discover", "--task=hmm_inference", f"--outdir={trained}", *SMALL)
    assert done.returncode == 1
    assert "holds a run of a network; give another folder" in done.stderr
    assert sorted(path.name for path in trained.iterdir()) == before


def test_damaged_groups_are_named(trained, door, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    (folder / "circuits.json").write_text('{"groups": [1, 2]}')
    done = door("discover", f"--run={folder}")
    assert done.returncode == 1
    assert "circuits.json: stale, another version" in done.stderr
