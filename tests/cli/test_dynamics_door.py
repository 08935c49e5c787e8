"""The analysis of a run folder: what it writes, also of networks that cannot be measured."""

import json
import re
import shutil

import numpy as np
import pytest
from claims.synthetic import fidelity
from report.run import Page
from run_folders import reconfigure, sketch

from hmmrnn import hmm
from hmmrnn.claims import read_evidence
from hmmrnn.claims.judging import CLAIMS
from hmmrnn.claims.motion import turns
from hmmrnn.cli.across_seeds import NUMBERS, across_seeds
from hmmrnn.cli.dynamics import analyse, report_lines
from hmmrnn.cli.report import report
from hmmrnn.dynamics import Sizes
from hmmrnn.errors import InputError
from hmmrnn.figures.catalogue import DYNAMICS
from hmmrnn.report import regime_sentence
from hmmrnn.storage import read_arrays, read_json, read_results, write_arrays, write_json
from hmmrnn.training import RunSpec, load
from hmmrnn.training.run import train_run

WHOLE = [drawing.name for drawing in DYNAMICS if not drawing.each]
SIZES = Sizes(n_trajectories=6, n_steps=80, n_starts=8, n_states=24)
LABEL = "transitions per step"


def look(folder, others="", seed=0):
    return analyse(folder, load(folder), SIZES, seed, others)


def figures_of(folder):
    return {path.stem for path in (folder / "figures").glob("*.svg")}


@pytest.fixture(scope="module")
def runs(smoke, tmp_path_factory):
    """Two seeds, of which the second is analysed beside the first, and one without snapshots."""
    root = tmp_path_factory.mktemp("runs")
    config = smoke.replace(train={"epochs": 4})
    for name, seed, snapshot_every in (("seed0", 0, 2), ("seed1", 1, 2), ("bare", 2, 0)):
        spec = RunSpec(config.replace(train={"snapshot_every": snapshot_every}), 1.0, seed)
        train_run(root / name, spec)
    return root


@pytest.fixture(scope="module")
def first(runs):
    return runs / "seed0", look(runs / "seed0").found


@pytest.fixture(scope="module")
def second(first, runs):
    return runs / "seed1", look(runs / "seed1", str(runs / "seed*")).found


@pytest.fixture
def copy(first, tmp_path):
    return shutil.copytree(first[0], tmp_path / "copy")


def change(folder, name, factor):
    params = read_arrays(folder / "params.npz")
    write_arrays(folder / "params.npz", {**params, name: params[name] * factor})


def test_it_writes_numbers_all_figures_and_the_view(first):
    folder, found = first
    pairs = {"flow_{}_{}".format(*pair.symbols) for pair in found.in_plane.pairs}
    assert figures_of(folder) == {*WHOLE, *pairs} - {"networks"}
    fields = read_json(folder / "dynamics.json")
    assert fields["networks"] is None
    assert fields["n_trajectories"] == SIZES.n_trajectories
    assert fields["regime"]["sentence"] == regime_sentence(found.in_plane.regime)
    assert fields["rotation"]["value"] == found.portrait.rotation.value
    view = read_arrays(folder / "trajectory_view.npz")
    np.testing.assert_array_equal(view["driven"], found.view.driven)
    assert view["epochs"].tolist() == fields["development"]["epochs"] == [0, 2, 4]


def test_claims_about_motion_are_judged_from_the_files(first):
    evidence = read_evidence(first[0])._replace(fidelity=fidelity("linear3"))
    findings = {claim.name: claim.find(evidence) for claim in CLAIMS}
    for name in ("C2", "C4", "C5", "C6a", "C6b"):
        assert np.isfinite(findings[name].value), name
    assert findings["C4"].by_construction
    assert findings["C3"].holds is not None
    rotations = [pair.rotation.value for pair in first[1].in_plane.pairs]
    assert min(rotations) <= turns(evidence) <= max(rotations)
    alone = evidence._replace(dynamics={**evidence.dynamics, "pairs": []})
    assert turns(alone) == pytest.approx(first[1].portrait.rotation.value)
    never = ("no dynamics.json", "no snapshots")
    motion = [findings[name] for name in ("C2", "C3", "C4", "C5", "C6a", "C6b", "C10", "C11")]
    assert not any(word in found.reason for found in motion for word in never)


def test_the_lines_for_a_terminal_are_those_of_the_record(first):
    whole, lines = first[1].in_plane, report_lines(first[1])
    assert lines[0].endswith(regime_sentence(whole.regime))
    for pair, regime in zip(whole.pairs, whole.regimes, strict=True):
        assert "Symbols {} and {}: ".format(*pair.symbols) + regime_sentence(regime) in lines
    text = "\n".join(lines)
    assert f"net rotation per pair of transitions {whole.orbit.rotation.value:.3f}" in text
    assert "bifurcation: none by the paper's rule, none by change point; second descent" in text
    assert not re.search(r"\bnan\b|None", text)


def test_the_same_seed_gives_the_same_files_and_another_does_not(first, copy):
    for path in (copy / "figures").glob("*.svg"):
        path.unlink()
    look(copy)
    names = ["dynamics.json", *(f"figures/{name}.svg" for name in figures_of(first[0]))]
    for name in names:
        assert (copy / name).read_bytes() == (first[0] / name).read_bytes(), name
    assert figures_of(copy) == figures_of(first[0])
    other = look(copy, seed=1).found
    assert other.portrait.rotation != first[1].portrait.rotation


