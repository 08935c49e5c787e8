"""How faithful a network is: what it generates against its HMM's exact quantities, or data."""

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial, singledispatch

import jax
import jax.numpy as jnp
import numpy as np

from hmmrnn.analysis import of_one_cell, side_by_side, the_only
from hmmrnn.arrays import Key
from hmmrnn.errors import DivergingNetworkError, InputError
from hmmrnn.fidelity.compared import Compared, Fidelity, SymbolDwell
from hmmrnn.fidelity.dwell import shown_lengths
from hmmrnn.fidelity.generated import Generated, Sizes, Yardstick, generated
from hmmrnn.fidelity.held_out import held_out_yardstick
from hmmrnn.fidelity.ngrams import impossible_share, ngram_shares
from hmmrnn.fidelity.statistics import Scale, Statistics, rows, scale_of, statistics
from hmmrnn.hmm import HMM, dwell_law, ngram_law, symbol_law, symbol_transitions, volatility
from hmmrnn.nets import LongRun, Network, long_run
from hmmrnn.programs import keep_programs_of
from hmmrnn.sequences import SymbolSequences
from hmmrnn.targets import Target


def compare(
    network: Network,
    hmm: Target,
    key: Key,
    *,
    n_sequences: int = 10_000,
    n_steps: int = 40,
    n_long: int = 200,
    n_long_steps: int = 2_000,
    n_matched: int = 1_000,
) -> Fidelity:
    """Measure generated sequences against `hmm`, with bootstrap intervals over sequences.

    Beside each number stands its floor, the same statistic of an HMM sample of the same size.
    n-grams, surprise and matching use `n_sequences` of `n_steps` (take the length trained on);
    dwell times use `n_long` sequences of `n_long_steps`, so that few runs are cut off, and are
    NaN if the network does not stay bounded (`hmmrnn.nets.long_runs`). Of data in the place of
    `hmm`, see `held_out_yardstick`.

    Of a network that does not stay bounded a warning says so.

    Raises:
        InputError: network and HMM have different numbers of symbols, or sizes too small.
        DivergingNetworkError: a network that diverges within `n_steps`.
    """
    sizes = Sizes(n_sequences, n_steps, n_long, n_long_steps, n_matched)
    found = the_only(compare_many([network], hmm, key, sizes))
    if found.long_run.problem is not None:
        warnings.warn(f"this network is {found.long_run.problem}", stacklevel=2)
    return found


def compare_many(
    networks: Sequence[Network],
    hmm: Target,
    key: Key,
    sizes: Sizes = Sizes(),  # noqa: B008
) -> Iterator[Fidelity | DivergingNetworkError]:
    """What `compare` finds of each network, or the error that it raises, one after the other.

    All sequences are generated first, by one vmapped call for the short and one for the long ones;
    memory is that of all networks together. All networks get the same noise and the same HMM
    sample, whose floors are measured once.

    Raises:
        InputError: networks of different cells or of other symbols than the HMM, or sizes too
            small.
    """
    sizes.expect_valid()
    networks = of_one_cell(networks)
    keep_programs_of(networks[0].cell)
    for k in (network.n_symbols for network in networks):
        if k != hmm.n_symbols:
            raise InputError(f"the network has {k} symbols, the {hmm.words.target} {hmm.n_symbols}")
    words = tuple(np.asarray(jax.random.key_data(key)).tolist())
    yardstick = _yardstick(hmm, sizes, words, str(jax.random.key_impl(key)))
    made = side_by_side(
        partial(generated, yardstick.sizes, yardstick.keys), [(network,) for network in networks]
    )
    for network, sequences in zip(networks, made, strict=True):
        if bool(jnp.any(sequences.short < 0)):
            yield DivergingNetworkError(
                f"the network diverges under its noise: not all logits of {sizes.n_steps} steps "
                "are finite"
            )
        else:
            yield yardstick.judged(sequences, long_run(network, sizes.n_steps))


@lru_cache(maxsize=1)  # networks of one target, one after the other, have it in common
def _yardstick(
    target: Target, sizes: Sizes, words: tuple[int, ...], implementation: str
) -> Yardstick:
    """What the networks of a target are judged by, for the key of these words."""
    key = jax.random.wrap_key_data(jnp.array(words, jnp.uint32), impl=implementation)
    return yardstick_of(target, sizes, key)


