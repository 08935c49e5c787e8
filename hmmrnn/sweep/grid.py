"""A grid: which networks to train, from a few lines of JSON.

    {"base": {"profile": "laptop", "preset": "linear3"},
     "vary": {"net.hidden_size": [50, 150], "noise_std": [0.5, 1.0], "seed": [0, 1, 2]}}

`base` holds what all networks share, `vary` lists of values, of which every combination is one
network. Both know `profile`, `preset`, `hmm` (a JSON file) or `data` (a file of sequences),
`noise_std`, `seed`, every option by its dotted name, and whole sections by theirs:
`"loss": [{"divergence": "reference"}, ...]`. A list of such blocks is their union; a block may have
a `name`, which the folders of its networks bear.
"""

import difflib
import itertools
import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hmmrnn.errors import InputError
from hmmrnn.hmm import PRESETS, from_json, preset
from hmmrnn.sequences import read_sequences
from hmmrnn.settings import option_types
from hmmrnn.storage import read_json
from hmmrnn.sweep.named_grids import NAMED
from hmmrnn.targets import Target
from hmmrnn.training import RunSpec, TrainConfig
from hmmrnn.training.config import PROFILES, SECTIONS

LONGEST_NAME = 200
MOST_NETWORKS = 100_000
PLAIN = ("profile", "preset", "hmm", "data", "noise_std", "seed")
KNOWN = (*PLAIN, *SECTIONS, *(f"{s}.{o}" for s in SECTIONS for o in option_types(SECTIONS[s])))


class Entry(NamedTuple):
    """One network of a grid."""

    name: str  # of its run folder
    spec: RunSpec


def read_grid(grid: str) -> list[Entry]:
    """The networks of a named grid or of a JSON file.

    Raises:
        InputError: no such file, no JSON, an empty grid, an unknown field, a value that is not
            allowed, or the same network twice.
    """
    if grid in NAMED:
        return entries(NAMED[grid])
    path = Path(grid)
    if not _is_there(path):
        raise InputError(
            f"grid={grid}: there is no such file, and the named grids are {', '.join(NAMED)}"
        )
    try:
        return entries(read_json(path), path.parent)
    except InputError as error:
        raise InputError(f"grid={grid}: {error}") from None


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def entries(blocks: Any, folder: Path = Path()) -> list[Entry]:  # noqa: ANN401
    """The networks of one block or of several; paths of files are relative to `folder`."""
    blocks = blocks if isinstance(blocks, list) else [blocks]
    by_spec: dict[RunSpec, str] = {}
    names: set[str] = set()
    for block in blocks:
        for values in _combinations(block):
            spec = _spec(values, folder)
            options = {n: values[n] for n in block.get("vary", {}) if not _is_target(n, values[n])}
            name = _name(block.get("name"), options, values)
            if spec in by_spec:
                raise InputError(f"{by_spec[spec]} and {name} are the same network")
            if len(name) > LONGEST_NAME:
                raise InputError(
                    f"{name[:60]}...: the name of a folder would have {len(name)} characters; vary "
                    "fewer options, or put what they share into base"
                )
            if name in names:
                raise InputError(
                    f"two networks would share the folder {name}: vary in one block what tells "
                    "them apart"
                )
            by_spec[spec] = name
            names.add(name)
    if not by_spec:
        raise InputError("the grid is empty: it names no network")
    return [Entry(name, spec) for spec, name in by_spec.items()]


