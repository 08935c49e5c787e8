"""How configuration records declare their fields: default, help text and allowed range in one line.

The command lines turn each field into a dotted flag, `--train.learning_rate`; the same dotted name
stands in every error message.
"""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args, get_origin

from hmmrnn.errors import InputError

LARGEST = 2**31 - 1
"""Of whole numbers that have no other limit."""


def option(
    default: Any,  # noqa: ANN401
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    since: int = 1,
    before: Any = None,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """A dataclass field with a help text and an inclusive range.

    One that was added in a later format of configurations says in which, and which value does what
    was done `before`: so older ones stay readable and mean what they meant.
    """
    metadata = {"help": help, "low": low, "high": high, "since": since, "before": before}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Section:
    """A group of options; checks types and ranges when it is made."""

    section: ClassVar[str]

    def __post_init__(self) -> None:
        for name, kind in option_types(type(self)).items():
            value = getattr(self, name)
            field = type(self).__dataclass_fields__[name]
            object.__setattr__(
                self, name, checked(f"{self.section}.{name}", value, kind, field.metadata)
            )


def values_before(section: type[Section], version: int = 1) -> dict[str, Any]:
    """The options that were added after format `version`, with what did the same before."""
    return {
        field.name: field.metadata["before"]
        for field in dataclasses.fields(section)
        if field.metadata["since"] > version
    }


def option_types(section: type[Section]) -> Mapping[str, Any]:
    """Name and type (int, float, bool, str, a Literal or tuple[int, ...]) of every option."""
    known: Any = section  # hashable, which mypy does not see of classes of frozen records
    return _option_types(known)


@functools.cache
def _option_types(section: Any) -> Mapping[str, Any]:  # noqa: ANN401
    hints = typing.get_type_hints(section)
    found = {field.name: hints[field.name] for field in dataclasses.fields(section)}
    return MappingProxyType(found)


def checked(name: str, value: Any, kind: Any, metadata: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """`value` as `kind`, or an `InputError` that names it and what is allowed."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"{name}={value}: allowed are {', '.join(map(str, get_args(kind)))}")
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple) or not value:
            raise InputError(f"{name}={value!r}: must be a list of at least one value")
        return tuple(checked(name, item, get_args(kind)[0], metadata) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            raise InputError(f"{name}={value}: must be finite") from None
    if type(value) is not kind:
        raise InputError(f"{name}={value!r}: must be of type {kind.__name__}")
    low, high = metadata.get("low"), metadata.get("high")
    if kind is int and high is None:
        high = LARGEST
    if kind is float and not float("-inf") < value < float("inf"):
        raise InputError(f"{name}={value}: must be finite")
    if low is not None and value < low:
        raise InputError(f"{name}={value}: must be at least {low}")
    if high is not None and value > high:
        raise InputError(f"{name}={value}: must be at most {high}")
    return value
