"""Annotations are checked at run time in tests: types by beartype, shapes of arrays by jaxtyping.

jaxtyping binds the arguments of each call anew, which takes longer than most functions; so only
functions that speak of arrays pay for it.
"""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep585DeprecationWarning

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
_with_shapes = jaxtyping.jaxtyped


def checked(function: Callable) -> Callable:
    """Check calls of `function`, where an int may stand for a float.

    Records check what users put into them themselves. Functions inside of others are left alone:
    they would be decorated anew in each call.
    """
    if function.__name__ == "__init__" or "<locals>" in function.__qualname__:
        return function
    with warnings.catch_warnings():  # of types that other libraries spell as they did before
        warnings.simplefilter("ignore", BeartypeDecorHintPep585DeprecationWarning)
        return _checked(function)


def where_arrays_are(*, typechecker: Callable) -> Callable:
    """`jaxtyping.jaxtyped`, but for functions without arrays and for classes."""

    def decorate(found: Any) -> Any:
        if inspect.isclass(found):
            return found
        if inspect.isfunction(found) and not speaks_of_arrays(found):
            return checked(found)
        return _with_shapes(typechecker=typechecker)(found)

    return decorate


def speaks_of_arrays(function: Callable) -> bool:
    """Whether an annotation has an array type in it, or a name that jaxtyping leaves alone."""
    told = [repr(each) for each in function.__annotations__.values()]
    return any("jaxtyping" in each or "ForwardRef" in each for each in told)
