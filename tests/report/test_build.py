import json
import re
from dataclasses import replace

import numpy as np
import pytest
from figures.records import compared, fidelity, portrait, silent, still

from hmmrnn import InputError, StorageError, hmm
from hmmrnn.report import build_report, five_numbers
from hmmrnn.report.numbers import MINUS, TIMES

from .analysis import silent_analysis
from .run import FIGURES, MANIFEST, Page, contents, fill


@pytest.fixture(scope="module")
def run(tmp_path_factory, smoke):
    return fill(tmp_path_factory.mktemp("runs") / "demo", smoke, drawn=True)


@pytest.fixture(scope="module")
def page(run):
    return Page(build_report(run).read_text())


@pytest.fixture
def copy(tmp_path, smoke):
    return fill(tmp_path / "run", smoke)


def rebuilt(folder):
    return Page(build_report(folder).read_text())


def test_report_stands_in_the_run_folder_with_all_its_parts(run, page):
    assert build_report(run) == run / "report.html"
    assert len(page.all("svg")) == len(FIGURES)
    assert page.text.count("linear3") >= 2
    for part in ("independent Sinkhorn loss", "seed 3", "Training", "Fidelity", "Dynamics"):
        assert part in page.text
    assert "fill this gap" not in page.text
    assert not [a for a in page.all("div") if a.get("class") in ("gap", "warning")]


def test_report_is_one_file_that_opens_offline_and_on_a_phone(run, page):
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert attributes.get(name, "#").startswith("#")
    html = re.sub(r'xmlns(:\w+)?="[^"]*"', "", build_report(run).read_text())
    assert "http" not in html
    assert not re.search(r"@import|url\((?!#)|<script|<link|<iframe", html)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    assert "prefers-color-scheme: dark" in html


def test_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_figure_has_a_sentence_with_a_number(page):
    assert sorted(a["id"] for a in page.all("figure")) == sorted(FIGURES)
    assert len(page.all("figcaption")) == len(FIGURES)


def numbers_in(value):
    if isinstance(value, dict):
        return [n for entry in value.values() for n in numbers_in(entry)]
    if isinstance(value, list):
        return [n for entry in value for n in numbers_in(entry)]
    return [value] if isinstance(value, (int, float)) else []


def read(text):
    """The number that a formatted text stands for, and half a unit of its last digit."""
    plain = text.replace(MINUS, "-")
    mantissa, _, power = plain.partition(f"{TIMES}10")
    power = int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)
    decimals = len(mantissa.partition(".")[2])
    return float(mantissa) * 10.0**power, 0.5 * 10.0 ** (power - decimals)


def test_every_number_shown_is_one_of_the_files(run, page, smoke):
    history = np.load(run / "history.npz")
    known = np.array(
        [
            *numbers_in(contents(run)),
            *numbers_in(json.loads((run / "circuits.json").read_text())),
            *numbers_in(json.loads((run / "discovery.json").read_text())),
            *numbers_in(smoke.target.to_dict()),
            *(float(x) for name in history.files for x in np.ravel(history[name])),
        ]
    )
    assert len(page.data) > 50
    for value, text in page.data:
        assert np.isclose(known, value, rtol=1e-12).any(), value
        shown, tolerance = read(text)
        close = abs(shown - value) <= 1.001 * tolerance
        assert close or abs(shown - 100 * value) <= 1.001 * tolerance, (value, text)


def test_the_five_numbers_are_in_the_table(run, page):
    values = [value for value, _ in page.data]
    for number in five_numbers(*contents(run)):
        assert number.name in page.text
        assert number.value in values
    assert "0.0369 [0.0354, 0.0384]" in page.text  # KL of 3-grams
    assert "0.128" in page.text  # transitions per step


def test_statements_on_dynamics_are_those_of_the_file(page):
    assert "6 of 7 starts settle in 2 states" in page.text
    assert "explain 52.8 %, 16.5 %, 5.0 % of the variance" in page.text


