"""HMMs from JSON files that users write by hand."""

from pathlib import Path

from hmmrnn.errors import InputError
from hmmrnn.hmm.model import HMM
from hmmrnn.storage import read_json


def from_json(path: str | Path) -> HMM:
    """The HMM in a file `{"initial": [...], "transition": [[...]], "emission": [[...]]}`.

    Raises:
        InputError: the file is missing, is no JSON, or does not describe an HMM.
    """
    try:
        fields = read_json(Path(path))
    except InputError as error:
        raise InputError(f"hmm={error}") from None
    try:
        return HMM.from_dict(fields)
    except InputError as error:
        raise InputError(f"hmm={path}: {error}") from None
