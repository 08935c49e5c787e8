"""One optimiser step, one epoch, and the compiled chunk of epochs."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, Keys, Scalar
from hmmrnn.losses import Generated, Objective
from hmmrnn.nets import init_params, simulate, straight_through
from hmmrnn.sequences import SymbolSequences
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.data import FixedData, ended_as, one_hot, step_batch


class TrainState(NamedTuple):
    """All that changes during training."""

    params: dict[str, Array]
    opt_state: optax.OptState
    epoch: Int[Array, ""]  # finished epochs
    bad_steps: Int[Array, ""]  # non-finite steps so far
    bad_in_row: Int[Array, ""]  # of which without a finite one in between


class Records(NamedTuple):
    """What one epoch leaves behind: means over its steps; a chunk stacks them as (epochs,)."""

    loss: Float[Array, "*E"]
    validation_loss: Float[
        Array, "*E"
    ]  # NaN with fresh ones of an HMM: there the loss is of unseen ones
    gradient_norm: Float[Array, "*E"]  # before clipping
    volatility: Float[Array, "*E"]  # expected share of steps at which the symbol changes
    marginal_error: Float[Array, "*E"]  # largest over the steps; NaN without transport
    bad_steps: Int[Array, "*E"]  # skipped because loss or gradient were not finite


def make_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Adam on the gradient clipped by its global norm."""
    options = config.train
    n_steps = options.epochs * config.steps_per_epoch
    rate = (
        optax.cosine_decay_schedule(options.learning_rate, n_steps, options.final_rate)
        if options.schedule == "cosine"
        else options.learning_rate
    )
    return optax.chain(
        optax.clip_by_global_norm(options.clip_norm),
        optax.adam(rate, b1=options.b1, b2=options.b2),
    )


@partial(jax.jit, static_argnames="config")
def init_state(config: TrainConfig, key: Key) -> TrainState:
    """The state before the first epoch."""
    params = init_params(config.cell, key)
    zero = jnp.zeros((), jnp.int32)
    return TrainState(params, make_optimizer(config).init(params), zero, zero, zero)


