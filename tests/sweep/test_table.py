import csv
import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hmmrnn import InputError, storage
from hmmrnn.hmm import HMM
from hmmrnn.sweep.table import read_table, row, write_table
from hmmrnn.training import Fit, Records, RunSpec, TrainConfig
from hmmrnn.training.fit import Snapshots
from hmmrnn.training.floor import Floor
from hmmrnn.training.run_folder import open_run, save_fit, write_manifest

LOSS = [3.0, np.nan, 0.25, 0.5]
FIDELITY = {
    "kl": {"6": {"network": {"value": 0.0123, "low": 0.01, "high": None}, "exact": 0.0}},
    "impossible_share": 0,
    "transitions": [[0.5, 0.5], [0.5, 0.5]],
    "dwell": [{"n_runs": 7, "lengths": [1, 2]}, {"n_runs": 9, "lengths": []}],
}
CIRCUITS = {
    "verdict": "does not hold",
    "rows": [{"pair": [0, 2], "holds": False, "problem": ""}],
    "account": ["a sentence", "another"],
    "long": "x" * 500,
    "many": [{"n": i} for i in range(17)],
}


def make_run(folder, config, seed=0, status="finished"):
    """A run folder as training leaves it, without the training."""
    open_run(folder, RunSpec(config, 1.5, seed), resume=False, overwrite=False)
    if status == "finished":
        n = config.train.epochs
        loss = np.resize(np.float32(LOSS), n)
        values = {name: np.arange(n, dtype=np.float32) for name in Records._fields[:-1]}
        values |= {"loss": loss, "validation_loss": np.full(n, np.nan, np.float32)}
        records = Records(**values)._replace(bad_steps=np.full(n, 2, np.int32))
        floor = Floor(np.float32(0.75), np.float32(0.125))
        snapshots = Snapshots(np.array([0]), {})
        save_fit(folder, Fit({}, np.float32(1.5), config.cell, records, snapshots, floor, config))
        storage.write_json(folder / "fidelity.json", FIDELITY)
    write_manifest(folder, RunSpec(config, 1.5, seed), status, 12.5)
    return folder


@pytest.fixture
def run(tmp_path, smoke):
    return make_run(tmp_path / "linear3-seed0", smoke)


def test_a_row_has_every_option_under_the_name_of_its_flag(run, smoke):
    found = row(run)
    written = json.loads((run / "config.json").read_text())
    for section in ("net", "loss", "data", "train"):
        for name, value in written[section].items():
            text = ",".join(map(str, value)) if isinstance(value, list) else value
            assert found[f"{section}.{name}"] == text
            assert type(found[f"{section}.{name}"]) is type(text)
    assert list(found)[:6] == ["name", "status", "reason", "hmm", "noise_std", "seed"]
    head = ("linear3-seed0", "finished", "", "linear3", 1.5, 0)
    assert tuple(found.values())[:6] == head
    words = [name.partition(".")[0] for name in found if "." in name]
    assert list(dict.fromkeys(words)) == ["net", "loss", "data", "train", "training", "fidelity"]


def test_lists_of_numbers_are_text_and_foreign_hmms_are_custom(tmp_path, smoke):
    hmm = HMM(np.array([0.5, 0.5]), np.full((2, 2), 0.5), np.full((2, 2), 0.5))
    config = TrainConfig(hmm, net=smoke.net, train=smoke.train)
    config = config.replace(loss={"ngram_weight": 1.0, "ngram_orders": (2, 4, 6)})
    found = row(make_run(tmp_path / "run", config))
    assert (found["hmm"], found["loss.ngram_orders"]) == ("custom", "2,4,6")


def test_training_is_told_by_its_last_epoch_its_best_and_its_sums(run, smoke):
    found, n = row(run), smoke.train.epochs
    values = {name: value for name, value in found.items() if name.startswith("training.")}
    assert values == {
        "training.loss": 0.5,
        "training.best_loss": 0.25,
        "training.validation_loss": None,
        "training.floor_mean": 0.75,
        "training.floor_std": 0.125,
        "training.volatility": n - 1.0,
        "training.gradient_norm": n - 1.0,
        "training.marginal_error": n - 1.0,
        "training.bad_steps": 2 * n,
        "training.wall_time_s": 12.5,
        "training.networks_at_once": 1.0,
    }


def test_analyses_give_their_scalars_and_no_arrays(run):
    storage.write_json(run / "circuits.json", CIRCUITS)
    (run / "dynamics.json").write_text('{"rotation": {"value": null, "low": 1e-300}}')
    found = row(run)
    values = {k: v for k, v in found.items() if k.startswith(("fid", "dynamics", "circuits"))}
    assert list(values.items()) == [
        ("fidelity.kl.6.network.value", 0.0123),
        ("fidelity.kl.6.network.low", 0.01),
        ("fidelity.kl.6.network.high", None),
        ("fidelity.kl.6.exact", 0.0),
        ("fidelity.impossible_share", 0),
        ("fidelity.dwell.0.n_runs", 7),
        ("fidelity.dwell.1.n_runs", 9),
        ("dynamics.rotation.value", None),
        ("dynamics.rotation.low", 1e-300),
        ("circuits.verdict", "does not hold"),
        ("circuits.rows.0.holds", False),
        ("circuits.rows.0.problem", None),
    ]


