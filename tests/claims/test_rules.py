"""Every rule with a case that passes, one that fails, and one that cannot be judged."""

import numpy as np
import pytest

from claims.synthetic import estimate, fidelity, network, row, spoiled
from hmmrnn.claims.judging import CLAIMS
from hmmrnn.claims.motion import ENOUGH_SNAPSHOTS, turns
from hmmrnn.claims.rule import judge, mean_over_networks, wilson
from hmmrnn.dynamics.change_points import change_point
from hmmrnn.fidelity.learned import mutual_information
from hmmrnn.hmm import preset, symbol_law, symbol_transitions

BY_NAME = {claim.name: claim for claim in CLAIMS}
GOOD = network()
BY_CONSTRUCTION = {"C8b"}

PAIR = {"n_forth": 50, "n_back": 50, "kind": "double well", "rotation": estimate(0.05)}

FAILING = {
    "C1": [
        ("fidelity", "kl", "6", "network", estimate(0.02)),
        ("fidelity", "volatility", "network", estimate(0.2)),
    ],
    "C2": [
        ("dynamics", "fixed_points", "attracted", [estimate(0.9), estimate(0.1)]),
        ("dynamics", "fixed_points", "stable", [False]),
        ("dynamics", "fixed_points", "attracted", []),
    ],
    "C3": [
        ("dynamics", "regime", "kind", "double well"),
        ("dynamics", "surrogates", "phase_shuffled", "p_value", 0.3),
        ("dynamics", "pairs", [PAIR, {**PAIR, "kind": "orbit", "n_forth": 10}]),
    ],
    "C4": [
        ("dynamics", "noise_levels", "r_squared", estimate(0.8)),
        ("dynamics", "noise_levels", "slope", estimate(-2.0)),
    ],
    "C5": [
        ("dynamics", "zones", "kick-zone", "share", estimate(0.005, 0.001)),
        ("dynamics", "zones", "transition", "share", estimate(0.02, 0.03)),
        ("dynamics", "zones", "cluster", "share", estimate(0.3)),
    ],
    "C6a": [("dynamics", "emission_by_phase", "explained", estimate(0.4))],
    "C6b": [("dynamics", "readout", "share_in_plane", [0.9, 0.4, 0.9])],
    "C7": [
        ("circuits", "rows", [row([0, 2], found=False), row([2, 0])]),
        ("circuits", "rows", [{**row([0, 2]), "n_kick": 60}, row([2, 0])]),
    ],
    "C8a": [
        ("circuits", "blocks", "mean", [[0.02, 0.0], [-0.02, 0.02]]),
        ("circuits", "blocks", "mean", [[0.0, -0.02], [-0.02, 0.02]]),
    ],
    "C8c": [("circuits", "rows", [row([0, 2]), {**row([2, 0]), "agreement": estimate(-0.2)}])],
    "C9": [
        ("circuits", "rows", [row([0, 2], kick=False), row([2, 0])]),
        ("circuits", "rows", [row([0, 2]), row([2, 0], noise=False)]),
        ("circuits", "rows", [row([0, 2], controls=False), row([2, 0], controls=None)]),
    ],
    "C10": [
        ("dynamics", "noise_sensitivity", "transition", "covariance_trace_1", estimate(4, 0.2))
    ],
    "C11": [
        ("dynamics", "development", "descent", "onset", None),
        ("dynamics", "development", "bifurcation", "p_value", 0.2),
        ("dynamics", "development", "descent", "onset", 100.0),
        ("dynamics", "development", "median_mean_shift", [0.1, 0.1, 0.01, 0.01]),
    ],
    "C12a": [
        (
            *("circuits", "noise_into_all_units", "outcome", "per_step_ratio", "value"),
            [0, 0.7, 1, 1, 1],
        )
    ],
    "C12b": [
        (
            *("circuits", "pair_tests"),
            [{"resonance": {"identity": False, "n_units": 9, "dip": estimate(0.01, 0.02)}}] * 2,
        )
    ],
    "C13": [("circuits", "verdict", "in part"), ("circuits", "verdict", "does not hold")],
}

UNDEFINED = {"value": None, "low": None, "high": None}

