"""Kicks put to the test: injected from a cluster, and looked for in the noise of real changes."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hmmrnn.arrays import Key, Scalar, named_keys
from hmmrnn.circuits.carriers import Carriers
from hmmrnn.circuits.optimal_kick import OptimalKick, optimal_kick
from hmmrnn.errors import InputError
from hmmrnn.intervals import Estimate, mean
from hmmrnn.interventions import Arms, Trials, under
from hmmrnn.interventions.answers import first_of, if_finite
from hmmrnn.nets import Network, Trajectory
from hmmrnn.recordings import preferred_symbols
from hmmrnn.recordings.clusters import Starts, cluster_starts
from hmmrnn.recordings.events import aligned, find_events
from hmmrnn.recordings.recorder import Recording
from hmmrnn.recordings.residency_times import CLUSTER
from hmmrnn.results import result

N_STARTS = 128
N_RANDOM = 20
N_AFTER = 5
DOSES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
PUSHERS = 0.1
"""Share of all units that are called pushers."""


@result
class Response(NamedTuple):
    """What kicks of each of G doses do (G,), within 15 steps from their first."""

    probability: Estimate  # that t is preferred at one of these steps
    steps: Estimate  # until it is, or all of them


@result
class Injection(NamedTuple):
    """Kicks from states they were not made from, under fresh noise that is the same for all.

    A dose of 1 is one standard deviation of the noise along the kick.
    """

    doses: tuple[float, ...]
    optimal: Response
    linear: Response
    reverse: Response
    random: Response  # mean over random kicks of the same size in each step
    random_range: list[tuple[float, float]]  # 95 % of the random kicks, probability
    advantage: Response  # optimal less random, paired
    through: list[Response]  # by group: only its units receive the kick
    without: list[Response]  # by group: all other units receive it
    n_starts: int
    n_valid: int


@result
class NaturalNoise(NamedTuple):
    """The noise of the L steps up to real transitions, along the kick, in standard deviations."""

    events: Estimate  # mean
    events_std: float
    others: Estimate  # L steps from a cluster state without a change of symbol
    others_std: float
    auc: Estimate  # probability that an event has the larger one; 0.5 is chance
    share: Estimate  # of the squared norm of the mean noise of events that lies along the kick
    n_events: int
    n_others: int


@result
class Groups(NamedTuple):
    """Groups of units to test for necessity."""

    names: tuple[str, ...]
    masks: Bool[np.ndarray, "G N"]


@result
class KickTest(NamedTuple):
    """What pushes a network over from s to t."""

    pair: tuple[int, int]
    kick: OptimalKick
    groups: Groups
    energy: Float[np.ndarray, " G"]  # share of the kick's energy that each group receives
    gain: Float[np.ndarray, " G"]  # share of what it moves that it moves through each group
    injection: Injection
    natural: NaturalNoise


def random_kicks(like: Float[Array, "L D"], n_kicks: int, key: Key) -> Float[Array, "kicks L D"]:
    """Kicks in random directions, with the same norm as `like` in each step."""
    drawn = jax.random.normal(key, (n_kicks, *like.shape))
    size = jnp.linalg.norm(like, axis=-1, keepdims=True)
    return drawn * size / jnp.linalg.norm(drawn, axis=-1, keepdims=True)


@partial(jax.jit, static_argnames="n_after")
def first_step(
    network: Network,
    h0: Float[Array, "P N"],
    kicks: Float[Array, "A L N"],
    doses: Float[Array, " G"],
    pair: Int[Array, "2"],
    key: Key,
    *,
    n_after: int = N_AFTER,
) -> Float[Array, "A G P"]:
    """First of L + n_after steps at which t = pair[1] is preferred, or one more than all of them.

    For each start, dose and kick; kicks are given as drives W_in k. NaN for runs that diverge.
    """
    n_steps = kicks.shape[1] + n_after
    noise = network.noise(jax.random.split(key, len(h0)), n_steps)
    kicks = jnp.pad(kicks, ((0, 0), (0, n_after), (0, 0)))
    push = (doses * network.noise_std)[:, None, None] * kicks[:, None]

    def ask(run: Trajectory, arm: Arms) -> Array:
        there = preferred_symbols(run.logits) == pair[1]
        return if_finite(run.logits, first_of(there, n_steps + 1))

    arms = Arms(push=push.reshape(-1, *push.shape[2:]))
    found = under(network, Trials(h0, noise), arms, ask)
    return found.reshape(*push.shape[:2], len(h0))


def injection(
    network: Network,
    starts: Starts,
    kick: OptimalKick,
    groups: Groups,
    pair: tuple[int, int],
    weights: Float[np.ndarray, "R B"],
    key: Key,
    *,
    doses: tuple[float, ...] = DOSES,
    n_random: int = N_RANDOM,
) -> Injection:
    """Test a kick from `starts`, other states of the cluster of s than those it was made from."""
    key_random, key_noise = jax.random.split(key)
    tried = jnp.concatenate(
        [
            jnp.stack([kick.direction, kick.linear, -kick.direction]),
            random_kicks(kick.direction, n_random, key_random),
        ]
    )
    received = network.drive(tried)
    masks = jnp.asarray(groups.masks)[:, None]
    parts = [jnp.where(mask, received[0], 0) for mask in (masks, ~masks)]
    arms = jnp.concatenate([received, *parts])
    found = first_step(network, starts.h, arms, jnp.asarray(doses), jnp.asarray(pair), key_noise)
    steps = np.asarray(found, np.float64)
    last = len(kick.direction) + N_AFTER
    values = np.stack([np.where(np.isnan(steps), np.nan, steps <= last), np.minimum(steps, last)])
    chosen, random, through, without = np.split(
        values, [3, 3 + n_random, 3 + n_random + len(groups.names)], axis=1
    )
    average = random.mean(1)

    def response(values: Float[np.ndarray, "2 G P"]) -> Response:
        return Response(*mean(values, starts.run, weights))

    def responses(values: Float[np.ndarray, "2 A G P"]) -> list[Response]:
        return [response(x) for x in np.swapaxes(values, 0, 1)]

    optimal, linear, reverse = responses(chosen)
    each = mean(random[0], starts.run, weights).value
    low, high = np.quantile(each, [0.025, 0.975], axis=0).tolist()
    return Injection(
        doses=doses,
        optimal=optimal,
        linear=linear,
        reverse=reverse,
        random=response(average),
        random_range=list(zip(low, high, strict=True)),
        advantage=response(chosen[:, 0] - average),
        through=responses(through),
        without=responses(without),
        n_starts=len(starts.run),
        n_valid=int(np.isfinite(steps).all((0, 1)).sum()),
    )


def natural_noise(
    recording: Recording,
    pair: tuple[int, int],
    direction: Float[Array, "L D"],
    noise_std: Scalar,
    weights: Float[np.ndarray, "R B"],
) -> NaturalNoise:
    """Whether the noise before real transitions points along the kick.

    The last step of the kick is that of the onset, the first one with t preferred. Others: L
    steps from a state of the cluster of s in which the symbol stays s. Both kinds of window start
    from symbol s, which is preferred in all their steps but the onset.

    Raises:
        InputError: a recording that is not longer than the kick.
    """
    kick = np.asarray(direction, np.float64)
    n_steps = len(kick)
    symbols, zone = np.asarray(recording.symbols), np.asarray(recording.zone)
    if symbols.shape[1] <= n_steps:
        raise InputError(
            f"a recording of {symbols.shape[1]} steps has no window for a kick of {n_steps}"
        )
    if not np.isfinite(kick).all():  # no kick was found: then there is nothing to compare
        symbols = np.full_like(symbols, -1)
    noise = np.asarray(recording.noise) / float(noise_std)
    events = find_events(symbols, pair, before=n_steps, stay=n_steps)
    windows = np.lib.stride_tricks.sliding_window_view(symbols == pair[0], n_steps + 1, axis=1)
    begins = (zone[:, : windows.shape[1]] == CLUSTER) & windows.all(-1)
    run, step = np.nonzero(begins)
    along = np.stack([noise @ x for x in kick], axis=-1)  # (B, T, L)
    steps = np.arange(n_steps)
    pushes = np.sum(aligned(along, events, n_steps - 1, 1)[:, steps, steps], axis=-1)
    rest = sum(along[run, step + 1 + lag, lag] for lag in steps)
    return NaturalNoise(
        events=mean(pushes, events.run, weights),
        events_std=float(np.std(pushes)) if len(pushes) else np.nan,
        others=mean(rest, run, weights),
        others_std=float(np.std(rest)) if len(rest) else np.nan,
        auc=_auc(pushes, events.run, rest, run, weights),
        share=_share(aligned(noise, events, n_steps - 1, 1), pushes, events.run, weights),
        n_events=len(pushes),
        n_others=len(rest),
    )


def _auc(
    high: Float[np.ndarray, " E"],
    run_high: Int[np.ndarray, " E"],
    low: Float[np.ndarray, " C"],
    run_low: Int[np.ndarray, " C"],
    weights: Float[np.ndarray, "R B"],
) -> Estimate:
    """Probability that one of `high` exceeds one of `low`, ties half, with its interval."""
    n_runs = weights.shape[1]
    above = np.zeros((n_runs, n_runs))
    for b in range(n_runs):
        some = np.sort(low[run_low == b])
        ranks = sum(np.searchsorted(some, high, side=side) for side in ("left", "right")) / 2
        above[:, b] = np.bincount(run_high, ranks, n_runs)
    pairs = np.outer(*(np.bincount(run, minlength=n_runs) for run in (run_high, run_low)))
    return _ratio(above, pairs, weights)


def _share(
    noise: Float[np.ndarray, "E L D"],
    pushes: Float[np.ndarray, " E"],
    run: Int[np.ndarray, " E"],
    weights: Float[np.ndarray, "R B"],
) -> Estimate:
    """Squared mean push over the squared norm of the mean noise.

    Both from products of events of different runs alone: a squared mean of noise is never zero.
    """
    n_runs = weights.shape[1]
    along, sums = np.zeros(n_runs), np.zeros((n_runs, int(np.prod(noise.shape[1:]))))
    np.add.at(along, run, pushes)
    np.add.at(sums, run, noise.reshape(len(noise), sums.shape[1]))
    products = [np.outer(along, along), sums @ sums.T]
    for product in products:
        np.fill_diagonal(product, 0)
    return _ratio(products[0], products[1], weights)


def _ratio(
    above: Float[np.ndarray, "B B"],
    below: Float[np.ndarray, "B B"] | Int[np.ndarray, "B B"],
    weights: Float[np.ndarray, "R B"],
) -> Estimate:
    """Ratio of two sums over pairs of runs, with its interval over runs."""
    top, bottom = (np.sum((weights @ x) * weights, axis=1) for x in (above, below))
    draws = np.divide(top, bottom, out=np.full(len(weights), np.nan), where=bottom != 0)
    return Estimate.of(draws)


def window_groups(found: Carriers, kick: OptimalKick) -> Groups:
    """Carriers of s, carriers of t, and pushers: the tenth of all units with the largest share of
    the kick's energy, carriers left out.
    """
    energy = np.where(found.both, -1, np.asarray(kick.unit_energy, np.float64))
    energy = np.where(np.isfinite(energy), energy, -1)
    n_pushers = int(np.ceil(PUSHERS * len(energy)))
    pushers = np.zeros(len(energy), bool)
    pushers[np.argsort(-energy, kind="stable")[:n_pushers]] = True
    names = ("carriers of s", "carriers of t", "pushers")
    return Groups(names, np.stack([found.in_s, found.in_t, pushers & (energy >= 0)]))


def kick_test(
    network: Network,
    recording: Recording,
    found: Carriers,
    weights: Float[np.ndarray, "R B"],
    key: Key,
    *,
    n_starts: int = N_STARTS,
) -> KickTest:
    """The optimal kick of a pair: made from states of half of the runs, tested from the others."""
    keys = named_keys(key, ("made", "tested", "kick", "injection"))
    s, half = found.pair[0], len(recording.symbols) // 2
    made = cluster_starts(recording, s, n_starts, keys["made"], slice(half))
    tested = cluster_starts(recording, s, n_starts, keys["tested"], slice(half, None))
    pair = jnp.asarray(found.pair)
    kick = optimal_kick(network, made.h, pair, keys["kick"])
    groups = window_groups(found, kick)
    masks = groups.masks.astype(float)
    return KickTest(
        pair=found.pair,
        kick=kick,
        groups=groups,
        energy=masks @ np.asarray(kick.unit_energy, np.float64),
        gain=masks @ np.asarray(kick.unit_gain, np.float64),
        injection=injection(network, tested, kick, groups, found.pair, weights, keys["injection"]),
        natural=natural_noise(recording, found.pair, kick.direction, network.noise_std, weights),
    )
