"""The section on circuits of a page whose circuits.json was written by hand."""

import json
import re

import pytest

from hmmrnn import InputError
from hmmrnn.figures.catalogue import CIRCUITS
from hmmrnn.report import build_report
from hmmrnn.storage import write_json, write_text

from .analysis import NOTHING, estimate
from .circuit_analysis import ACCOUNT, PAIRS, PROBLEM, VERDICT, circuit_analysis, said
from .run import SKETCH, Page, fill

WHOLE = [drawing.name for drawing in CIRCUITS if not drawing.each]
OF_PAIRS = [drawing.name for drawing in CIRCUITS if drawing.each]
HOSTILE = '<script>alert("1")</script><img src="//x.org/a">'
WITHOUT = {"circuit_dose_response", "circuit_windows", "circuit_pulses", "circuit_replay"}
WITHOUT |= {"circuit_resonance"}


@pytest.fixture(scope="module")
def base(tmp_path_factory, smoke):
    return fill(tmp_path_factory.mktemp("runs") / "run", smoke)


@pytest.fixture(scope="module")
def page(base):
    return built(base)


@pytest.fixture
def folder(base):
    """The run, whose circuits.json and figures a test may change."""
    kept = {path: path.read_bytes() for path in (base / "figures").iterdir()}
    yield base
    for path in set((base / "figures").iterdir()) - set(kept):
        path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)
    write_json(base / "circuits.json", circuit_analysis())


def built(folder):
    html = build_report(folder).read_text()
    page = Page(html)
    page.html = html
    return page


def cells(page, head):
    """Texts of the cells of the table row under a head."""
    row = re.search(rf'<tr><th scope="row">{head}</th>(.*?)</tr>', page.html, re.DOTALL).group(1)
    return [re.sub("<[^>]*>", "", cell) for cell in row.split("</td>")[:-1]]


def with_circuits(folder, fields):
    write_json(folder / "circuits.json", fields)
    return built(folder)


def changed(path, value):
    """The analysis with one entry changed, whose names are joined by dots; ... takes it out."""
    fields = circuit_analysis()
    *names, last = (int(name) if name.isdigit() else name for name in path.split("."))
    inner = fields
    for name in names:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return fields


def section(page):
    """Its words alone."""
    whole = page.text.partition("What makes it switch")[2]
    return whole.partition("How it was made")[0]


def details(page, pair):
    start = re.search(rf"From {pair[0]} to {pair[1]}: ", section(page)).start()
    return section(page)[start:].split("From ")[1]


def circuit_figures(page):
    return {a["id"] for a in page.all("figure") if a["id"].startswith("circuit")}


def test_the_verdict_stands_above_all_else(page):
    assert section(page).strip().startswith(VERDICT)
    assert page.text.count(VERDICT) == 1
    assert "To fill this gap" not in section(page)


def test_the_table_holds_the_numbers_with_their_intervals(page):
    ratios = [
        "0.113 [0.093, 0.133]",  # kick neurons silent
        "0.967 [0.947, 0.987]",  # controls
        "1.942 [1.922, 1.962]",  # the way back
        "0.253 [0.233, 0.273]",  # no noise
        "0.971 [0.951, 0.991]",  # controls
    ]
    assert cells(page, "0 to 2") == ["no", "2", *ratios]
    assert cells(page, "2 to 0") == ["no", "0", *["unknown"] * 5]


@pytest.mark.parametrize(("holds", "shown"), [(True, "yes"), (False, "no"), (None, "unknown")])
def test_the_table_says_where_the_account_holds(folder, holds, shown):
    assert cells(with_circuits(folder, changed("rows.0.holds", holds)), "0 to 2")[0] == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("kick neurons silent", ["2", "0.531 [0.511, 0.551]", "0.251 [0.231, 0.271]"]),
        (
            "all but circuit and carriers silent",
            ["138", "0.713 [0.693, 0.733]", "0.084 [0.064, 0.104]"],
        ),
        ("carriers silent", ["7", "unknown", "2.750 [2.730, 2.770]"]),
    ],
)
def test_parts_stand_there_with_units_and_numbers(page, name, shown):
    assert cells(page, name) == shown


@pytest.mark.parametrize("pair", PAIRS)
def test_sentences_of_a_pair_stand_under_it_alone(page, pair):
    for line in ACCOUNT[pair]:
        assert line in details(page, pair)
        assert section(page).count(line) == 1
    assert "0>2:" not in page.text


def test_symbols_that_begin_alike_keep_their_sentences_apart(folder):
    fields = circuit_analysis()
    fields["rows"][1]["pair"] = [10, 2]
    fields["account"] = [
        said(VERDICT),
        said("Of this one.", (0, 2)),
        said("Of the other one.", (10, 2)),
    ]
    page = with_circuits(folder, fields)
    assert "Of this one." in details(page, (0, 2))
    assert "Of the other one." not in details(page, (0, 2))
    assert "Of the other one." in details(page, (10, 2))


def test_a_pair_is_titled_by_its_kick_neurons_and_what_is_wrong(folder):
    page = with_circuits(folder, changed("rows.1.n_kick", 1))
    assert "From 0 to 2: 2 kick neurons " in section(page)
    assert f"From 2 to 0: 1 kick neuron ({PROBLEM})" in section(page)