UNKNOWN = {
    "C3": [("dynamics", "rotation", estimate(np.nan))],
    "C6a": [
        ("dynamics", "emission_by_phase", "explained", estimate(0.5)),
        ("dynamics", "emission_by_phase", "explained", None),
    ],
    "C6b": [("dynamics", "readout", "share_in_plane", [0.9, None, 0.9])],
    "C7": [("circuits", "rows", []), ("circuits", "rows", [row([0, 2], found=None)])],
    "C8a": [("circuits", "blocks", "names", ["population 0>2", "kick 0>2"])],
    "C8c": [
        ("circuits", "rows", [row([0, 2]), {**row([2, 0]), "agreement": estimate(0.0)}]),
        ("circuits", "rows", [{**row([2, 0]), "n_population": 0}]),
        ("circuits", "rows", [{**row([2, 0]), "agreement": UNDEFINED}]),
    ],
    "C9": [
        ("circuits", "rows", [{**row([0, 2]), "n_kick": 0}]),
        ("circuits", "rows", [row([0, 2], kick=None), row([2, 0])]),
        ("circuits", "rows", [{**row([0, 2], kick=None), "kick": {"own": UNDEFINED}}]),
    ],
    "C10": [
        ("dynamics", "noise_sensitivity", "transition", "covariance_trace_1", estimate(1.9, 0.5)),
        ("dynamics", "noise_sensitivity", "transition", "covariance_trace_1", None),
    ],
    "C11": [
        ("dynamics", "development", "bifurcation", "n_valid", 7),
        ("dynamics", "development", None),
    ],
    "C12a": [
        (
            *("circuits", "noise_into_all_units", "outcome", "per_step_ratio", "value"),
            [None, None, 1, 1, 1],
        )
    ],
    "C12b": [
        ("circuits", "pair_tests", []),
        (
            *("circuits", "pair_tests"),
            [{"resonance": {"identity": False, "n_units": 0, "dip": estimate(0.0, 0.0)}}],
        ),
    ],
    "C13": [("circuits", "verdict", "undecided")],
}


def cases(of):
    return [
        pytest.param(name, change, id=f"{name}-{i}")
        for name, changes in of.items()
        for i, change in enumerate(changes)
    ]


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in BY_CONSTRUCTION])
def test_a_claim_holds_where_everything_speaks_for_it(name):
    claim = BY_NAME[name]
    found = claim.find(GOOD)
    assert (found.holds, found.by_construction) == (True, False)
    assert np.isfinite(found.value)
    verdict = judge(claim, [network(seed=seed) for seed in range(5)], "linear2", "reference")
    assert (verdict.verdict, verdict.n_holding) == ("supported", 5)


@pytest.mark.parametrize(("name", "change"), cases(FAILING))
def test_a_claim_fails_where_one_number_speaks_against_it(name, change):
    measures, *path, value = change
    bad = spoiled(GOOD, measures, *path, value=value)
    assert BY_NAME[name].find(bad).holds is False
    verdict = judge(BY_NAME[name], [bad] * 5, "linear2", "reference")
    assert (verdict.verdict, verdict.n_holding) == ("not supported", 0)


@pytest.mark.parametrize(("name", "change"), cases(UNKNOWN))
def test_a_claim_is_not_judged_where_the_numbers_do_not_decide(name, change):
    measures, *path, value = change
    unknown = spoiled(GOOD, measures, *path, value=value)
    assert BY_NAME[name].find(unknown).holds is None
    verdict = judge(BY_NAME[name], [unknown] * 5, "linear2", "reference")
    assert (verdict.verdict, verdict.n_judged) == ("undecided", 0)


def test_every_rule_is_tried_both_ways():
    assert set(FAILING) | BY_CONSTRUCTION == set(BY_NAME)
    assert all(claim.rule_text for claim in CLAIMS)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_without_measures_nothing_is_judged(name):
    bare = GOOD._replace(fidelity={}, dynamics={}, circuits={})
    assert BY_NAME[name].find(bare).holds is None
    only_learned = GOOD._replace(dynamics={}, circuits={})
    assert BY_NAME[name].find(only_learned).holds is (True if name == "C1" else None)


@pytest.mark.parametrize(("n", "enough"), [(7, False), (ENOUGH_SNAPSHOTS, True)])
def test_so_many_snapshots_tell_a_rise_anywhere_but_at_the_ends(n, enough):
    def p_value(place):
        values = (np.arange(n) >= place).astype(float)
        draws, rng = np.tile(values, (20, 1)), np.random.default_rng(0)
        return change_point(10 * np.arange(n), values, draws, rng, rises_only=True).p_value

    assert all(p_value(place) < 0.05 for place in range(2, n - 1)) is enough


