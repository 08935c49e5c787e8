"""White noise from a cheap counter-based generator.

Drawing noise with JAX's default generator takes almost as long as the network itself. PCG4D
(Jarzynski & Olano 2020, Hash functions for GPU rendering, JCGT 9(3)) turns a counter and a key
into four words with far fewer operations. Keys, streams and everything else that is random
stay with JAX's default generator.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl
from jaxtyping import Array, Float, UInt32

from hmmrnn.arrays import Key

Word = UInt32[Array, "*shape"]


def white_noise(key: Key, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Independent standard normal numbers; a pure function of `key`, also under vmap."""
    stream = jax.random.wrap_key_data(jax.random.bits(key, (2,), "uint32"), impl=PCG4D)
    return jax.random.normal(stream, shape)


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


def _random_bits(key: UInt32[Array, "2"], bit_width: int, shape: tuple[int, ...]) -> Array:
    """The words of counters 0, 1, 2, ..., four from each."""
    if bit_width == 64:
        high, low = _random_bits(key, 32, (2, *shape)).astype(jnp.uint64)
        return (high << 32) | low
    if bit_width != 32:
        raise NotImplementedError(f"random numbers of {bit_width} bits")
    size = math.prod(shape)
    counter = jax.lax.iota(jnp.uint32, -(-size // 4))
    words = pcg4d(counter, *(jnp.broadcast_to(k, counter.shape) for k in (*key, key[0] ^ key[1])))
    return jnp.stack(words, axis=-1).reshape(-1)[:size].reshape(shape)


def _no_streams(*_: object) -> Array:
    raise NotImplementedError("keys are split by JAX's default generator")


PCG4D = define_prng_impl(
    key_shape=(2,),
    seed=_no_streams,
    split=_no_streams,
    random_bits=_random_bits,
    fold_in=_no_streams,
    name="pcg4d",
    tag="pcg4d",
)
