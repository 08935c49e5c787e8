import jax
import networks
import numpy as np
import pytest

from hmmrnn import InputError
from hmmrnn.circuits.assays import assay, measure, measure_baseline
from hmmrnn.circuits.dose_responses import Group, dose_responses, scaled
from hmmrnn.circuits.outcomes import Outcomes, outcomes
from hmmrnn.recordings.recorder import record

KEY = jax.random.key(3)
N_STEPS = 200
DOSES = (0.0, 0.5, 1.0, 2.0)


def units(*chosen):
    return networks.units(*chosen, n=8)


NET = networks.switch()
GROUP = Group(kick=units(3), population=units(2))
CONTROLS = Group(kick=np.stack([units(6), units(7)]), population=np.stack([units(6), units(7)]))
NONE = Group(np.zeros((0, 8), bool), np.zeros((0, 8), bool))


@pytest.fixture(scope="module")
def setting():
    recording = record(NET, 16, N_STEPS, jax.random.key(1))
    return assay(NET, recording, None, KEY, n_runs=16, n_steps=N_STEPS, n_starts=40)


@pytest.fixture(scope="module")
def baseline(setting):
    return measure_baseline(setting)


@pytest.fixture(scope="module")
def found(setting, baseline):
    return dose_responses(
        setting, baseline, (0, 1), GROUP, CONTROLS, KEY, doses=DOSES, control_doses=(0.0, 2.0)
    )


def test_each_kind_turns_its_own_units():
    both = Group(kick=units(3, 6), population=units(2))
    expected = {
        "kick": ("recurrent_gain", (3, 6)),
        "noise": ("noise_gain", (2,)),
        "silence": ("state_gain", (3, 6)),
    }
    for kind, (field, chosen) in expected.items():
        gains = scaled(kind, both, DOSES)
        for g, dose in enumerate(DOSES):
            np.testing.assert_array_equal(
                getattr(gains, field)[g], np.where(units(*chosen), dose, 1)
            )
        for name in {"recurrent_gain", "noise_gain", "state_gain"} - {field}:
            np.testing.assert_array_equal(getattr(gains, name), np.ones((4, 8)))
        assert gains.state_offset is None
    together = scaled("both", both, DOSES)
    for kind, (field, _) in list(expected.items())[:2]:
        np.testing.assert_array_equal(
            getattr(together, field), getattr(scaled(kind, both, DOSES), field)
        )
    np.testing.assert_array_equal(together.state_gain, 1)


def test_dose_one_is_the_baseline_and_the_outcome_is_that_of_the_interventions(
    setting, baseline, found
):
    for kind, response in found.items():
        np.testing.assert_array_equal(response.outcome.ratio.low[2], [[np.nan, 1], [1, np.nan]])
        np.testing.assert_array_equal(
            response.outcome.hazard_ratio.high[2], [[np.nan, 1], [1, np.nan]]
        )
        for side in (*response.selectivity.rate.parts, *response.selectivity.hazard.parts):
            assert side[2] == 0
        direct = outcomes(setting, measure(setting, scaled(kind, GROUP, DOSES)), baseline, KEY)
        for name in ("rate", "ratio", "escape", "pooled_cv"):
            assert getattr(response.outcome, name) == getattr(direct, name)


@pytest.mark.parametrize("kind", ["kick", "noise", "silence", "both"])
def test_the_planted_units_stop_their_transition_alone(found, kind):
    """Kick unit 3 hears nothing but population 2, and both nothing but their noise.

    Of 40 cluster states at most one was on its way already, with a kick that noise had begun.
    """
    response = found[kind]
    hazard = response.outcome.hazard_ratio.value[:, 0, 1]
    begun = 1 / 40 if kind == "noise" else 0
    assert response.outcome.ratio.value[0, 0, 1] == 0
    assert response.outcome.escape.value[0, 0] <= begun
    assert hazard[0] <= begun
    assert response.outcome.hazard_ratio.high[0, 0, 1] <= 3 * begun
    # 1 - 0: the other transition is left alone
    assert response.selectivity.hazard.value[0] == pytest.approx(1, abs=0.1)
    assert response.selectivity.hazard.low[0] > 0.8
    assert response.selectivity.hazard.high[3] < 0  # turned up: 0 -> 1 is more frequent alone
    assert hazard[0] <= hazard[1] < 1 < hazard[3]
    if kind == "silence":  # a kick of half its strength, where the others stay below threshold
        assert hazard[1] > 0


