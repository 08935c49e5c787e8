"""Networks that infer the hidden state of an HMM from noisy observations, among distractors.

`hmm_inference` has its filter built in, unit by unit; `trained_inference` has learned it. Both
predict: they read out what is believed about the next state, given all observations so far.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int
from scipy.optimize import least_squares

from hmmrnn.arrays import Key, Params, Scalar
from hmmrnn.errors import InputError
from hmmrnn.nets import Intervention, Network, RNNCell, init_params
from hmmrnn.results import result
from hmmrnn.tasks.distractors import (
    Trials,
    Weights,
    contaminated,
    hidden,
    settled,
    surrounded,
)
from hmmrnn.tasks.task import Task, check_at_least

NO_LEAK = 1.0
TRAINING_STEPS, TRAINING_TRIALS, TRAINING_LENGTH = 2000, 64, 40
LEARNING_RATE, CLIP = 1e-2, 1.0
USEFUL = 2.0  # a trained unit counts if the loss without it is at least so many times as large


@result
class Kinks(NamedTuple):
    """psi(L) ~ offset + sum_k weight_k relu(L - place_k), in log odds."""

    place: Float[np.ndarray, " k"]
    weight: Float[np.ndarray, " k"]
    offset: float


def hmm_inference(
    key: Key,
    *,
    hazard: float = 0.05,
    mu: float = 0.5,
    n_kinks: int = 4,
    n_trials: int = 64,
    n_steps: int = 100,
    contamination: float = 0.0,
    noise_std: float = 0.0,
    n_distractors: int = 56,
) -> Task:
    """The filter of two states that change with probability `hazard`, x_t = +-mu + N(0, 1).

    The log odds of state 1 follow L_t = psi(L_{t-1}) + 2 mu x_t, with psi(L) =
    2 artanh((1 - 2 hazard) tanh(L / 2)) (Glaze, Kable & Gold 2015). With psi as a sum of kinks
    (`fit_kinks`), units h_k = relu(L_t - place_k) are a relu RNN: h_k receives
    sum_j weight_j h_j + offset - place_k + 2 mu x_t. The readout is psi(L_t) = offset +
    sum_k weight_k h_k, the log odds of the next state, and the target their exact value. With few
    trials an outermost kink may never be reached, and so do nothing.

    Groups are "filter" and "random"; the latter hear filter, observations and each other, and send
    weights into the filter of `contamination` times its own mean |weight|.

    Raises:
        InputError: a hazard outside (0, 0.5), fewer than two kinks, a negative size or strength.
    """
    _check(hazard, 2, n_trials=n_trials, n_steps=n_steps)
    check_at_least(2, n_kinks=n_kinks)
    check_at_least(
        0, mu=mu, contamination=contamination, noise_std=noise_std, n_distractors=n_distractors
    )
    key_trials, key_random, key_into, key_hidden = jax.random.split(key, 4)
    kinks = fit_kinks(hazard, mu, n_kinks)
    circuit = Weights(
        W_rec=np.tile(kinks.weight, (n_kinks, 1)),
        W_in=np.full((n_kinks, 1), 2 * mu),
        W_out=kinks.weight[None],
        b_rec=kinks.offset - kinks.place,
        b_out=np.array([kinks.offset]),
        sizes={"filter": n_kinks},
    )
    planted = surrounded(circuit, n_distractors, "filter", key_random)
    net = contaminated(planted, contamination, "filter", ("random",), key_into)
    states, noise = _chain(key_trials, hazard, 2, n_steps, n_trials)
    x = mu * (2 * states - 1) + noise[..., 0]
    log_law = next_state_law(mu * jnp.stack([-x, x], axis=-1), hazard)
    h0 = np.zeros((n_trials, len(net.b_rec)))
    h0[:, :n_kinks] = np.maximum(-kinks.place, 0)  # L_0 = 0
    trials = Trials(
        inputs=x[..., None],
        h0=settled(planted, h0, NO_LEAK),
        target=log_law[..., 1:] - log_law[..., :1],
        latent=np.asarray(states, float),
        windows={"all": (0, n_steps)},
        truth=[planted.units("filter")],
    )
    return hidden(planted, net, trials, NO_LEAK, noise_std, key_hidden)


def trained_inference(
    key: Key,
    *,
    n_states: int = 3,
    hazard: float = 0.05,
    mu: float = 0.5,
    n_units: int = 8,
    n_trials: int = 64,
    n_steps: int = 100,
    contamination: float = 0.0,
    noise_std: float = 0.0,
    n_distractors: int = 56,
) -> Task:
    """As `hmm_inference` for more states, by a small relu RNN trained on the exact filter.

    A change leads to each other state alike. There is one observation for each state,
    x_t = sqrt(2) mu e_(z_t) + N(0, I), so that any two are told apart as well as the two of
    `hmm_inference`. Readout and target are log-probabilities of the next state less their mean.

    The truth is measured: those units of the group "filter" without which the loss, KL(exact law |
    readout), at least doubles. Trained anew in each call, in 2000 steps: seconds.

    Raises:
        InputError: as for `hmm_inference`, and fewer than two states.
    """
    check_at_least(2, n_states=n_states)
    _check(hazard, n_states, n_trials=n_trials, n_steps=n_steps, n_units=n_units)
    check_at_least(
        0, mu=mu, contamination=contamination, noise_std=noise_std, n_distractors=n_distractors
    )
    key_train, key_trials, key_random, key_into, key_hidden = jax.random.split(key, 5)
    params, useful = _trained(hazard, mu, n_states, n_units, key_train)
    arrays = {name: np.asarray(value, float) for name, value in params.items()}
    arrays |= {name: arrays[name] - arrays[name].mean(0) for name in ("W_out", "b_out")}
    circuit = Weights(**arrays, sizes={"filter": n_units})
    planted = surrounded(circuit, n_distractors, "filter", key_random)
    net = contaminated(planted, contamination, "filter", ("random",), key_into)
    states, x, log_law = _many_states(key_trials, hazard, mu, n_states, n_steps, n_trials)
    trials = Trials(
        inputs=x,
        h0=settled(planted, np.zeros((n_trials, len(net.b_rec))), NO_LEAK),
        target=log_law - jnp.mean(log_law, axis=-1, keepdims=True),
        latent=np.asarray(states, float),
        windows={"all": (0, n_steps)},
        truth=[np.pad(np.asarray(useful), (0, n_distractors))],
    )
    return hidden(planted, net, trials, NO_LEAK, noise_std, key_hidden)


def fit_kinks(hazard: float, mu: float, n_kinks: int) -> Kinks:
    """Least squares over all log odds that occur: up to the bound of psi and six sigma of x."""
    bound = np.log((1 - hazard) / hazard)
    reach = bound + 2 * mu * (mu + 6)
    L = np.linspace(-reach, reach, 801)
    psi = 2 * np.arctanh((1 - 2 * hazard) * np.tanh(L / 2))

    def fitted(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        terms = np.column_stack([np.ones_like(L), np.maximum(L[:, None] - place, 0)])
        factors = np.linalg.lstsq(terms, psi, rcond=None)[0]
        return factors, terms @ factors - psi

    first = np.linspace(-bound - 1, bound + 1, n_kinks)
    place = least_squares(lambda place: fitted(place)[1], first).x
    factors, _ = fitted(place)
    return Kinks(place, factors[1:], float(factors[0]))


@jax.jit
def next_state_law(log_likelihood: Float[Array, "T *B M"], hazard: Scalar) -> Array:
    """Log p(z_{t+1} | x_1..x_t) (T, *B, M) from log p(x_t | z_t), up to a constant for each t.

    The first state is uniform; a change leads to each other state alike.
    """
    n_states = log_likelihood.shape[-1]

    def tick(log_prior: Array, evidence: Array) -> tuple[Array, Array]:
        now = jax.nn.softmax(log_prior + evidence)
        log_next = jnp.log(now * (1 - hazard) + (1 - now) * hazard / (n_states - 1))
        return log_next, log_next

    uniform = jnp.full(log_likelihood.shape[1:], -jnp.log(n_states))
    return jax.lax.scan(tick, uniform, log_likelihood)[1]


def _chain(
    key: Key, hazard: Scalar, n_states: int, n_steps: int, n_trials: int
) -> tuple[Int[Array, "T B"], Float[Array, "T B M"]]:
    """Hidden states, and the noise of as many observations as there are states."""
    key_first, key_change, key_where, key_noise = jax.random.split(key, 4)
    shape = (n_steps, n_trials)
    first = jax.random.randint(key_first, (n_trials,), 0, n_states)
    change = jax.random.bernoulli(key_change, hazard, shape).at[0].set(False)
    move = jnp.where(change, jax.random.randint(key_where, shape, 1, n_states), 0)
    states = (first + jnp.cumsum(move, axis=0)) % n_states
    return states, jax.random.normal(key_noise, (*shape, n_states))


def _many_states(
    key: Key, hazard: Scalar, mu: Scalar, n_states: int, n_steps: int, n_trials: int
) -> tuple[Int[Array, "T B"], Float[Array, "T B M"], Float[Array, "T B M"]]:
    """States, observations and the exact log law of the next state."""
    states, noise = _chain(key, hazard, n_states, n_steps, n_trials)
    height = jnp.sqrt(2.0) * mu
    x = height * jax.nn.one_hot(states, n_states) + noise
    return states, x, next_state_law(height * x, hazard)


@partial(jax.jit, static_argnames=("n_states", "n_units"))
def _trained(
    hazard: Scalar, mu: Scalar, n_states: int, n_units: int, key: Key
) -> tuple[Params, Bool[Array, " n"]]:
    """Parameters of a small network that predicts, and which of its units it needs."""
    key_init, key_data, key_test = jax.random.split(key, 3)
    cell = RNNCell(n_symbols=n_states, hidden_size=n_units, noise_dim=n_states, bias=True)
    rate = optax.cosine_decay_schedule(LEARNING_RATE, TRAINING_STEPS)
    optimiser = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(rate))

    def loss(params: Params, key: Key, gain: Array) -> Array:
        """KL(exact law | readout) in nats per step."""
        _, x, law = _many_states(key, hazard, mu, n_states, TRAINING_LENGTH, TRAINING_TRIALS)
        h0 = jnp.zeros((TRAINING_TRIALS, n_units))
        network = Network(params, 0.0, cell)
        logits = network.run(h0, x, Intervention(state_gain=gain)).logits
        return jnp.mean(jnp.sum(jnp.exp(law) * (law - jax.nn.log_softmax(logits)), axis=-1))

    def tick(carry: tuple, key: Key) -> tuple[tuple, None]:
        params, state = carry
        updates, state = optimiser.update(jax.grad(loss)(params, key, whole), state)
        return (optax.apply_updates(params, updates), state), None

    whole, start = jnp.ones(n_units), init_params(cell, key_init)
    keys = jax.random.split(key_data, TRAINING_STEPS)
    (params, _), _ = jax.lax.scan(tick, (start, optimiser.init(start)), keys)
    without = jax.vmap(lambda gain: loss(params, key_test, gain))(1 - jnp.eye(n_units))
    return params, without > USEFUL * loss(params, key_test, whole)


def _check(hazard: float, n_states: int, **sizes: int) -> None:
    highest = (n_states - 1) / n_states  # at it, the next state is as good as drawn afresh
    if not 0 < hazard < highest:
        raise InputError(f"hazard={hazard}: must be above 0 and below {highest:.3g}")
    check_at_least(1, **sizes)
