"""A ring attractor that keeps, moves or replaces an angle, hidden among distractors.

Leaky relu units. One network does all three: only its inputs differ between the conditions.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hmmrnn.arrays import Key
from hmmrnn.errors import InputError
from hmmrnn.nets import Network
from hmmrnn.tasks.distractors import (
    Trials,
    Weights,
    contaminated,
    hidden,
    relu_network,
    settled,
    surrounded,
)
from hmmrnn.tasks.task import Task, Windows, check_at_least

CONDITIONS = ("static", "travelling", "jumping")
DIRECTIONS = ("left", "right")

N_RING = 32
LEAK = 0.2
SHIFT, SHIFT_WEIGHT, SHIFT_THRESHOLD = 3, 0.6, 2.0  # positions; weight; what v must make up for
CUE_STEPS, CUE_HEIGHT, CUE_SHARPNESS = 15, 3.0, 4.0
FADE_STEPS = 25  # after an input ends: what it drove is below 0.8^25 = 0.4 %
MIN_STEPS = 70  # with fewer, nothing is left to see after a travel or a jump

ANGLES = 2 * np.pi * np.arange(N_RING) / N_RING  # radians
LEFT, RIGHT, CUE = 0, 1, slice(2, 2 + N_RING)  # columns of the inputs
N_INPUTS = 2 + N_RING


def ring_attractor(
    key: Key,
    condition: str,
    *,
    n_trials: int = 64,
    n_steps: int = 100,
    contamination: float = 0.0,
    noise_std: float = 0.0,
    direction: str = "right",
    push: float = 1.75,
    n_echoes: int = 64,
    n_random: int = 64,
) -> Task:
    """A bump of activity on a ring of 32 units: static, travelling or jumping.

    With a leak of 0.2, theta_i = 2 pi i / 32, and f the relu:

        ring C:      f(1 + sum_j (-4 + 4 cos(theta_i - theta_j)) / 32 C_j + J_i
                       + 0.6 (R_{i-3} + L_{i+3}))
        right R:     f(C_i - 2 + v_R), left L alike
        relays J:    f(cue_i), cue_i = 3 exp(4 (cos(theta_i - theta*) - 1))
        echoes:      receive what a ring unit receives, and send nothing
        random:      normal weights from C, from the inputs and from each other

    The readout is (sum_i cos(theta_i) C_i, sum_i sin(theta_i) C_i) over its mean length at rest.
    The target is what the circuit reads out alone, without noise and contamination; the latent is
    the angle of the target, but from the cue of a jump on that of the cue. Start angles are evenly
    spaced.

    - static: nothing comes in. At work: C.
    - travelling: v = `push` in one direction, in the window "travel". At work: C, then also R or L.
      A push of 1.5, 1.75, 2 moves the bump by 1.31, 1.97, 2.15 degrees per step.
    - jumping: a cue at 90 to 180 degrees for 15 steps, the window "cue". At work: C, then also J.
      The cue lifts C above 2, so that L and R stir too, against each other. They do not count:
      without any one of them the readout changes by 0.02 at most, without a relay by up to 0.4.

    The network is the same for all conditions. `contamination` is the standard deviation of
    weights from echoes and random units into C, relative to the mean |weight| in C (0.125).

    Raises:
        InputError: an unknown condition or direction, too few steps, a negative size or strength.
    """
    _check(condition, direction, n_steps)
    check_at_least(1, n_trials=n_trials)
    check_at_least(
        0, contamination=contamination, noise_std=noise_std, n_echoes=n_echoes, n_random=n_random
    )
    key_random, key_into, key_trials, key_hidden = jax.random.split(key, 4)
    planted = surrounded(_circuit(n_echoes), n_random, "ring", key_random)
    net = contaminated(planted, contamination, "ring", ("echoes", "random"), key_into)
    start, goal = _angles(n_trials, key_trials)
    h0 = settled(planted, _start_states(planted, start), LEAK)
    windows = _windows(condition, n_steps)
    inputs = jnp.asarray(_inputs(condition, windows, n_steps, goal, direction, push), jnp.float32)
    target = _alone(planted, h0, inputs)
    latent = np.array(jnp.arctan2(target[..., 1], target[..., 0]))
    if condition == "jumping":
        latent[windows["cue"][0] :] = goal
    helper = {"cue": ("relays",), "travel": (direction,)}
    truth = [planted.units("ring", *helper.get(name, ())) for name in windows]
    trials = Trials(inputs, h0, target, latent, windows, truth)
    return hidden(planted, net, trials, LEAK, noise_std, key_hidden)


def bump(angle: Float[np.ndarray, " B"]) -> Float[np.ndarray, "B n"]:
    """The ring at rest with its bump at each angle, in radians: f(A + R cos(theta - angle)).

    A = 1 - 4 mean(C) and R = 4 mean(C cos(theta - angle)), found by iteration.
    """
    cosine = np.cos(ANGLES - angle[:, None])
    ring = np.maximum(cosine, 0)
    for _ in range(400):
        height = 1 - 4 * ring.mean(1, keepdims=True)
        slope = 4 * (ring * cosine).mean(1, keepdims=True)
        ring = 0.5 * ring + 0.5 * np.maximum(height + slope * cosine, 0)
    return ring


def _circuit(n_echoes: int) -> Weights:
    """Ring, shifters, relays, and echoes of the ring."""
    n = N_RING
    sizes = {"ring": n, "left": n, "right": n, "relays": n, "echoes": n_echoes}
    W_rec, W_in = np.zeros((4 * n, 4 * n)), np.zeros((4 * n, N_INPUTS))
    ring, left, right, relays = (slice(i * n, (i + 1) * n) for i in range(4))
    W_rec[ring, ring] = (-4 + 4 * np.cos(ANGLES[:, None] - ANGLES)) / n
    W_rec[ring, left] = SHIFT_WEIGHT * np.roll(np.eye(n), -SHIFT, axis=0)
    W_rec[ring, right] = SHIFT_WEIGHT * np.roll(np.eye(n), SHIFT, axis=0)
    W_rec[ring, relays] = W_rec[left, ring] = W_rec[right, ring] = np.eye(n)
    W_in[left, LEFT] = W_in[right, RIGHT] = 1
    W_in[relays, CUE] = np.eye(n)
    bias = np.repeat([1.0, -SHIFT_THRESHOLD, -SHIFT_THRESHOLD, 0.0], n)
    readout = np.pad(np.stack([np.cos(ANGLES), np.sin(ANGLES)]), ((0, 0), (0, 3 * n)))
    between = np.linspace(0, 2 * np.pi / n, 16, endpoint=False)
    length = np.linalg.norm(bump(between) @ readout[:, ring].T, axis=1).mean()
    copied = np.arange(n_echoes) % n
    return Weights(
        W_rec=np.pad(np.concatenate([W_rec, W_rec[copied]]), ((0, 0), (0, n_echoes))),
        W_in=np.concatenate([W_in, W_in[copied]]),
        W_out=np.pad(readout / length, ((0, 0), (0, n_echoes))),
        b_rec=np.concatenate([bias, bias[copied]]),
        b_out=np.zeros(2),
        sizes=sizes,
    )


def _angles(n_trials: int, key: Key) -> tuple[np.ndarray, np.ndarray]:
    """Start angles, evenly spaced from a random one on, and goals 90 to 180 degrees away."""
    key_start, key_size, key_side = jax.random.split(key, 3)
    first = float(jax.random.uniform(key_start))
    start = 2 * np.pi * (np.arange(n_trials) + first) / n_trials
    size = np.asarray(jax.random.uniform(key_size, (n_trials,), minval=np.pi / 2, maxval=np.pi))
    side = np.where(jax.random.bernoulli(key_side, shape=(n_trials,)), 1, -1)
    return start, np.angle(np.exp(1j * (start + side * size)))


def _start_states(net: Weights, angle: Float[np.ndarray, " B"]) -> Float[np.ndarray, "B N"]:
    ring = bump(angle)
    h0 = np.zeros((len(angle), len(net.b_rec)))
    h0[:, net.units("ring")] = ring
    h0[:, net.units("echoes")] = ring[:, np.arange(net.sizes["echoes"]) % N_RING]
    return h0


def _windows(condition: str, n_steps: int) -> Windows:
    first = n_steps // 5
    if condition == "static":
        return {"hold": (0, n_steps)}
    if condition == "travelling":
        last = 3 * n_steps // 5
        return {"hold": (0, first), "travel": (first, last), "keep": (last + FADE_STEPS, n_steps)}
    last = first + CUE_STEPS
    return {"hold": (0, first), "cue": (first, last), "keep": (last + FADE_STEPS, n_steps)}


def _inputs(
    condition: str,
    windows: Windows,
    n_steps: int,
    goal: Float[np.ndarray, " B"],
    direction: str,
    push: float,
) -> Float[np.ndarray, "T B D"]:
    inputs = np.zeros((n_steps, len(goal), N_INPUTS))
    if condition == "travelling":
        inputs[slice(*windows["travel"]), :, LEFT if direction == "left" else RIGHT] = push
    if condition == "jumping":
        nearness = np.cos(ANGLES - goal[:, None]) - 1
        inputs[slice(*windows["cue"]), :, CUE] = CUE_HEIGHT * np.exp(CUE_SHARPNESS * nearness)
    return inputs


def _alone(
    net: Weights, h0: Float[np.ndarray, "B N"], inputs: Float[Array, "T B D"]
) -> Float[Array, "T B K"]:
    """What `net` reads out."""
    arrays = net._asdict()
    del arrays["sizes"]
    return _readout(relu_network(arrays, LEAK), jnp.asarray(h0, jnp.float32), inputs)


@jax.jit
def _readout(network: Network, h0: Array, inputs: Array) -> Float[Array, "T B K"]:
    return network.run(h0, inputs).logits


def _check(condition: str, direction: str, n_steps: int) -> None:
    for name, value, allowed in (
        ("condition", condition, CONDITIONS),
        ("direction", direction, DIRECTIONS),
    ):
        if value not in allowed:
            raise InputError(f"{name}={value}: allowed are {', '.join(allowed)}")
    check_at_least(1 if condition == "static" else MIN_STEPS, n_steps=n_steps)
