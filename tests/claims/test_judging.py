"""The ledger as a whole: claims that compare networks, the hypothesis, and what is written."""

import json

import numpy as np
import pytest
from scipy import stats

from claims.synthetic import estimate, network, spoiled
from hmmrnn import TrainConfig, zoo
from hmmrnn.claims import ledger
from hmmrnn.claims.evidence import read_evidence
from hmmrnn.claims.hypothesis import ALIKE, AS_TRAINED, judge_hypothesis, turning
from hmmrnn.claims.judging import CLAIMS, over_presets
from hmmrnn.claims.sizes import COMPARISONS, compare_sizes
from hmmrnn.hmm import PRESETS, preset
from hmmrnn.storage import plain
from hmmrnn.sweep.grid import read_grid

SIZES = {
    "C14a": ({"net": {"noise_dim": 10}}, {}),
    "C14b": ({}, {"net": {"hidden_size": 200}}),
    "C14c": ({"train": {"clip_norm": 10.0}}, {}),
}


def fitting(kl, **sections):
    """Networks with KLs around a value."""
    return [
        spoiled(network(seed=s, **sections), "fidelity", "kl", "6", "network", value=estimate(x))
        for s, x in enumerate((0.9 * kl, kl, 1.1 * kl))
    ]


@pytest.mark.parametrize("comparison", COMPARISONS, ids=[c.name for c in COMPARISONS])
@pytest.mark.parametrize(
    ("factor", "differs"), [(5.0, True), (1.5, None), (1.0, False), (0.2, False)]
)
def test_sizes_are_judged_by_the_ratio_of_their_kl(comparison, factor, differs):
    worse, better = SIZES[comparison.name]
    networks = fitting(0.002 * factor, **worse) + fitting(0.002, **better)
    found = compare_sizes(comparison, networks, "linear2", "reference")
    assert found.value.value == pytest.approx(factor, rel=1e-6)
    expected = (
        "undecided"
        if differs is None
        else ("supported" if differs == comparison.differs else "not supported")
    )
    assert found.verdict == expected
    assert found.n_networks == 6
    assert "3 networks with" in found.sentence


def test_the_interval_of_the_ratio_is_welchs():
    networks = fitting(0.02, net={"noise_dim": 10}) + fitting(0.002) + fitting(0.002)
    logs = np.log10([0.9, 1.0, 1.1])
    ours, theirs = logs + np.log10(0.02), np.tile(logs, 2) + np.log10(0.002)
    parts = [side.var(ddof=1) / len(side) for side in (ours, theirs)]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 5)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    found = compare_sizes(COMPARISONS[0], networks, "linear2", "reference").value
    assert (found.low, found.high) == pytest.approx((10 ** (1 - half), 10 ** (1 + half)))


def test_sizes_say_nothing_where_neither_side_learned():
    def plateau(networks):
        return [
            spoiled(one, "fidelity", "kl", "2", "network", value=estimate(0.9)) for one in networks
        ]

    worse, better = fitting(0.02, net={"noise_dim": 10}), fitting(0.002)
    nothing = compare_sizes(
        COMPARISONS[0], plateau(worse) + plateau(better), "linear2", "reference"
    )
    assert (nothing.verdict, nothing.n_judged) == ("undecided", 0)
    assert "neither side learned" in nothing.sentence
    one_side = compare_sizes(COMPARISONS[0], plateau(worse) + better, "linear2", "reference")
    assert one_side.verdict == "supported"
    assert "(0 learned the HMM)" in one_side.sentence


def test_sizes_need_networks_on_both_sides_that_are_alike_in_all_else():
    few = fitting(0.01, net={"noise_dim": 10})[:2] + fitting(0.001)
    others = fitting(0.01, net={"noise_dim": 10, "hidden_size": 50}) + fitting(0.001)
    shorter = fitting(0.01, net={"noise_dim": 10}) + fitting(0.001, data={"n_steps": 16})
    batches = fitting(0.01, net={"noise_dim": 10}, batch_size=512) + fitting(0.001)
    for networks in (few, others, shorter, batches, []):
        found = compare_sizes(COMPARISONS[0], networks, "linear2", "reference")
        assert found.verdict == "undecided"
        assert np.isnan(found.value.value)