def test_the_report_shows_the_whole_analysis(second):
    folder, found = second
    page = Page(report(folder).read_text())
    shown = {a["id"] for a in page.all("figure")}
    assert shown >= {*WHOLE}
    assert page.text.count(regime_sentence(found.in_plane.regime)) == 2  # in the headline, too
    for pair in found.in_plane.regimes:
        assert regime_sentence(pair) in page.text
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    deep = page.text[page.text.index("Orbit or wells") : page.text.index("What makes it switch")]
    assert "To fill this gap" not in deep
    assert not re.search(r"\b(nan|None|inf|null)\b", deep)
    assert len(page.all("script")) == 3  # of the view


def test_numbers_of_sister_networks_stand_together(first, second):
    both = [read_json(folder / "dynamics.json") for folder, _ in (first, second)]
    networks = both[1]["networks"]
    assert list(networks) == list(NUMBERS)
    entry = networks[LABEL]
    assert set(entry["networks"]) == {"seed0", "seed1"}
    for name, fields in zip(("seed0", "seed1"), both, strict=True):
        assert entry["networks"][name] == fields["transitions_per_step"]
    values = [fields["transitions_per_step"]["value"] for fields in both]
    assert entry["mean"]["value"] == pytest.approx(np.mean(values))
    assert entry["mean"]["low"] < entry["mean"]["value"] < entry["mean"]["high"]
    assert entry["n_valid"] == 2
    assert "networks" in figures_of(second[0])


def test_sister_networks_stand_in_the_figure_of_rotation(first, second):
    drawn = [(folder / "figures" / "rotation.svg").read_text() for folder, _ in (first, second)]
    assert ["sister networks" in svg for svg in drawn] == [False, True]


def test_a_pattern_without_any_sister_is_refused(first, tmp_path):
    with pytest.raises(InputError, match=r"others=.*nowhere"):
        across_seeds(first[0], str(tmp_path / "nowhere*"))


def test_sister_networks_that_say_nothing_are_left_out(first, second, runs):
    pattern = str(runs / "*")
    known = set(across_seeds(first[0], pattern))
    wild = shutil.copytree(first[0], runs / "wild")
    write_json(wild / "dynamics.json", {"problem": "it diverges"})
    assert set(across_seeds(first[0], pattern)) == known
    assert "wild" not in known
    shutil.rmtree(wild)


def test_folders_of_one_name_stay_apart(first, tmp_path):
    for part in "ab":
        shutil.copytree(first[0], tmp_path / part / "seed0")
    found = across_seeds(first[0], str(tmp_path / "*" / "seed0"))
    assert list(found) == [str(tmp_path / part / "seed0") for part in "ab"]


def test_a_sister_of_another_version_is_named(first, tmp_path):
    old = shutil.copytree(first[0], tmp_path / "old")
    fields = read_json(old / "dynamics.json")
    del fields["regime"]
    write_json(old / "dynamics.json", fields)
    with pytest.raises(InputError, match=r"old/dynamics\.json.*'regime'.*measure again"):
        look(first[0], str(old))


@pytest.mark.parametrize("what", ["target", "loss", "net"])
def test_a_network_of_another_kind_is_refused_before_anything_is_measured(first, tmp_path, what):
    other = shutil.copytree(first[0], tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    changes = {
        "target": hmm.preset("fully3").to_dict(),
        "loss": {**config["loss"], "divergence": "reference"},
        "net": {**config["net"], "bias": True},
    }
    reconfigure(other, {**config, what: changes[what]})
    before = {path: path.read_bytes() for path in first[0].rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="other has another HMM, loss or network"):
        look(first[0], str(other))
    assert {path: path.read_bytes() for path in before} == before


def test_the_refusal_is_one_line_and_exit_code_1(first, door, tmp_path):
    other = shutil.copytree(first[0], tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    reconfigure(other, {**config, "target": hmm.preset("fully3").to_dict()})
    done = door("dynamics", f"--run={first[0]}", f"--others={other}")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        f"error: others={other}: {other} has another HMM, loss or network"
    )
    assert "Traceback" not in done.stderr


def test_a_diverging_network_leaves_its_reason_and_nothing_else(copy):
    sketch(copy, "dynamics", "flow_0_1")
    sketch(copy, "fidelity", "dwell")
    change(copy, "W_rec", 1e3)
    analysis = look(copy)
    assert analysis.found is None
    assert read_results(copy / "dynamics.json") == {"problem": analysis.problem}
    assert figures_of(copy) == {"dwell"}
    assert not (copy / "trajectory_view.npz").exists()
    page = Page(report(copy).read_text())
    assert "There are no dynamics to show: the hidden states are not finite" in page.text
    assert "it diverges under its noise" in page.text
    assert "Orbit or wells" not in page.text
    assert not page.all("script")


def test_a_diverging_network_is_no_error_of_the_command(copy, door):
    change(copy, "W_rec", 1e3)
    done = door("dynamics", f"--run={copy}")
    assert (done.returncode, done.stderr) == (0, "")
    problem = read_json(copy / "dynamics.json")["problem"]
    assert done.stdout.splitlines() == [problem, str(copy / "dynamics.json")]


def test_sizes_that_are_too_small_leave_an_earlier_analysis_alone(copy):
    before = figures_of(copy)
    with pytest.raises(InputError, match="n_states=2"):
        analyse(copy, load(copy), SIZES._replace(n_states=2), 0)
    assert figures_of(copy) == before


def test_without_snapshots_all_else_is_there(runs):
    folder = runs / "bare"
    found = look(folder).found
    assert "development" not in figures_of(folder)
    assert read_json(folder / "dynamics.json")["development"] is None
    assert report_lines(found)[-1] == "no snapshots, so nothing is known of how it came about"
    page = Page(report(folder).read_text())
    assert "This run kept no snapshots of its training (train.snapshot_every=0)" in page.text
    assert read_arrays(folder / "trajectory_view.npz")["epochs"].tolist() == [4]
