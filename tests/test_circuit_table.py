import json
import sys
from pathlib import Path

import pytest
from report.analysis import NOTHING, estimate
from report.circuit_analysis import circuit_analysis, response, said
from report.run import fill

from hmmrnn.storage import write_json
from scripts import circuit_table
from scripts.circuit_table import ALL, EACH, all_rows, each_rows, markdown

PROBLEM = {"problem": "it diverges"}
SCRIPT = Path(circuit_table.__file__)


def each(found, folder="a"):
    """Rows of one network by head of their cells."""
    return [dict(zip(EACH, row, strict=True)) for row in each_rows(Path("runs") / folder, found)]


def every(networks):
    """Rows of several networks by head of their cells."""
    return [dict(zip(ALL, row, strict=True)) for row in all_rows(networks)]


def with_row(i=0, **changes):
    fields = circuit_analysis()
    fields["rows"][i] |= changes
    return fields


def test_a_row_for_each_direction_shows_what_the_file_holds():
    row, _ = each(circuit_analysis())
    assert row == {
        "run": "`a`",
        "change": "0>2",
        "kick neurons (kick-like; carriers)": "2 (3; 1)",  # unit 4 carries symbol 2, 1 nothing
        "population (beyond chance)": "38 (24)",
        "rate, baseline": "0.025 [0.024, 0.026]",
        "ratio, kick silent": "0.11 [0.09, 0.13]",
        "ratio, kick undriven": "0.16 [0.14, 0.18]",
        "ratio, kick controls (their activity over the group's)": "0.97 [0.95, 0.99] (0.56)",
        "ratio of the way back, kick silent": "1.94 [1.92, 1.96]",
        "ratio, no noise": "0.25 [0.23, 0.27]",
        "ratio, noise controls (their activity)": "0.97 [0.95, 0.99] (none)",
        "fails at": "found",
    }


def test_a_direction_without_kick_neurons_has_none_of_their_numbers():
    _, row = each(circuit_analysis())
    assert (row["change"], row["rate, baseline"]) == ("2>0", "0.031 [0.030, 0.032]")
    assert row["kick neurons (kick-like; carriers)"] == "0 (1; 0)"
    ratios = [text for head, text in row.items() if head.startswith("ratio")]
    assert {ratio.removesuffix(" (none)") for ratio in ratios} == {"none"}


def test_carriers_of_a_pair_without_clusters_are_none():
    fields = circuit_analysis() | {"state_transitions": []}
    assert each(fields)[0]["kick neurons (kick-like; carriers)"] == "2 (3; none)"


@pytest.mark.parametrize(
    ("criteria", "holds", "shown"),
    [
        ({"found": True, "kick": True}, True, "holds"),
        ({"found": True, "kick": False, "noise": None, "controls": False}, False, "kick, controls"),
        ({"found": True, "kick": None}, None, "undecided"),
    ],
)
def test_what_fails_is_named(criteria, holds, shown):
    assert each(with_row(criteria=criteria, holds=holds))[0]["fails at"] == shown


def test_a_ratio_without_an_interval_is_shown_alone():
    kick = response(0.1, 1.9, 0.9, 1.8, 0.003)
    kick["own"] |= {"low": None, "high": None}
    assert each(with_row(kick=kick))[0]["ratio, kick silent"] == "0.10"


def test_a_network_that_diverges_has_its_reason_alone():
    (row,) = each(PROBLEM, "wild")
    assert (row["run"], row["change"]) == ("`wild`", "it diverges")
    assert set(list(row.values())[2:]) == {"none"}
    assert every([("linear3", PROBLEM)]) == []


def test_a_network_that_hardly_changes_says_so():
    fields = circuit_analysis() | {"rows": [], "account": [said("No symbol changes.")]}
    (row,) = each(fields, "still")
    assert (row["run"], row["change"]) == ("`still`", "No symbol changes.")


