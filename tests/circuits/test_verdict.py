import numpy as np
import pytest

from hmmrnn.circuits.summary import at_zero
from hmmrnn.circuits.verdict import Criteria, criteria, network_verdict, reverse_ratio
from tests.circuits.builders import kick_neurons, response

THERE, BACK = kick_neurons(), kick_neurons(pair=(1, 0))


def dose_responses(silence=None, noise=None):
    return {
        "silence": response("silence", **(silence or {})),
        "noise": response("noise", **(noise or {})),
    }


def test_a_clear_case_holds():
    assert criteria(THERE, BACK, dose_responses()) == Criteria(True, True, True, True, True)
    assert criteria(THERE, BACK, dose_responses()).holds is True


@pytest.mark.parametrize(
    ("silence", "noise", "failing"),
    [
        ({"own": 0.48}, {}, "kick"),  # its interval reaches above one half
        ({}, {"own": 0.9}, "noise"),
        ({"control": 0.7}, {}, "controls"),
        ({}, {"control": 0.2, "specific": 0.4}, "controls"),
        ({"specific": 0.04}, {}, "controls"),  # its interval contains zero
        ({"back": 0.5}, {}, "selective"),
    ],
)
def test_each_part_can_fail(silence, noise, failing):
    judged = criteria(THERE, BACK, dose_responses(silence, noise))
    assert judged.failing == (failing,)
    assert judged.holds is False


@pytest.mark.parametrize("opposite", [None, kick_neurons(0, (1, 0))])
def test_kick_neurons_are_needed_in_both_directions(opposite):
    judged = criteria(THERE, opposite, dose_responses())
    assert judged.found is (None if opposite is None else False)
    assert judged.holds is judged.found


def test_too_few_changes_refute_nothing():
    few = kick_neurons(0, (1, 0), enough=False)
    assert criteria(THERE, few, dose_responses()).found is None
    assert criteria(few, THERE, None).holds is None


def test_without_kick_neurons_nothing_can_be_silenced():
    judged = criteria(kick_neurons(0), BACK, None)
    assert judged.failing == ("found",)
    assert judged.kick is None


def test_what_cannot_be_judged_is_neither():
    nobody = dose_responses({"control": np.nan, "specific": np.nan})
    assert criteria(THERE, BACK, nobody).controls is None
    assert criteria(THERE, BACK, nobody).holds is None


def test_the_way_back_is_judged_from_the_other_cluster():
    assert reverse_ratio(response("silence", own=0.1, back=1.2)).value == 1.2
    assert criteria(THERE, BACK, dose_responses({"back": np.nan})).selective is None


def test_verdicts_of_networks():
    yes, no = Criteria(True, True, True, True, True), Criteria(False, None, None, None, None)
    unknown = Criteria(True, True, True, None, True)
    assert network_verdict([yes, yes]) == "holds"
    assert network_verdict([yes, no]) == "in part"
    assert network_verdict([no, no]) == "does not hold"
    assert network_verdict([yes, unknown]) == "undecided"
    assert network_verdict([no, unknown]) == "undecided"
    assert network_verdict([]) == "undecided"


def test_a_row_reads_the_dial_at_zero():
    found = at_zero(response("silence", own=0.2, back=1.1, control=0.9, specific=0.7))
    assert [e.value for e in found] == pytest.approx([0.2, 1.1, 0.9, 0.7, 0.9, 0.2])
