"""Small records made by hand, as the analyses would return them."""

import numpy as np

from hmmrnn.dynamics import PCA, Development, Portrait
from hmmrnn.dynamics.change_points import ChangePoint, SecondDescent
from hmmrnn.dynamics.fixed_points.rest import EndStates
from hmmrnn.fidelity import Compared, Fidelity, SymbolDwell
from hmmrnn.intervals import UNKNOWN, Estimate
from hmmrnn.nets import LongRun
from hmmrnn.training import Fit, Records
from hmmrnn.training.fit import Snapshots
from hmmrnn.training.floor import Floor


def fit(config, loss, *, volatility=None, validation=None, floor=(0.5, 0.1), **others):
    loss = np.asarray(loss, np.float32)
    blank = np.full_like(loss, np.nan)
    records = Records(
        loss=loss,
        validation_loss=blank if validation is None else np.asarray(validation, np.float32),
        gradient_norm=np.ones_like(loss),
        volatility=0.3 + 0 * loss if volatility is None else np.asarray(volatility, np.float32),
        marginal_error=np.full_like(loss, 0.4),
        bad_steps=np.zeros(len(loss), np.int32),
    )._replace(**others)
    floor = Floor(*(np.float32(f) for f in floor))
    return Fit({}, np.float32(1), config.cell, records, Snapshots(np.array([0]), {}), floor, config)


def compared(value, exact=None, spread=0.015):
    return Compared(
        Estimate(value, value - spread, value + spread),
        Estimate(0.9 * value, 0.9 * value - spread, 0.9 * value + spread),
        exact,
    )


def fidelity(k=3, n=3, seed=0):
    """A network that differs from its HMM of k symbols; its n-grams are of order n at most."""
    rng = np.random.default_rng(seed)
    exact = rng.dirichlet(np.ones(k**n))
    network = rng.multinomial(50_000, exact) / 50_000
    shares = rng.dirichlet(np.ones(k))
    return Fidelity(
        kl={i: compared(0.0123 * i, 0.0, 0.0015) for i in range(1, n + 1)},
        impossible_share=0.0,
        impossible_sequences=0.0,
        excess_surprise=compared(-0.0341, 0.0),
        volatility=compared(0.271, 0.2562),
        symbol_shares=[compared(s + 0.01, float(s)) for s in shares],
        transitions=rng.dirichlet(np.ones(k), size=k),
        exact_transitions=rng.dirichlet(np.ones(k), size=k),
        transition_error=compared(0.052, 0.0),
        dwell=[dwell(2.0 + i) for i in range(k)],
        matched_distance=compared(3.21),
        ngram_shares=network,
        exact_ngrams=exact,
        n_sequences=1_000,
        n_steps=52,
        long_run=LongRun(1.0, 64, 2000),
    )


def dwell(mean, n_lengths=12):
    lengths = np.arange(1, n_lengths + 1)
    exact = (1 - 1 / mean) ** (lengths - 1) / mean
    network = np.where(lengths % 5 == 0, 0.0, 0.8 * exact)
    return SymbolDwell(
        compared(mean, mean + 0.1), compared(0.6 + mean / 10, 0.87), lengths, network, exact, 400
    )


def silent(record, symbol=1):
    """`record` of a network that never shows `symbol` and never leaves the others."""
    transitions = np.eye(len(record.dwell))
    transitions[symbol] = np.nan
    return record._replace(
        transitions=transitions,
        dwell=[
            d._replace(
                network=np.full(len(d.lengths), np.nan),
                n_runs=0,
                mean=d.mean._replace(network=UNKNOWN),
                cv=d.cv._replace(network=UNKNOWN),
            )
            for d in record.dwell
        ],
        ngram_shares=np.eye(len(record.ngram_shares))[0],
    )


def portrait(n_steps=60, symbols=(0, 2), seed=0):
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 12, n_steps)
    driven = np.stack([3 * np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    quiet = rng.normal(size=(4, 1, 3)) * 0.8 ** np.arange(20)[:, None]
    return Portrait(
        plane=PCA(np.zeros(5), np.eye(3, 5), np.array([0.528, 0.165, 0.05])),
        transitions_per_step=Estimate(0.1283, 0.1251, 0.1312),
        dwell_cv=Estimate(0.81, 0.78, 0.84),
        rotation=Estimate(0.991, 0.973, 1.012),
        end=EndStates(np.zeros((7, 5)), np.zeros(7), 7, 6, 2, 0.25),
        driven=driven,
        driven_symbols=np.asarray(symbols)[(np.arange(n_steps) // 7) % len(symbols)],
        quiet=quiet,
        n_trajectories=64,
        n_steps=n_steps,
    )


def still(record):
    """`record` of a network whose state never moves."""
    return record._replace(
        plane=record.plane._replace(explained=np.zeros(3)),
        transitions_per_step=Estimate(0.0, 0.0, 0.0),
        dwell_cv=UNKNOWN,
        rotation=UNKNOWN,
        driven=0 * record.driven,
        driven_symbols=0 * record.driven_symbols,
        quiet=0 * record.quiet,
        end=record.end._replace(n_settled=0, n_distinct=0, distance_from_origin=np.nan),
    )


NOWHERE = ChangePoint(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, 0)


def spread(values, relative=0.1):
    """Estimates with these values."""
    values = np.asarray(values, float)
    return Estimate(values, values - relative * abs(values), values + relative * abs(values))


def development(epochs=(0, 10, 20, 30, 40, 50, 60), onset=40, n_units=5, n_steps=30, seed=0):
    """A training whose networks go back and forth at first, and orbit from epoch `onset` on."""
    rng = np.random.default_rng(seed)
    at = np.array(epochs)
    later, angle = at >= onset, np.linspace(0, 6, n_steps)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Development(
        epochs=at,
        transitions_per_step=spread(np.where(later, 0.2, 0.4)),
        rotation=spread(np.where(later, 0.98, 0.03)),
        critical_share=spread(np.where(later, 0.7, 0.0)),
        unstable_share=spread(np.where(later, 0.02, 0.001)),
        mean_shift=rng.uniform(0.01, 0.1, (len(at), n_units)),
        explained=np.tile([0.5, 0.3], (len(at), 1)),
        paths=np.where(later, 1.0, 0.1)[:, None, None] * circle,
        symbols=np.tile(np.arange(n_steps) // 5 % 3, (len(at), 1)),
        bifurcation_by_jump=float(onset),
        bifurcation=ChangePoint(float(onset), onset - 10.0, float(onset), 0.0, 0.7, 0.02, len(at)),
        switching=NOWHERE,
        descent=SecondDescent(12.0, 35.0, 0.6, 0.3),
        n_valid=len(at),
    )
