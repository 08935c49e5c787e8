"""The whole survey on networks whose mechanism was planted: what it finds and what it says."""

import json
import re
from dataclasses import dataclass
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from claims.synthetic import network as claims_network
from report.run import Page, fill

import hmmrnn.cli.circuits
from hmmrnn import InputError
from hmmrnn.circuits import Sizes, survey
from hmmrnn.circuits.windows import WIDTH
from hmmrnn.claims.judging import CLAIMS
from hmmrnn.figures.catalogue import CIRCUITS
from hmmrnn.hmm import HMM
from hmmrnn.nets import Network
from hmmrnn.report import account, build_report
from hmmrnn.results import fields
from hmmrnn.storage import plain, read_results
from hmmrnn.tasks.kick_circuit import PAIRS, barrier_network, kick_network

SIZES = Sizes(24, 300)
WHOLE = [drawing.name for drawing in CIRCUITS if not drawing.each]
OF_PAIRS = [drawing.name for drawing in CIRCUITS if drawing.each]


@pytest.fixture(scope="module")
def kicked():
    planted = kick_network(jax.random.key(0), n_distractors=60)
    return planted, survey(planted, None, jax.random.key(1), SIZES)


@pytest.fixture(scope="module")
def barrier():
    """As many units as `kicked` has, so that the same programs run."""
    planted = barrier_network(jax.random.key(11), n_distractors=82)
    return planted, survey(planted, None, jax.random.key(1), SIZES)


def opposite(pair):
    return pair[::-1]


def name(pair):
    return "{}>{}".format(*pair)


def part(found, wanted):
    """Ratio of all changes under one of the parts."""
    at = found.ablations.names.index(wanted)
    return list(found.ablations.outcome.per_step_ratio[at].parts)


def in_window(windows, group, start):
    """Share of changes that silence of a group prevents in one window."""
    return windows.effects.prevented[windows.names.index(group)][
        windows.effects.windows.index(start)
    ]


def test_the_planted_circuit_is_found_and_the_account_holds(kicked):
    planted, found = kicked
    assert found.verdict == "holds"
    assert (
        set(found.criteria) == set(found.pair_tests) == set(found.state_transitions) == set(PAIRS)
    )
    assert all(all(judged) for judged in found.criteria.values())
    for circuit in found.circuit.pairs:
        end = "{}{}".format(*circuit.pair)
        np.testing.assert_array_equal(circuit.kick.kick, planted.groups[f"kick {end}"])
        integrating = planted.groups[f"population {end}"]
        assert (circuit.population.members & integrating).sum() == integrating.sum()


@pytest.mark.parametrize("pair", PAIRS)
def test_rows_say_what_the_proofs_say(kicked, pair):
    _, found = kicked
    row = {row.pair: row for row in found.rows}[pair]
    silence = found.pair_tests[pair].dose_responses["silence"].outcome
    zero = list(found.pair_tests[pair].dose_responses["silence"].doses).index(0)
    assert row.n_kick == 3
    assert row.holds is True
    assert row.kick.own.value == silence.ratio.value[(zero, *pair)]
    assert row.kick.back.value == silence.hazard_ratio.value[(zero, *opposite(pair))]
    assert row.baseline_rate.value == found.baseline.rate.value[(0, *pair)]
    assert row.kick.own.high < 0.1
    assert row.noise.own.high < 0.1
    assert row.kick.control.value > 0.8
    assert row.kick.back.value > 0.8


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pulse_into_the_kick_group_triggers_its_own_change(kicked, pair):
    """A dose of 1 is what the group gives in real changes."""
    names, effects = kicked[1].pair_tests[pair].pulses
    at = effects.doses.index(1.0)
    effect = {name: effects.effect[i][at] for i, name in enumerate(names)}
    own, other = effect[f"kick {name(pair)}"], effect[f"kick {name(opposite(pair))}"]
    assert own.low > 0.3
    assert own.low > other.high
    controls = [x.value for group, x in effect.items() if group.startswith("control")]
    assert len(controls) == 20
    assert max(controls) < own.low / 2
    assert effects.over_controls[0][at].low > 0.3