def _combinations(block: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    if not isinstance(block, Mapping) or not set(block) <= {"name", "base", "vary"}:
        raise InputError('a block has "base" and "vary", each an object of fields, and a "name"')
    if not isinstance(block.get("name", ""), str):
        raise InputError('"name" is the word for a block in the names of its folders, a string')
    base, vary = block.get("base", {}), block.get("vary", {})
    for part in (base, vary):
        if not isinstance(part, Mapping):
            raise InputError('"base" and "vary" are objects, as in {"seed": [0, 1]}')
        for name in part:
            _expect_known(name)
    if both := sorted(set(base) & set(vary)):
        raise InputError(f"{both[0]} stands both in base and in vary")
    for name, values in vary.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{name}={json.dumps(values)}: must be a list of at least one value")
    if not base and not vary:
        return []
    if (size := math.prod(map(len, vary.values()))) > MOST_NETWORKS:
        raise InputError(
            f"the grid names {size} networks, of which each has a run folder; at most "
            f"{MOST_NETWORKS} are possible: vary fewer options or values"
        )
    return [
        {**base, **dict(zip(vary, chosen, strict=True))}
        for chosen in itertools.product(*vary.values())
    ]


def _expect_known(name: str) -> None:
    if name in KNOWN:
        return
    near = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(PLAIN)} and all options"
    raise InputError(f"{name}: there is no such field; {hint}")


def _spec(values: Mapping[str, Any], folder: Path) -> RunSpec:
    profile = values.get("profile", "laptop")
    if profile not in list(PROFILES):
        raise InputError(f"profile={profile}: unknown; there are {', '.join(PROFILES)}")
    config = TrainConfig.profile(profile, _target(values, folder))
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for name, value in values.items():
        section, _, option = name.partition(".")
        if section not in SECTIONS or _is_target(name, value):
            continue
        given = {option: value} if option else _section(section, value)
        if twice := sorted(set(given) & set(sections[section])):
            raise InputError(f"{section}.{twice[0]} is given twice, by itself and in {section}")
        sections[section] |= given
    noise_std, seed = values.get("noise_std", 1.0), values.get("seed", 0)
    number = isinstance(noise_std, int | float) and not isinstance(noise_std, bool)
    if not (number and 0 <= noise_std <= sys.float_info.max):
        raise InputError(f"noise_std={noise_std!r}: must be a number, finite and not negative")
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise InputError(f"seed={seed!r}: must be a whole number from 0 to 4294967295")
    return RunSpec(config.replace(**sections), float(noise_std), seed)


def _target(values: Mapping[str, Any], folder: Path) -> Target:
    named = [name for name, value in values.items() if _is_target(name, value)]
    if len(named) != 1:
        raise InputError(
            f"give each network one of a preset ({', '.join(PRESETS)}), an hmm file and a data file"
        )
    if "hmm" in values:
        return from_json(str(folder / str(values["hmm"])))
    if named == ["data"]:
        return read_sequences(folder / str(values["data"]))
    if values["preset"] not in list(PRESETS):
        raise InputError(f"preset={values['preset']}: there are {', '.join(PRESETS)}")
    return preset(values["preset"])


def _is_target(name: str, value: Any) -> bool:  # noqa: ANN401
    """Whether a field says what to train on; `data` is also the name of a section of options."""
    return name in ("preset", "hmm") or (name == "data" and isinstance(value, str))


def _section(section: str, options: Any) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(options, Mapping):
        raise InputError(f'{section}={json.dumps(options)}: must be an object, as in {{"a": 1}}')
    for option in options:
        _expect_known(f"{section}.{option}")
    return dict(options)


def _name(block: str | None, varied: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Of the run folder: HMM or data, the block's name, then what varies, then the seed."""
    file = Path(str(values.get("hmm") or values.get("data")))
    target = values.get("preset") or _word(file.stem).lstrip(".+") or "hmm"
    parts = [
        _word(value) if name in SECTIONS else f"{name.rpartition('.')[2]}{_word(value)}"
        for name, value in varied.items()
        if name != "seed"
    ]
    own = [_word(block)] if block else []
    return "-".join([target, *own, *parts, f"seed{values.get('seed', 0)}"])


def _word(value: Any) -> str:  # noqa: ANN401
    """A value as part of a file's name."""
    if isinstance(value, Mapping):
        return "_".join(f"{name}{_word(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return "_".join(map(_word, value))
    return re.sub(r"[^A-Za-z0-9.+]+", "_", str(value))
