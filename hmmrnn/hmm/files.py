"""HMMs from JSON files that users write by hand."""

import json
from pathlib import Path

from hmmrnn.errors import InputError
from hmmrnn.hmm.model import HMM


def from_json(path: str | Path) -> HMM:
    """The HMM in a file `{"initial": [...], "transition": [[...]], "emission": [[...]]}`.

    Raises:
        InputError: the file is missing, is no JSON, or does not describe an HMM.
    """
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"hmm={path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"hmm={path}: is not valid JSON ({error})") from None
    try:
        return HMM.from_dict(fields)
    except InputError as error:
        raise InputError(f"hmm={path}: {error}") from None
