"""The type checker behind the annotations in tests: an int may stand for a float."""

from collections.abc import Callable
from typing import Self

from beartype import BeartypeConf, beartype

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable) -> Callable:
    """Check calls of `function`; records check what users put into them themselves."""
    unread = Self in function.__annotations__.values()  # beartype reads it in whole classes only
    return function if unread or function.__name__ == "__init__" else _checked(function)
