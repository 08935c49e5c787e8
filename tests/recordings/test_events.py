"""Transitions against a plain loop over symbols, and their stretches against the recording."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import SMALL, net_of

from hmmrnn.nets import init_params
from hmmrnn.recordings.events import (
    STAY,
    Events,
    aligned,
    find_events,
    some,
    stretch,
    symbol_pairs,
)
from hmmrnn.recordings.recorder import recorded

KEY = jax.random.key(11)
CELL = SMALL.clone(activation="tanh")


def by_loop(symbols, pair, before, after, stay):
    """Onsets (run, step), one step after the other."""
    found = []
    for run, path in enumerate(symbols.tolist()):
        for t in range(len(path)):
            has_steps = t - before - 1 >= 0 and t + after <= len(path)
            is_old = t - stay >= 0 and path[t - stay : t] == [pair[0]] * stay
            is_new = path[t : t + STAY] == [pair[1]] * STAY
            if has_steps and is_old and is_new:
                found.append((run, t))
    return found


@st.composite
def symbol_paths(draw):
    """Runs of equal length made of dwells of 1 to 9 steps."""
    n_runs, n_steps = draw(st.integers(1, 4)), draw(st.integers(1, 50))
    dwell = st.tuples(st.integers(0, 2), st.integers(1, 9))
    dwells = st.lists(dwell, min_size=n_steps, max_size=n_steps)
    return np.array(
        [np.repeat(*np.transpose(draw(dwells)))[:n_steps] for _ in range(n_runs)], np.int64
    )


@settings(deadline=None, max_examples=150)
@given(
    symbol_paths(),
    st.sampled_from([(0, 1), (1, 0), (2, 0), (1, 2)]),
    st.integers(0, 14),
    st.integers(0, 12),
    st.integers(1, 9),
)
def test_events_are_those_of_a_plain_loop(symbols, pair, before, after, stay):
    events = find_events(symbols, pair, before=before, after=after, stay=stay)
    assert events.pair == pair
    expected = by_loop(symbols, pair, before, after, stay)
    assert list(zip(events.run.tolist(), events.onset.tolist(), strict=True)) == expected


def test_flickers_are_no_events():
    for dwells, n_events in [([9, 5, 9], 1), ([9, 4, 9], 0), ([4, 9, 9], 0), ([9, 9, 9], 1)]:
        symbols = np.repeat([0, 1, 0], dwells)[None]
        assert len(find_events(symbols, (0, 1)).run) == n_events


def telegraph(seed, n_runs=6, n_steps=300, stay=0.95, n_symbols=2):
    rng = np.random.default_rng(seed)
    moves = np.cumsum(rng.random((n_runs, n_steps)) > stay, axis=1)
    return moves % n_symbols


def test_pairs_are_those_with_enough_events():
    symbols = telegraph(0, n_symbols=3)  # 0 -> 1 -> 2 -> 0 alone
    counts = [len(by_loop(symbols, p, STAY, STAY, STAY)) for p in [(0, 1), (1, 2), (2, 0)]]
    assert symbol_pairs(symbols, 1) == [(0, 1), (1, 2), (2, 0)]
    assert symbol_pairs(symbols, min(counts)) == [(0, 1), (1, 2), (2, 0)]
    kept = [p for p, n in zip([(0, 1), (1, 2), (2, 0)], counts, strict=True) if n >= max(counts)]
    assert symbol_pairs(jnp.asarray(symbols), max(counts)) == kept
    assert symbol_pairs(symbols, max(counts) + 1) == []


def test_one_symbol_only_or_runs_that_are_too_short_have_no_events():
    assert symbol_pairs(np.ones((3, 50), int)) == []
    assert len(find_events(np.ones((3, 50), int), (0, 1)).run) == 0
    short = np.repeat([[0, 1]], [5, 5], axis=1)
    for n_steps in range(11):
        assert len(find_events(short[:, :n_steps], (0, 1)).run) == 0
    assert len(find_events(np.repeat([[0, 1]], [6, 5], axis=1), (0, 1)).run) == 1


def test_some_are_drawn_without_repeats_and_in_order():
    events = find_events(telegraph(1), (0, 1))
    everything = list(zip(events.run, events.onset, strict=True))
    assert len(everything) > 20
    drawn = [some(events, 10, key) for key in jax.random.split(KEY, 50)]
    seen = set()
    for few in drawn:
        chosen = list(zip(few.run, few.onset, strict=True))
        assert len(chosen) == 10
        assert chosen == sorted(set(chosen))
        assert few.pair == (0, 1)
        assert set(chosen) <= set(everything)
        seen |= set(chosen)
    assert seen == set(everything)
    same = some(events, 10_000, KEY)
    np.testing.assert_array_equal(same.onset, events.onset)


def test_aligned_steps_are_slices():
    x = np.random.default_rng(2).normal(size=(6, 300, 4))
    events = find_events(telegraph(1), (1, 0), before=7, after=9)
    found = aligned(jnp.asarray(x), events, 7, 9)
    assert found.shape == (len(events.run), 16, 4)
    for i, (run, onset) in enumerate(zip(events.run, events.onset, strict=True)):
        np.testing.assert_allclose(found[i], x[run, onset - 7 : onset + 9], rtol=1e-6)


def test_a_stretch_run_again_is_the_recording():
    params = init_params(CELL, jax.random.key(0))
    params["W_rec"] = 0.9 * jnp.eye(12) + 0.2 * params["W_rec"]  # slow: symbols last
    recording = recorded(net_of(CELL, params, 0.5), 200, jax.random.split(KEY, 8))
    pairs = symbol_pairs(recording.symbols, 5)
    assert len(pairs) >= 3
    for pair in pairs:
        events = find_events(recording.symbols, pair, before=12, after=10)
        around = stretch(recording, events, 12, 10)
        assert around.before == 12
        assert len(events.run) >= 3
        again = net_of(CELL, params).run(around.h0, around.noise)
        for name in ("states", "logits"):
            expected = aligned(getattr(recording, name), events, 12, 10)
            found = np.swapaxes(getattr(again, name), 0, 1)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        symbols = np.argmax(again.logits, axis=-1)
        assert (symbols[11] == pair[0]).all()
        assert (symbols[12] == pair[1]).all()
        earlier = stretch(recording, events, 11, 10)  # starts one step later
        np.testing.assert_array_equal(earlier.noise, around.noise[1:])


def test_no_event_has_no_stretch():
    nothing = Events((0, 1), np.zeros(0, int), np.zeros(0, int))
    assert aligned(np.zeros((4, 30, 2)), nothing, 5, 5).shape == (0, 10, 2)
