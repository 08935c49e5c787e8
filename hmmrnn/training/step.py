"""One optimiser step, one epoch, and the compiled chunk of epochs."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, Keys, Scalar
from hmmrnn.losses import Generated, Objective, Transport
from hmmrnn.nets import Network, init_params, straight_through
from hmmrnn.results import result
from hmmrnn.training.config import TrainConfig
from hmmrnn.training.data import (
    FixedData,
    OwnTerms,
    batches,
    ended_as,
    one_hot,
    step_batch,
    validation_batches,
)


class TrainState(NamedTuple):
    """All that changes during training."""

    params: dict[str, Array]
    opt_state: optax.OptState
    mean_params: dict[str, Array]  # over the last `train.average_epochs`; empty without them
    epoch: Int[Array, ""]  # finished epochs
    bad_steps: Int[Array, ""]  # non-finite steps so far
    bad_in_row: Int[Array, ""]  # of which without a finite one in between


@result
class Records(NamedTuple):
    """What one epoch leaves behind: means over its steps; a chunk stacks them as (epochs,)."""

    loss: Float[Array, "*E"]  # without the activity penalty
    validation_loss: Float[Array, "*E"]
    """NaN between validations, and with fresh sequences of an HMM: there the loss is of unseen
    ones."""
    gradient_norm: Float[Array, "*E"]  # before clipping
    volatility: Float[Array, "*E"]  # expected share of steps at which the symbol changes
    marginal_error: Float[Array, "*E"]  # largest over the steps; NaN without transport
    bad_steps: Int[Array, "*E"]  # skipped because loss or gradient were not finite
    activity: Float[Array, "*E"] | None = None
    """Mean squared hidden state in units of noise_std^2; None where it is not penalised."""

    def arrays(self) -> dict[str, Any]:
        """What was recorded, by name."""
        return {name: values for name, values in self._asdict().items() if values is not None}

    @classmethod
    def blank(cls, config: TrainConfig) -> "Records":
        """Those of a training before its first epoch."""
        zeros = jnp.zeros(config.train.epochs)
        counts = jnp.zeros(config.train.epochs, jnp.int32)
        activity = zeros if config.train.penalised else None
        return cls(zeros, zeros, zeros, zeros, zeros, counts, activity)


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


@jax.jit
def init_state(config: TrainConfig, key: Key) -> TrainState:
    """The state before the first epoch."""
    params = init_params(config.cell, key)
    return fresh_state(config, params, make_optimizer(config).init(params))


def fresh_state(
    config: TrainConfig, params: dict[str, Array], opt_state: optax.OptState
) -> TrainState:
    """The state of a training that begins with these parameters."""
    zero = jnp.zeros((), jnp.int32)
    mean = jax.tree.map(jnp.zeros_like, params) if config.train.average_epochs else {}
    return TrainState(params, opt_state, mean, zero, zero, zero)


LARGEST_STATE = 1e9
"""Hidden states are cut there before they are squared, so that exploding ones have a finite sum."""


class Batch(NamedTuple):
    """What a network has made in one step of the training."""

    sequences: Generated
    activity: Float[Array, " B"] | None  # mean squared hidden state over noise_std^2, if penalised


def generated(
    config: TrainConfig, params: dict[str, Array], noise_std: Scalar, n_sequences: int, key: Key
) -> Batch:
    """Sequences of the network that carry gradients to its parameters, and how active it was.

    `train.sequences_at_once` of them are simulated together, and once more for their gradient, so
    that only one part's states are ever kept.
    """

    def batch(keys: Keys) -> Batch:
        keys_run, keys_emission = jax.vmap(jax.random.split, out_axes=1)(keys)
        runs = Network(params, noise_std, config.cell).simulate(config.data.n_steps, keys_run)
        logits = jnp.swapaxes(runs.logits, 0, 1)
        emit = jax.vmap(partial(straight_through, temperature=config.train.temperature))
        sequences = Generated(emit(logits, key=keys_emission), jax.nn.softmax(logits, axis=-1))
        active = activity(runs.states, noise_std) if config.train.penalised else None
        return Batch(sequences, active)

    keys = jax.random.split(key, n_sequences)
    if not 0 < config.train.sequences_at_once < n_sequences:
        return batch(keys)
    n_parts = -(-n_sequences // config.train.sequences_at_once)
    padded = jnp.resize(keys, (n_parts, -(-n_sequences // n_parts)))  # the last ones twice, unused
    parts = jax.lax.map(jax.checkpoint(batch), padded)
    return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:])[:n_sequences], parts)


def activity(states: Float[Array, "T B N"], noise_std: Scalar) -> Float[Array, " B"]:
    """Mean of h^2 over steps and units, in units of noise_std^2 (of 1 where there is no noise)."""
    bounded = jnp.clip(states, -LARGEST_STATE, LARGEST_STATE)
    variance = jnp.square(noise_std)
    return jnp.mean(bounded**2, axis=(0, 2)) / jnp.where(variance > 0, variance, 1.0)


class StepDiagnostics(NamedTuple):
    """What is recorded beside what a step minimises."""

    loss: Float[Array, ""]  # without the activity penalty
    volatility: Float[Array, ""]
    marginal_error: Float[Array, ""]
    activity: Float[Array, ""] | None


def batch_loss(
    params: dict[str, Array],
    config: TrainConfig,
    noise_std: Scalar,
    target: Float[Array, "B T K"],
    key: Key,
    own: Transport | None = None,
) -> tuple[Array, StepDiagnostics]:
    """What is minimised: the loss of the network against `target`, plus the activity penalty.

    `own` is the term of the loss that depends on `target` alone, if it is known.
    """
    return _loss(config.objective, params, config, noise_std, target, key, own)


def _loss(
    objective: Objective,
    params: dict[str, Array],
    config: TrainConfig,
    noise_std: Scalar,
    target: Float[Array, "B T K"],
    key: Key,
    own: Transport | None,
) -> tuple[Array, StepDiagnostics]:
    key_run, key_loss = jax.random.split(key)
    network, active = generated(config, params, noise_std, len(target), key_run)
    loss, diagnostics = objective(ended_as(config, network, target), target, key_loss, own)
    p = jax.lax.stop_gradient(network.probabilities)
    volatility = 1 - jnp.mean(jnp.sum(p[:, 1:] * p[:, :-1], axis=-1))
    active = None if active is None else jnp.mean(active)
    value = loss if active is None else loss + config.train.activity_penalty * active
    return value, StepDiagnostics(loss, volatility, diagnostics.marginal_error, active)


def train_step(
    config: TrainConfig,
    state: TrainState,
    noise_std: Scalar,
    target: Array,
    key: Key,
    own: Transport | None = None,
) -> tuple[TrainState, Records]:
    """One update; a non-finite loss or gradient leaves parameters and optimiser as they were.

    After `max_bad_steps` bad steps in a row the state is frozen for good.
    """
    (value, found), gradient = jax.value_and_grad(batch_loss, has_aux=True)(
        state.params, config, noise_std, target, key, own
    )
    norm = optax.tree.norm(gradient)
    updates, opt_state = make_optimizer(config).update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    finite = jnp.isfinite(value) & jnp.isfinite(norm)
    good = finite & (state.bad_in_row < config.train.max_bad_steps)
    kept_params, kept_opt = _select(good, (params, opt_state), (state.params, state.opt_state))
    bad = (~good).astype(jnp.int32)
    state = state._replace(
        params=kept_params,
        opt_state=kept_opt,
        bad_steps=state.bad_steps + bad,
        bad_in_row=jnp.where(good, 0, state.bad_in_row + 1),
    )
    return state, Records(
        loss=found.loss,
        validation_loss=jnp.nan * found.loss,
        gradient_norm=norm,
        volatility=found.volatility,
        marginal_error=found.marginal_error,
        bad_steps=bad,
        activity=found.activity,
    )


def epoch(
    config: TrainConfig,
    state: TrainState,
    data: FixedData,
    noise_std: Scalar,
    key: Key,
    number: int | Int[Array, ""],
) -> tuple[TrainState, Records]:
    """All steps of one epoch; with fixed data in the order of the data, then validation.

    `number` counts the epochs before it, as `state.epoch` does, but is the same for all members of
    an ensemble, so that a validation that is not due costs nothing.
    """
    key_steps, key_validation = jax.random.split(jax.random.fold_in(key, state.epoch))
    fixed, own = config.data.source == "fixed", data.own or OwnTerms(None, None, None)

    def tick(
        state: TrainState, x: tuple[Array, Array | None, Transport | None]
    ) -> tuple[TrainState, Records]:
        i, symbols, own = x
        key_data, key_step = jax.random.split(jax.random.fold_in(key_steps, i))
        target = step_batch(config, data, key_data) if symbols is None else one_hot(config, symbols)
        return train_step(config, state, noise_std, target, key_step, own)

    full, rest = batches(data.train, config.train.batch_size) if fixed else (None, data.train[:0])
    n_full = config.train.steps_per_epoch if full is None else len(full)
    state, records = jax.lax.scan(tick, state, (jnp.arange(n_full), full, own.train))
    if len(rest) > 1:  # the last, smaller batch of a pass; one sequence alone has no halves
        key_rest = jax.random.fold_in(key_steps, n_full)
        target = one_hot(config, rest)
        state, last = train_step(config, state, noise_std, target, key_rest, own.rest)
        records = jax.tree.map(lambda r, last: jnp.append(r, last), records, last)
    summary = _summary(records)
    if len(data.validation):
        summary = summary._replace(
            validation_loss=_if_due(
                config,
                number + 1,
                lambda: validate(config, state.params, data, noise_std, key_validation),
            )
        )
    mean = _averaged(config, state.mean_params, state.params, state.epoch)
    return state._replace(epoch=state.epoch + 1, mean_params=mean), summary


def validate(
    config: TrainConfig, params: dict[str, Array], data: FixedData, noise_std: Scalar, key: Key
) -> Array:
    """Mean loss over the full batches of the held-out third, or of what data validate."""
    held_out = validation_batches(config, data)

    def one(x: tuple[Array, Array, Transport | None]) -> Array:
        i, symbols, own = x
        target, key_batch = one_hot(config, symbols), jax.random.fold_in(key, i)
        objective = config.validation_objective
        return _loss(objective, params, config, noise_std, target, key_batch, own)[1].loss

    own = None if data.own is None else data.own.validation
    return jnp.mean(jax.lax.map(one, (jnp.arange(len(held_out)), held_out, own)))


def _if_due(config: TrainConfig, finished: int | Array, value: Callable[[], Array]) -> Array:
    """The validation loss after every `validate_every`-th epoch and the last, NaN after others."""
    every = config.train.validate_every
    if every == 1:
        return value()
    due = jnp.asarray((finished % every == 0) | (finished == config.train.epochs))
    return jax.lax.cond(due, value, lambda: jnp.full((), jnp.nan))


def _averaged(
    config: TrainConfig, mean: dict[str, Array], params: dict[str, Array], done: Array
) -> dict[str, Array]:
    """The mean over the last `average_epochs` after one more of them; zero before they begin."""
    n = done + 1 - max(config.train.epochs - config.train.average_epochs, 0)
    share = jnp.where(n > 0, 1 / jnp.maximum(n, 1), 0.0)
    return {name: value + share * (params[name] - value) for name, value in mean.items()}


def epochs(
    config: TrainConfig,
    state: TrainState,
    data: FixedData,
    noise_std: Scalar,
    key: Key,
    n_epochs: int,
    done: int | Int[Array, ""],
) -> tuple[TrainState, Records]:
    """`n_epochs` epochs after `done` of them, in one scan."""
    return jax.lax.scan(
        lambda state, number: epoch(config, state, data, noise_std, key, number),
        state,
        done + jnp.arange(n_epochs),
    )


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
        activity=None if steps.activity is None else mean(steps.activity),
    )
