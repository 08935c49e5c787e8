"""The sections on dynamics of a page whose dynamics.json was written by hand."""

import json
import re

import pytest
from figures.records import portrait

from hmmrnn import InputError
from hmmrnn.recordings import ZONES
from hmmrnn.report import build_report, five_numbers, verdict
from hmmrnn.storage import plain, write_json

from .analysis import NOTHING, PAIRS, analysis, silent_analysis
from .run import FIGURES, Page, fill

HEADINGS = ("Orbit or wells", "Near each state", "How it came about", "Among its sister networks")
HOSTILE = '<script>alert("1")</script><img src="//x.org/a">'


@pytest.fixture
def folder(tmp_path, smoke):
    return fill(tmp_path / "run", smoke)


@pytest.fixture(scope="module")
def page(tmp_path_factory, smoke):
    return built(fill(tmp_path_factory.mktemp("runs") / "run", smoke))


def built(folder):
    return Page(build_report(folder).read_text())


def with_dynamics(folder, **changes):
    """The page with fields of dynamics.json changed; those that are ... are taken out."""
    fields = {**plain(portrait()), **analysis(), **changes}
    kept = {name: value for name, value in fields.items() if value is not ...}
    write_json(folder / "dynamics.json", kept)
    return built(folder)


def changed(path, value):
    """The analysis with one entry changed, whose names are joined by dots."""
    fields = analysis()
    *names, last = (int(name) if name.isdigit() else name for name in path.split("."))
    inner = fields
    for name in names:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return fields


def headings(page):
    return [h for h in HEADINGS if h in page.text]