@pytest.mark.parametrize("pair", PAIRS)
def test_kick_neurons_are_needed_just_before_the_change_and_not_long_before(kicked, pair):
    windows = kicked[1].pair_tests[pair].windows
    group = f"kick {name(pair)}"
    early = [w for w in windows.effects.windows if w + WIDTH <= 0]
    long_before = [in_window(windows, group, w).value for w in early if w <= -10]
    assert len(long_before) > 2
    assert np.abs(long_before).max() < 0.1
    last = in_window(windows, group, max(w for w in early if w % 2 == 0))
    assert last.low > 0.05
    before = max(w for w in windows.effects.windows if w < 0)  # whose last step is the onset's
    assert in_window(windows, group, before).value > max(0.25, *long_before)
    for control in (x for x in windows.names if x.startswith("control")):
        assert abs(in_window(windows, control, before).value) < 0.1


def test_without_kick_neurons_nothing_switches_and_they_with_carriers_suffice(kicked):
    _, found = kicked
    assert part(found, "kick neurons silent") == [0, 0, 0]
    assert part(found, "no noise into populations") == [0, 0, 0]
    assert part(found, "no noise into all others")[1] > 0.75
    assert part(found, "all but circuit and carriers silent")[1] > 0.75
    n_units = dict(zip(found.ablations.names, found.ablations.n_units, strict=True))
    assert n_units["kick neurons silent"] == 6
    assert n_units["carriers silent"] == 8
    assert (
        0 < n_units["all but circuit and carriers silent"] < n_units["all but circuit silent"] + 1
    )


@pytest.mark.parametrize("pair", PAIRS)
def test_the_noise_of_changes_works_through_the_population(kicked, pair):
    names, elsewhere, own = kicked[1].pair_tests[pair].replays
    assert names[:4] == ("nobody", "all units", f"population {name(pair)}", "all others")
    nobody, everyone, alone, others = elsewhere.on_time[:4]
    assert everyone.low > alone.value > others.high
    assert alone.low > nobody.high
    assert own.on_time[1].value == 1  # the same noise from the same state


@pytest.mark.parametrize("pair", PAIRS)
def test_the_population_is_slower_than_the_kick_neurons(kicked, pair):
    proof = kicked[1].pair_tests[pair]
    assert proof.time_scales.ratio.low > 1
    assert np.isfinite([scale.parts for scale in proof.time_scales]).all()
    assert 0 < proof.resonance.best_gain <= 3
    assert np.isfinite(proof.resonance.dip.parts).all()
    assert kicked[1].everywhere.n_units == kicked[0].cell.hidden_size
    assert not kicked[1].everywhere.identity  # there are biases


@pytest.mark.parametrize("which", ["kicked", pytest.param("barrier", marks=pytest.mark.slow)])
def test_the_account_speaks_of_every_pair(which, request):
    _, found = request.getfixturevalue(which)
    told = account(found)
    for pair in PAIRS:
        assert sum(sentence.pair == pair for sentence in told) > 4
    whole = "\n".join(map(str, told))
    assert not re.search(r"\b(nan|inf|None|unknown)\b", whole)
    assert ("account holds:" in told[0].text) == (which == "kicked")
    assert ("No kick neuron" in whole) == (which == "barrier")


@pytest.mark.parametrize("which", ["kicked", pytest.param("barrier", marks=pytest.mark.slow)])
def test_figures_and_numbers_are_those_that_the_report_has_places_for(
    which, request, tmp_path, smoke, monkeypatch
):
    """The door draws what was found, here without looking for it again."""
    planted, found = request.getfixturevalue(which)
    folder = fill(tmp_path / "run", smoke)
    monkeypatch.setattr(hmmrnn.cli.circuits, "survey_many", lambda *_: [found])
    fit = trained(planted, HMM(np.full(2, 0.5), np.full((2, 2), 0.5), np.eye(2)))
    hmmrnn.cli.circuits.analyse(folder, fit, SIZES, 0)
    numbers = plain({**fields(found), "account": account(found)})
    assert read_results(folder / "circuits.json") == json.loads(json.dumps(numbers))
    ends = {f"_{s}_{t}" for s, t in PAIRS}
    of_pairs = OF_PAIRS if which == "kicked" else OF_PAIRS[-3:]
    drawn = {path.stem for path in (folder / "figures").glob("circuit_*.svg")}
    assert drawn == {*WHOLE, *(figure + end for figure in of_pairs for end in ends)}
    page = Page(build_report(folder).read_text())
    assert {a["id"] for a in page.all("figure")} >= drawn - {"circuit_shared"}
    for sentence in account(found):
        assert sentence.text in page.text


