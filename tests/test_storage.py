import contextlib
import json

import numpy as np
import pytest

from hmmrnn import InputError, StorageError, storage
from hmmrnn.fidelity import Compared
from hmmrnn.intervals import Estimate


def test_json_is_strict_and_nan_becomes_null(tmp_path):
    entry = Compared(Estimate(1.0, float("nan"), float("inf")), Estimate(0, 0, 0), None)
    storage.write_json(tmp_path / "a.json", {2: entry, "x": np.arange(3), "y": np.float32(0.5)})
    text = (tmp_path / "a.json").read_text()
    assert "NaN" not in text
    read = json.loads(text)
    assert read["2"]["network"] == {"value": 1.0, "low": None, "high": None}
    assert (read["x"], read["y"]) == ([0, 1, 2], 0.5)


def test_estimates_of_many_places_are_written_by_place_or_in_columns():
    row = Estimate(np.array([1.0, np.nan]), np.zeros(2), np.array([2.0, 3.0]))
    first, second = (
        {"value": 1.0, "low": 0.0, "high": 2.0},
        {"value": None, "low": 0.0, "high": 3.0},
    )
    table, one = Estimate.stack([row, row]), row[0]
    found = storage.plain({"row": row, "table": [table], "one": one, "none": row[:0]})
    assert found == {
        "row": [first, second],
        "table": [[[first, second], [first, second]]],
        "one": first,
        "none": [],
    }
    assert list(first) == list(found["one"])
    record = Compared(row, table, None)
    columns = {"value": [1.0, None], "low": [0.0, 0.0], "high": [2.0, 3.0]}
    assert storage.plain([record, one], columns=True) == [
        {
            "network": columns,
            "floor": {name: [column, column] for name, column in columns.items()},
            "exact": None,
        },
        first,
    ]


def test_arrays_round_trip_without_pickle(tmp_path):
    path = tmp_path / "a.npz"
    storage.write_arrays(path, {"a": np.eye(2), "n": 3})
    read = storage.read_arrays(path)
    assert np.array_equal(read["a"], np.eye(2))
    assert read["n"] == 3
    np.savez(path, evil=np.array([object()], dtype=object))
    with pytest.raises(InputError, match=r"a\.npz: "):
        storage.read_arrays(path)


@pytest.mark.parametrize("keep", [0, 10, 100])
def test_cut_files_are_named(tmp_path, keep):
    npz, text = tmp_path / "a.npz", tmp_path / "a.json"
    storage.write_arrays(npz, {"a": np.arange(100)})
    storage.write_json(text, {"a": list(range(100))})
    for path, read in ((npz, storage.read_arrays), (text, storage.read_json)):
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(InputError) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}: is damaged")
        assert "\n" not in str(raised.value)


def test_flipped_bytes_in_arrays_are_noticed(tmp_path):
    path = tmp_path / "a.npz"
    storage.write_arrays(path, {"a": np.arange(1000)})
    damaged = bytearray(path.read_bytes())
    damaged[2000] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="is damaged"):
        storage.read_arrays(path)


def test_no_damage_escapes_as_another_error(tmp_path):
    """Every byte of a small file changed, one at a time, also in the headers of the zip."""
    path = tmp_path / "a.npz"
    storage.write_arrays(path, {"a": np.arange(3.0)})
    whole = path.read_bytes()
    for position, bit in ((p, b) for p in range(len(whole)) for b in (0x01, 0x20)):
        damaged = bytearray(whole)
        damaged[position] ^= bit
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            storage.read_arrays(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: .*No such file"):
        storage.read_json(tmp_path / "none.json")


def test_full_disk_leaves_the_old_file_and_no_remains(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    storage.write_json(path, 1)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.json .*No space left"):
        storage.write_json(path, 2)
    assert storage.read_json(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_what_would_be_pickled_is_refused(tmp_path):
    with pytest.raises(TypeError, match="b is NoneType"):
        storage.write_arrays(tmp_path / "x.npz", {"a": np.ones(2), "b": None})
    assert not (tmp_path / "x.npz").exists()
