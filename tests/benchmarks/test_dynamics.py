"""The loops that stand beside our analyses compute the same."""

import numpy as np
import pytest

from benchmarks import dynamics
from benchmarks.plan import Plan

pytest.importorskip("torch")
pytest.importorskip("geomloss")
pytest.importorskip("threadpoolctl")

LOOPS = {"orbits": "orbit_loop", "drift": "drift_loop"}


@pytest.fixture(scope="module")
def plan():
    return Plan(rounds=1, small=True)


@pytest.fixture(scope="module")
def relu(plan):
    return dynamics.subject(plan)


@pytest.mark.parametrize("name", ["spectra", "orbits", "surrogates", "drift", "shift"])
def test_both_sides_agree(plan, relu, name):
    found = getattr(dynamics, name)(plan, relu)
    assert found.case.split()[0] == "dynamics"
    assert len(found.ratios) == 1


@pytest.mark.parametrize("name", LOOPS)
def test_a_disagreement_ends_the_program(monkeypatch, plan, relu, name):
    loop = getattr(dynamics, LOOPS[name])

    def wrong(*args):
        found = loop(*args)
        rows = found.values() if isinstance(found, dict) else found
        for part in rows:
            part += 10
        return found

    monkeypatch.setattr(dynamics, LOOPS[name], wrong)
    with pytest.raises(SystemExit, match=r"dynamics .* differ by up to"):
        getattr(dynamics, name)(plan, relu)


@pytest.mark.parametrize(("value", "fine"), [(1.0, True), (1.1, False), (np.nan, False)])
def test_what_is_not_close_is_a_disagreement(value, fine):
    def check():
        dynamics.expect_equal("x", [value, 2.0], [1.0, 2.0], 1e-3)

    if fine:
        check()
    else:
        with pytest.raises(SystemExit, match="dynamics x"):
            check()


def test_ours_alone_needs_no_baseline(relu):
    found = dynamics.orbits(Plan(rounds=1, small=True, ours_only=True), relu)
    assert found.ratios == ()
