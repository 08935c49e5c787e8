import json

import numpy as np
import pytest

from hmmrnn.errors import InputError
from hmmrnn.hmm import PRESETS, from_json, preset

VALID = {
    "initial": [0.5, 0.5],
    "transition": [[0.9, 0.1], [0.2, 0.8]],
    "emission": [[0.7, 0.2, 0.1], [0, 0.5, 0.5]],
}


def refusal(path):
    with pytest.raises(InputError) as caught:
        from_json(path)
    message = str(caught.value)
    assert message.startswith(f"hmm={path}: ")
    assert "\n" not in message
    return message.removeprefix(f"hmm={path}: ")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.json"


@pytest.mark.parametrize("as_type", [str, lambda path: path])
def test_file_written_by_hand_is_read(path, as_type):
    path.write_text(json.dumps(VALID))
    hmm = from_json(as_type(path))
    np.testing.assert_allclose(hmm.initial, VALID["initial"], atol=1e-15)
    np.testing.assert_allclose(hmm.transition, VALID["transition"], atol=1e-15)
    np.testing.assert_allclose(hmm.emission, VALID["emission"], atol=1e-15)
    assert (hmm.n_states, hmm.n_symbols) == (2, 3)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_itself_after_a_file(path, name):
    path.write_text(json.dumps(preset(name).to_dict(), indent=2))
    assert from_json(path).label == name


def test_missing_file(path):
    assert refusal(path) == "cannot be read (No such file or directory)"


def test_folder(tmp_path):
    assert refusal(tmp_path).startswith("cannot be read")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file(path, share):
    text = json.dumps(VALID)
    path.write_text(text[: int(share * len(text))])
    assert refusal(path).startswith("is damaged or ")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"initial: [1]", b"\x89PNG\r\n\x1a\n"])
def test_file_of_another_kind(path, content):
    path.write_bytes(content)
    assert refusal(path).startswith("is damaged or ")


@pytest.mark.parametrize("content", [[VALID], [1, 2], 3, "linear2", None])
def test_json_that_is_no_object(path, content):
    path.write_text(json.dumps(content))
    message = refusal(path)
    assert message.startswith("an HMM needs the keys initial, transition, emission")
    assert type(content).__name__ in message


@pytest.mark.parametrize("missing", VALID)
def test_missing_key(path, missing):
    path.write_text(json.dumps({key: VALID[key] for key in VALID if key != missing}))
    message = refusal(path)
    assert message.startswith("an HMM needs the keys")
    assert missing not in message.split("found")[1]


def test_key_too_many(path):
    path.write_text(json.dumps({**VALID, "start": [1]}))
    assert "'start'" in refusal(path)


@pytest.mark.parametrize(
    ("field", "value", "start"),
    [
        ("transition", [[0.9, 0.1], [0.2, 0.73]], "transition[1] sums to 0.93, not 1"),
        ("emission", [[1, 0, 0], [1.5, -0.5, 0]], "emission[1] contains -0.5"),
        ("emission", [[1, 0, 0], [1, 0]], "emission is not a rectangular array"),
        ("emission", [[1], [1]], "emission has 1 column"),
        ("transition", [[1, 0], [float("nan"), 1]], "is damaged or of another kind (NaN"),
        ("initial", [1, float("inf")], "is damaged or of another kind (Infinity"),
        ("initial", [1, None], "initial contains nan; probabilities are finite"),
        ("initial", "uniform", "initial is not a rectangular array of numbers"),
        ("initial", {"0": 1}, "initial is not a rectangular array of numbers"),
        ("initial", [1, 0, 0], "transition has shape (2, 2), not (3, 3)"),
        ("initial", 1, "initial has shape ()"),
    ],
)
def test_bad_rows_are_named(path, field, value, start):
    path.write_text(json.dumps({**VALID, field: value}))
    assert refusal(path).startswith(start)


def test_number_too_large_for_a_float(path):
    path.write_text(json.dumps({**VALID, "initial": [10**400, 0]}))
    assert refusal(path).startswith("initial")
