"""The comparison with another checkout, without training."""

import numpy as np
import pytest

from benchmarks import checkouts
from benchmarks.plan import Plan


def test_nothing_is_compared_unless_asked():
    assert list(checkouts.cases(Plan(small=True, ours_only=True))) == []


def test_what_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="is no checkout"):
        next(checkouts.cases(Plan(small=True, ours_only=True, against=tmp_path)))


SERVER = """
import os, sys, numpy as np
theirs = os.environ["PYTHONPATH"].endswith("theirs")
print("ready", flush=True)
for i, _ in enumerate(sys.stdin):
    np.savez(sys.argv[2], W=np.full(3, 0.75 if theirs else 0.5))
    print(1.0 + theirs + (i == 8), flush=True)
"""


@pytest.fixture
def serving(tmp_path, monkeypatch):
    """Lets a text stand in for the program that trains."""

    def serve(program):
        (tmp_path / "benchmarks").mkdir()
        (tmp_path / "benchmarks" / "elsewhere.py").write_text(program)
        monkeypatch.setattr(checkouts, "ROOT", tmp_path)

    return serve


def test_means_are_over_a_whole_cycle_and_parameters_are_compared(serving, tmp_path):
    """One epoch in ten takes a second longer, in both."""
    serving(SERVER)
    found = checkouts.compared("linear2", (tmp_path / "ours", tmp_path / "theirs"), tmp_path)
    assert np.mean(found.ours) == pytest.approx(1.1)
    assert np.mean(found.theirs) == pytest.approx(2.1)
    assert "ratio of means 1.91" in found.note
    assert "2.5e-01 apart" in found.note


def test_a_training_that_ends_is_told(serving, tmp_path):
    serving("raise SystemExit(3)")
    trainer = checkouts.trainer(tmp_path, "linear2", tmp_path / "x.npz")
    with pytest.raises(SystemExit, match="ended"), trainer:
        pass