def test_configuration_provenance_and_commands_are_there(run, page):
    for text in ("batch_size 64", "learning_rate 0.001", "noise_std 1.0", "jax 0.10.2"):
        assert text in page.text
    for step in ("evaluate", "dynamics", "report"):
        assert f"hmmrnn {step} --run={run}" in page.text
    assert "hmmrnn train --preset=linear3" in page.text


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("fidelity.json", "hmmrnn evaluate"),
        ("dynamics.json", "hmmrnn dynamics"),
        ("history.npz", "hmmrnn train"),
        ("figures/training.svg", "hmmrnn report"),
        ("figures/ngrams.svg", "hmmrnn evaluate"),
        ("figures/trajectories.svg", "hmmrnn dynamics"),
        ("figures/flow.svg", "hmmrnn dynamics"),
        ("figures/flow_1_2.svg", "hmmrnn dynamics"),
        ("figures/networks.svg", "hmmrnn dynamics"),
    ],
)
def test_a_missing_part_is_a_gap_with_the_command_that_fills_it(copy, missing, command):
    (copy / missing).unlink()
    gaps = re.findall(r'<div class="gap">(.*?)</div>', build_report(copy).read_text(), re.DOTALL)
    assert gaps
    assert all(command in gap for gap in gaps)


def test_a_run_that_has_just_begun_gives_a_report(copy):
    for path in copy.rglob("*"):
        if path.is_file() and path.name != "config.json":
            path.unlink()
    page = rebuilt(copy)
    assert "Fidelity is not measured yet; its dynamics are not measured yet." in page.text
    assert "There is no manifest.json" in page.text


@pytest.mark.parametrize(
    "name", ["config.json", "manifest.json", "fidelity.json", "dynamics.json", "history.npz"]
)
def test_a_damaged_file_is_named(copy, name):
    damaged = (copy / name).read_bytes()[:-20]
    (copy / name).write_bytes(damaged)
    with pytest.raises(InputError, match=name):
        build_report(copy)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("fidelity.json", "kl", None),
        ("fidelity.json", "kl", {}),
        ("fidelity.json", "volatility", {"network": 1}),
        ("fidelity.json", "n_steps", "many"),
        ("fidelity.json", "dwell", []),
        ("dynamics.json", "end", {}),
        ("dynamics.json", "rotation", {"value": "1", "low": 0, "high": 2}),
        ("dynamics.json", "plane", 3),
    ],
)
def test_a_file_of_another_form_is_named(copy, name, field, value):
    fields = json.loads((copy / name).read_text())
    (copy / name).write_text(json.dumps({**fields, field: value}))
    with pytest.raises(InputError, match=f"{name}.*measure again"):
        build_report(copy)
    (copy / name).write_text("[1, 2]")
    with pytest.raises(InputError, match=name):
        build_report(copy)


def test_no_run_and_no_room_are_said(tmp_path, copy):
    with pytest.raises(InputError, match="no such folder"):
        build_report(tmp_path / "nowhere")
    (copy / "report.html").mkdir()
    (copy / "report.html" / "x").touch()
    with pytest.raises(StorageError, match=r"report\.html"):
        build_report(copy)


HOSTILE = '<script>alert("1")</script><img src="//x.org/a">'


def test_text_from_files_is_escaped(tmp_path, smoke):
    folder = tmp_path / '"><script>x'
    manifest = {**MANIFEST, "device": HOSTILE, "versions": {HOSTILE: HOSTILE}, "commit": HOSTILE}
    page = rebuilt(fill(folder, smoke, manifest=manifest))
    assert not page.all("script")
    assert not page.all("img")
    assert page.text.count(HOSTILE) == 4
    assert f"'--run={folder}'" in page.text


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"/>',
        '<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="http://x.org/a#b"/>',
        '<path style="fill: url(//x.org/a)"/>',
        "<foreignObject/>",
        "<!-- --!><script>alert(1)</script> -->",
        "<g>",
    ],
)
def test_a_figure_that_is_more_than_a_drawing_is_refused(copy, inside):
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
    (copy / "figures" / "dwell.svg").write_text(svg)
    with pytest.raises(InputError, match=r"dwell\.svg"):
        build_report(copy)


def warnings_of(folder):
    found = re.findall(
        r'<div class="warning".*?>(.*?)</div>', build_report(folder).read_text(), re.DOTALL
    )
    return " ".join(found)


@pytest.mark.parametrize(
    ("errors", "due"),
    [
        ([0.3, 0.5, 1.7, 0.9], True),
        ([0.3, 0.9, 0.95, 0.99], False),
        ([1.7, 1.2, 1.1, 0.9], False),
        ([np.nan] * 4, False),
        ([0.3, np.nan, 1.7, 0.9], True),
        ([np.nan, 0.3, 1.7, 0.9], True),
    ],
)
def test_a_growing_marginal_error_is_warned_of(tmp_path, smoke, errors, due):
    folder = fill(tmp_path / "run", smoke, marginal_error=np.array(errors, np.float32))
    text = warnings_of(folder)
    first = int(np.argmax(np.isfinite(errors))) + 1
    assert (f"0.300 in epoch {first} to 1.70 in epoch 3" in text) == due
    assert bool(text) == due