def test_means_are_over_networks_of_one_kind():
    second = with_row(
        n_kick=4,
        holds=True,
        baseline_rate=estimate(0.035, 0.001),
        kick=response(0.213, 1.742, 0.767, 1.629, 0.0069),
    ) | {"verdict": "holds"}
    there, back = every([("x", circuit_analysis()), ("x", second), ("x", PROBLEM)])
    assert (there["change"], back["change"]) == ("0>2", "2>0")
    assert there[ALL[0]] == "x"
    assert there["networks (with kick neurons)"] == "3 (2)"
    assert there["kick neurons"] == "2, 4"
    assert there["rate, kick silent"].split()[0] == "0.0049"  # of 0.0029 and 0.0069
    assert there["rate, kick controls"].split()[0] == "0.0255"  # of 0.967 * 0.025, 0.767 * 0.035
    assert there["rate, baseline (of the same)"].split()[0] == "0.0300"
    assert there["rate, no noise"].split()[0] == "0.0063"
    assert there["selectivity"].split()[0] == "1.73"
    assert there["pairs in which the account holds"] == "1 of 3"
    assert there["networks in which it holds"] == "1 of 3"
    assert back["networks (with kick neurons)"] == "3 (0)"
    assert back["rate, baseline (of the same)"] == "none"
    assert (back["kick neurons"], back["selectivity"]) == ("0, 0", "none")


def test_intervals_are_over_networks_and_hold_the_mean():
    rates = [0.01, 0.02, 0.03, 0.04, 0.05]
    networks = [("x", with_row(baseline_rate=estimate(rate))) for rate in rates]
    value, low, high = every(networks)[0]["rate, baseline (of the same)"].replace(",", "").split()
    assert value == "0.0300"
    assert 0.01 < float(low[1:]) < 0.03 < float(high[:-1]) < 0.05


def test_a_single_network_has_no_interval_over_networks():
    assert every([("x", circuit_analysis())])[0]["rate, baseline (of the same)"] == "0.0250"


def test_kinds_stand_apart_and_in_the_order_given():
    networks = [("b", circuit_analysis()), ("a", circuit_analysis()), ("b", circuit_analysis())]
    rows = every(networks)
    assert [(row[ALL[0]], row["change"]) for row in rows] == [
        ("b", "0>2"),
        ("b", "2>0"),
        ("a", "0>2"),
        ("a", "2>0"),
    ]
    assert [row["networks (with kick neurons)"][0] for row in rows] == ["2", "2", "1", "1"]


@pytest.mark.parametrize("missing", ["ratio", "baseline"])
def test_what_is_unknown_in_one_network_is_left_out_of_the_mean(missing):
    if missing == "ratio":
        second = with_row(kick=response(0.2, 1.7, 0.8, 1.6, 0.007) | {"control": NOTHING})
    else:
        second = with_row(baseline_rate=NOTHING)
    row = every([("x", circuit_analysis()), ("x", second)])[0]
    assert row["rate, kick controls"] == "0.0242"  # 0.967 * 0.025 alone
    assert row["networks (with kick neurons)"] == "2 (2)"


def test_all_lines_have_the_same_cells():
    for head, rows in [
        (EACH, each_rows(Path("a"), circuit_analysis()) + each_rows(Path("b"), PROBLEM)),
        (ALL, all_rows([("x", circuit_analysis())])),
    ]:
        lines = markdown(head, rows).splitlines()
        assert len(lines) == len(rows) + 2
        assert len({line.count("|") for line in lines}) == 1


def test_a_folder_is_read_with_what_it_was_trained_on(tmp_path, smoke):
    folder = fill(tmp_path / "run", smoke)
    kind, found = circuit_table.read(folder)
    assert kind == f"`linear3`, {smoke.loss.title}, batch 64, 12 steps"
    assert found == circuit_analysis()


def test_the_command_prints_both_tables(tmp_path, smoke, monkeypatch, capsys):
    folders = [fill(tmp_path / name, smoke) for name in ("one", "two")]
    write_json(folders[1] / "circuits.json", PROBLEM)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, folders)])
    exec(compile(SCRIPT.read_text(), str(SCRIPT), "exec"), {"__name__": "__main__"})
    first, second = capsys.readouterr().out.strip().split("\n\n")
    assert [line.split(" | ")[0] for line in first.splitlines()[2:]] == [
        "| `one`",
        "| `one`",
        "| `two`",
    ]
    assert first.splitlines()[0].startswith("| run | change")
    assert len(second.splitlines()) == 4


def test_the_file_by_hand_has_the_fields_of_a_survey():
    json.dumps(circuit_analysis(), allow_nan=False)