def test_sizes_of_several_recipes_are_compared_within_the_one_with_most_networks():
    batches = (
        fitting(0.01, net={"noise_dim": 10}, batch_size=512) + fitting(0.1, batch_size=512)[:2]
    )
    alike = fitting(0.006, net={"noise_dim": 1}, train={"snapshot_every": 10}) + fitting(0.002)
    found = compare_sizes(COMPARISONS[0], batches + alike, "linear2", "reference")
    assert found.value.value == pytest.approx(3.0, rel=1e-6)
    assert found.n_networks == 6


def test_values_that_are_pooled_are_told_apart_in_words():
    few = fitting(0.02, net={"noise_dim": 1}) + fitting(0.004, net={"noise_dim": 10})
    found = compare_sizes(COMPARISONS[0], few + fitting(0.002), "linear2", "reference")
    assert found.sentence.endswith("that of the others (10.00 with 1, 2.00 with 10)")


def orbiting(loss, n, **options):
    return [network(seed=seed, loss=loss, **options) for seed in range(n)]


def still(loss, n, turns=0.02, **options):
    return [
        spoiled(
            spoiled(member, "dynamics", "regime", "kind", value="double well"),
            *("dynamics", "rotation"),
            value=estimate(turns),
        )
        for member in orbiting(loss, n, **options)
    ]


def over_all(networks, name=ALIKE):
    """The row of all presets."""
    *_, found = judge_hypothesis(networks, name)
    assert found.preset == "all"
    return found


@pytest.mark.parametrize(
    ("biased", "unbiased", "verdict"),
    [
        (orbiting("reference", 5), still("ngram", 5), "supported"),
        (orbiting("reference", 5), orbiting("ngram", 5), "not supported"),
        (still("reference", 5), still("ngram", 5), "not supported"),
        (orbiting("reference", 3), still("ngram", 5), "undecided"),
        (orbiting("reference", 5), still("ngram", 5, turns=0.5), "not supported"),
        (orbiting("reference", 5), [], "undecided"),
    ],
)
def test_the_hypothesis_needs_orbits_with_the_bias_and_none_without(biased, unbiased, verdict):
    found = over_all([*biased, *unbiased], AS_TRAINED)
    assert found.verdict == verdict
    assert found.n_judged == len(biased) + len(unbiased)
    alike = over_all([*biased, *unbiased])
    assert alike.verdict == verdict
    assert alike.n_judged == (found.n_judged if unbiased else 0)


def test_only_networks_that_differ_in_the_loss_alone_are_alike():
    biased = orbiting("reference", 5)
    others = [
        still("ngram", 5, data={"n_steps": 16}),
        still("ngram", 5, batch_size=512),
        still("ngram", 5, train={"epochs": 7}),
    ]
    for unbiased in others:
        assert over_all([*biased, *unbiased]).n_networks == 0
        assert over_all([*biased, *unbiased], AS_TRAINED).verdict == "supported"
    recorded = still("ngram", 5, train={"snapshot_every": 10})
    assert over_all([*biased, *recorded]).verdict == "supported"


def test_a_loss_that_is_neither_the_papers_nor_unbiased_does_not_count():
    mixed = still("ngram", 5, turns=0.6)
    mixed = [
        one._replace(config=one.config.replace(loss={"ngram_source": "symbols"})) for one in mixed
    ]
    found = over_all([*orbiting("reference", 5), *still("ngram", 5), *mixed], AS_TRAINED)
    assert (found.verdict, found.n_judged) == ("supported", 10)
    assert "5 are of a loss that is neither" in found.sentence


def test_networks_of_other_sizes_do_not_count_for_the_hypothesis():
    odd = still("reference", 5, net={"noise_dim": 1}) + still(
        "reference", 5, train={"clip_norm": 10.0}
    )
    found = over_all([*orbiting("reference", 5), *still("ngram", 5), *odd], AS_TRAINED)
    assert (found.verdict, found.n_networks) == ("supported", 10)


def test_one_preset_in_which_it_fails_is_enough():
    supported = [*orbiting("reference", 5), *still("ngram", 5)]
    elsewhere = [network("cyclic4", seed, loss) for seed in range(5) for loss in ("reference",)]
    turning_too = [network("cyclic4", seed, "ngram") for seed in range(5)]
    rows = judge_hypothesis([*supported, *elsewhere, *turning_too], ALIKE)
    assert [(row.preset, row.verdict) for row in rows] == [
        ("linear2", "supported"),
        ("cyclic4", "not supported"),
        ("all", "not supported"),
    ]