@pytest.mark.parametrize(
    ("manifest", "failure", "status", "reason"),
    [
        ("finished", None, "finished", ""),
        ("finished", {"attempts": 1, "reasons": ["a"], "given_up": False}, "finished", ""),
        ("finished", {"attempts": 2, "reasons": ["a", "b"], "given_up": True}, "finished", ""),
        ("running", None, "unfinished", ""),
        ("running", {"attempts": 1, "reasons": ["a"], "given_up": False}, "unfinished", "a"),
        ("running", {"attempts": 2, "reasons": ["a", "b, c"], "given_up": True}, "failed", "b, c"),
        ("running", {"given_up": True, "reasons": "a"}, "unfinished", ""),
        ("running", {"given_up": True, "reasons": 3}, "unfinished", ""),
        ("running", [1], "unfinished", ""),
    ],
)
def test_status(tmp_path, smoke, manifest, failure, status, reason):
    folder = make_run(tmp_path / "run", smoke, status=manifest)
    if failure:
        storage.write_json(folder / "failure.json", failure)
    found = row(folder)
    assert (found["status"], found["reason"]) == (status, reason)
    assert found["net.hidden_size"] == smoke.net.hidden_size
    assert found["training.wall_time_s"] == 12.5


def test_a_network_that_could_not_be_measured_has_failed(tmp_path, smoke):
    folder = make_run(tmp_path / "run", smoke, status="finished")
    failed = {"attempts": 2, "reasons": ["a", "b"], "given_up": True}
    storage.write_json(folder / "failure.json", failed)
    (folder / "fidelity.json").unlink(missing_ok=True)
    assert (row(folder)["status"], row(folder)["reason"]) == ("failed", "b")


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("config.json", ("hmm", "noise_std", "seed", "net.", "loss.", "data.", "train.")),
        ("history.npz", ("training.",)),
        ("manifest.json", ("training.wall_time_s", "training.networks_at_once")),
        ("fidelity.json", ("fidelity.",)),
        ("dynamics.json", ("dynamics.",)),
    ],
)
@pytest.mark.parametrize("damage", ["cut", "list", "empty"])
def test_a_damaged_file_costs_its_own_columns_and_is_named(run, name, lost, damage):
    storage.write_json(run / "dynamics.json", {"n_steps": 3})
    whole, path = row(run), run / name
    content = {"cut": path.read_bytes()[:12], "list": b'[{"a": 1}]', "empty": b""}[damage]
    path.write_bytes(content)
    found = row(run)
    assert f"{name}: " in found["reason"]
    assert str(run) not in found["reason"]
    assert "\n" not in found["reason"]
    kept = {column for column in whole if not column.startswith(lost)}
    told = {"training.wall_time_s", "training.networks_at_once"}
    told_elsewhere = told if name == "history.npz" else set()
    assert set(found) == kept | told_elsewhere


@pytest.mark.parametrize("arrays", [{"loss": np.zeros(0)}, {"loss": np.zeros((2, 2))}, {}])
def test_a_history_of_another_kind_is_told(run, arrays):
    storage.write_arrays(run / "history.npz", arrays)
    found = row(run)
    assert found["reason"].startswith("history.npz: is of another kind")
    assert "training.loss" not in found


def test_fidelity_is_missed_only_where_training_has_finished(run, tmp_path, smoke):
    (run / "fidelity.json").unlink()
    assert row(run)["reason"].startswith("fidelity.json: cannot be read (No such file")
    assert row(make_run(tmp_path / "b", smoke, status="running"))["reason"] == ""


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        row(tmp_path / "none")


HARD = {
    "name": "007",
    "status": "failed",
    "reason": 'diverged, "badly"\r\nnach 3 Schritten: λ → ∞',
    "hmm": "linear3",
    "seed": 2**53 + 1,
    "net.bias": True,
    "loss.ngram_orders": "6",
    "train.learning_rate": 0.1 + 0.2,
    "training.loss": 5e-324,
    "training.best_loss": math.inf,
    "fidelity.kl.6.network.value": 1.0,
    "circuits.verdict": "7",
    "circuits.rows.0.problem": "true",
    "circuits.rows.1.problem": 'says "no"',
    "circuits.rows.2.problem": '"quoted"',
    "circuits.rows.3.problem": "nan",
    "circuits.rows.4.problem": "",
}


def same(found, given):
    """Equal values of equal types; NaN and what is missing are None."""
    for name, value in found.items():
        want = given.get(name)
        want = None if isinstance(want, float) and math.isnan(want) else want
        assert value == want
        assert type(value) is type(want)
    assert {name for name, value in given.items() if value is not None} <= set(found)


