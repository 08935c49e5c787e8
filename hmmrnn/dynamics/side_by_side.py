"""Networks of one shape measured side by side."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from hmmrnn.errors import InputError
from hmmrnn.nets import Network

Record = TypeVar("Record")


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


def of_one_cell(networks: Sequence[Network]) -> list[Network]:
    """The networks. Raises `InputError` if their cells differ, or if there is no network."""
    cells = {network.cell for network in networks}
    if len(cells) != 1:
        raise InputError(f"{len(cells)} different cells: networks side by side need the same one")
    return [network.bare for network in networks]