def estimates(value):
    """All estimates within, by their place."""
    if isinstance(value, dict) and set(value) == {"value", "low", "high"}:
        return {"": value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {
        f".{name}{place}": found
        for name, entry in items
        if isinstance(entry, (dict, list))
        for place, found in estimates(entry).items()
    }


SHOWN = (
    "emission_by_phase.explained",
    "orbit.period",
    "orbit.period_cv",
    "noise_levels.slope",
    "regime.barrier",
    "regime.rotational_share",
    "regime.second_lag",
    "critical_share",
    "mean_shift.one_step",
    "mean_shift.activity",
    "mean_shift.propagated_share",
    "mean_shift.alignment",
    *(f"pairs.{i}.rotation" for i in range(len(PAIRS))),
    *(f"noise_sensitivity.{zone}.relative_trace_1" for zone in ZONES[:3]),
    *(
        f"zones.{zone}.{name}"
        for zone in ZONES
        for name in ("share", "residency_time", "sign_changes_per_step", "unstable")
    ),
    *(f"zones.{zone}.critical_pairs" for zone in ZONES),
    "networks.number 0.mean",
    "networks.number 1.mean",
)


def test_all_sections_are_there_in_order(page):
    at = [page.text.index(heading) for heading in HEADINGS]
    assert at == sorted(at)
    assert not [a for a in page.all("div") if a.get("class") == "gap"]
    assert {a["id"] for a in page.all("figure")} == set(FIGURES)


@pytest.mark.parametrize("path", SHOWN)
def test_numbers_stand_there_with_their_intervals(page, path):
    found = estimates(analysis())["." + path]
    shown = [text for value, text in page.data if value == found["value"]]
    assert shown
    spans = re.findall(rf"{re.escape(shown[0])} \[(\S+), (\S+)\]", page.text)
    assert any(
        float(low) == pytest.approx(found["low"], abs=0.06 * abs(found["value"]))
        and float(high) == pytest.approx(found["high"], abs=0.06 * abs(found["value"]))
        for low, high in spans
    ), (shown, spans)


@pytest.mark.parametrize(
    "value", [0.0021, -0.0034, 0.00099, 0.00498, 0.004, 0.0133, 0.622, 0.0243, 0.011, 0.9987, 0.02]
)
def test_numbers_without_intervals_of_their_own_stand_there_too(page, value):
    assert value in [shown for shown, _ in page.data]


def test_the_sentences_of_the_whole_and_of_every_pair_are_there(page):
    assert page.text.count("It orbits: all of it.") == 2  # in the headline, too
    for a, b in PAIRS:
        assert f"Symbols {a} and {b}: It hops between {a} and {b}." in page.text
        assert f"Between symbols {a} and {b} only: double well" in page.text
        assert f"{641 + a} segments" in page.text
        assert f"{624 + a} changes one way and {725 + a} the other" in page.text
    assert "1000 of 1000 states end at the origin." in page.text
    assert "an identity of relu networks without bias, not a finding" in page.text


def test_dates_of_the_training_are_there(page):
    text = page.text[page.text.index("How it came about") :]
    assert "Bifurcation: epoch 40 by the rule of the paper" in text
    assert "epoch 40 [30, 40], p = 0.020" in text
    assert "Change of level of the transitions: none" in text
    assert "Second descent of the loss: epoch 35" in text
    assert "7 of 7 snapshots have finite states" in text


def test_the_table_of_networks_has_their_number(page):
    for i in range(2):
        row = rf"number {i}\s*{i + 1}\.500 \[{i + 1}\.480, {i + 1}\.520\]\s*2\s"
        assert re.search(row, page.text)


def test_without_pairs_without_snapshots_and_alone(folder):
    page = with_dynamics(folder, pairs=[], development=None, networks=None)
    assert headings(page) == list(HEADINGS[:3])
    assert "This run kept no snapshots of its training (train.snapshot_every=0)" in page.text
    assert "Symbols 0 and 1" not in page.text
    assert {a["id"] for a in page.all("figure")} == {
        name for name in FIGURES if name not in ("development", "networks", "flow_0_1", "flow_1_2")
    }


def test_a_portrait_alone_is_shown_with_the_command_for_the_rest(folder):
    page = with_dynamics(folder, **dict.fromkeys(analysis(), ...))
    assert headings(page) == []
    assert "Only a portrait was measured." in page.text
    assert "6 of 7 starts settle in 2 states" in page.text
    assert f"hmmrnn dynamics --run={folder}" in page.text


def test_a_network_that_diverges_is_told_with_its_reason(folder):
    write_json(folder / "dynamics.json", {"problem": "states are <not> finite"})
    page = built(folder)
    assert "There are no dynamics to show: states are <not> finite." in page.text
    assert "it diverges under its noise" in page.text
    assert "undefined: it diverges" in page.text
    assert headings(page) == []
    assert "trajectories" not in [a["id"] for a in page.all("figure")]
    assert "fill this gap" not in page.text


def test_summaries_of_a_network_that_diverges():
    line = verdict({}, {"problem": "x"})
    assert line == "Fidelity is not measured yet; it diverges under its noise."
    assert str(five_numbers({}, {"problem": "x"})[-1]).endswith("undefined: it diverges")


def test_a_network_that_never_switches_has_dashes_and_reasons(folder):
    page = with_dynamics(folder, **silent_analysis())
    text = page.text[page.text.index("Orbit or wells") : page.text.index("How it was made")]
    assert "It never switches" in page.text
    assert "No turn was completed." in text
    assert "an unknown share turns" in text
    assert "p undefined" in text
    assert "Bifurcation: none by the rule of the paper" in text
    assert not re.search(r"\b(nan|None|inf|null|0 nats)\b", text)


@pytest.mark.parametrize("path", [path for path in SHOWN if not path.startswith("networks")])
def test_any_number_may_be_unknown(folder, path):
    page = with_dynamics(folder, **changed(path, NOTHING))
    assert headings(page) == list(HEADINGS)
    assert not re.search(r"\b(nan|None)\b", page.text.partition("How it was made")[0])


def test_strings_are_escaped(folder):
    fields = analysis()
    fields["regime"]["sentence"] = fields["fixed_points"]["summary"] = HOSTILE
    fields["pairs"][0] |= {"sentence": HOSTILE, "kind": HOSTILE}
    fields["networks"] = {HOSTILE: fields["networks"]["number 0"]}
    fields["noise_sensitivity"] = {HOSTILE: fields["noise_sensitivity"]["cluster"]}
    fields["zones"] = {HOSTILE: fields["zones"]["cluster"]}
    page = with_dynamics(folder, **fields)
    assert not page.all("script")
    assert not page.all("img")
    assert page.text.count(HOSTILE) == 8


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("regime", {}),
        ("regime", None),
        ("regime.sentence", ...),
        ("regime.barrier", 1.5),
        ("orbit", ...),
        ("orbit.period", "long"),
        ("surrogates.time_reversed", ...),
        ("surrogates.phase_shuffled.null_low", "x"),
        ("emission_by_phase.explained", {"value": "1", "low": 0, "high": 1}),
        ("readout.carried_variance", "most"),
        ("pairs", None),
        ("pairs.0.symbols", [0]),
        ("pairs.0.symbols", ["a", "b"]),
        ("pairs.1.n_segments", ...),
        ("fixed_points", []),
        ("zones", [1, 2]),
        ("zones.cluster.share", ...),
        ("noise_sensitivity.cluster", {}),
        ("mean_shift.alignment", ...),
        ("development", ...),
        ("development", 3),
        ("development.bifurcation", None),
        ("development.epochs", 7),
        ("networks", ...),
        ("networks", {"x": {}}),
    ],
)
def test_another_form_is_named_and_not_a_traceback(folder, path, value):
    write_json(folder / "dynamics.json", {**plain(portrait()), **changed(path, value)})
    with pytest.raises(InputError, match=r"dynamics\.json.*measure again"):
        build_report(folder)
    assert not (folder / "report.html").exists()


def test_the_file_by_hand_is_strict_json():
    json.dumps(analysis(), allow_nan=False)
    json.dumps(silent_analysis(), allow_nan=False)
