import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmmrnn import InputError
from hmmrnn.sweep.grid import Entry, entries, read_grid
from hmmrnn.sweep.plan import Batch, batches, by_shape, share, work
from hmmrnn.training import RunSpec

CONFIGS = {
    n: entries({"base": {"profile": "smoke", "preset": "linear3", "net.hidden_size": n}})[
        0
    ].spec.config
    for n in (2, 16, 100)
}


def numbered(sizes):
    """An entry for each hidden size, with its place as seed."""
    return [Entry(f"e{i}", RunSpec(CONFIGS[n], 1.0, i)) for i, n in enumerate(sizes)]


grids = st.lists(st.sampled_from(sorted(CONFIGS)), min_size=1, max_size=30).map(numbered)


def total(some):
    return sum(work(entry.spec.config) for entry in some)


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({"train": {"epochs": 16}}, 2),
        ({"train": {"steps_per_epoch": 10}}, 2),
        ({"data": {"source": "fixed", "n_sequences": 3 * 64 * 5}}, 1),
        ({"data": {"source": "fixed", "n_sequences": 3 * 64 * 4 + 3}}, 1),  # the rest is a step too
    ],
)
def test_work_counts_steps(smoke, options, factor):
    assert work(smoke.replace(**options)) == factor * work(smoke)


def test_work_grows_with_what_costs(smoke):
    for section, option, value in (
        ("net", "hidden_size", 32),
        ("net", "noise_dim", 16),
        ("train", "batch_size", 128),
        ("data", "n_steps", 24),
    ):
        assert work(smoke.replace(**{section: {option: value}})) > work(smoke)
    law = {"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (3,)}
    assert work(smoke.replace(loss=law)) < work(smoke)


@given(grids)
def test_shapes_are_kept_together_large_ones_first(grid):
    groups = by_shape(grid)
    sizes = [config.net.hidden_size for config in groups]
    assert sizes == sorted({entry.spec.config.net.hidden_size for entry in grid}, reverse=True)
    for config, group in groups.items():
        assert group == [entry for entry in grid if entry.spec.config == config]


def test_the_order_is_by_work_in_a_step(smoke):
    """Not by the work of all steps: the step that needs most memory shall come first."""
    large = smoke.replace(net={"hidden_size": 17}, train={"steps_per_epoch": 1, "epochs": 1})
    long = smoke.replace(train={"steps_per_epoch": 1000, "epochs": 100})
    grid = [Entry("long", RunSpec(long, 1.0, 0)), Entry("large", RunSpec(large, 1.0, 0))]
    assert list(by_shape(grid)) == [large, long]
    many_epochs = smoke.replace(train={"epochs": 100})
    grid = [Entry("long", RunSpec(many_epochs, 1.0, 0)), Entry("large", RunSpec(large, 1.0, 0))]
    assert list(by_shape(grid)) == [large, many_epochs]


@settings(deadline=None)
@given(grids, st.integers(1, 40))
def test_processes_share_everything_once_and_evenly(grid, n_processes):
    parts = [share(grid, process, n_processes) for process in range(n_processes)]
    assert sorted(entry.name for part in parts for entry in part) == sorted(e.name for e in grid)
    largest = max(work(entry.spec.config) for entry in grid)
    fair = total(grid) / n_processes
    for part in parts:
        assert fair - largest <= total(part) * (1 + 1e-9)
        assert total(part) <= (fair + largest) * (1 + 1e-9)


def test_processes_compile_few_shapes_of_the_papers_grid():
    grid = read_grid("paper")
    shapes = [len(by_shape(share(grid, process, 10))) for process in range(10)]
    n_shapes = len(by_shape(grid))
    assert n_shapes == 50
    assert n_shapes <= sum(shapes) <= n_shapes + 9  # a shape is split at a boundary at most


def test_a_share_does_not_depend_on_what_is_done_but_on_the_grid_alone():
    grid = numbered([2, 100, 16, 2, 100, 16])
    assert share(grid, 0, 1) == [e for group in by_shape(grid).values() for e in group]
    done = share(grid, 0, 2)
    assert {e.name for e in share(grid, 1, 2)} == {e.name for e in grid} - {e.name for e in done}


@given(grids, st.integers(1, 35))
def test_batches_hold_everything_once_and_not_more_than_asked(grid, most):
    asked = []

    def members(config, n):
        asked.append((config, n))
        return min(most, n)

    plan = list(batches(grid, members))
    assert [e for batch in plan for e in batch.entries] == [
        e for group in by_shape(grid).values() for e in group
    ]
    assert asked == [(config, len(group)) for config, group in by_shape(grid).items()]
    for config, group in by_shape(grid).items():
        own = [batch for batch in plan if batch.config == config]
        sizes = [len(batch.entries) for batch in own]
        assert all(entry.spec.config == config for batch in own for entry in batch.entries)
        even = -(-len(group) // -(-len(group) // most))
        assert len(own) == -(-len(group) // even)
        assert max(sizes) <= most
        assert len(set(sizes[:-1])) <= 1  # two programs at most
        assert all(batch.problem is None for batch in own)


@pytest.mark.parametrize(
    ("n", "most", "sizes"),
    [(10, 4, [4, 4, 2]), (9, 4, [3, 3, 3]), (5, 4, [3, 2]), (3, 1, [1, 1, 1]), (4, 9, [4])],
)
def test_batches_are_about_equal(n, most, sizes):
    plan = batches(numbered([16] * n), lambda config, left: min(most, left))
    assert [len(batch.entries) for batch in plan] == sizes


def test_a_refused_shape_is_told_and_the_others_go_on():
    def members(config, n):
        if config.net.hidden_size == 100:
            raise InputError("does not fit")
        return 2

    grid = numbered([2, 100, 2, 100, 2])
    refused, *others = batches(grid, members)
    assert refused == Batch(CONFIGS[100], (grid[1], grid[3]), "does not fit")
    assert [batch.problem for batch in others] == [None, None]


def test_a_shape_is_asked_for_when_its_turn_comes():
    asked = []

    def members(config, n):
        asked.append(config.net.hidden_size)
        return 1

    plan = batches(numbered([2, 100, 100]), members)
    assert asked == []
    next(plan), next(plan)
    assert asked == [100]
    next(plan)
    assert asked == [100, 2]


def test_no_entries_no_batches():
    assert list(batches([], lambda config, n: 1)) == []
    assert list(itertools.chain(by_shape([]))) == []


def test_a_grid_may_be_trained_in_its_own_order():
    entries = read_grid("paper_seeds")
    names = ["linear2", "linear3", "fully3", "cyclic4", "linear4", "linear5"]
    seeds = [[1, 2, 3, 4], *[[0, 1, 2, 3]] * 4, [0, 1, 2]]
    expected = [f"{n}-paper-seed{s}" for n, each in zip(names, seeds, strict=True) for s in each]
    own = share(entries, 0, 1, in_order=True)
    plan = batches(own, lambda config, n: 1, in_order=True)
    assert [entry.name for batch in plan for entry in batch.entries] == expected
