"""The one engine of interventions: the same trials run again under each of G arms.

An arm says what is done to the network, as data; a trial says where a run begins and what it hears.
All arms share the trials, so what differs between them is their doing. What is asked of the runs is
a small pure function of one of them, such as those of `answers`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.errors import InputError
from hmmrnn.nets import NO_INTERVENTION, Intervention, Network, Trajectory

Answer = TypeVar("Answer")

BLOCK = 8
"""Arms that one call of a compiled function runs."""


class Trials(NamedTuple):
    """E runs of T steps. Units hear `inputs`; where an arm says so, they hear `other`."""

    h0: Float[Array, "*E N"]
    inputs: Float[Array, "T *E D"]  # with all noise, already scaled
    other: Float[Array, "T *E D"] | None = None
    instead: Float[Array, "W t e N"] | None = None  # W courses of states; t is T or 1, e is E or 1


class Arms(NamedTuple):
    """What is done in each of G arms. What is left out is not done in any of them.

    Gains, offsets and held states apply at the steps of `steps` alone, all else at all steps.
    """

    recurrent_gain: Float[Array, "G N"] | None = None  # on W_rec h, per receiving unit
    noise_gain: Float[Array, "G N"] | None = None  # on W_in x, per receiving unit
    state_gain: Float[Array, "G N"] | None = None  # on the new hidden state
    state_offset: Float[Array, "G N"] | None = None  # added to the new hidden state
    held: Bool[Array, "G N"] | None = None  # units whose states are those of `instead`
    stand_in: Int[Array, " G"] | None = None  # which course of `instead`; None: the first; NaN
    # where there is no such course
    hears_other: Bool[Array, "G N"] | None = None  # units that hear `other`
    push: Float[Array, "G T N"] | None = None  # added to the drive W_in x
    weights: dict[str, Float[Array, "G ..."]] | None = None  # in place of the network's own
    steps: Int[Array, "G 2"] | None = None  # first step and the one after the last; None: all

    @property
    def n(self) -> int:
        """Number of arms, G.

        Raises:
            InputError: fields of none or of different numbers of arms.
        """
        counts = {len(leaf) for leaf in jax.tree.leaves(self)}
        if len(counts) != 1:
            raise InputError(f"arms: their fields have {sorted(counts)} rows; give one for each")
        return counts.pop()


def arms_of(interventions: Sequence[Intervention], n_units: int) -> Arms:
    """One arm for each of some interventions with entries () or (N,).

    Raises:
        InputError: no intervention.
    """
    if not interventions:
        raise InputError("interventions: there is none")
    recurrent_gain, noise_gain, state_gain, state_offset = (
        jnp.stack([jnp.broadcast_to(jnp.asarray(gate, float), n_units) for gate in each])
        for each in zip(*interventions, strict=True)
    )
    return Arms(recurrent_gain, noise_gain, state_gain, state_offset)


def in_blocks(ask: Callable[[Arms], Answer], arms: Arms, size: int = BLOCK) -> Answer:
    """What `ask` answers of any number of arms, in numpy, asked of `size` of them at a time.

    So a compiled `ask` is compiled once.
    """
    more = -arms.n % size
    padded = jax.tree.map(lambda x: jnp.concatenate([x, jnp.repeat(x[-1:], more, 0)]), arms)
    answers = [
        jax.tree.map(np.asarray, ask(jax.tree.map(lambda x, i=first: x[i : i + size], padded)))
        for first in range(0, arms.n, size)
    ]
    return jax.tree.map(lambda *x: np.concatenate(x)[: arms.n], *answers)


def under(
    network: Network,
    trials: Trials,
    arms: Arms,
    ask: Callable[..., Answer],
    *asked: Any,  # noqa: ANN401
    at_once: int | None = None,
) -> Answer:
    """What `ask(run, arm, *asked)` answers of the run of each arm, stacked (G, ...).

    One arm after the other, which keeps a run in the processor's cache; `at_once` of them side by
    side where runs are small. To be compiled by the one who asks.

    Raises:
        InputError: fields of none or of different numbers of arms, or what `run_under` raises.
    """
    arms.n  # noqa: B018, which looks at their numbers

    def of_arm(arm: Arms) -> Answer:
        return ask(run_under(network, trials, arm), arm, *asked)

    return jax.lax.map(of_arm, arms, batch_size=at_once)


def run_under(network: Network, trials: Trials, arm: Arms) -> Trajectory:
    """The trials under one arm, whose entries have no axis of arms.

    Raises:
        InputError: units that hear or are held at what the trials do not have, a push or states
            that do not fit the runs, or weights that are none of the network's.
    """
    _check(network, trials, arm)
    if arm.weights is not None:
        network = network.replace(**arm.weights)
    inputs = trials.inputs
    if arm.hears_other is not None:
        network = hearing_two(network, arm.hears_other)
        inputs = jnp.concatenate([jnp.asarray(trials.other), inputs], axis=-1)
    if arm.push is not None:
        push = arm.push.reshape(len(inputs), *(1,) * (inputs.ndim - 2), network.hidden_size)
        network, inputs = hearing_drives(network), network.drive(inputs) + push
    return network.run(trials.h0, inputs, _gates_of_steps(arm, trials.instead, len(inputs)))


def _check(network: Network, trials: Trials, arm: Arms) -> None:
    """Whether the trials have what the arm asks for."""
    runs, n_steps, n_units = trials.h0.shape[:-1], len(trials.inputs), network.hidden_size
    if unknown := set(arm.weights or ()) - set(network.params):
        known = ", ".join(sorted(network.params))
        raise InputError(f"weights={min(unknown)}: the network has {known}")
    if arm.hears_other is not None:
        other = None if trials.other is None else trials.other.shape
        if other != trials.inputs.shape:
            raise InputError(f"hears_other: inputs are {trials.inputs.shape}, others {other}")
    if arm.push is not None and arm.push.shape != (n_steps, n_units):
        raise InputError(f"push: is {arm.push.shape} in each arm, not {(n_steps, n_units)}")
    if arm.held is not None:
        course = (0, 0, 0) if trials.instead is None else trials.instead.shape[1:]
        fits = course[0] in (1, n_steps) and course[2] == n_units
        if not fits or (course[1] != 1 and course[1:2] != runs):
            raise InputError(
                f"held: instead has courses of {course}, which fit no runs {runs} of {n_steps} "
                f"steps and {n_units} units"
            )


def gates_of(arm: Arms) -> Intervention:
    """The gates of one arm at its steps, held states aside; what it leaves alone is a number."""
    gates = arm.recurrent_gain, arm.noise_gain, arm.state_gain, arm.state_offset
    none = zip(gates, NO_INTERVENTION, strict=True)
    return Intervention(*(number if gate is None else gate for gate, number in none))


def _gates_of_steps(arm: Arms, instead: Array | None, n_steps: int) -> Intervention:
    """The gates of one arm, and the states that it holds, at each step."""
    gates, now = gates_of(arm), jnp.ones((n_steps, 1), bool)
    if arm.steps is not None:
        steps = jnp.arange(n_steps)[:, None]
        now = (steps >= arm.steps[0]) & (steps < arm.steps[1])
        gates = jax.tree.map(
            lambda gate, none: none if gate is none else jnp.where(now, gate, none),
            gates,
            NO_INTERVENTION,
        )
    if arm.held is None or instead is None:
        return gates
    here = now & arm.held
    gain, offset = jnp.asarray(gates.state_gain), jnp.asarray(gates.state_offset)
    which = 0 if arm.stand_in is None else arm.stand_in
    course = instead.at[which].get(mode="fill", fill_value=jnp.nan)
    if course.shape[1] == 1:  # the same for all runs
        course = course[:, 0]
    else:
        here, gain, offset = (x[:, None] if x.ndim == 2 else x for x in (here, gain, offset))
    return gates._replace(
        state_gain=jnp.where(here, 0.0, gain), state_offset=jnp.where(here, course, offset)
    )


def hearing_drives(network: Network) -> Network:
    """The same network with drives in place of noise: each unit has an input of its own."""
    return network.replace(W_in=jnp.eye(network.hidden_size))


def hearing_two(network: Network, mask: Bool[Array, " N"]) -> Network:
    """The same network with two inputs (x, x'): x drives the units of the mask, x' all others.

    W_in' = [m W_in, (1 - m) W_in] for a mask m over units; noise_dim is 2 D.
    """
    W_in = network.params["W_in"]
    halves = jnp.where(mask[:, None], W_in, 0.0), jnp.where(mask[:, None], 0.0, W_in)
    return network.replace(W_in=jnp.concatenate(halves, axis=1))
