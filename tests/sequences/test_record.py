"""What is accepted as sequences, what is refused, and when two are the same."""

import numpy as np
import pytest

from hmmrnn import InputError
from hmmrnn.sequences import SymbolSequences

ROWS = [[0, 1, 2, 1]] * 4 + [[2, 0]] * 5


def test_rows_of_any_length_are_padded():
    data = SymbolSequences.of(ROWS)
    assert data.symbols.shape == (9, 4)
    assert data.symbols.dtype == np.int8
    assert data.lengths.tolist() == [4] * 4 + [2] * 5
    assert data.n_symbols == 3
    np.testing.assert_array_equal(data.symbols[-1], [2, 0, -1, -1])


def test_equal_are_those_of_equal_content():
    data = SymbolSequences.of(ROWS)
    wider = SymbolSequences(
        np.pad(data.symbols, ((0, 0), (0, 3)), constant_values=-1), name="other"
    )
    assert data == wider
    assert hash(data) == hash(wider)
    others = [
        SymbolSequences.of(ROWS[1:]),
        SymbolSequences.of(ROWS[::-1]),
        SymbolSequences.of(ROWS, n_symbols=4),
        SymbolSequences.of(ROWS, names=("a", "b", "c")),
        # the same symbols one after the other, cut at other places
        SymbolSequences.of([[0, 1, 2], [1, 0, 1, 2, 1], *ROWS[2:]]),
    ]
    assert len({data.digest, *(other.digest for other in others)}) == 1 + len(others)


def test_more_symbols_than_a_byte_holds():
    data = SymbolSequences.of([[0, 299]] * 8)
    assert data.symbols.dtype == np.int16
    assert data.symbols[0].tolist() == [0, 299]


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([[0, 1], [0, 1, 1]], "ragged; SymbolSequences.of"),
        ([[0.0, 1.0]] * 8, "of type float64; symbols are whole numbers"),
        ([["a", "b"]] * 8, "symbols are whole numbers"),
        ([0, 1, 1], r"shape \(3,\)"),
        (np.zeros((0, 3), int), "there is no sequence"),
        ([[0, 1]] * 7 + [[-2, 1]], r"symbols\[7\] contains -2"),
        ([[0, 1, 1]] * 8 + [[0, -1, 1]], r"symbols\[8\] has a gap before step 2; cut"),
        ([[-1, 0, 1]] * 8, r"symbols\[0\] has a gap before step 1"),
        ([[0, 1]] * 8 + [[-1, -1]], r"symbols\[8\] has 0 steps"),
        ([[0, 1]] * 8 + [[1, -1]], r"symbols\[8\] has 1 steps"),
        ([[0, 0]] * 8, "n_symbols=1: sequences have 2 to 1000"),
        ([[0, 1000]] * 8, "n_symbols=1001"),
        ([[0, 1]] * 7, "7 sequences, the shortest of 2 steps: give at least 8"),
        ([[0, 1] * 99], "1 sequences, the shortest of 198 steps.*recordings of at least 200"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(symbols, message):
    with pytest.raises(InputError, match=message) as error:
        SymbolSequences(symbols)
    assert "\n" not in str(error.value)


def test_names_and_number_of_symbols_fit_the_symbols():
    with pytest.raises(InputError, match=r"names: 2 .*3"):
        SymbolSequences.of(ROWS, names=("a", "b"), n_symbols=3)
    with pytest.raises(InputError, match="symbols contain 2; n_symbols=2"):
        SymbolSequences.of(ROWS, n_symbols=2)
    with pytest.raises(InputError, match="there is no sequence"):
        SymbolSequences.of([])