def test_a_change_point_at_the_first_epoch_is_one():
    early = {"epoch": 60.0, "low": 0.0, "high": 90.0, "p_value": 0.001, "n_valid": 12}
    course = {**GOOD.dynamics["development"], "bifurcation": early, "descent": {"onset": 30.0}}
    assert BY_NAME["C11"].find(spoiled(GOOD, "dynamics", "development", value=course)).holds is True


def test_a_network_that_diverges_is_not_taken_for_one_that_was_not_measured():
    diverging = GOOD._replace(dynamics={}, problems={"dynamics": "states are not finite"})
    found = judge(BY_NAME["C3"], [diverging, GOOD._replace(dynamics={})], "linear2", "reference")
    assert "1 not judged: it diverges in long runs" in found.sentence
    assert "1 not judged: no dynamics.json" in found.sentence


def test_what_could_not_be_otherwise_is_no_finding():
    homogeneous = spoiled(GOOD, "dynamics", "noise_levels", "by_construction", value=True)
    verdict = judge(BY_NAME["C4"], [homogeneous] * 5, "linear2", "reference")
    assert (verdict.verdict, verdict.n_judged) == ("true by construction", 0)
    identity = spoiled(GOOD, "circuits", "noise_into_all_units", "identity", value=True)
    assert BY_NAME["C12a"].find(identity).by_construction
    assert judge(BY_NAME["C8b"], [GOOD], "linear2", "reference").verdict == "true by construction"
    mixed = judge(BY_NAME["C4"], [homogeneous, *[GOOD] * 5], "linear2", "reference")
    assert (mixed.verdict, mixed.n_judged) == ("supported", 5)


def test_networks_that_learned_nothing_say_nothing_about_mechanisms():
    hmm = preset("linear2")
    law, rows = np.asarray(symbol_law(hmm, 100)), np.asarray(symbol_transitions(hmm, 100))
    exact = sum(
        law[i] * rows[i, j] * np.log(rows[i, j] / law[j])
        for i in range(3)
        for j in range(3)
        if rows[i, j] > 0
    )
    assert mutual_information(fidelity()) == pytest.approx(exact, rel=0.02)
    plateau = spoiled(GOOD, "fidelity", "kl", "2", "network", value=estimate(0.9 * exact))
    assert plateau.learned is False
    assert BY_NAME["C3"].find(plateau).holds is None
    assert BY_NAME["C1"].find(plateau).holds is not None
    almost = spoiled(GOOD, "fidelity", "kl", "2", "network", value=estimate(0.4 * exact))
    assert almost.learned is True


def test_turns_of_several_pairs_are_weighted_by_their_changes():
    pairs = [{**PAIR, "rotation": estimate(0.9)}, {**PAIR, "n_forth": 250, "n_back": 250}]
    several = spoiled(GOOD, "dynamics", "pairs", value=pairs)
    assert turns(several) == pytest.approx((100 * 0.9 + 500 * 0.05) / 600)
    assert turns(GOOD) == pytest.approx(0.98)


def test_four_of_five_networks_do_not_decide_and_eight_of_nine_do():
    bad = spoiled(GOOD, "dynamics", "regime", "kind", value="double well")
    assert judge(BY_NAME["C3"], [GOOD] * 4 + [bad], "linear2", "reference").verdict == "undecided"
    assert judge(BY_NAME["C3"], [GOOD] * 8 + [bad], "linear2", "reference").verdict == "supported"


def test_wilsons_interval_is_the_closed_form():
    for k, n in ((0, 5), (3, 7), (5, 5)):
        z, p = 1.959963984540054, k / n
        middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        assert wilson(k, n).parts[1:] == pytest.approx((middle - half, middle + half), abs=1e-9)
    assert np.isnan(wilson(0, 0).value)


def test_means_over_networks_leave_out_what_is_unknown():
    found = mean_over_networks([1.0, np.nan, 3.0, 2.0])
    assert found.value == 2.0
    assert 1.0 <= found.low < 2.0 < found.high <= 3.0
    assert np.isnan(mean_over_networks([1.0]).low)
    assert np.isnan(mean_over_networks([np.nan]).value)
