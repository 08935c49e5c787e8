"""Programs that need no baseline."""

import math

import pytest

from benchmarks import memory
from benchmarks.__main__ import PARTS
from benchmarks.plan import Plan

from .programs import rows_of_all_parts


@pytest.mark.slow
def test_ours_alone_runs(tmp_path):
    rows = rows_of_all_parts(tmp_path / "speed.md", "--rounds=1", "--ours-only")
    assert {row.split()[1] for row in rows} == set(PARTS) - {"checkouts"}
    assert not [row for row in rows if "torch" in row]


@pytest.mark.parametrize("device", [math.nan, 7.0])
@pytest.mark.parametrize("baseline", [True, False])
def test_memory_is_compared_whole_and_less_imports(monkeypatch, device, baseline):
    whole = {"ours": 3.0, "in_parts": 1.5, "torch": 4.5}
    bare = {"ours": 1.0, "in_parts": 1.0, "torch": 0.5}

    def peaks(side, n, n_steps):
        on_device = device if n and side != "torch" else math.nan
        return (whole if n else bare)[side], on_device

    monkeypatch.setattr(memory, "peaks", peaks)
    plan = Plan(rounds=1, small=True, ours_only=not baseline)
    if baseline:
        plan.__dict__["torch"] = object()  # instead of importing it
    rows = list(memory.cases(plan))
    parts = "train.sequences_at_once=4"
    found = {row.case.removeprefix("memory B=16 T=6, "): row for row in rows}
    expected = {
        "whole process": 3.0,
        f"whole process, {parts}": 1.5,
        "less imports": 2.0,
        f"less imports, {parts}": 0.5,
    }
    if not math.isnan(device):
        expected |= {"on the device, ours": 7.0, "on the device, in_parts": 7.0}
    assert {name: row.ours for name, row in found.items()} == {
        name: (value,) for name, value in expected.items()
    }
    theirs = {name: row.theirs for name, row in found.items() if row.theirs}
    assert theirs == (
        {
            "whole process": (4.5,),
            f"whole process, {parts}": (4.5,),
            "less imports": (4.0,),
            f"less imports, {parts}": (4.0,),
        }
        if baseline
        else {}
    )
