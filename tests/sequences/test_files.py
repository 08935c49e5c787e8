"""Sequences in files of users: npz and text, whole and broken."""

import numpy as np
import pytest

from hmmrnn import InputError
from hmmrnn.sequences import SymbolSequences, described, read_sequences, write_sequences

ROWS = [[0, 1, 2, 1], [2, 0], [1, 1, 1], [0, 2], [0, 1], [1, 2], [2, 2, 0], [1, 0]]
DATA = SymbolSequences.of(ROWS)


def text(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_written_and_read_back_it_is_the_same(tmp_path):
    named = SymbolSequences.of(ROWS, names=("rest", "go", "eat"), name="mouse", n_symbols=3)
    write_sequences(tmp_path / "data.npz", named)
    found = read_sequences(tmp_path / "data.npz")
    assert found == named
    assert (found.names, found.name) == (named.names, "mouse")


def test_what_was_read_is_said():
    assert described(DATA) == "8 sequences of 2 to 4 steps, 3 symbols"
    named = SymbolSequences.of([[0, 1]] * 8, names=("rest", "go"))
    assert described(named) == "8 sequences of 2 steps, 2 symbols (rest, go)"


def test_padding_never_matters(tmp_path):
    lengths = np.array([len(row) for row in ROWS])
    rng = np.random.default_rng(0)
    padded = np.array(DATA.symbols, int)
    paths = [npz(tmp_path / "minus.npz", symbols=padded)]
    for i, filler in enumerate((np.zeros_like(padded), rng.integers(0, 90, padded.shape))):
        garbage = np.where(padded >= 0, padded, filler)
        paths.append(npz(tmp_path / f"{i}.npz", symbols=garbage, lengths=lengths))
    paths.append(npz(tmp_path / "flat.npz", symbols=np.concatenate(ROWS), lengths=lengths))
    assert {read_sequences(path).digest for path in paths} == {DATA.digest}


def test_one_recording_is_one_sequence(tmp_path):
    found = read_sequences(npz(tmp_path / "one.npz", symbols=np.arange(400) % 3))
    assert found.symbols.shape == (1, 400)


LINES = [",".join(map(str, row)) for row in ROWS]


@pytest.mark.parametrize(
    "lines",
    [
        LINES,
        [line.replace(",", " ") for line in LINES],
        [line.replace(",", "; ") for line in LINES],
        [line.replace(",", "\t") for line in LINES],
        [f"{line},,," for line in LINES],
        [f"{line}  # {i}" for i, line in enumerate(LINES)],
        ["# mouse 7", "", *LINES, "", "#"],
        ["step1,step2,step3,step4", *LINES],
        [",".join(f"{symbol}.0" for symbol in row) for row in ROWS],
    ],
)
def test_text_of_numbers(tmp_path, lines):
    assert read_sequences(text(tmp_path / "own.csv", *lines)) == DATA


@pytest.mark.parametrize(
    ("words", "join"),
    [
        (("eat", "lie down", "stand up"), ", ".join),
        (("eat", "lie, down", "stand up"), lambda row: ",".join(f'"{word}"' for word in row)),
        (("C", "C#", "D"), "\t".join),
        (("C", "C#", "D"), " ".join),
    ],
)
def test_words_may_have_blanks_quotes_and_signs(tmp_path, words, join):
    lines = [join([words[symbol] for symbol in row]) for row in ROWS]
    found = read_sequences(text(tmp_path / "own.csv", *lines))
    assert found.names == words
    np.testing.assert_array_equal(found.symbols, DATA.symbols)


def test_text_of_words(tmp_path):
    words = ["eat", "go", "rest"]
    lines = [" ".join(words[symbol] for symbol in row) for row in ROWS]
    for extra in ([], ["first second third"]):
        found = read_sequences(text(tmp_path / "own.txt", *extra, *lines))
        assert found.names == ("eat", "go", "rest")
        np.testing.assert_array_equal(found.symbols, DATA.symbols)
    # a first line that could be a sequence is one
    assert len(read_sequences(text(tmp_path / "own.txt", "rest sleep", *lines)).symbols) == 9


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "holds no sequence"),
        (["# nothing"], "holds no sequence"),
        ([*LINES, "0,,1"], "line 9 has an empty entry; cut"),
        ([*LINES, "0,1.5"], "line 9: 1.5 is no whole number"),
        ([*LINES, "0,nan"], "line 9: nan is no whole number"),
        ([*LINES, "0,-1,1"], "line 9: -1 is below 0"),
        ([*LINES, "0,x,1"], "line 9: x among numbers"),
        ([*LINES, "1"], "line 9 has 1 step; a sequence has at least 2"),
        (["0", "1", "1", "2"], "has one symbol in each line; a line is one sequence"),
        (['"a,b', *["a,b"] * 9], "line 1 has a quote that is not closed"),
        (["0,1,?,2", *LINES], "line 1: \\? among numbers"),
        (["0,1,2,3,4,5", *LINES], "5 never comes again: if it is a header, delete it"),
        ([line.translate(str.maketrans("012", "123")) for line in LINES], "but never 0: number"),
        ([*LINES, "5,10,900"], "symbols up to 900 occur, but never 3: number"),
        (LINES[:5], "5 sequences, the shortest of 2 steps"),
    ],
)
def test_broken_text_is_refused_in_one_line(tmp_path, lines, message):
    path = text(tmp_path / "own.csv", *lines)
    with pytest.raises(InputError, match=message) as error:
        read_sequences(path)
    assert str(error.value).startswith(f"data={path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "lacks the array symbols; it has x"),
        ({"symbols": np.array([[0, 1], [1]], object)}, "damaged or of another kind"),
        ({"symbols": np.array([[0.0, np.nan]] * 8)}, "of type float64"),
        ({"symbols": np.array([0, 1, 1]), "lengths": np.array([2, 2])}, "lengths add up to 4"),
        ({"symbols": np.zeros((8, 2), int), "lengths": np.full(8, 3)}, "do not fit"),
        ({"symbols": np.full((8, 2), -1), "lengths": np.full(8, 2)}, "below 0 before its end"),
        ({"symbols": np.zeros((8, 2), int), "lengths": np.ones(8)}, "one whole number a sequence"),
        ({"symbols": np.array(DATA.symbols), "n_symbols": np.ones(2)}, "must be one whole number"),
        ({"symbols": np.array(DATA.symbols), "names": np.array("x")}, "one word for each symbol"),
        (
            {"symbols": np.full((8, 2), 2**64 - 1, np.uint64), "n_symbols": np.array(2)},
            "contains 18446744073709551615",
        ),
        ({"symbols": np.array(ROWS[0] * 90) + 1}, "but never 0: number"),
    ],
)
def test_broken_arrays_are_refused_in_one_line(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message) as error:
        read_sequences(npz(tmp_path / "own.npz", **arrays))
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    for name in ("none.csv", "none.npz"):
        with pytest.raises(InputError, match=f"{name}: "):
            read_sequences(tmp_path / name)
    with pytest.raises(InputError, match="is no npz file"):
        read_sequences(text(tmp_path / "text.npz", *LINES))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="is no text"):
        read_sequences(tmp_path / "binary.csv")