def test_networks_that_never_learned_do_not_speak_for_the_hypothesis():
    plateau = [
        spoiled(member, "fidelity", "kl", "2", "network", value=estimate(0.9))
        for member in still("reference", 5)
    ]
    diverging = still("ngram", 1)[0]._replace(dynamics={}, problems={"dynamics": "not finite"})
    never = spoiled(orbiting("ngram", 1)[0], "dynamics", "rotation", value=estimate(np.nan))
    found = over_all([*orbiting("reference", 5), *plateau, *still("ngram", 5), diverging, never])
    assert (found.verdict, found.n_judged, found.n_networks) == ("supported", 10, 17)
    assert "5 did not learn it; 1 diverge; 1 never change" in found.sentence


def test_the_page_of_the_hypothesis_has_a_line_for_each_network():
    line = turning(network(seed=3, loss="independent", batch_size=512))
    assert (line.loss, line.batch_size, line.seed, line.learned) == ("independent", 512, 3, True)
    assert (line.n_steps, line.diverges) == (100, False)
    assert (line.kl, line.turns) == pytest.approx((0.001, 0.98))
    assert (line.dwell_cv, line.hmm_dwell_cv) == pytest.approx((0.8, 0.97))
    assert line.preferred_cv == pytest.approx(0.7)


def test_one_motif_for_all_needs_every_preset():
    rows = [
        row
        for row in ledger([network(name, seed) for name in PRESETS for seed in range(5)]).rows
        if row.claim == "C13"
    ]
    assert [row.preset for row in rows] == [*PRESETS, "all"]
    assert {row.verdict for row in rows} == {"supported"}
    one_less = [row for row in rows[:-1] if row.preset != "cyclic4"]
    assert over_presets(one_less, rows[-1]).verdict == "undecided"
    spoilt = [*one_less, rows[5]._replace(verdict="not supported")]
    assert over_presets(spoilt, rows[-1]).verdict == "not supported"
    with_another = [*rows[:-1], rows[0]._replace(preset="custom", verdict="not supported")]
    assert over_presets(with_another, rows[-1]).verdict == "supported"


def test_a_network_that_is_given_twice_counts_once():
    five = [network(seed=seed) for seed in range(5)]
    twice = [one._replace(name=f"again-{one.seed}") for one in five]
    found = ledger([*five, *twice], [*twice, network(seed=7)])
    (row,) = [r for r in found.rows if (r.claim, r.preset) == ("C3", "linear2")]
    assert row.n_networks == 5
    assert len(found.turnings) == 6


def test_the_papers_recipe_stands_by_itself():
    paper = TrainConfig.profile("paper", hmm=preset("linear2"))
    theirs = network()._replace(config=paper.replace(train={"snapshot_every": 50}))
    assert (theirs.loss, theirs.biased) == ("paper", True)
    assert theirs._replace(config=paper.replace(train={"batch_size": 2048})).loss == "reference"
    found = ledger([theirs, *(network(seed=seed) for seed in range(5))])
    counts = {r.loss: r.n_networks for r in found.rows if (r.claim, r.preset) == ("C3", "linear2")}
    assert counts == {"paper": 1, "reference": 5}


def test_networks_of_the_papers_recipe_are_known_whatever_was_kept_of_them():
    """Those that are shipped, and those that are trained next."""
    shipped = [read_evidence(e.folder) for e in zoo.list() if e.loss == "paper"]
    planned = [network()._replace(config=entry.spec.config) for entry in read_grid("paper_seeds")]
    assert len(shipped) >= 4
    assert {one.loss for one in (*shipped, *planned)} == {"paper"}


def test_the_ledger_judges_every_claim_for_each_loss_and_preset():
    networks = [
        network(name, seed, loss)
        for name in ("linear2", "cyclic4")
        for seed in range(2)
        for loss in ("reference", "ngram")
    ]
    found = ledger(networks, orbiting("independent", 3, batch_size=512))
    for claim in CLAIMS:
        seen = [(row.loss, row.preset) for row in found.rows if row.claim == claim.name]
        assert seen == [
            (loss, name)
            for loss in ("reference", "ngram")
            for name in ("linear2", "cyclic4", "all")
        ]
    assert {row.claim for row in found.rows} >= {"C14a", "C14b", "C14c", "Ha", "Hb"}
    assert len(found.turnings) == 11
    written = json.loads(json.dumps(plain(found)))
    assert {claim["name"] for claim in written["claims"]} == {row.claim for row in found.rows}
    assert all(claim["rule"] for claim in written["claims"])
