"""The type checker behind the annotations in tests: an int may stand for a float."""

from collections.abc import Callable

from beartype import BeartypeConf, beartype

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable) -> Callable:
    """Check calls of `function`; records check what users put into them themselves.

    Functions inside of others are left alone: they would be decorated anew in each call, which
    took a third of the time of some tests.
    """
    if function.__name__ == "__init__" or "<locals>" in function.__qualname__:
        return function
    return _checked(function)
