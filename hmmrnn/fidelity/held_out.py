"""How faithful a network of data is: what it generates against the held-out part of the data.

Every number is that of sequences as long as those of the training part, cut in the same places, and
beside it stands the floor: the same number of the training part itself.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from hmmrnn.arrays import Key, named_keys
from hmmrnn.fidelity.compared import Compared, Fidelity, SymbolDwell
from hmmrnn.fidelity.dwell import dwell_cv, dwell_mean, run_length_counts, shown_lengths
from hmmrnn.fidelity.generated import Generated, Sizes, Yardstick
from hmmrnn.fidelity.markov import Markov, fitted, surprises
from hmmrnn.fidelity.matching import matched_distances
from hmmrnn.fidelity.ngrams import kl_from_law, ngram_shares
from hmmrnn.fidelity.statistics import ORDERS, Statistics, compared_orders, rows, worst_row
from hmmrnn.intervals import Estimate, Weights, bootstrap_weights, estimate, estimates
from hmmrnn.nets import LongRun
from hmmrnn.results import result
from hmmrnn.sequences import SymbolSequences, ngram_counts, windows
from hmmrnn.sequences.splits import FEW, smoothed_law

PIECES = 20
"""Into which the training part is cut at least to measure dwell times, if they stay long enough."""
KEYS = ("net", "long_net", "weights", "long_weights", "train", "long_train", "held_out", "matched")


@result
class Sample(NamedTuple):
    """Sequences to measure, padded with -1, with the weights of bootstrap samples of them."""

    short: Int[np.ndarray, "B T"]
    long: Int[np.ndarray, "b t"]  # for dwell times
    weights: Weights
    long_weights: Weights


class Scale(NamedTuple):
    """What networks of the same data are measured with. K symbols, R bootstrap samples."""

    data: SymbolSequences
    sizes: Sizes  # of the training part
    counts: dict[int, np.ndarray]  # (K^n,) of held-out n-grams, for each order compared
    transitions: Float[np.ndarray, "K K"]  # of held-out symbols
    model: Markov
    entropy: Float[np.ndarray, " R"]  # surprise of held-out sequences, nats per symbol
    held_runs: list[np.ndarray]  # K; how many held-out runs have each length
    partners: Int[np.ndarray, "m T"]  # the held-out sequences that others are matched to
    matched: np.ndarray  # (m,) which short sequences are
    matched_weights: Weights


def held_out_yardstick(data: SymbolSequences, sizes: Sizes, key: Key) -> Yardstick:
    """What `hmmrnn.fidelity.comparison` judges by, of held-out data in the place of an HMM.

    As many sequences are generated as the training part has, up to `sizes`, and each ends where
    one of those does, so that dwell times are cut off alike. Then

    - KL is that of generated n-grams from the held-out shares, with half a count added to each;
    - the excess surprise is that under the longest Markov model which the training part supports,
      beyond the surprise of held-out sequences under it;
    - `exact` are the values of the held-out part, which have errors of their own;
    - nothing is impossible, so those shares are NaN.

    Floors are the numbers of the training part, to which the Markov model was fitted. Their
    intervals are over its sequences, or over windows of less than eight recordings.
    """
    keys, parts = named_keys(key, KEYS), data.parts
    longest = _longest(parts.train.symbols, sizes)
    most_long = max(2, sizes.n_long * sizes.n_long_steps // longest)
    short, weights = _cut(parts.train.symbols, sizes.n_steps, sizes.n_sequences, keys["train"])
    long, long_weights = _cut(parts.train.symbols, longest, most_long, keys["long_train"])
    train = Sample(short, long, weights, long_weights)
    held, held_weights = _cut(
        parts.held_out.symbols, sizes.n_steps, sizes.n_sequences, keys["held_out"]
    )
    model = fitted(parts.train, max(n for n in ORDERS if n == 1 or parts.train.supports(n)) - 1)
    known = held_weights @ surprises(model, held)
    held_long, _ = windows(parts.held_out.symbols, longest)
    n_matched = min(sizes.n_matched, len(short), len(held))
    scale = Scale(
        data=data,
        sizes=Sizes(len(short), sizes.n_steps, len(long), longest, n_matched),
        counts={n: parts.held_out.counts(n) for n in compared_orders(data, sizes.n_steps)},
        transitions=rows(_pairs(parts.held_out.symbols, data.n_symbols))[0],
        model=model,
        entropy=known[:, 0] / known[:, 1],
        held_runs=[runs.sum(axis=0) for runs in _runs(held_long, data.n_symbols)],
        partners=held[_spread(len(held), n_matched)],
        matched=_spread(len(short), n_matched),
        matched_weights=bootstrap_weights(n_matched, keys["matched"]),
    )
    floor = _statistics(scale, train)
    of_made = bootstrap_weights(len(short), keys["weights"])
    of_long = bootstrap_weights(len(long), keys["long_weights"])

    def judged(made: Generated, ran: LongRun) -> Fidelity:
        return _judged(scale, floor, Sample(*_ended(made, train, ran), of_made, of_long), ran)

    return Yardstick(scale.sizes, (keys["net"], keys["long_net"]), judged)


def _ended(made: Generated, train: Sample, ran: LongRun) -> tuple[np.ndarray, np.ndarray]:
    """Generated sequences, each cut where the training sequence in its row ends.

    Of a network that does not stay bounded nothing is left of those that are longer than it was
    trained on.
    """
    short, long = np.asarray(made.short), np.asarray(made.long)
    beyond = long.shape[1] > short.shape[1]
    whole = bool((long >= 0).all()) and (ran.bounded or not beyond)
    return (
        np.where(train.short >= 0, short, -1),
        np.where((train.long >= 0) & whole, long, -1),
    )


def _longest(symbols: np.ndarray, sizes: Sizes) -> int:
    """Steps of the sequences for dwell times: whole ones, but recordings in pieces to resample."""
    piece = max(sizes.n_steps, int((symbols >= 0).sum()) // PIECES)
    return min(symbols.shape[1], sizes.n_long_steps, piece)


def _cut(symbols: np.ndarray, n_steps: int, most: int, key: Key) -> tuple[np.ndarray, Weights]:
    """At most so many windows of `n_steps`, evenly spread, and bootstrap weights over sequences.

    Windows of one sequence are drawn together, unless there are very few sequences.
    """
    cut, owner = windows(symbols, n_steps)
    chosen = _spread(len(cut), min(most, len(cut)))
    cut, (_, owner) = cut[chosen], np.unique(owner[chosen], return_inverse=True)
    n_owners = int(owner.max()) + 1
    if n_owners < FEW:
        return cut, bootstrap_weights(len(cut), key)
    return cut, bootstrap_weights(n_owners, key)[:, owner] * n_owners / len(cut)


def _spread(n: int, n_chosen: int) -> np.ndarray:
    return np.linspace(0, n - 1, n_chosen).astype(int)


def _runs(symbols: np.ndarray, n_symbols: int) -> list[np.ndarray]:
    """Complete runs (B, L) of each length in each sequence, for every symbol."""
    x = jnp.asarray(symbols)
    return [np.asarray(run_length_counts(x, i, x.shape[1])) for i in range(n_symbols)]


def _ratio(means: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return means[:, 0] / means[:, 1]


def _statistics(scale: Scale, of: Sample) -> Statistics:
    """All statistics of sequences, each a ratio of sums over what lies inside them."""
    k, weights, short = scale.data.n_symbols, of.weights, of.short
    inside = short >= 0
    pairs = inside[:, 1:].sum(axis=1)
    changes = ((short[:, 1:] != short[:, :-1]) & inside[:, 1:]).sum(axis=1)
    surprise = _ratio(weights @ surprises(scale.model, short)) - scale.entropy
    runs = _runs(of.long, k)
    shares = [jnp.stack([(short == i).sum(axis=1), inside.sum(axis=1)], axis=1) for i in range(k)]
    return Statistics(
        kl={n: _kl(scale, of, n) for n in scale.counts},
        excess_surprise=Estimate.of(surprise),
        impossible_sequences=np.nan,
        volatility=estimate(_ratio, jnp.stack([changes, pairs], axis=1), weights),
        symbol_shares=estimates(_ratio, shares, weights),
        transition_error=estimate(
            lambda pairs: worst_row(pairs.reshape(-1, k, k), scale.transitions),
            ngram_shares(jnp.asarray(short), 2, k),
            weights,
        ),
        dwell_mean=estimates(dwell_mean, runs, of.long_weights),
        dwell_cv=estimates(dwell_cv, runs, of.long_weights),
        run_lengths=[counts.sum(axis=0) for counts in runs],
        matched_distance=_matched(scale, short),
    )


def _kl(scale: Scale, of: Sample, n: int) -> Estimate:
    law = smoothed_law(scale.counts[n])
    shares = ngram_shares(jnp.asarray(of.short), n, scale.data.n_symbols)
    return estimate(lambda means: kl_from_law(means, law), shares, of.weights)


def _matched(scale: Scale, short: np.ndarray) -> Estimate:
    distances = matched_distances(short[scale.matched], scale.partners, scale.data.n_symbols)
    return Estimate.of(scale.matched_weights @ distances)


def _pairs(symbols: np.ndarray, k: int) -> Float[np.ndarray, "1 K K"]:
    return ngram_counts(symbols, 2, k).astype(float).reshape(1, k, k)


def _judged(scale: Scale, floor: Statistics, made: Sample, ran: LongRun) -> Fidelity:
    """The numbers of one network beside those of the training part and the held-out one."""
    k, own, longest = scale.data.n_symbols, _statistics(scale, made), max(scale.counts)
    ngrams, held = ngram_counts(made.short, longest, k), scale.data.parts.held_out.symbols
    shares = ngram_counts(held, 1, k) / (held >= 0).sum()
    return Fidelity(
        kl={n: Compared(own.kl[n], floor.kl[n], 0.0) for n in scale.counts},
        impossible_share=np.nan,
        excess_surprise=Compared(own.excess_surprise, floor.excess_surprise, 0.0),
        impossible_sequences=np.nan,
        volatility=Compared(
            own.volatility, floor.volatility, scale.data.volatility(scale.sizes.n_steps)
        ),
        symbol_shares=[
            Compared(own.symbol_shares[i], floor.symbol_shares[i], float(share))
            for i, share in enumerate(shares)
        ],
        transitions=rows(_pairs(made.short, k))[0],
        exact_transitions=scale.transitions,
        transition_error=Compared(own.transition_error, floor.transition_error, 0.0),
        dwell=[_dwell(scale, own, floor, symbol) for symbol in range(k)],
        matched_distance=Compared(own.matched_distance, floor.matched_distance, None),
        ngram_shares=ngrams / ngrams.sum(),
        exact_ngrams=scale.counts[longest] / scale.counts[longest].sum(),
        n_sequences=scale.sizes.n_sequences,
        n_steps=scale.sizes.n_steps,
        long_run=ran,
    )


def _dwell(scale: Scale, own: Statistics, floor: Statistics, symbol: int) -> SymbolDwell:
    """Run lengths of one symbol, as moments and as shares."""
    held, total = scale.held_runs[symbol][None], own.run_lengths[symbol]
    mean, cv = float(dwell_mean(held)[0]), float(dwell_cv(held)[0])
    shown = shown_lengths(mean, scale.sizes.n_long_steps)
    with np.errstate(invalid="ignore"):
        return SymbolDwell(
            mean=Compared(own.dwell_mean[symbol], floor.dwell_mean[symbol], mean),
            cv=Compared(own.dwell_cv[symbol], floor.dwell_cv[symbol], cv),
            lengths=np.arange(1, shown + 1),
            network=(total / total.sum())[:shown],
            exact=(held[0] / held.sum())[:shown],
            n_runs=int(total.sum()),
        )
