"""The section on discovery, and the page of a planted task, from a discovery.json by hand."""

import copy
import json
import re

import numpy as np
import pytest

from hmmrnn import InputError
from hmmrnn.discovery.judge import Score
from hmmrnn.discovery.selection import Circuit
from hmmrnn.discovery.surveys import Agreement
from hmmrnn.figures.catalogue import DISCOVERY, names_in
from hmmrnn.report import build_discovery_page, build_report
from hmmrnn.report.numbers import MINUS, UNKNOWN
from hmmrnn.storage import write_json, write_text

from .analysis import NOTHING
from .discovery_analysis import (
    AUPRC,
    BASELINES,
    COMMAND,
    REASON,
    TASK_WINDOWS,
    of_run,
    of_task,
    overlap,
    score,
)
from .run import SKETCH, Page, fill

HOSTILE = '<script>alert("1")</script><img src="//x.org/a">'
WORDS = ("Faithfulness", "Completeness", "Minimality", "Necessity", "Sufficiency", "CPR, CMD")
ENDS = ("jumping", "still_here")
OF_CASES = tuple(drawing.name for drawing in DISCOVERY)


@pytest.fixture(scope="module")
def run(tmp_path_factory, smoke):
    return fill(tmp_path_factory.mktemp("runs") / "run", smoke)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "ring"
    for end in ENDS:
        for name in OF_CASES:
            write_text(folder / "figures" / f"{name}_{end}.svg", SKETCH)
    return folder


def page_of(build, folder, fields):
    write_json(folder / "discovery.json", fields)
    html = build(folder).read_text()
    page = Page(html)
    page.html = html
    page.shown = page.text.partition("Which units matter, and when")[2]
    page.shown = page.shown.partition("How it was made")[0]
    return page


def of_a_run(run, fields):
    return page_of(build_report, run, fields)


def of_a_task(task, fields):
    return page_of(build_discovery_page, task, fields)


@pytest.fixture(scope="module")
def page(run):
    return of_a_run(run, of_run())


@pytest.fixture(scope="module")
def planted(task):
    return of_a_task(task, of_task())


def changed(fields, path, value):
    """`fields` with one entry changed, whose names are joined by slashes; ... takes it out."""
    fields = copy.deepcopy(fields)
    *names, last = (int(name) if name.isdigit() else name for name in path.split("/"))
    inner = fields
    for name in names:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return fields


def table(page, head, nth=0):
    """Words of the cells of the nth table with this first head, by the head of the row."""
    tables = re.findall(r"<table.*?</table>", page.html, re.DOTALL)
    html = [one for one in tables if f'<th scope="col">{head}</th>' in one][nth]
    rows = {}
    for row in html.split("</tr>")[:-1]:
        first, *cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", row, re.DOTALL)
        rows[first.partition("<")[0]] = [words(cell) for cell in cells]
    return rows


