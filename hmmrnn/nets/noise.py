"""White noise from a cheap counter-based generator.

Drawing noise with JAX's default generator takes almost as long as the network itself. PCG4D
(Jarzynski & Olano 2020, Hash functions for GPU rendering, JCGT 9(3)) turns a key, a step and a
counter into four words with far fewer operations. Keys, streams and everything else that is
random stay with JAX's default generator.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from hmmrnn.arrays import Keys

Word = UInt32[Array, "*shape"]


def white_noise(keys: Keys, n_steps: int, dim: int) -> Float[Array, "T *B D"]:
    """Independent standard normal numbers for each of the keys (*B): a pure function of the key.

    Made with the steps as first axis, where a simulation wants them: transposing noise takes
    longer than drawing it.
    """
    seeds = jax.vmap(lambda key: jax.random.bits(key, (2,), "uint32"))(keys.reshape(-1))
    first, second = (seeds[:, i].reshape(*keys.shape, 1) for i in (0, 1))
    steps = jnp.arange(n_steps, dtype=jnp.uint32).reshape(-1, *(1 for _ in keys.shape), 1)
    counter = jnp.arange(-(-dim // 4), dtype=jnp.uint32)
    words = pcg4d(*jnp.broadcast_arrays(counter, first, second, steps))
    return _normal(jnp.concatenate(words, axis=-1)[..., :dim])


def pcg4d(x: Word, y: Word, z: Word, w: Word) -> tuple[Word, Word, Word, Word]:
    """Four hashed words for each four words (Jarzynski & Olano 2020, listing of pcg4d)."""
    x, y, z, w = (word * jnp.uint32(1664525) + jnp.uint32(1013904223) for word in (x, y, z, w))
    x, y, z, w = _mixed(x, y, z, w)
    x, y, z, w = (word ^ (word >> 16) for word in (x, y, z, w))
    return _mixed(x, y, z, w)


def _mixed(x: Word, y: Word, z: Word, w: Word) -> tuple[Word, Word, Word, Word]:
    x += y * w
    y += z * x
    z += x * y
    w += y * z
    return x, y, z, w


def _normal(bits: Word) -> Float[Array, "*shape"]:
    """One standard normal number for each word, by the inverse of its law on 23 of its bits."""
    one_to_two = jax.lax.bitcast_convert_type((bits >> 9) | jnp.uint32(0x3F800000), jnp.float32)
    lowest = np.nextafter(np.float32(-1), np.float32(0))
    uniform = jnp.maximum(lowest, (one_to_two - 1) * (1 - lowest) + lowest)
    normal = np.float32(np.sqrt(2)) * jax.lax.erf_inv(uniform)
    return normal.astype(jnp.result_type(float))