def test_controls_that_do_nothing_leave_a_specificity_of_one(found):
    for response in found.values():
        assert response.n_controls == 2
        for side in (*response.control.ratio.parts, *response.control.hazard_ratio.parts):
            np.testing.assert_array_equal(side[:, 0, 1], 1)
        np.testing.assert_array_equal(response.control.n_valid, [16, 16])
        np.testing.assert_array_equal(response.control.n_valid_starts, [[40, 40], [40, 40]])
        for side in response.specificity.rate.parts:
            assert side[0] == pytest.approx(1)
        for side in response.specificity.hazard.parts:
            assert side[0] == pytest.approx(1, abs=3 / 40)
        gain = response.outcome.ratio.value[3, 0, 1]
        assert response.specificity.rate.value[1] == pytest.approx(1 - gain)


def test_controls_that_do_as_much_leave_a_specificity_of_zero(setting, baseline):
    """One control is the group itself, one does nothing: mean 1/2, range from 0 to 1."""
    same = Group(kick=np.stack([units(3), units(6)]), population=np.zeros((0, 8), bool))
    response = dose_responses(
        setting,
        baseline,
        (0, 1),
        GROUP,
        same,
        KEY,
        kinds=("silence",),
        doses=(0.0, 1.0),
        control_doses=(0.0,),
    )["silence"]
    value, low, high = (side[0, 0, 1] for side in response.control.hazard_ratio.parts)
    assert (value, low, high) == pytest.approx((0.5, 0.025, 0.975))
    assert response.specificity.hazard.value[0] == pytest.approx(0.5)
    alone = Group(kick=units(3)[None], population=same.population)
    response = dose_responses(
        setting, baseline, (0, 1), GROUP, alone, KEY, kinds=("silence",), doses=(0.0,),
        control_doses=(0.0,),
    )["silence"]  # fmt: skip
    for side in (*response.specificity.rate.parts, *response.specificity.hazard.parts):
        assert side[0] == 0


def test_the_opposite_pair_is_the_mirror_image(setting, baseline, found):
    options = {"kinds": ("silence",), "doses": (0.0, 1.0), "control_doses": ()}
    response = dose_responses(setting, baseline, (1, 0), GROUP, NONE, KEY, **options)["silence"]
    own = found["silence"]
    np.testing.assert_allclose(
        response.selectivity.hazard.value[0], -own.selectivity.hazard.value[0]
    )


def test_without_controls_nothing_is_known_of_them(setting, baseline):
    only_kick = Group(kick=units(6)[None], population=np.zeros((0, 8), bool))
    some = dose_responses(
        setting, baseline, (0, 1), GROUP, only_kick, KEY, kinds=("both", "kick"), doses=(0.0,),
        control_doses=(0.0,),
    )  # fmt: skip
    assert (some["both"].n_controls, some["kick"].n_controls) == (0, 1)
    for name in set(Outcomes._fields) - {"n_valid", "n_valid_starts"}:
        assert np.isnan(getattr(some["both"].control, name).parts).all()
    assert some["both"].control.ratio.shape == some["kick"].control.ratio.shape
    assert np.isnan(some["both"].specificity.rate.parts).all()
    np.testing.assert_array_equal(some["both"].control.n_valid, 0)
    assert some["both"].outcome.hazard.value[0, 0, 1] == 0


def test_an_empty_group_changes_nothing(setting, baseline):
    nobody = Group(units(), units())
    response = dose_responses(
        setting, baseline, (0, 1), nobody, NONE, KEY, kinds=("both",), doses=DOSES, control_doses=()
    )["both"]
    for side in (*response.outcome.ratio.parts, *response.outcome.hazard_ratio.parts):
        np.testing.assert_array_equal(side[:, 0, 1], 1)
    for side in (*response.selectivity.rate.parts, *response.selectivity.hazard.parts):
        np.testing.assert_array_equal(side, 0)
    assert response.specificity.rate.value.shape == (0,)


def test_a_dose_that_makes_the_network_diverge_is_counted(setting, baseline):
    """Unit 2 feeds on itself from a gain of 1 / 0.6 on."""
    group = Group(kick=units(2), population=units())
    response = dose_responses(
        setting, baseline, (0, 1), group, NONE, KEY, kinds=("kick",), doses=(1.0, 1e4),
        control_doses=(),
    )["kick"]  # fmt: skip
    np.testing.assert_array_equal(response.outcome.n_valid, [16, 0])
    assert np.isnan(response.selectivity.rate.value[1])
    assert response.selectivity.rate.value[0] == 0


def test_what_cannot_be_dialled_is_refused(setting, baseline):
    with pytest.raises(InputError, match=r"kind='louder': .*kick, noise"):
        scaled("louder", GROUP, DOSES)
    for pair in ((0, 0), (0, 2), (-1, 0)):
        with pytest.raises(InputError, match="0 to 1"):
            dose_responses(setting, baseline, pair, GROUP, CONTROLS, KEY)
    with pytest.raises(InputError, match=r"control_doses=\(0.3,\)"):
        dose_responses(setting, baseline, (0, 1), GROUP, CONTROLS, KEY, control_doses=(0.3,))