def words(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def figures_of(page):
    return {a["id"] for a in page.all("figure") if a["id"].startswith("discovery")}


def test_a_network_has_a_sentence_on_when_how_many_and_who(page):
    for sentence in (
        f"From 0 to 2 Most is at stake in steps {MINUS}4..{MINUS}1: with all 150 units replaced "
        "there, the new symbol's lead falls by 3.12 [3.07, 3.17]. The 4 units of the circuit keep "
        "0.960 [0.955, 0.965] of that on their own.",
        "Of these units, 3 are among the 8 kick neurons of this change; by chance it would be "
        f"0.330. At least half as much is at stake in {MINUS}8..{MINUS}5.",
        "48 changes, 150 units, each replaced by its mean",
    ):
        assert sentence in page.shown


def test_the_table_by_window_holds_the_numbers_with_their_intervals(page):
    rows = table(page, "window")
    assert rows["window"] == [f"{MINUS}8..{MINUS}5", f"{MINUS}4..{MINUS}1", "0..3"]
    assert rows["units in the circuit"] == ["2", "4", "3"]
    assert rows["faithfulness"] == [
        "0.953 [0.948, 0.958]",
        "0.960 [0.955, 0.965]",
        "0.967 [0.962, 0.972]",
    ]
    assert rows["stake"][0] == "1.72 [1.67, 1.77]"
    assert rows["completeness"][1] == "0.315 [0.295, 0.335]"
    assert rows["minimality"][2] == "0.479 [0.459, 0.499]"
    assert rows["necessity"][0] == "0.604 [0.584, 0.624]"
    assert rows["sufficiency"][0] == "0.755 [0.735, 0.775]"
    assert rows["CPR"][2] == "0.924 [0.920, 0.928]"
    assert rows["CMD"][2] == "0.076 [0.072, 0.080]"
    assert rows["connections in the circuit"] == ["809", "810", "811"]
    assert rows["their faithfulness"][1] == "0.965 [0.956, 0.974]"


def test_the_circuits_stand_beside_the_groups_of_the_dedicated_analysis(page):
    rows = table(page, "group")
    assert list(rows) == ["group", "kick 0&gt;2", "population 0&gt;2"]  # nobody is in kick 2>0
    assert rows["kick 0&gt;2"] == [
        "8",
        "1 by chance 0.420 AUPRC 0.517",
        "3 by chance 0.330 AUPRC 0.683",
        "0 by chance 0.250 AUPRC 0.294",
    ]


def test_without_truth_rankings_have_their_cpr_alone(page):
    rows = table(page, "CPR of units ranked by")
    assert list(rows)[1:] == ["intervention", "path cut", *BASELINES]
    assert rows["variance"][0] == "0.807 [0.803, 0.811]"
    assert "Precision over recall" not in page.shown
    assert "Checks against" not in page.shown
    assert figures_of(page) == {f"{n}_0_2" for n in OF_CASES if n != "discovery_precision"}


@pytest.mark.parametrize(
    "value", [None, {}, {"kick 0>2": overlap(0, [0] * 3, [0] * 3, [None] * 3)}]
)
def test_without_kick_neurons_it_says_how_to_look_for_them(run, value):
    shown = of_a_run(run, changed(of_run(), "cases/0_2/kick", value)).shown
    assert "are among the" not in shown
    assert "There is no group of kick neurons to compare with" in shown
    assert f"hmmrnn circuits --run={run}" in shown


def test_kick_neurons_of_another_change_are_in_no_sentence(run):
    kick = {"kick 2>0": overlap(7, (1, 1, 1), (0.1, 0.2, 0.3), (0.5, 0.5, 0.5))}
    page = of_a_run(run, changed(of_run(), "cases/0_2/kick", kick))
    assert "are among the" not in page.shown
    assert table(page, "group")["kick 2&gt;0"][0] == "7"


def test_a_task_has_a_sentence_on_how_right_it_is(planted):
    assert (
        "In their worst window, cue, interventions rank the planted units with an AUPRC of 0.981; "
        "the best baseline, weights out, reaches 0.833 in its worst, cue."
    ) in planted.shown
    sizes = "The circuits in hold, cue and keep hold 3, 4 and 2 units; "
    sizes += "the planted ones have 2, 4 and 2."
    assert sizes in planted.shown


def test_a_task_of_one_window_names_none(planted):
    assert (
        "still here Interventions rank the planted units with an AUPRC of 0.999; the best "
        "baseline, weights out, reaches 0.871. The circuit holds 3 units; the planted one has 2."
    ) in planted.shown


def test_a_perfect_task_and_one_without_anything_to_tell_apart_say_so(task):
    fields = of_task()
    scores = fields["cases"]["jumping"]["judgement"]["units"]
    scores["intervention"]["windows"] = [score(1.0, 2)] * 3
    assert "In every window, interventions rank" in of_a_task(task, fields).shown
    unknown = {"auprc": None, "precision": None, "n_true": 0, "n": 256}
    for verdict in scores.values():
        verdict["windows"] = [unknown] * 3
    page = of_a_task(task, fields)
    assert f"AUPRC of {UNKNOWN}; " in page.shown
    assert not re.search(r"\b(nan|None)\b", page.shown)


def test_one_window_without_truth_does_not_hide_the_others(task):
    unknown = {"auprc": None, "precision": None, "n_true": 0, "n": 256}
    path = "cases/jumping/judgement/units"
    fields = changed(of_task(), f"{path}/intervention/windows/1", unknown)
    fields = changed(fields, f"{path}/correlation/windows", [unknown] * 3)
    page = of_a_task(task, fields)
    assert "In their worst window, keep, interventions" in page.shown
    assert "with an AUPRC of 0.994; the best baseline, weights out" in page.shown


def test_all_rankings_of_a_task_are_in_one_table(planted):
    rows = table(planted, "units ranked by")
    assert [name for name in rows if name in AUPRC] == list(AUPRC)
    for name, values in AUPRC.items():
        each = (*values, values[1] - 0.021)  # the last is that of timing
        shown = [[float(number) for number in cell.split()] for cell in rows[name][:4]]
        assert np.allclose(shown, [(a, a / 2) for a in each], atol=5.1e-4), name
    assert rows["path cut"][4:] == [f"{c} [{c - 0.004:.3f}, {c + 0.004:.3f}]" for c in (
        0.889, 0.886, 0.883)]  # fmt: skip
    assert rows["one pass"][4:] == ["not measured"] * 3


def test_sizes_stand_above_the_true_ones(planted):
    rows = table(planted, "window")
    assert rows["window"] == [
        f"{name} steps {a} to {b - 1}" for name, (a, b) in TASK_WINDOWS.items()
    ]
    found = next(row for head, row in rows.items() if head.startswith("units in the circuit"))
    assert found == ["3 2", "4 4", "2 2"]


def test_agreement_of_attributions_with_interventions(planted):
    rows = table(planted, "attribution")
    assert rows["one pass"] == ["0.991 slope 1.07", "0.989 slope 1.10", "0.987 slope 1.13"]
    assert rows["integrated"][2] == "0.961 slope 3.13"
    assert rows["connections"][1] == "0.954 slope 0.961"


def test_redundancy_of_groups_and_of_the_strongest_twins(planted):
    rows = table(planted, "group")
    shown = (("0.407", "0.174"), ("0.691", "0.121"), ("1.12", "0.768"))
    assert rows["ring"] == [f"{whole} independent {alone}" for whole, alone in shown]
    pairs = re.findall(r"<td>(\d+, \d+)</td>", planted.html)
    assert pairs[:9] == [f"{9 + w}, {12 + i}" for w in range(3) for i in range(3)]
    assert table(planted, "twins")["keep"] == ["11, 14", "0.968", "0.0214", "0.00880"]


def test_checks_against_what_is_planted(planted):
    assert "have an effect of 0 at most" in planted.shown
    assert (
        "with R^2 0.962, from as many random units with 0.952 (0.948 to 0.968 in 90 % of draws), "
        "from all with 0.966"
    ) in planted.shown
    rows = table(planted, "connections ranked by")
    assert rows["attribution"][2] == "0.848 0.424 992 of 65536 true"
    assert rows["weights"][0] == "0.126 0.0630 992 of 65536 true"


def test_isolation_is_told_where_there_is_a_law(planted):
    assert planted.shown.count("KL from the exact law") == 1
    assert "0.00142 nats of the whole network, 0.00142 of the circuit" in planted.shown
    assert "0.228 of all others" in planted.shown


def test_the_page_of_a_task_has_title_options_command_and_figures(task, planted):
    assert build_discovery_page(task) == task / "report.html"
    assert "<title>ring · planted circuits</title>" in planted.html
    assert "<h1>ring</h1>" in planted.html
    made = planted.text.partition("How it was made")[2]
    for option in ("task ring", "contamination 0.2", "noise_std 0.1", COMMAND):
        assert option in made
    assert figures_of(planted) == {f"{name}_{end}" for name in OF_CASES for end in ENDS}
    assert len(planted.all("svg")) == len(figures_of(planted))
    assert not [a for a in planted.all("div") if a.get("class") == "gap"]
    for part in ("Training", "Fidelity", "Five numbers"):
        assert part not in planted.text


def test_each_page_is_one_file_that_opens_offline(planted, page):
    for shown in (planted, page):
        html = re.sub(r'xmlns(:\w+)?="[^"]*"', "", shown.html)
        assert not re.search(r"http|@import|url\((?!#)|<script|<link|<iframe", html)
        ids = [a["id"] for _, a in shown.elements if "id" in a]
        assert len(ids) == len(set(ids))


def test_words_are_explained_once_and_as_the_case_needs(planted, page):
    for shown in (planted.shown, page.shown):
        for word in WORDS:
            assert shown.count(f"{word}:") == 1, word
    assert "AUPRC:" in planted.shown
    assert "AUPRC:" not in page.shown
    assert "squared distance of the readout" in planted.shown
    assert "3 to 7 steps after the change" in page.shown


def test_every_number_shown_is_one_of_the_file(planted):
    def numbers(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return {n for entry in value for n in numbers(entry)}
        return {float(value)} if isinstance(value, (int, float)) else set()

    known = numbers(of_task())
    assert len(planted.data) > 150
    assert {value for value, _ in planted.data} <= known


def test_a_change_that_could_not_be_looked_at_has_its_reason(run):
    page = of_a_run(run, changed(of_run(), "problems", {"2_0": REASON}))
    assert f"From 2 to 0 Nothing was measured: {REASON}." in page.shown
    page = of_a_run(run, changed(of_run(), "cases", {}) | {"problems": {"2_0": REASON}})
    assert f"Nothing was measured: {REASON}." in page.shown
    assert not figures_of(page)


def test_without_the_file_the_command_is_there(run):
    (run / "discovery.json").unlink()
    text = Page(build_report(run).read_text()).text
    assert "was not looked for yet" in text
    assert text.count(f"hmmrnn discover --run={run}") == 2  # and at the end


@pytest.mark.parametrize("name", [name for name in OF_CASES if name != "discovery_precision"])
def test_a_figure_that_is_not_drawn_is_a_gap_with_the_command(run, name):
    path = run / "figures" / f"{name}_0_2.svg"
    path.unlink()
    shown = of_a_run(run, of_run()).shown
    write_text(path, SKETCH)
    assert f"“{name}_0_2” is not drawn yet. To fill this gap:" in shown
    assert shown.count(f"hmmrnn discover --run={run}") == 1


def test_patterns_find_the_figures_of_all_cases_and_no_others(task, run):
    for folder, ends in ((task, ENDS), (run, ("0_2",))):
        found = names_in(folder, DISCOVERY)
        assert {name.removesuffix(f"_{end}") for name in found for end in ends} >= {OF_CASES[0]}
        assert all(name.startswith("discovery_") and name.endswith(ends) for name in found)


@pytest.mark.parametrize(
    "measure", ["faithfulness", "completeness", "minimality", "necessity", "sufficiency"]
)
def test_any_measure_may_be_unknown(run, measure):
    page = of_a_run(run, changed(of_run(), f"cases/0_2/circuits/1/{measure}", NOTHING))
    row = table(page, "window")[measure]
    assert [i for i, cell in enumerate(row) if cell == "unknown"] == [1]
    assert not re.search(r"\b(nan|None|inf)\b", page.shown)


def test_an_unknown_stake_and_faithfulness_leave_a_sentence(run):
    fields = changed(of_run(), "cases/0_2/circuits/1/stake", NOTHING)
    shown = of_a_run(run, fields).shown
    assert f"Most is at stake in steps {MINUS}8..{MINUS}5: with all 150 units" in shown
    assert "The 2 units of the circuit keep" in shown
    assert "At least half as much is at stake in 0..3." in shown
    fields = changed(of_run(), "cases/0_2/circuits/1/faithfulness", NOTHING)
    assert "circuit keep an unknown part of that" in of_a_run(run, fields).shown
    fields = of_run()
    for circuit in fields["cases"]["0_2"]["circuits"]:
        circuit["stake"] = NOTHING
    assert "It is unknown which window matters most" in of_a_run(run, fields).shown


@pytest.mark.parametrize(
    "path",
    [
        "cases/jumping/agreement/one pass/0/rank",
        "cases/jumping/edge_agreement/0/slope",
        "cases/jumping/groups/ring/alone/0",
        "cases/jumping/twins/0/0/correlation",
        "cases/jumping/judgement/unconnected",
        "cases/jumping/judgement/decoding/random",
        "cases/jumping/judgement/units/variance/timing/precision",
        "cases/jumping/judgement/edges/weights/1/auprc",
        "cases/still here/judgement/isolation/others",
    ],
)
def test_null_is_shown_as_a_dash(task, planted, path):
    page = of_a_task(task, changed(of_task(), path, None))
    assert page.shown.count(UNKNOWN) == planted.shown.count(UNKNOWN) + 1
    assert not re.search(r"\b(nan|None|inf)\b", page.shown)


def test_names_are_escaped_and_open_no_other_files(task, tmp_path):
    fields = of_task()
    case = fields["cases"]["jumping"]
    judged = case["judgement"]
    for inner in (case["groups"], case["windows"], case["agreement"], judged["edges"]):
        name = next(iter(inner))
        inner[HOSTILE] = inner.pop(name)
    for inner in (judged["units"], case["curves"]):
        inner[HOSTILE] = inner.pop("variance")
    fields["cases"] = {HOSTILE: case, "../../outside": case}
    fields["problems"] = {f"{HOSTILE} 2": HOSTILE}
    fields["source"]["task"] = fields["command"] = judged["decoded_as"] = case["kind"] = HOSTILE
    write_text(task / "outside.svg", SKETCH)
    page = of_a_task(task, fields)
    assert not page.all("script")
    assert not page.all("img")
    assert not page.all("svg")
    assert page.text.count(HOSTILE) > 20


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source", ...),
        ("source", {"run": "runs/c"}),
        ("source", "ring"),
        ("command", ...),
        ("cases", ...),
        ("cases", [1]),
        ("cases/jumping", None),
        ("cases/jumping/kind", ...),
        ("cases/jumping/n_trials", "many"),
        ("cases/jumping/windows", {}),
        ("cases/jumping/windows", {"hold": [0, 20]}),
        ("cases/jumping/windows/hold", [0]),
        ("cases/jumping/circuits", []),
        ("cases/jumping/circuits/0/units", 3),
        ("cases/jumping/circuits/0/faithfulness", 0.5),
        ("cases/jumping/circuits/0/necessity", {"value": "1", "low": 0, "high": 2}),
        ("cases/jumping/curves", {}),
        ("cases/jumping/curves/variance", [{}]),
        ("cases/jumping/agreement/one pass/1", {"rank": 1}),
        ("cases/jumping/edge_agreement", None),
        ("cases/jumping/groups/ring/effect", [1, 2]),
        ("cases/jumping/groups", []),
        ("cases/jumping/twins/2", 3),
        ("cases/jumping/twins/2/0/units", 3),
        ("cases/jumping/edges/1/n_edges", None),
        ("cases/jumping/judgement", ...),
        ("cases/jumping/judgement/units", {}),
        ("cases/jumping/judgement/units/variance/timing", None),
        ("cases/jumping/judgement/edges", [1]),
        ("cases/jumping/judgement/decoding/random", ...),
        ("cases/jumping/judgement/isolation", {"full": 1}),
        ("cases/jumping/kick", {"kick 0>2": {"n": 2}}),
        ("problems", ...),
        ("problems", ["a"]),
    ],
)
def test_another_form_is_named_and_not_a_traceback(task, path, value):
    (task / "report.html").unlink(missing_ok=True)
    write_json(task / "discovery.json", changed(of_task(), path, value))
    with pytest.raises(InputError, match=r"discovery\.json.*measure again"):
        build_discovery_page(task)
    assert not (task / "report.html").exists()


def test_neither_page_shows_what_is_the_others(run, task):
    write_json(run / "discovery.json", of_task())
    with pytest.raises(InputError, match=r"discovery\.json.*not about a run.*again"):
        build_report(run)
    write_json(task / "discovery.json", of_run())
    with pytest.raises(InputError, match=r"discovery\.json.*not about a task.*measure again"):
        build_discovery_page(task)


@pytest.mark.parametrize("content", ["[1, 2]", "{}", "[]", "null", '{"cases": '])
def test_a_damaged_file_is_named(task, content):
    (task / "discovery.json").write_text(content)
    with pytest.raises(InputError, match=r"discovery\.json"):
        build_discovery_page(task)


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"discovery\.json: "):
        build_discovery_page(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_file_by_hand_has_the_form_of_the_records():
    case = of_task()["cases"]["jumping"]
    json.dumps([of_run(), of_task()], allow_nan=False)
    assert set(case["circuits"][0]) == set(Circuit._fields)
    assert set(case["agreement"]["one pass"][0]) == set(Agreement._fields)
    assert set(score(0.5, 2)) == set(Score._fields)
