import itertools

import pytest

from benchmarks.measure import Comparison, compare, gflops
from benchmarks.plan import Plan, loss_flops, step_flops
from benchmarks.table import markdown


class Clock:
    """Time that passes only while work is done."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def work(self, name, *durations):
        left = itertools.cycle(durations)

        def once():
            self.calls.append(name)
            self.now += next(left)

        return once

    def __call__(self):
        return self.now


def test_sides_take_turns_after_a_warm_up():
    clock = Clock()
    ours, theirs = clock.work("ours", 50, 1, 2, 4), clock.work("theirs", 70, 6, 6, 6)
    found = compare("x", ours, theirs, 3, clock=clock, note="n")
    assert clock.calls == ["ours", "theirs"] * 4
    assert found.ours == (1, 2, 4)
    assert found.theirs == (6, 6, 6)
    assert found.ratios == (6, 3, 1.5)
    assert found.note == "n"


def test_a_share_of_the_work_is_scaled_to_all_of_it():
    clock = Clock()
    found = compare("x", clock.work("a", 1), clock.work("b", 2), 2, share=0.1, clock=clock)
    assert found.theirs == pytest.approx((20, 20))


def test_ours_alone_has_no_ratio():
    clock = Clock()
    found = compare("x", clock.work("a", 1), None, 2, clock=clock)
    assert found.ratios == ()
    assert found.line() == "x, hmmrnn 1 s"


def test_the_ratio_is_the_median_of_the_rounds_with_its_range():
    found = Comparison("x", (1.0, 2.0, 4.0), (6.0, 6.0, 6.0), floor=0.5, note="n")
    assert found.cells() == ("x", "2 s", "torch 6 s", "3 (1.5 to 6)", "0.5 s", "4", "n")
    assert found.line() == (
        "x, hmmrnn 2 s, torch 6 s, ratio 3 (1.5 to 6), floor 0.5 s, over floor 4, n"
    )


def test_rounds_of_unequal_number_are_refused():
    with pytest.raises(ValueError, match="argument"):
        _ = Comparison("x", (1.0, 2.0), (3.0,)).ratios


def test_empty_columns_are_left_out():
    table = markdown(["here"], [Comparison("x", (1.0,)), Comparison("y", (2.0,), note="n")])
    assert table.splitlines() == [
        "- here",
        "",
        "| case | hmmrnn | note |",
        "| --- | --- | --- |",
        "| x | 1 s |  |",
        "| y | 2 s | n |",
    ]


def test_the_rate_of_a_product_is_counted_in_operations(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("benchmarks.measure.seconds", lambda work: work() or 0.5)
    assert gflops(clock.work("a", 1), 1000, repeats=3) == pytest.approx(4.0)
    assert len(clock.calls) == 4


def test_operations_of_a_step():
    config = Plan().config(512, 30)
    assert loss_flops(512, 30, 3) == 5 * 2 * 512 * 512 * 90
    drive, recurrence, readout = 2 * 100 * 150, 3 * 150 * 150, 3 * 150 * 3
    assert step_flops(config) == 2 * 512 * 30 * (drive + recurrence + readout) + loss_flops(
        512, 30, 3
    )
