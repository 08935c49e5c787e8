"""Records of results: what they print, what their files hold."""

import json
from typing import NamedTuple

import numpy as np
import pytest

from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate
from hmmrnn.nets import NetConfig, make_cell
from hmmrnn.nets.network import Network
from hmmrnn.results import LONGEST, fields, result, result_without
from hmmrnn.storage import FORMAT, digest, known_form, read_results, write_results


@result
class Inner(NamedTuple):
    share: Estimate
    name: str


@result_without("states")
class Outer(NamedTuple):
    rate: Estimate
    inner: Inner
    states: np.ndarray
    by_size: dict[int, float]
    pairs: tuple[Inner, ...]


@result
class Masked(NamedTuple):
    units: np.ndarray

    def numbers(self):
        return {"units": np.flatnonzero(self.units)}


INNER = Inner(Estimate(0.16684, 0.1642, 0.16958), "a")
OUTER = Outer(Estimate(2.0, 1.5, 2.5), INNER, np.zeros((64, 150)), {1: 0.5}, (INNER,) * 9)


def test_estimates_are_printed_with_their_intervals_and_arrays_by_their_shape():
    assert repr(INNER) == "Inner(share=0.1668 [0.1642, 0.1696], name='a')"
    shown = repr(OUTER)
    assert shown.count("\n") == len(OUTER)
    assert "2 [1.5, 2.5]" in shown
    assert "float64 (64, 150)" in shown
    assert "9 of Inner" in shown


def test_no_record_takes_more_than_a_screen():
    many = NamedTuple("many", [(f"field_{i:03}", object) for i in range(200)])
    filled = result(many)(*([np.arange(4.0)] * 200))
    assert len(repr(filled)) <= LONGEST
    assert len(repr(OUTER._replace(by_size={i: "x" * 500 for i in range(99)}))) <= LONGEST


def test_a_network_is_one_line():
    cell = make_cell(NetConfig(hidden_size=7, noise_dim=3), 2)
    assert "\n" not in repr(Network({"W_in": np.zeros((7, 3))}, 1.0, cell))


def test_files_hold_all_but_what_stays_in_memory(tmp_path):
    path = tmp_path / "found.json"
    write_results(path, OUTER, "abc")
    written = json.loads(path.read_text())
    assert (written["format"], written["network"]) == (FORMAT, "abc")
    read = read_results(path)
    assert set(read) == set(Outer._fields) - {"states"} == set(fields(OUTER))
    assert read["inner"]["share"] == {"value": 0.16684, "low": 0.1642, "high": 0.16958}


def test_a_record_may_say_itself_what_files_hold_of_it(tmp_path):
    path = tmp_path / "found.json"
    masked = Masked(np.array([False, True, True]))
    write_results(path, {"outer": OUTER._replace(inner=masked), "all": [masked]}, None)
    read = read_results(path)
    assert read["outer"]["inner"] == read["all"][0] == {"units": [1, 2]}


def test_fields_must_exist():
    with pytest.raises(TypeError, match="sttes"):
        result_without("sttes")(NamedTuple("Other", [("states", int)]))


@pytest.mark.parametrize("content", ['{"format": 0, "kl": 1}', '{"format": 99}', "[]", "{", "null"])
def test_other_formats_are_refused(tmp_path, content):
    path = tmp_path / "found.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"found\.json"):
        read_results(path)


def test_files_without_a_number_are_of_the_first_format(tmp_path):
    path = tmp_path / "found.json"
    path.write_text('{"kl": 1}')
    assert read_results(path) == {"kl": 1}
    path.unlink()
    assert read_results(path, missing_ok=True) == {}
    with pytest.raises(InputError, match=r"found\.json"):
        read_results(path)


@pytest.mark.parametrize("look", [lambda f: f["b"], lambda f: f["a"]["b"], lambda f: f["a"].x])
def test_what_another_version_wrote_is_named(tmp_path, look):
    path = tmp_path / "found.json"
    with pytest.raises(InputError, match=r"found\.json"), known_form(path):
        look({"a": 1})


def test_a_digest_depends_on_every_bit_name_shape_and_type():
    arrays = {"W_in": np.arange(6.0).reshape(2, 3), "W_rec": np.eye(2)}
    same = {"W_rec": np.eye(2), "W_in": np.asfortranarray(arrays["W_in"])}
    assert digest(arrays) == digest(same)
    others = [
        {**arrays, "W_rec": np.diag([1.0, np.nextafter(1.0, 2)])},
        {**arrays, "W_in": arrays["W_in"].reshape(3, 2)},
        {**arrays, "W_in": arrays["W_in"].astype(np.float32)},
        {"W_in": arrays["W_rec"], "W_rec": arrays["W_in"]},
        {"W_in": arrays["W_in"]},
    ]
    assert len({digest(each) for each in (arrays, *others)}) == 6


def test_numbers_of_another_network_are_stale(tmp_path):
    path = tmp_path / "found.json"
    write_results(path, INNER, "abc")
    assert read_results(path, "abc") == read_results(path) == read_results(path, None)
    with pytest.raises(InputError, match=r"found\.json: stale"):
        read_results(path, "abd")
    path.write_text('{"kl": 1}')  # from before there was a digest
    assert read_results(path, "abd") == {"kl": 1}


@pytest.mark.parametrize("content", ["{}", '{"format": 1, "network": "abc"}'])
def test_a_file_without_numbers_is_not_taken_for_none(tmp_path, content):
    path = tmp_path / "found.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"found\.json"):
        read_results(path, missing_ok=True)


def test_what_already_says_what_is_wrong_is_left_as_it_is(tmp_path):
    path = tmp_path / "found.json"
    path.write_text("{")
    with pytest.raises(InputError) as damaged, known_form(path):
        read_results(path)
    assert "another version" not in str(damaged.value)


def test_long_values_are_cut_between_their_entries():
    many = {i: Estimate(i + 0.5, i, i + 1.0) for i in range(2)}
    shown = repr(OUTER._replace(by_size=many | {2: "x" * 90}))
    (line,) = (line for line in shown.splitlines() if "by_size" in line)
    assert line.endswith("1: 1.5 [1, 2], ...")


@pytest.mark.parametrize("old", ["manner", "proofs", "switching"])
def test_files_with_the_names_of_before_are_stale(tmp_path, old):
    path = tmp_path / "found.json"
    path.write_text(json.dumps({old: {}, "rotation": 1}))
    with pytest.raises(InputError, match=rf"found\.json: stale.*{old}"):
        read_results(path)
