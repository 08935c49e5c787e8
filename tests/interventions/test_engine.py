"""The engine against loops in numpy, arm by arm and step by step."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SMALL, net_of, random_network

from hmmrnn import InputError
from hmmrnn.interventions import Arms, Trials, run_under, under
from hmmrnn.interventions.answers import first_of, if_finite, margin, onset_of, prefers
from hmmrnn.interventions.engine import arms_of, gates_of, in_blocks
from hmmrnn.nets import NO_INTERVENTION, Intervention

N, D, STEPS, E, G = 12, 5, 14, 3, 4
RNG = np.random.default_rng(0)
PARAMS = random_network(RNG)


def drawn(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def some(*shape):
    return jnp.asarray(RNG.random(shape) < 0.4)


TRIALS = Trials(
    h0=jnp.abs(drawn(E, N)),
    inputs=drawn(STEPS, E, D),
    other=drawn(STEPS, E, D),
    instead=jnp.abs(drawn(2, STEPS, E, N)),
)
STEPS_OF = jnp.array([[0, 3], [2, 9], [5, 5], [7, 30]])
ARMS = {
    "gains": Arms(jnp.abs(drawn(G, N)), jnp.abs(drawn(G, N)), jnp.abs(drawn(G, N)), drawn(G, N)),
    "held": Arms(held=some(G, N), stand_in=jnp.array([0, 1, 1, 0])),
    "other trial": Arms(hears_other=some(G, N)),
    "push": Arms(push=drawn(G, STEPS, N)),
    "weights": Arms(weights={"W_rec": drawn(G, N, N) / 4, "W_out": drawn(G, 3, N)}),
}
ARMS["all"] = Arms(
    **{
        name: value
        for arms in ARMS.values()
        for name, value in arms._asdict().items()
        if value is not None
    }
)
CASES = [(name, when) for name in ARMS for when in (False, True)]


def by_hand(arm, e):
    """Logits (T, K) of one trial in float64."""
    weights = {**PARAMS, **(arm.weights or {})}
    W_in, W_rec, W_out = (np.asarray(weights[n], float) for n in ("W_in", "W_rec", "W_out"))
    first, end = (0, STEPS) if arm.steps is None else arm.steps
    hears = np.zeros(N, bool) if arm.hears_other is None else np.asarray(arm.hears_other)
    course = np.asarray(TRIALS.instead[0 if arm.stand_in is None else arm.stand_in], float)
    h, logits = np.asarray(TRIALS.h0[e], float), []
    for t in range(STEPS):
        own, other = (np.asarray(x[t, e], float) for x in (TRIALS.inputs, TRIALS.other))
        drive = np.where(hears, W_in @ other, W_in @ own)
        drive = drive if arm.push is None else drive + np.asarray(arm.push[t], float)
        gates = [1.0, 1.0, 1.0, 0.0]
        if first <= t < end:
            given = arm.recurrent_gain, arm.noise_gain, arm.state_gain, arm.state_offset
            gates = [g if x is None else np.asarray(x) for g, x in zip(gates, given, strict=True)]
        new = np.maximum(gates[0] * (W_rec @ h) + gates[1] * drive, 0)
        h = gates[2] * new + gates[3]
        if arm.held is not None and first <= t < end:
            h = np.where(np.asarray(arm.held), course[t, e], h)
        logits.append(W_out @ h)
    return np.array(logits)


@pytest.mark.parametrize(("name", "at_steps"), CASES)
def test_every_arm_is_the_loop(name, at_steps):
    arms = ARMS[name]._replace(steps=STEPS_OF if at_steps else None)
    ask = jax.jit(lambda: under(net_of(SMALL, PARAMS), TRIALS, arms, lambda run, arm: run.logits))
    found = np.asarray(ask())
    assert found.shape == (G, STEPS, E, 3)
    for g in range(G):
        arm = jax.tree.map(lambda x, g=g: x[g], arms)
        for e in range(E):
            np.testing.assert_allclose(found[g, :, e], by_hand(arm, e), rtol=2e-4, atol=2e-4)
    assert len(np.unique(found[:, -1, 0, 0])) > 1 or at_steps


def test_nothing_done_is_the_network_itself():
    net = net_of(SMALL, PARAMS)
    expected = net.run(TRIALS.h0, TRIALS.inputs)
    for arm in (Arms(), jax.tree.map(lambda x: x[0], arms_of([NO_INTERVENTION], N))):
        chex.assert_trees_all_close(run_under(net, TRIALS, arm), expected, atol=1e-6)
    assert gates_of(Arms()) == NO_INTERVENTION


def test_arms_beside_others_are_those_alone_and_are_told_to_who_asks():
    net, arms = net_of(SMALL, PARAMS), ARMS["held"]._replace(steps=STEPS_OF)

    def ask(run, arm, weight):
        return weight * run.logits.sum((0, 2)), arm.steps[1]

    one_by_one, ends = under(net, TRIALS, arms, ask, 2.0)
    np.testing.assert_array_equal(ends, STEPS_OF[:, 1])
    together, _ = under(net, TRIALS, arms, ask, 2.0, at_once=3)
    np.testing.assert_allclose(together, one_by_one, rtol=1e-5)


def test_any_number_of_arms_is_one_program():
    net = net_of(SMALL, PARAMS)

    @jax.jit
    @partial(chex.assert_max_traces, n=1)
    def last(arms):
        return under(net, TRIALS, arms, lambda run, arm: run.states[-1])

    gains = [Intervention(state_gain=g) for g in np.linspace(0, 1.5, 11)]
    whole = in_blocks(last, arms_of(gains, N), 4)
    assert whole.shape == (11, E, N)
    for n in (1, 4, 7):
        np.testing.assert_array_equal(in_blocks(last, arms_of(gains[:n], N), 4), whole[:n])


def test_gains_of_an_intervention_may_be_numbers_or_one_for_each_unit():
    gain = jnp.linspace(0, 1, N)
    arms = arms_of([Intervention(state_gain=gain), Intervention(noise_gain=0.5)], N)
    np.testing.assert_array_equal(arms.state_gain, [gain, np.ones(N)])
    np.testing.assert_array_equal(arms.noise_gain, [np.ones(N), np.full(N, 0.5)])
    np.testing.assert_array_equal(arms.state_offset, np.zeros((2, N)))
    assert arms.n == 2


def test_onsets_and_first_steps():
    symbols = np.array([[0, 1, 1, 0, 1, 1, 1, 1], [1] * 8, [0] * 8, [1, 1, 0, 1, 1, 0, 1, 1]]).T
    there = jnp.asarray(symbols == 1)
    np.testing.assert_array_equal(onset_of(there), [4, 0, np.nan, np.nan])
    np.testing.assert_array_equal(onset_of(there, 2), [1, 0, np.nan, 0])
    np.testing.assert_array_equal(first_of(there, 99), [2, 1, 99, 1])


def test_what_is_not_finite_answers_nothing():
    logits = jnp.zeros((4, 3, 2)).at[..., 1].set(jnp.array([1.0, -1, 1])).at[2, 2].set(jnp.inf)
    np.testing.assert_array_equal(prefers(logits, 1)[1], [1, 0, 1])
    assert np.isnan(prefers(logits, 1)[2, 2])
    np.testing.assert_array_equal(if_finite(logits, jnp.array([7, 8, 9])), [7, 8, np.nan])
    np.testing.assert_array_equal(margin(logits, (0, 1))[0], [1, -1, 1])


@pytest.mark.parametrize(
    ("arms", "trials", "what"),
    [
        (ARMS["held"], TRIALS._replace(instead=None), "held"),
        (ARMS["other trial"], TRIALS._replace(other=None), "hears_other"),
        (Arms(weights={"W_recc": drawn(G, N, N)}), TRIALS, "weights=W_recc"),
        (Arms(), TRIALS, "arms"),
        (Arms(push=drawn(G, 1, N)), TRIALS, r"push.*\(1, 12\)"),
        (Arms(push=drawn(G, STEPS + 1, N)), TRIALS, "push"),
        (ARMS["other trial"], TRIALS._replace(other=TRIALS.other[1:]), "hears_other"),
        (ARMS["held"], TRIALS._replace(instead=TRIALS.instead[:, 1:]), "held"),
        (ARMS["held"], TRIALS._replace(instead=TRIALS.instead[:, :, 1:]), "held"),
        (Arms(state_gain=drawn(2, N), noise_gain=drawn(3, N)), TRIALS, r"\[2, 3\] rows"),
    ],
)
def test_what_cannot_be_done_is_named_and_never_left_out(arms, trials, what):
    with pytest.raises(InputError, match=what):
        under(net_of(SMALL, PARAMS), trials, arms, lambda run, arm: run.logits)


def test_fields_of_different_numbers_of_arms_are_never_cut():
    arms = Arms(state_gain=drawn(8, N), noise_gain=drawn(16, N))
    with pytest.raises(InputError, match=r"\[8, 16\] rows"):
        in_blocks(lambda block: block.state_gain, arms)
    with pytest.raises(InputError, match="interventions"):
        arms_of([], N)


@pytest.mark.parametrize("axes", [(), (2, 3)])
def test_units_are_held_whatever_the_axes_of_the_runs(axes):
    net, level = net_of(SMALL, PARAMS), jnp.linspace(0, 1, N)
    trials = Trials(jnp.zeros((*axes, N)), drawn(STEPS, *axes, D), instead=level[None, None, None])
    arms = Arms(held=some(G, N))
    states = under(net, trials, arms, lambda run, arm: run.states)
    held = np.asarray(arms.held).reshape(G, 1, *(1,) * len(axes), N)
    expected = np.broadcast_to(np.where(held, level, 0), states.shape)
    np.testing.assert_array_equal(np.where(held, states, 0), expected)


def test_a_course_that_is_not_there_is_unknown():
    arms = ARMS["held"]._replace(stand_in=jnp.array([0, 1, 2, 1]))
    found = under(net_of(SMALL, PARAMS), TRIALS, arms, lambda run, arm: run.logits.sum())
    np.testing.assert_array_equal(np.isnan(found), [False, False, True, False])


def test_a_run_too_short_to_last_has_no_onset():
    assert np.isnan(onset_of(jnp.ones((2, 3)), 3)).all()
