"""The words of the package: array types and the letters that name their axes.

| letter | axis                        | letter | axis                      |
|--------|-----------------------------|--------|---------------------------|
| T      | time steps                  | M      | states of the HMM         |
| B      | sequences in a batch        | S      | seeds                     |
| N      | hidden units                | V      | noise levels              |
| D      | dimensions of the noise     | P      | start points              |
| K      | output symbols              |        |                           |
"""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray
from jaxtyping import Key as KeyOf

Key = PRNGKeyArray
Keys = KeyOf[Array, "*B"]
"""One or several keys, such as `jax.random.split` gives."""

Params = Mapping[str, Array]
"""Flat parameters of one network: `W_in` (N, D), `W_rec` (N, N), `W_out` (K, N), biases if used."""

Scalar = Float[Array, ""] | float

Symbols = Int[Array, "T"]
States = Int[Array, "T"]
OneHot = Float[Array, "T K"]

HIGHEST = jax.lax.Precision.HIGHEST
"""Matmul precision used throughout: TF32 breaks Jacobians and Sinkhorn iterations on GPUs."""


def named_keys(key: Key, names: Sequence[str]) -> dict[str, Key]:
    """One key for each name, those that a split gives, in order."""
    return dict(zip(names, jax.random.split(key, len(names)), strict=True))


def host_generator(key: Key) -> np.random.Generator:
    """Numpy's generator for draws on the host; jax would compile one for each shape."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))