def test_figures_of_pairs_are_there_if_they_are_drawn(page):
    expected = {name for name in WHOLE if name != "circuit_shared"}
    expected |= {f"{name}_0_2" for name in OF_PAIRS}
    expected |= {f"{name}_2_0" for name in OF_PAIRS if name not in WITHOUT}
    assert circuit_figures(page) == expected
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_a_figure_of_a_pair_that_is_not_drawn_is_no_gap(folder):
    (folder / "figures" / "circuit_pulses_0_2.svg").unlink()
    page = built(folder)
    assert "circuit_pulses_0_2" not in circuit_figures(page)
    assert "Pulses of three steps" not in page.text
    assert "To fill this gap" not in section(page)


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "circuit_shared"])
def test_a_figure_of_the_whole_that_is_not_drawn_is_a_gap_with_the_command(folder, name):
    (folder / "figures" / f"{name}.svg").unlink()
    text = section(built(folder))
    assert f"“{name}” is not drawn yet. To fill this gap:" in text
    assert text.count(f"hmmrnn circuits --run={folder}") == 1


def test_what_pairs_share_is_shown_only_for_more_than_two(folder):
    write_text(folder / "figures" / "circuit_shared.svg", SKETCH)
    assert "circuit_shared" not in circuit_figures(built(folder))
    fields = circuit_analysis()
    fields["rows"].append(fields["rows"][1] | {"pair": [1, 2]})
    assert "circuit_shared" in circuit_figures(with_circuits(folder, fields))


@pytest.mark.parametrize("identity", [True, False])
def test_noise_into_all_units_is_called_an_identity_where_it_is_one(folder, identity):
    page = with_circuits(folder, changed("noise_into_all_units.identity", identity))
    assert ("Scaling the noise into all units is an identity" in page.text) == identity


def test_without_the_file_the_command_is_there(folder):
    (folder / "circuits.json").unlink()
    page = built(folder)
    assert "No circuit was looked for yet." in section(page)
    assert f"hmmrnn circuits --run={folder}" in section(page)
    assert not circuit_figures(page)


def test_a_network_that_diverges_is_told_with_its_reason(folder):
    page = with_circuits(folder, {"problem": "states are <not> finite"})
    assert "There is no circuit to show: states are <not> finite." in section(page)
    assert not circuit_figures(page)
    assert "To fill this gap" not in section(page)


def test_a_network_that_never_switches_has_its_sentence_and_no_table(folder):
    line = "No symbol changes to another often enough to look for a circuit."
    fields = circuit_analysis() | {"account": [said(line)], "rows": []}
    page = with_circuits(folder, fields)
    assert section(page).strip().startswith(line)
    assert "change kick neurons" not in section(page)
    assert "kick neurons silent" in section(page)  # the parts are measured all the same
    assert not any(name.endswith(("_0_2", "_2_0")) for name in circuit_figures(page))


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("kick.own", 1),
        ("kick.control", 2),
        ("kick.back", 3),
        ("noise.own", 4),
        ("noise.control", 5),
    ],
)
def test_any_ratio_may_be_unknown(folder, path, at):
    page = with_circuits(folder, changed(f"rows.0.{path}", NOTHING))
    assert [i for i, cell in enumerate(cells(page, "0 to 2")) if cell == "unknown"] == [at + 1]
    assert not re.search(r"\b(nan|None)\b", section(page))


def test_a_ratio_without_an_interval_is_shown_alone(folder):
    alone = estimate(0.4321) | {"low": None, "high": None}
    page = with_circuits(folder, changed("rows.0.kick.own", alone))
    assert cells(page, "0 to 2")[2] == "0.432"


def test_strings_are_escaped(folder):
    fields = circuit_analysis()
    fields["account"] = [said(HOSTILE), *(said(HOSTILE, pair) for pair in PAIRS)]
    fields["rows"][1]["problem"] = fields["ablations"]["names"][0] = HOSTILE
    page = with_circuits(folder, fields)
    assert not page.all("script")
    assert not page.all("img")
    assert page.text.count(HOSTILE) == 5
    page = with_circuits(folder, {"problem": HOSTILE})
    assert not page.all("script")
    assert page.text.count(HOSTILE) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("account", []),
        ("account", ...),
        ("account", 3),
        ("account.0", "of older versions"),
        ("account.1.pair", ...),
        ("rows", ...),
        ("rows", {"0": 1}),
        ("rows.0", None),
        ("rows.0.pair", [0]),
        ("rows.0.pair", ["a", "b"]),
        ("rows.0.n_kick", "many"),
        ("rows.0.n_kick", ...),
        ("rows.0.kick", ...),
        ("rows.0.kick", {}),
        ("rows.0.kick.own", 0.5),
        ("rows.0.kick.back", {"value": "1", "low": 0, "high": 2}),
        ("rows.0.kick.control", ...),
        ("rows.0.noise.own", ...),
        ("rows.0.noise.control", None),
        ("rows.0.holds", ...),
        ("rows.0.problem", ...),
        ("noise_into_all_units", ...),
        ("ablations", None),
        ("ablations.n_units", [2]),
        ("ablations.outcome.kl", ...),
        ("ablations.outcome.kl.high", [0.5]),
        ("ablations.outcome.per_step_ratio.value", ["a", 1, 2]),
    ],
)
def test_another_form_is_named_and_not_a_traceback(folder, path, value):
    (folder / "report.html").unlink(missing_ok=True)
    write_json(folder / "circuits.json", changed(path, value))
    with pytest.raises(InputError, match=r"circuits\.json.*measure again"):
        build_report(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize("content", ["[1, 2]", '{"rows": '])
def test_a_damaged_file_is_named(folder, content):
    (folder / "circuits.json").write_text(content)
    with pytest.raises(InputError, match=r"circuits\.json"):
        build_report(folder)


def test_the_file_by_hand_is_strict_json():
    json.dumps(circuit_analysis(), allow_nan=False)