@pytest.mark.parametrize(("tolerance", "due"), [(0.0, False), (0.05, True), (0.2, False)])
def test_a_tolerance_that_was_not_reached_is_warned_of(tmp_path, smoke, tolerance, due):
    config = smoke.replace(loss={"tolerance": tolerance})
    folder = fill(tmp_path / "run", config, marginal_error=np.array([0.04, 0.15, 0.1, 0.05]))
    found = warnings_of(folder)
    assert ("marginal error of 0.05 but were given up at 0.150 in epoch 2" in found) == due
    assert bool(found) == due


def test_a_run_without_transport_names_its_loss_and_warns_of_nothing(tmp_path, smoke):
    config = smoke.replace(loss={"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (2, 4)})
    nothing = np.full(4, np.nan, np.float32)
    folder = fill(tmp_path / "run", config, marginal_error=nothing, drawn=True)
    page = rebuilt(folder)
    assert "2, 4-gram law loss" in page.text
    assert "2, 4-gram law" in (folder / "figures" / "training.svg").read_text()
    assert "--loss.ngram_orders=2,4" in page.text
    assert "(2, 4)" not in page.text
    assert "or below it, because" in page.text
    assert not warnings_of(folder)
    assert "Sinkhorn" not in page.text
    assert not re.search(r"\bnan\b", page.text)


def test_bad_steps_and_an_unfinished_training_are_warned_of(tmp_path, smoke):
    folder = fill(
        tmp_path / "run",
        smoke,
        bad_steps=np.array([0, 2, 5, 0]),
        manifest={**MANIFEST, "status": "interrupted"},
    )
    text = warnings_of(folder)
    assert "7 optimiser steps were skipped" in text
    assert "epoch 2" in text
    assert "interrupted" in text


def test_a_silent_network_gives_a_report(tmp_path, smoke):
    page = rebuilt(
        fill(
            tmp_path / "run",
            smoke,
            faithful=silent(fidelity()),
            moving=still(portrait()),
            analysed=silent_analysis(),
        )
    )
    assert "It never switches: one symbol is preferred" in page.text
    assert "undefined: no transitions" in page.text
    assert "there is no complete run of the symbol" in page.text
    assert "0 of 7 starts settle in 0 states" in page.text
    assert not re.search(r"\b(nan|None|inf)\b", page.text.partition("How it was made")[0])


def test_impossible_sequences_are_told(tmp_path, smoke):
    record = fidelity()
    record = record._replace(impossible_share=0.0213, impossible_sequences=0.31)
    page = rebuilt(fill(tmp_path / "run", smoke, faithful=record))
    assert "2.13 % of its 3-grams are impossible in the HMM; Its 3-grams lie" in page.text
    assert "2.1 % of the generated 3-grams and 31.0 % of the sequences are impossible" in page.text


def test_nothing_possible_is_told(tmp_path, smoke):
    record = fidelity()
    nothing = compared(np.nan, 0.0)
    record = record._replace(
        kl={n: nothing for n in record.kl},
        excess_surprise=nothing,
        impossible_share=1.0,
        impossible_sequences=1.0,
    )
    page = rebuilt(fill(tmp_path / "run", smoke, faithful=record))
    assert page.text.count("undefined: it generates nothing that the HMM can") == 2


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({}, True),
        ({"activation": "tanh"}, False),
        ({"bias": True}, False),
        ({"initial_state": "random"}, False),
    ],
)
def test_homogeneity_is_told_of_where_it_holds(tmp_path, smoke, options, due):
    config = replace(smoke, net=replace(smoke.net, **options))
    page = rebuilt(fill(tmp_path / "run", config))
    assert ("scaling the noise scales the states exactly" in page.text) == due


def test_an_hmm_of_ones_own_is_named_custom_and_given_as_a_file(tmp_path, smoke):
    own = hmm.HMM([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    html = build_report(fill(tmp_path / "run", replace(smoke, target=own))).read_text()
    page = Page(html)
    assert "Custom HMM" in page.text
    assert "--hmm=hmm.json" in page.text
    given = next(w for w in page.words if w.startswith('{"'))
    assert hmm.HMM.from_dict(json.loads(given)) == own
