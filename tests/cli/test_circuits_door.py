"""The search for circuits in a run folder: what it writes, also where there is nothing to find."""

import re
import shutil

import numpy as np
import pytest
from report.run import Page
from run_folders import leave, sketch

from hmmrnn import TrainConfig, hmm
from hmmrnn.circuits import Sizes
from hmmrnn.cli.circuits import MOST_NGRAMS, analyse, law_of
from hmmrnn.cli.report import report
from hmmrnn.errors import InputError
from hmmrnn.figures.catalogue import CIRCUITS
from hmmrnn.report import account
from hmmrnn.storage import plain, read_arrays, read_json, read_results, write_arrays
from hmmrnn.training import RunSpec, load
from hmmrnn.training.run import train_run

WHOLE = [drawing.name for drawing in CIRCUITS if not drawing.each]
SIZES = Sizes(n_runs=6, n_steps=120)
EARLIER = ("circuit_dose_response_0_2", "circuit_carriers_2_0", "circuit_scores")
FIELDS = {
    *("verdict", "account", "rows", "pairs", "groups", "blocks", "shared", "baseline"),
    *("pair_tests", "noise_into_all_units", "ablations", "state_transitions"),
}


def look(folder, seed=0, sizes=SIZES):
    return analyse(folder, load(folder), sizes, seed)


def figures_of(folder):
    return {path.stem for path in (folder / "figures").glob("*.svg")}


@pytest.fixture(scope="module")
def trained(smoke, tmp_path_factory):
    """A run with figures of an earlier search and of another analysis."""
    folder = tmp_path_factory.mktemp("runs") / "seed0"
    train_run(folder, RunSpec(smoke.replace(train={"epochs": 2}), 1.0, 0))
    sketch(folder, "circuits", *EARLIER)
    sketch(folder, "others", "dwell", "flow_0_1")
    return folder


@pytest.fixture(scope="module")
def first(trained):
    """The run after a search: its network, hardly trained, never switches."""
    folder = shutil.copytree(trained, trained.with_name("first"))
    return folder, look(folder).found


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def change(folder, factor):
    params = read_arrays(folder / "params.npz")
    write_arrays(folder / "params.npz", {**params, "W_rec": params["W_rec"] * factor})


def test_it_writes_numbers_and_figures_in_place_of_earlier_ones(first):
    folder, found = first
    assert figures_of(folder) == {*WHOLE, "dwell", "flow_0_1"}
    assert "<path" in (folder / "figures" / "circuit_scores.svg").read_text()
    fields = read_results(folder / "circuits.json")
    assert set(fields) == FIELDS
    assert fields["verdict"] == found.verdict
    assert fields["account"] == plain(account(found))
    assert fields["noise_into_all_units"]["n_units"] == 16
    assert fields["noise_into_all_units"]["identity"] is True
    assert fields["baseline"]["n_valid"] == [SIZES.n_runs]
    kl = fields["baseline"]["kl"]
    assert 0 < kl["low"][0] <= kl["value"][0] <= kl["high"][0]


def test_of_a_network_that_never_switches_the_account_says_so(first):
    folder, found = first
    sentence = "No symbol changes to another often enough to look for a circuit."
    assert (found.verdict, [told.text for told in account(found)]) == ("undecided", [sentence])
    assert not found.rows
    page = Page(report(folder).read_text())
    shown = page.text.partition("What makes it switch")[2].partition("How it was made")[0]
    assert shown.strip().startswith(sentence)
    assert "To fill this gap" not in shown
    assert not re.search(r"\b(nan|None|inf|null)\b", shown)


def test_the_same_seed_gives_the_same_files_and_another_does_not(first, copy):
    folder, _ = first
    look(copy)
    for name in ("circuits.json", *(f"figures/{name}.svg" for name in WHOLE)):
        assert (copy / name).read_bytes() == (folder / name).read_bytes(), name
    look(copy, seed=1)
    assert (copy / "circuits.json").read_bytes() != (folder / "circuits.json").read_bytes()


def test_a_network_that_is_not_finite_is_refused_and_changes_nothing(copy):
    change(copy, np.nan)
    with pytest.raises(InputError, match=r"params\.npz: W_rec"):
        look(copy)
    assert figures_of(copy) == {*EARLIER, "dwell", "flow_0_1"}


def test_a_diverging_network_leaves_its_reason_and_nothing_else(copy):
    change(copy, 50)
    leave(copy, "circuits", **{"circuits.json": '{"verdict": "holds"}'})
    analysis = look(copy)
    assert analysis.found is None
    assert "not finite" in analysis.problem
    assert read_results(copy / "circuits.json") == {"problem": analysis.problem}
    assert figures_of(copy) == {"dwell", "flow_0_1"}
    page = Page(report(copy).read_text())
    assert f"There is no circuit to show: {analysis.problem}" in page.text


@pytest.mark.parametrize("sizes", [Sizes(3, 120), Sizes(6, 99)])
def test_sizes_that_are_too_small_leave_an_earlier_search_alone(copy, sizes):
    with pytest.raises(InputError, match=" 4 runs of 100 steps"):
        look(copy, sizes=sizes)
    assert figures_of(copy) == {*EARLIER, "dwell", "flow_0_1"}
    assert not (copy / "circuits.json").exists()


def many_symbols(k):
    chain = np.full((k, k), 1 / k)
    return hmm.HMM(initial=np.full(k, 1 / k), transition=chain, emission=np.eye(k))


def test_the_law_is_that_of_4_grams_where_they_can_be_counted():
    own = hmm.preset("linear3")
    law, p = law_of(own), hmm.ngram_law(own, 4)
    assert law.shape == (81,)
    assert law.sum() == pytest.approx(1, abs=1e-5)
    assert law[5] == p[0, 0, 1, 2]
    most = int(MOST_NGRAMS**0.25)
    np.testing.assert_allclose(law_of(many_symbols(most)), float(most) ** -4, rtol=1e-4)
    assert law_of(many_symbols(most + 1)) is None
    assert law_of(many_symbols(20)) is None


def test_with_too_many_symbols_for_4_grams_all_else_is_measured(tmp_path):
    too_many = int(MOST_NGRAMS**0.25) + 1
    config = TrainConfig.profile("smoke", many_symbols(too_many)).replace(train={"epochs": 1})
    train_run(tmp_path / "run", RunSpec(config, 1.0, 0))
    look(tmp_path / "run")
    fields = read_json(tmp_path / "run" / "circuits.json")
    assert fields["baseline"]["kl"]["value"] == [None]
    assert fields["baseline"]["n_valid"] == [SIZES.n_runs]
    assert {*WHOLE} <= figures_of(tmp_path / "run")


@pytest.mark.slow
def test_the_command_prints_the_account_and_where_the_numbers_are(copy, door):
    done = door("circuits", f"--run={copy}", "--n_runs=4", "--n_steps=100")
    assert (done.returncode, done.stderr) == (0, "")
    told = [each["text"] for each in read_json(copy / "circuits.json")["account"]]
    assert done.stdout.splitlines() == [*told, str(copy / "circuits.json")]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--run=nowhere"], "error: run=nowhere: there is no such folder"),
        (["--run={copy}", "--n_steps=5"], "flag --n_steps=5: 5 is not integer >= 100"),
    ],
)
def test_what_is_wrong_is_said_and_exit_code_1(copy, door, flags, message):
    done = door("circuits", *(flag.format(copy=copy) for flag in flags))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (copy / "circuits.json").exists()