def generated(
    config: TrainConfig, params: dict[str, Array], noise_std: Scalar, n_sequences: int, key: Key
) -> Generated:
    """Sequences of the network that carry gradients to its parameters.

    `train.sequences_at_once` of them are simulated together, and once more for their gradient, so
    that only one part's states are ever kept.
    """

    def batch(keys: Keys) -> Generated:
        keys_run, keys_emission = jax.vmap(jax.random.split, out_axes=1)(keys)
        runs = simulate(config.cell, params, noise_std, config.data.n_steps, keys_run)
        logits = jnp.swapaxes(runs.logits, 0, 1)
        emit = jax.vmap(partial(straight_through, temperature=config.train.temperature))
        return Generated(emit(logits, key=keys_emission), jax.nn.softmax(logits, axis=-1))

    keys = jax.random.split(key, n_sequences)
    if not 0 < config.train.sequences_at_once < n_sequences:
        return batch(keys)
    n_parts = -(-n_sequences // config.train.sequences_at_once)
    padded = jnp.resize(keys, (n_parts, -(-n_sequences // n_parts)))  # the last ones twice, unused
    parts = jax.lax.map(jax.checkpoint(batch), padded)
    return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:])[:n_sequences], parts)


def batch_loss(
    params: dict[str, Array],
    config: TrainConfig,
    noise_std: Scalar,
    target: Float[Array, "B T K"],
    key: Key,
) -> tuple[Array, tuple[Array, Array]]:
    """Loss of the network against `target`; beside it volatility and marginal error."""
    return _loss(config.objective, params, config, noise_std, target, key)


def _loss(
    objective: Objective,
    params: dict[str, Array],
    config: TrainConfig,
    noise_std: Scalar,
    target: Float[Array, "B T K"],
    key: Key,
) -> tuple[Array, tuple[Array, Array]]:
    key_run, key_loss = jax.random.split(key)
    network = generated(config, params, noise_std, len(target), key_run)
    value, diagnostics = objective(ended_as(config, network, target), target, key_loss)
    p = jax.lax.stop_gradient(network.probabilities)
    same = jnp.sum(p[:, 1:] * p[:, :-1], axis=-1)
    return value, (1 - jnp.mean(same), diagnostics.marginal_error)


def train_step(
    config: TrainConfig, state: TrainState, noise_std: Scalar, target: Array, key: Key
) -> tuple[TrainState, Records]:
    """One update; a non-finite loss or gradient leaves parameters and optimiser as they were.

    After `max_bad_steps` bad steps in a row the state is frozen for good.
    """
    (loss, (volatility, marginal_error)), gradient = jax.value_and_grad(batch_loss, has_aux=True)(
        state.params, config, noise_std, target, key
    )
    norm = optax.tree.norm(gradient)
    updates, opt_state = make_optimizer(config).update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    good = finite & (state.bad_in_row < config.train.max_bad_steps)
    kept_params, kept_opt = _select(good, (params, opt_state), (state.params, state.opt_state))
    bad = (~good).astype(jnp.int32)
    state = TrainState(
        kept_params,
        kept_opt,
        state.epoch,
        state.bad_steps + bad,
        jnp.where(good, 0, state.bad_in_row + 1),
    )
    return state, Records(loss, jnp.nan * loss, norm, volatility, marginal_error, bad)


def epoch(
    config: TrainConfig, state: TrainState, data: FixedData, noise_std: Scalar, key: Key
) -> tuple[TrainState, Records]:
    """All steps of one epoch; with fixed data in the order of the data, then validation."""
    key_steps, key_validation = jax.random.split(jax.random.fold_in(key, state.epoch))

    def tick(state: TrainState, i: Array) -> tuple[TrainState, Records]:
        key_data, key_step = jax.random.split(jax.random.fold_in(key_steps, i))
        target = (
            step_batch(config, data, key_data)
            if config.data.source == "fresh"
            else one_hot(config, _slice(data.train, i, config.train.batch_size))
        )
        return train_step(config, state, noise_std, target, key_step)

    full, rest = (
        (config.train.steps_per_epoch, 0)
        if config.data.source == "fresh"
        else divmod(len(data.train), config.train.batch_size)
    )
    state, records = jax.lax.scan(tick, state, jnp.arange(full))
    if rest > 1:  # the last, smaller batch of a pass; one sequence alone has no halves
        target = one_hot(config, data.train[-rest:])
        key_rest = jax.random.fold_in(key_steps, full)
        state, last = train_step(config, state, noise_std, target, key_rest)
        records = jax.tree.map(lambda r, last: jnp.append(r, last), records, last)
    summary = _summary(records)
    if config.data.source == "fixed" or isinstance(config.hmm, SymbolSequences):
        value = validate(config, state.params, data.validation, noise_std, key_validation)
        summary = summary._replace(validation_loss=value)
    return state._replace(epoch=state.epoch + 1), summary


def validate(
    config: TrainConfig, params: dict[str, Array], held_out: Array, noise_std: Scalar, key: Key
) -> Array:
    """Mean loss over the full batches of the held-out third, or of what data validate."""
    size = min(config.train.batch_size, len(held_out))

    def one(i: Array) -> Array:
        target = one_hot(config, _slice(held_out, i, size))
        key_batch = jax.random.fold_in(key, i)
        return _loss(config.validation_objective, params, config, noise_std, target, key_batch)[0]

    return jnp.mean(jax.lax.map(one, jnp.arange(len(held_out) // size)))


def epochs(
    config: TrainConfig,
    state: TrainState,
    data: FixedData,
    noise_std: Scalar,
    key: Key,
    n_epochs: int,
) -> tuple[TrainState, Records]:
    """`n_epochs` epochs in one scan."""
    return jax.lax.scan(
        lambda state, _: epoch(config, state, data, noise_std, key), state, length=n_epochs
    )


run_chunk = jax.jit(epochs, static_argnames=("config", "n_epochs"), donate_argnames="state")
"""The compiled `epochs`; the buffers of `state` are reused."""


def _slice(symbols: Array, i: Array, size: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(symbols, i * size, size)


def _select(good: Bool[Array, ""], new: tuple, old: tuple) -> tuple:
    return jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)


def _summary(steps: Records) -> Records:
    """Means over the finite steps of an epoch, worst marginal error, count of bad steps."""
    good = steps.bad_steps == 0

    def mean(values: Array) -> Array:
        return jnp.sum(jnp.where(good, values, 0)) / jnp.sum(good)

    return Records(
        loss=mean(steps.loss),
        validation_loss=mean(steps.validation_loss),
        gradient_norm=mean(steps.gradient_norm),
        volatility=mean(steps.volatility),
        marginal_error=jnp.max(steps.marginal_error),
        bad_steps=jnp.sum(steps.bad_steps),
    )
