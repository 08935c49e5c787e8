"""Records of results: named tuples that print in a few lines, and whose numbers go to files.

A record whose file holds other than its fields has a method `numbers` that says what.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

Kind = TypeVar("Kind", bound=type)

LONGEST = 1_500
"""Characters that a record takes when it is printed."""

WIDTH, N_LISTED, N_NUMBERS = 72, 3, 4


def result_without(*in_memory: str) -> Callable[[Kind], Kind]:
    """Mark a named tuple as a `result`, and fields of it that no file of numbers holds.

    These are states, paths and spectra, for pictures.

    Raises:
        TypeError: one of these is no field.
    """

    def mark(kind: Kind) -> Kind:
        fields_of: Any = kind
        if unknown := set(in_memory) - set(fields_of._fields):
            raise TypeError(f"{kind.__name__} has no field {min(unknown)}")
        fields_of.in_memory, fields_of.__repr__ = in_memory, _printed
        return kind

    return mark


def result(kind: Kind) -> Kind:
    """Mark a named tuple as the record of a result: it prints in a few lines."""
    return result_without()(kind)


def fields(found: Any) -> dict[str, Any]:  # noqa: ANN401
    """What a file holds of a record, by name: its `numbers()`, or all but what stays in memory."""
    if hasattr(found, "numbers"):
        return found.numbers()
    kept_back = getattr(found, "in_memory", ())
    return {name: value for name, value in found._asdict().items() if name not in kept_back}


def _printed(found: Any) -> str:  # noqa: ANN401
    """One line for each field, or a single one; at most `LONGEST` characters."""
    values = {name: brief(value) for name, value in found._asdict().items()}
    name = type(found).__name__
    line = f"{name}({', '.join(f'{field}={value}' for field, value in values.items())})"
    if len(line) <= WIDTH:
        return line
    width = max(map(len, values))
    lines = [f"{name}:", *(f"  {field:{width}}  {value}" for field, value in values.items())]
    whole = "\n".join(lines)
    return whole if len(whole) <= LONGEST else whole[: LONGEST - 4] + " ..."


def brief(value: Any) -> str:  # noqa: ANN401
    """A value in at most 72 characters: few numbers as they are, many by their type and shape."""
    text = _brief(value)
    if len(text) <= WIDTH:
        return text
    begin, _, _ = text[: WIDTH - 5].rpartition(", ")
    return f"{begin}, ..." if begin else text[: WIDTH - 4] + " ..."


def _brief(value: Any) -> str:  # noqa: ANN401
    name = type(value).__name__
    if hasattr(value, "in_short"):
        return str(value.in_short())
    if hasattr(value, "_fields"):
        inner = ", ".join(f"{field}={brief(entry)}" for field, entry in value._asdict().items())
        whole = f"{name}({inner})"
        return whole if len(whole) <= WIDTH else f"{name}: {', '.join(value._fields)}"
    if isinstance(value, Mapping):
        listed = [f"{key}: {brief(entry)}" for key, entry in value.items()]
        return "{" + _few(listed) + "}"
    if isinstance(value, list | tuple) and len(value) > 1 and hasattr(value[0], "_fields"):
        return f"{len(value)} of {type(value[0]).__name__}"
    if isinstance(value, list | tuple):
        return "[" + _few([brief(entry) for entry in value]) + "]"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _of_array(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return repr(value).partition("\n")[0]


def _few(listed: list[str]) -> str:
    more = f", ... ({len(listed)})" if len(listed) > N_LISTED else ""
    return ", ".join(listed[:N_LISTED]) + more


def _of_array(value: Any) -> str:  # noqa: ANN401
    if np.size(value) > N_NUMBERS:
        return f"{value.dtype} {tuple(value.shape)}"
    return np.array2string(np.asarray(value), precision=4, separator=", ").replace("\n", "")