def test_a_table_reads_back_exactly(tmp_path):
    other = {"name": "b", "status": "finished", "reason": "", "training.loss": math.nan}
    other |= {"fidelity.kl.6.network.value": 3, "dynamics.n": False}
    paths = write_table(tmp_path, [other, HARD])
    assert [path.name for path in paths] == ["sweep.csv", "sweep.npz"]
    first, second = read_table(tmp_path)
    same(first, HARD)
    same(second, other)


def test_names_and_lists_stand_in_the_file_as_they_are(tmp_path):
    write_table(tmp_path, [HARD])
    with (tmp_path / "sweep.csv").open(newline="") as file:
        (found,) = csv.DictReader(file)
    assert (found["name"], found["loss.ngram_orders"], found["net.bias"]) == ("007", "6", "true")
    assert found["circuits.verdict"] == '"7"'  # else it would be a number


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["1_0", "\u0661", "1e5", " 1", "Infinity", '"', '"a', "false", "\r", "\x00"]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.fixed_dictionaries({"fidelity.a": CELLS, "circuits.b": CELLS}), max_size=3))
def test_any_cells_read_back_exactly(tmp_path, cells):
    rows = [{"name": f"n{i}", "status": "", "reason": ""} | entry for i, entry in enumerate(cells)]
    write_table(tmp_path, rows)
    found = read_table(tmp_path)
    assert len(found) == len(rows)
    for entry, given_row in zip(found, rows, strict=True):
        same(entry, given_row)


def test_real_rows_read_back_exactly(tmp_path, smoke):
    rows = [row(make_run(tmp_path / f"seed{i}", smoke, seed=i)) for i in (2, 10)]
    write_table(tmp_path / "table", rows[::-1])
    for found, given_row in zip(read_table(tmp_path / "table"), rows, strict=True):
        same(found, given_row)


def test_arrays_hold_the_same_numbers_unpickled(tmp_path):
    rows = [HARD, {"name": "b", "net.bias": False, "training.loss": math.nan}]
    rows[1]["circuits.verdict"] = 2.5
    write_table(tmp_path, rows)
    found = storage.read_arrays(tmp_path / "sweep.npz")
    assert found["name"].tolist() == ["007", "b"]
    assert found["reason"].tolist() == [HARD["reason"], ""]
    assert found["loss.ngram_orders"].tolist() == ["6", ""]
    assert found["circuits.verdict"].tolist() == ["7", "2.5"]
    for name, want in [("net.bias", [1, 0]), ("train.learning_rate", [0.1 + 0.2, np.nan])]:
        assert found[name].dtype == np.float64
        np.testing.assert_array_equal(found[name], want)
    np.testing.assert_array_equal(found["training.loss"], [5e-324, np.nan])


def test_columns_are_grouped_and_rows_in_natural_order(tmp_path):
    names = ["seed10", "seed2", "a-seed2", "seed2-x", "10", "9"]
    rows = [{"name": name, "status": "", "reason": "", f"fidelity.{name}": 1} for name in names]
    rows[0] |= {"circuits.x": 1, "training.loss": 2.0, "train.epochs": 3}
    rows[5] |= {"net.noise_dim": 3, "dynamics.y": 1}
    write_table(tmp_path, rows)
    found = read_table(tmp_path)
    assert [entry["name"] for entry in found] == [
        "9",
        "10",
        "a-seed2",
        "seed2",
        "seed2-x",
        "seed10",
    ]
    words = [name.partition(".")[0] for name in found[0]]
    order = ["name", "status", "reason", "net", "train", "training", "fidelity", "dynamics"]
    assert list(dict.fromkeys(words)) == [*order, "circuits"]


def test_bytes_depend_on_the_rows_alone(tmp_path, smoke):
    rows = [row(make_run(tmp_path / f"seed{i}", smoke, seed=i)) for i in range(3)]
    first = [path.read_bytes() for path in write_table(tmp_path / "a", rows)]
    second = [path.read_bytes() for path in write_table(tmp_path / "b", rows[::-1])]
    assert first == second


@pytest.mark.parametrize("rows", [[], [{"name": "a", "status": "finished", "reason": ""}]])
def test_tables_of_no_or_one_row(tmp_path, rows):
    write_table(tmp_path, rows)
    assert read_table(tmp_path) == rows
    assert storage.read_arrays(tmp_path / "sweep.npz")["name"].tolist() == [r["name"] for r in rows]


def test_a_table_that_is_missing_or_damaged_is_named(tmp_path):
    path = tmp_path / "sweep.csv"
    with pytest.raises(InputError, match=r"sweep\.csv: .*No such file"):
        read_table(tmp_path)
    write_table(tmp_path, [HARD | {"circuits.z": "last, but not least"}])
    whole = path.read_bytes()
    for content, problem in [
        (whole[:-10], "is damaged"),  # within the last cell
        (whole[: whole.index(b"Schritten")], "is damaged"),
        (b"\xff\xfe\x00", "is damaged or of another kind"),
        (b"a,b\n1,2\n", "is no table of a sweep"),
        (b"", "is no table of a sweep"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=problem) as raised:
            read_table(tmp_path)
        assert "\n" not in str(raised.value)
