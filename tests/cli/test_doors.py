"""The command lines as a user meets them."""

import json
import re
import shutil

import numpy as np
import pytest

from hmmrnn.figures.catalogue import CIRCUITS, DYNAMICS, FIDELITY, TRAINING
from hmmrnn.nets import BOUNDED
from hmmrnn.storage import read_results

SMOKE = ("--preset=linear3", "--profile=smoke")


def printed_by(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(door, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "demo"
    return folder, printed_by(door("reproduce", *SMOKE, f"--outdir={folder}"))


def test_reproduce_makes_the_whole_folder(demo):
    folder, printed = demo
    for name in ("config", "manifest", "fidelity", "dynamics", "circuits"):
        assert isinstance(json.loads((folder / f"{name}.json").read_text()), dict)
    for name in ("history", "snapshots", "params", "trajectory_view"):
        assert np.load(folder / f"{name}.npz", allow_pickle=False).files
    drawn = {path.name for path in (folder / "figures").glob("*.svg")}
    pairs = json.loads((folder / "dynamics.json").read_text())["pairs"]
    whole = [d.name for d in (*TRAINING, *FIDELITY, *DYNAMICS, *CIRCUITS) if not d.each]
    between = {"flow_{}_{}".format(*pair["symbols"]) for pair in pairs}
    assert drawn == {f"{name}.svg" for name in {*whole, *between} - {"networks"}}
    assert printed.strip().endswith(f"report: {folder / 'report.html'}")
    assert len(re.findall(r"^  \S", printed, flags=re.MULTILINE)) == 5
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == len(drawn - {"circuit_shared.svg"})  # no pairs that could share
    assert "fill this gap" not in page
    config = json.loads((folder / "config.json").read_text())
    assert (config["seed"], config["noise_std"]) == (0, 1.0)


def test_the_printed_numbers_are_those_of_the_files(demo):
    folder, printed = demo
    value = json.loads((folder / "fidelity.json").read_text())["kl"]["6"]["network"]["value"]
    shown = re.search(r"KL of 6-grams \(nats\): ([0-9.]+)", printed)
    assert float(shown.group(1)) == pytest.approx(value, rel=0.01)


def test_each_step_alone_gives_the_same_files(demo, door, tmp_path):
    folder, _ = demo
    own = shutil.copytree(folder, tmp_path / "own", ignore=shutil.ignore_patterns("figures"))
    files = ("fidelity.json", "dynamics.json", "circuits.json", "trajectory_view.npz")
    for name in (*files, "report.html"):
        (own / name).unlink()
    for name in ("evaluate", "dynamics", "circuits"):
        printed_by(door(name, f"--run={own}"))
    assert str(own / "report.html") in printed_by(door("report", f"--run={own}"))
    drawn = [f"figures/{path.name}" for path in (folder / "figures").iterdir()]
    for name in (*files, *drawn):
        assert (own / name).read_bytes() == (folder / name).read_bytes(), name


def test_dotted_flags_reach_the_configuration(door, tmp_path):
    own = {"initial": [1, 0], "transition": [[0.9, 0.1], [0.2, 0.8]], "emission": [[1, 0], [0, 1]]}
    (tmp_path / "own.json").write_text(json.dumps(own))
    done = door(
        "train",
        f"--hmm={tmp_path / 'own.json'}",
        "--profile=smoke",
        f"--outdir={tmp_path / 'run'}",
        "--seed=5",
        "--train.epochs=2",
        "--train.learning_rate=5e-4",
        "--net.bias",
        "--loss.divergence=reference",
        "--loss.ngram_weight=0.5",
        "--loss.ngram_orders=2,3",
        "--data.source=fixed",
        "--data.n_sequences=300",
    )
    printed_by(done)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["seed"] == 5
    assert (config["train"]["epochs"], config["train"]["learning_rate"]) == (2, 5e-4)
    assert config["net"]["bias"] is True
    assert config["loss"]["divergence"] == "reference"
    assert config["loss"]["ngram_orders"] == [2, 3]
    assert config["target"]["transition"] == own["transition"]
    history = np.load(tmp_path / "run" / "history.npz")
    assert np.all(np.isfinite(history["validation_loss"]))


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("train", ["--train.learnin_rate=1"], "Did you mean: train.learning_rate"),
        ("train", ["--train.batch_size=1"], "error: train.batch_size=1: must be at least 4"),
        (
            "train",
            ["--loss.ngram_orders=2,x"],
            "error: loss.ngram_orders=2,x: must be whole numbers",
        ),
        ("train", ["now"], "error: now: unknown argument"),
        ("evaluate", ["--run=/nowhere"], "error: run=/nowhere: there is no such folder"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_1(door, name, flags, message, tmp_path):
    given = [*SMOKE, f"--outdir={tmp_path / 'run'}"] if name == "train" else []
    done = door(name, *given, *flags)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_without_outdir_the_folder_is_named_after_the_run(door, tmp_path):
    flags = ("--preset=linear2", "--profile=paper", "--train.epochs=2")
    shrunk = ("--train.batch_size=8", "--data.n_sequences=60", "--net.hidden_size=4")
    printed_by(door("train", *flags, *shrunk, cwd=tmp_path))
    assert (tmp_path / "runs" / "linear2-paper-seed0" / "params.npz").exists()


def test_a_second_run_into_the_same_folder_is_refused(demo, door):
    folder, _ = demo
    done = door("train", *SMOKE, f"--outdir={folder}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: outdir={folder}: already holds a run; "
        "continue it with --resume, replace it with --overwrite, or choose another folder"
    )


def test_help_lists_every_option(door):
    shown = door("train", "--help").stdout
    for flag in ("--train.learning_rate", "--loss.blur", "--net.hidden_size", "--[no]resume"):
        assert flag in shown


@pytest.fixture
def exploding(demo, tmp_path):
    """A run whose network fits its steps and explodes after them: recurrence beyond 1."""
    run = shutil.copytree(demo[0], tmp_path / "exploding")
    with np.load(run / "params.npz") as file:
        params = dict(file)
    n = len(params["W_rec"])
    params["W_rec"] = 0.02 * params["W_rec"] + np.float32(1.02) * np.eye(n, dtype=np.float32)
    np.savez(run / "params.npz", **params)
    return run


def test_a_network_that_explodes_is_told_of_everywhere(exploding, door):
    """One loud line; numbers of the trained steps stay, those of long runs are null."""
    done = door("evaluate", f"--run={exploding}")
    assert done.returncode == 0
    assert f"warning: {exploding}: unbounded: " in done.stderr
    fidelity = json.loads((exploding / "fidelity.json").read_text())
    assert fidelity["long_run"]["bounded_share"] < 0.5
    assert fidelity["kl"]["6"]["network"]["value"] is not None
    assert all(dwell["mean"]["network"]["value"] is None for dwell in fidelity["dwell"])
    for name in ("dynamics", "circuits"):
        told = printed_by(door(name, f"--run={exploding}"))
        assert "unbounded: " in told or "diverges" in told
        assert list(read_results(exploding / f"{name}.json")) == ["problem"]
    done = door("discover", f"--run={exploding}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "error: unbounded: " in done.stderr
    printed_by(door("report", f"--run={exploding}"))
    page = (exploding / "report.html").read_text()
    assert page.index("This network is unbounded: ") < page.index("The five numbers")
    assert "stay bounded" not in page


def test_what_training_saw_of_long_runs_is_in_the_manifest(demo):
    manifest = json.loads((demo[0] / "manifest.json").read_text())
    fidelity = json.loads((demo[0] / "fidelity.json").read_text())
    assert set(manifest["long_run"]) == set(fidelity["long_run"])
    share = fidelity["long_run"]["bounded_share"]
    assert min(share, manifest["long_run"]["bounded_share"]) >= BOUNDED
    shown = f"{64 * share:.0f} of 64 runs of 2000 steps stay bounded"
    assert shown in (demo[0] / "report.html").read_text()


@pytest.mark.slow
def test_a_training_begins_from_the_state_of_another(door, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    short = (*SMOKE, "--train.epochs=4", "--seed=7")
    printed_by(door("train", *short, "--train.keep_state_at=2", f"--outdir={first}"))
    given = (*short, f"--origin={first / 'state.npz'}", f"--outdir={second}")
    printed_by(door("train", *given))
    config = json.loads((second / "config.json").read_text())
    assert config["origin"]["epoch"] == 2
    with np.load(first / "snapshots.npz") as before, np.load(second / "snapshots.npz") as after:
        np.testing.assert_array_equal(after["W_rec"][0], before["W_rec"][1])
    done = door("train", *given, "--net.hidden_size=9", "--overwrite")
    assert (done.returncode, "belongs to another network" in done.stderr) == (1, True)
    assert json.loads((second / "config.json").read_text()) == config
