"""Analyses of one network or of many: what a device measures, and what the host makes of it.

An analysis has two parts. What it measures needs no host: arrays of fixed shape from a network and
a key, so it runs `side_by_side` for many networks. What it concludes has shapes that depend on what
was found, and goes `one_by_one`. The analysis of a single network is that of many with one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.nets import Network

Record = TypeVar("Record")


def of_one_cell(networks: Sequence[Network]) -> list[Network]:
    """The networks. Raises `InputError` if their cells differ, or if there is no network."""
    cells = {network.cell for network in networks}
    if len(cells) != 1:
        raise InputError(f"{len(cells)} different cells: networks side by side need the same one")
    return [network.bare for network in networks]


def side_by_side(measure: Callable[..., Record], each: Sequence[tuple[Any, ...]]) -> list[Record]:
    """`measure(*arguments)` for the arguments of each network, arrays and numbers of equal shape.

    Every compiled function that `measure` calls runs once, vmapped over the networks. A single
    network takes the code that is compiled for one, so nothing is compiled anew for it. Memory is
    that of all networks together.
    """
    if len(each) == 1:
        return [measure(*each[0])]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    found = jax.vmap(measure)(*stacked)
    return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(each))]


def one_by_one(
    conclude: Callable[..., Record], each: Iterable[tuple[Any, ...]]
) -> Iterator[Record | DivergingNetworkError]:
    """`conclude(*arguments)` for the arguments of each network, or the error that it raises."""
    for arguments in each:
        try:
            yield conclude(*arguments)
        except DivergingNetworkError as error:
            yield error


def the_only(found: Iterable[Record | DivergingNetworkError]) -> Record:
    """What was found of a single network. Raises the `DivergingNetworkError` if it is one."""
    (only,) = found
    if isinstance(only, DivergingNetworkError):
        raise only
    return only