@singledispatch
def yardstick_of(target: Target, sizes: Sizes, key: Key) -> Yardstick:
    """What networks are judged by; each kind of target registers its own."""
    raise NotImplementedError(f"{type(target).__name__} registers no yardstick")


yardstick_of.register(SymbolSequences, held_out_yardstick)


@yardstick_of.register(HMM)
def hmm_yardstick(hmm: HMM, sizes: Sizes, key: Key) -> Yardstick:
    """The exact quantities of an HMM, and a sample of it for the floors."""
    key_net, key_hmm, key_boot, key_entropy, key_matched, key_long = jax.random.split(key, 6)
    key_long_net, key_long_hmm, key_long_boot = jax.random.split(key_long, 3)
    keys = {
        "short": key_hmm,
        "long": key_long_hmm,
        "weights": key_boot,
        "long_weights": key_long_boot,
        "entropy": key_entropy,
        "matched": key_matched,
    }
    scale, sample = scale_of(hmm, sizes, keys)
    judged = partial(_judged, scale, statistics(scale, sample))
    return Yardstick(sizes, (key_net, key_long_net), judged)


def _judged(scale: Scale, floor: Statistics, made: Generated, ran: LongRun) -> Fidelity:
    """The numbers of one network beside those of the HMM sample and the exact ones."""
    hmm, sizes = scale.hmm, scale.sizes
    k, n_steps = hmm.n_symbols, sizes.n_steps
    # Of a network that diverges later, what came before would mislead.
    lost = jnp.any(made.long < 0) | (not ran.bounded)
    made = made._replace(long=jnp.where(lost, -1, made.long))
    own = statistics(scale, made)
    pairs = np.asarray(ngram_shares(made.short, 2, k)).mean(axis=0).reshape(1, k, k)
    longest = np.asarray(ngram_shares(made.short, scale.orders[-1], k)).mean(axis=0)
    exact_longest = ngram_law(hmm, scale.orders[-1], n_steps)
    exact_shares = symbol_law(hmm, n_steps)
    return Fidelity(
        kl={n: Compared(own.kl[n], floor.kl[n], 0.0) for n in scale.orders},
        impossible_share=float(impossible_share(longest[None], exact_longest)[0]),
        excess_surprise=Compared(own.excess_surprise, floor.excess_surprise, 0.0),
        impossible_sequences=own.impossible_sequences,
        volatility=Compared(own.volatility, floor.volatility, volatility(hmm, n_steps)),
        symbol_shares=[
            Compared(own.symbol_shares[i], floor.symbol_shares[i], float(exact_shares[i]))
            for i in range(k)
        ],
        transitions=rows(pairs)[0],
        exact_transitions=symbol_transitions(hmm, n_steps),
        transition_error=Compared(own.transition_error, floor.transition_error, 0.0),
        dwell=[_dwell(scale, own, floor, symbol) for symbol in range(k)],
        matched_distance=Compared(own.matched_distance, floor.matched_distance, None),
        ngram_shares=longest,
        exact_ngrams=exact_longest.ravel(),
        n_sequences=sizes.n_sequences,
        n_steps=n_steps,
        long_run=ran,
    )


def _dwell(scale: Scale, own: Statistics, floor: Statistics, symbol: int) -> SymbolDwell:
    """Run lengths of one symbol, as moments and as a law."""
    max_length = scale.sizes.n_long_steps
    law = dwell_law(scale.hmm, symbol, max_length)
    shown = shown_lengths(law.mean, max_length)
    total = own.run_lengths[symbol]
    with np.errstate(invalid="ignore"):
        shares = total / total.sum()
    return SymbolDwell(
        mean=Compared(own.dwell_mean[symbol], floor.dwell_mean[symbol], law.mean),
        cv=Compared(own.dwell_cv[symbol], floor.dwell_cv[symbol], law.cv),
        lengths=np.arange(1, shown + 1),
        network=shares[:shown],
        exact=law.probability[:shown],
        n_runs=int(total.sum()),
    )
