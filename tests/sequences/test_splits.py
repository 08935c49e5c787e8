"""Parts, windows and n-grams of data, against loops."""

import itertools
from collections import Counter

import numpy as np
import pytest

from hmmrnn.hmm import preset
from hmmrnn.sequences import SymbolSequences, ngram_counts, windows


def drawn(lengths, k=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, k, n).tolist() for n in lengths]


def inside(symbols):
    return [row[row >= 0].tolist() for row in symbols]


ROWS = drawn([2, 9, 30, 4, 17, 8, 8, 25, 3, 12])
DATA = SymbolSequences.of(ROWS)


def test_whole_sequences_go_to_one_part():
    parts = DATA.parts
    assert inside(parts.train.symbols) == ROWS[0::2]
    assert inside(parts.validation.symbols) == ROWS[1::4]
    assert inside(parts.held_out.symbols) == ROWS[3::4]


@pytest.mark.parametrize("lengths", [[401], [200, 333, 1000]])
def test_few_recordings_are_cut_into_stretches_in_order(lengths):
    rows = drawn(lengths)
    parts = SymbolSequences.of(rows).parts
    cut_up = parts.train, parts.validation, parts.held_out
    stretches = [inside(part.symbols) for part in cut_up]
    for row, *cut in zip(rows, *stretches, strict=True):
        assert list(itertools.chain(*cut)) == row
        np.testing.assert_allclose(
            [len(piece) / len(row) for piece in cut], [1 / 2, 1 / 4, 1 / 4], atol=0.01
        )


@pytest.mark.parametrize("n_steps", [2, 7, 30, 50])
def test_windows_keep_every_step_but_single_ones(n_steps):
    cut, owner = windows(DATA.symbols, n_steps)
    assert cut.shape[1] == n_steps
    for i, row in enumerate(ROWS):
        expected = [row[j : j + n_steps] for j in range(0, len(row), n_steps)]
        assert inside(cut[owner == i]) == [piece for piece in expected if len(piece) > 1]


@pytest.mark.parametrize(("n", "stride"), [(1, 1), (2, 1), (3, 1), (2, 3), (3, 2)])
def test_ngrams_are_counted_inside_sequences(n, stride):
    span = (n - 1) * stride + 1
    expected = Counter(
        tuple(row[i : i + span : stride]) for row in ROWS for i in range(len(row) - span + 1)
    )
    counts = ngram_counts(DATA.symbols, n, 3, stride).reshape((3,) * n)
    assert {index: count for index, count in np.ndenumerate(counts) if count} == expected


def test_ngrams_longer_than_all_sequences_are_none():
    assert ngram_counts(DATA.symbols, 4, 3, stride=20).sum() == 0


def test_ten_windows_for_each_ngram_are_enough():
    part = SymbolSequences.of([[0, 1] * 10] * 8, n_symbols=2).parts.train  # 4 of 20 steps
    assert part.supports(1)
    assert part.supports(2)  # 4 * 19 windows for 4 pairs
    assert not part.supports(3)  # 4 * 18 for 8


def test_numbers_of_a_target_are_those_of_hmm_or_data():
    held = ROWS[3::4]
    pairs = [pair for row in held for pair in itertools.pairwise(row)]
    assert DATA.volatility(40) == pytest.approx(np.mean([a != b for a, b in pairs]))
    assert DATA.training_length == 30
    assert SymbolSequences.of(drawn([401])).training_length == 50
    assert SymbolSequences.of(drawn([4001])).training_length == 100
    assert SymbolSequences.of(ROWS, name="linear3").label == "data:linear3"
    assert (preset("linear3").label, preset("linear2").training_length) == ("linear3", 100)
