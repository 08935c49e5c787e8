"""Compiled programs are forgotten before there are too many, those of the cell at work are kept."""

import threading

import jax
import pytest

from hmmrnn import programs
from hmmrnn.programs import forget_programs_if_many, keep_programs_of, n_mappings


@pytest.fixture
def kept():
    """A compiled function."""
    function = jax.jit(lambda x: x + 1)
    function(1.0)
    return function


@pytest.fixture(autouse=True)
def _at_work(monkeypatch):
    monkeypatch.setattr(programs, "_cells", [])
    monkeypatch.setattr(programs, "MANY_MAPPINGS", 10**9)
    monkeypatch.setattr(programs, "FEW_MAPPINGS", 0)


def test_many_are_forgotten_and_few_are_kept(kept, monkeypatch):
    forget_programs_if_many()
    assert kept._cache_size() == 1
    monkeypatch.setattr(programs, "MANY_MAPPINGS", 0)
    forget_programs_if_many()
    assert kept._cache_size() == 0


def test_those_for_another_cell_are_forgotten(kept):
    for cell in ("a", "a", "a"):
        keep_programs_of(cell)
        assert kept._cache_size() == 1
    keep_programs_of("b")
    assert kept._cache_size() == 0


def test_few_are_kept_for_other_cells_too(kept, monkeypatch):
    monkeypatch.setattr(programs, "FEW_MAPPINGS", 10**9)
    for cell in ("a", "b", "a"):
        keep_programs_of(cell)
    assert kept._cache_size() == 1


def test_lanes_of_other_cells_leave_each_other_alone(kept):
    def lane(cell):
        keep_programs_of(cell)

    for cell in ("a", "b"):
        thread = threading.Thread(target=lane, args=(cell,))
        thread.start()
        thread.join()
    assert kept._cache_size() == 1


@pytest.mark.skipif(not programs.MAPPINGS.exists(), reason="only Linux tells")
def test_what_is_forgotten_gives_its_mappings_back():
    """Which is what all this is for."""
    jax.clear_caches()
    before = n_mappings()
    for n in range(2, 42):
        jax.jit(lambda x: (x @ x.T).sum())(jax.numpy.ones((n, 3)))
    added = n_mappings() - before
    assert added > 40
    jax.clear_caches()
    assert n_mappings() - before < added / 4
