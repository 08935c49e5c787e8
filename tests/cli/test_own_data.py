"""Networks of data through every door: as flags, in sweeps, side by side, analysed and reported."""

import itertools
import json
import re

import jax
import numpy as np
import pytest

from hmmrnn import InputError, TrainConfig, load
from hmmrnn.cli import circuits, dynamics, evaluate, report
from hmmrnn.cli.progress import ProgressBar
from hmmrnn.dynamics import Sizes
from hmmrnn.report import commands, five_numbers
from hmmrnn.sequences import SymbolSequences, ngram_counts, write_sequences
from hmmrnn.storage import read_json
from hmmrnn.sweep.grid import entries
from hmmrnn.sweep.table import row
from hmmrnn.training import RunSpec, read_spec
from hmmrnn.training.ensemble import Placement
from hmmrnn.training.run import Run, train_run, train_runs

WORDS = ("eat", "go", "rest")


def some():
    rng = np.random.default_rng(0)
    rows = [np.repeat(rng.integers(0, 3, 9), rng.integers(1, 4, 9))[:14] for _ in range(40)]
    return SymbolSequences.of(rows, names=WORDS, name="mice")


@pytest.fixture(scope="module")
def config():
    quick = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 8, "snapshot_every": 1}
    law = {"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (2,)}
    return TrainConfig.profile("smoke", some()).replace(train=quick, loss=law)


@pytest.fixture(scope="module")
def runs(config, tmp_path_factory):
    """Two seeds that were trained as an ensemble."""
    root = tmp_path_factory.mktemp("runs")
    members = [Run(root / f"seed{seed}", RunSpec(config, 1.0, seed)) for seed in (0, 1)]
    assert train_runs(members, Placement.default((jax.devices()[0],))) == [None, None]
    return root


@pytest.fixture(scope="module")
def analysed(runs):
    """The first of them, with two analyses and the report."""
    folder = runs / "seed0"
    fit = load(folder)
    evaluate.evaluate(folder, fit, 100, 0)
    dynamics.analyse(folder, fit, Sizes(n_trajectories=6, n_steps=80, n_starts=8, n_states=24), 0)
    report.report(folder)
    return folder


def visible(folder):
    """The text of the report, without scripts and what only is in attributes."""
    page = (folder / "report.html").read_text()
    page = re.sub(r"<(script|style|svg).*?</\1>", " ", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_members_are_their_solo_runs(runs, tmp_path):
    train_run(tmp_path / "solo", read_spec(runs / "seed1"))
    pairs = zip(
        *(jax.tree.leaves(load(f)) for f in (tmp_path / "solo", runs / "seed1")), strict=True
    )
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)


def test_report_speaks_of_data_and_never_of_nan(analysed):
    text = visible(analysed)
    assert "Data: mice" in text
    assert "held-out data" in text
    assert "training data" in text
    assert "eat, go, rest" in text
    assert not re.search(r"\bnan\b|\bNaN\b|impossible", text)
    about_training = text.partition("How it moves")[0]
    assert "HMM" not in about_training.replace("HMMRNN", "")
    for name in ("training", "transitions", "ngrams", "dwell"):
        svg = (analysed / "figures" / f"{name}.svg").read_text()
        assert "held-out" in svg
        assert "HMM" not in svg


def test_fidelity_keeps_its_form_with_null_where_nothing_is_known(analysed):
    fields = read_json(analysed / "fidelity.json")
    assert fields["impossible_share"] is None
    assert fields["impossible_sequences"] is None
    assert fields["volatility"]["exact"] > 0
    assert set(fields["kl"]["1"]) == {"network", "floor", "exact"}
    numbers = five_numbers(fields, {}, read_spec(analysed).config.target.words)
    assert "training data" in str(numbers[0])
    assert "HMM" not in " ".join(f"{n} {n.meaning} {n.undefined}" for n in numbers)


def test_circuits_are_measured_against_held_out_data(config):
    law = circuits.law_of(config.target)
    counts = ngram_counts(config.target.parts.held_out.symbols, 4, config.target.n_symbols)
    np.testing.assert_array_equal(law, (counts + 0.5) / (counts + 0.5).sum())


def test_a_run_is_a_row_of_the_table(analysed):
    found = row(analysed)
    assert (found["hmm"], found["status"], found["reason"]) == ("data:mice", "finished", "")
    assert found["fidelity.kl.1.floor.value"] > 0
    assert found["fidelity.impossible_share"] is None


def test_the_command_of_a_run_makes_it_again(analysed):
    command = commands.of_training(analysed, read_spec(analysed))
    assert f"--data={analysed / 'data.npz'}" in command
    assert "--preset" not in command
    assert "--hmm" not in command


def test_data_in_a_grid(tmp_path):
    """The name also is that of a section, whose values are objects."""
    write_sequences(tmp_path / "own.npz", some())
    block = {
        "base": {"profile": "smoke", "data": "own.npz"},
        "vary": {"data.n_steps": [8, 9], "seed": [0, 1]},
    }
    found = entries(json.loads(json.dumps(block)), tmp_path)
    assert [entry.name for entry in found][:2] == ["own-n_steps8-seed0", "own-n_steps8-seed1"]
    assert {entry.spec.config.target for entry in found} == {some()}
    other = {"base": {"profile": "smoke", "preset": "linear3", "data": {"n_steps": 9}}}
    assert entries(other)[0].spec.config.data.n_steps == 9
    with pytest.raises(InputError, match="preset"):
        entries({"base": {"preset": "linear3", "data": "own.npz"}}, tmp_path)
    with pytest.raises(InputError, match=r"data=.*none\.csv: "):
        entries({"base": {"data": "none.csv"}}, tmp_path)


def test_progress_is_told_against_held_out_data(config, capsys):
    bar = ProgressBar(config)
    bar.bar.close()
    assert bar.target == "held-out data"
    held = config.target.parts.held_out.symbols
    pairs = [(a, b) for s in held for a, b in itertools.pairwise(s) if b >= 0]
    assert bar.exact_volatility == pytest.approx(np.mean([a != b for a, b in pairs]))