def test_tables_of_outcomes_are_written_in_columns_and_effects_by_place(kicked):
    fields, ends = plain(kicked[1]), {"value", "low", "high"}
    proof, switch = fields["pair_tests"][0], fields["state_transitions"][0]
    response, push = proof["dose_responses"]["kick"], switch["push"]["injection"]
    for table, shape in (
        (fields["baseline"]["rate"], (1, 2, 2)),
        (fields["noise_into_all_units"]["outcome"]["dwell_cv"], (13, 2)),
        (fields["ablations"]["outcome"]["per_step_ratio"], (11,)),
        (response["outcome"]["ratio"], (8, 2, 2)),
        (response["control"]["ratio"], (1, 2, 2)),
        (response["selectivity"]["hazard"], (8,)),
        (response["specificity"]["rate"], (1,)),
        (proof["resonance"]["outcome"]["pooled_cv"], (13,)),
        (switch["carriers"]["contribution"], (len(switch["carriers"]["d_prime"]),)),
    ):
        assert {name: np.shape(column) for name, column in table.items()} == dict.fromkeys(
            ends, shape
        )
    for place in (
        proof["windows"]["effects"]["prevented"][0][0],
        proof["pulses"]["effects"]["probability"][0][0],
        proof["replays"]["elsewhere"]["on_time"][0],
        proof["resonance"]["dip"],
        switch["windows"]["effects"]["swing_lost"][2][0],
        push["optimal"]["probability"][0],
        push["through"][0]["steps"][0],
        fields["rows"][0]["kick"]["own"],
    ):
        assert set(place) == ends


def test_claims_about_the_circuit_hold_where_it_is_planted(kicked):
    _, found = kicked
    evidence = claims_network()._replace(circuits=json.loads(json.dumps(plain(found))))
    verdicts = {claim.name: claim.find(evidence) for claim in CLAIMS}
    for name in ("C7", "C8a", "C9", "C13"):
        assert verdicts[name].holds is True, name
    assert verdicts["C8b"].by_construction
    assert not verdicts["C12a"].by_construction  # it has biases
    for name in ("C8c", "C12a", "C12b"):
        assert np.isfinite(verdicts[name].value), name
    assert verdicts["C8c"].holds is not False


@dataclass(frozen=True, eq=False)
class Trained(Network):
    """What the door needs of a fit."""

    config: SimpleNamespace


def trained(planted, hmm):
    config = SimpleNamespace(target=hmm, data=SimpleNamespace(n_steps=300))
    return Trained(planted.params, planted.noise_std, planted.cell, config)


@pytest.mark.slow
def test_a_network_without_kick_neurons_is_told_apart(barrier):
    _, found = barrier
    assert found.verdict == "does not hold"
    assert not found.pair_tests
    for circuit in found.circuit.pairs:
        assert not circuit.kick.kick.any()
        assert circuit.kick.problem
    assert all(row.holds is False for row in found.rows)
    assert all(np.isnan(row.kick.own.value) for row in found.rows)
    assert part(found, "kick neurons silent") == [1, 1, 1]  # nobody is


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
def test_of_a_barrier_the_state_units_carry_and_are_pushed(barrier, pair):
    planted, found = barrier
    switch = found.state_transitions[pair]
    for mask, symbol in zip((switch.carriers.in_s, switch.carriers.in_t), pair, strict=True):
        np.testing.assert_array_equal(mask, planted.groups[f"state {symbol}"])
    assert switch.push.groups.names == ("carriers of s", "carriers of t", "pushers")
    assert switch.push.gain[:2].sum() > 0.9
    assert abs(switch.push.gain[2]) < 0.1
    carriers, pushers = (
        in_window(switch.windows, group, -2) for group in ("carriers of t", "pushers")
    )
    assert carriers.low > 0.1
    assert carriers.low > pushers.high


@pytest.mark.parametrize("pair", PAIRS)
def test_of_kicks_others_than_the_carriers_are_pushed(kicked, pair):
    planted, found = kicked
    switch = found.state_transitions[pair]
    for mask, symbol in zip((switch.carriers.in_s, switch.carriers.in_t), pair, strict=True):
        np.testing.assert_array_equal(mask, planted.groups[f"state {symbol}"])
    assert switch.push.gain[2] > 0.5
    assert np.abs(switch.push.gain[:2]).max() < 0.1


@pytest.mark.parametrize("sizes", [Sizes(3, 300), Sizes(24, 99)])
def test_sizes_that_are_too_small_are_named(sizes):
    planted = barrier_network(jax.random.key(0), n_distractors=4)
    with pytest.raises(InputError, match=f"n_runs={sizes.n_runs}, n_steps={sizes.n_steps}: "):
        survey(planted, None, jax.random.key(1), sizes)
