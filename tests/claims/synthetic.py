"""Made-up measures of a network in which every claim holds, to be spoiled one by one."""

import copy

import numpy as np

from hmmrnn import TrainConfig
from hmmrnn.claims import Evidence
from hmmrnn.hmm import preset, symbol_law, symbol_transitions, volatility


def estimate(value, width=0.01):
    return {"value": value, "low": value - width, "high": value + width}


def compared(value, exact):
    return {"network": estimate(value, 0.001), "floor": estimate(exact, 0.001), "exact": exact}


def fidelity(name="linear2", kl=0.001, change=1.0):
    hmm = preset(name)
    shares = np.asarray(symbol_law(hmm, 100))
    exact = volatility(hmm, 100)
    return {
        "kl": {"2": compared(kl / 10, 0.0), "6": compared(kl, 0.0)},
        "volatility": compared(change * exact, exact),
        "symbol_shares": [compared(float(share), float(share)) for share in shares],
        "exact_transitions": np.asarray(symbol_transitions(hmm, 100)).tolist(),
        "dwell": [{"cv": compared(0.8, 0.97)} for _ in shares],
    }


def dynamics():
    return {
        "rotation": estimate(0.98),
        "dwell_cv": estimate(0.7),
        "surrogates": {"phase_shuffled": {"p_value": 0.005}},
        "regime": {"kind": "orbit", "symbols": [0, 2]},
        "pairs": [],
        "fixed_points": {"attracted": [estimate(1.0)], "fixed": [True], "stable": [True]},
        "noise_levels": {
            "r_squared": estimate(0.99),
            "slope": estimate(2.0),
            "by_construction": False,
        },
        "zones": {
            "cluster": {"share": estimate(0.8)},
            "kick-zone": {"share": estimate(0.06)},
            "transition": {"share": estimate(0.04)},
        },
        "emission_by_phase": {"explained": estimate(0.9)},
        "readout": {"share_in_plane": [0.1, 0.7, 0.1]},
        "noise_sensitivity": {
            "kick-zone": {"covariance_trace_1": estimate(2.0, 0.2)},
            "transition": {"covariance_trace_1": estimate(1.0, 0.1)},
        },
        "development": {
            "epochs": [0, 50, 100, 150],
            "bifurcation": {
                "epoch": 60.0,
                "low": 50.0,
                "high": 70.0,
                "p_value": 0.001,
                "n_valid": 12,
            },
            "descent": {"onset": 55.0},
            "median_mean_shift": [0.01, 0.01, 0.1, 0.1],
        },
    }


def row(pair, **criteria):
    parts = dict.fromkeys(("found", "kick", "noise", "controls", "selective"), True)
    parts |= criteria
    return {
        "pair": pair,
        "n_kick": 11,
        "n_population": 38,
        "criteria": parts,
        "kick": {"own": estimate(0.02)},
        "agreement": estimate(0.8),
        "holds": all(parts.values()),
    }


def circuits():
    within, between = 10.0, -10.0
    z = [[within, between], [between, within]]
    mean = [[0.02, -0.02], [-0.02, 0.02]]
    return {
        "verdict": "holds",
        "rows": [row([0, 2]), row([2, 0])],
        "blocks": {
            "names": ["population 0>2", "population 2>0"],
            "mean": mean,
            "null_low": [[-0.01] * 2] * 2,
            "null_high": [[0.01] * 2] * 2,
            "z": z,
        },
        "pair_tests": [
            {"resonance": {"identity": False, "n_units": 38, "dip": estimate(0.1, 0.02)}},
            {"resonance": {"identity": False, "n_units": 38, "dip": estimate(0.1, 0.02)}},
        ],
        "noise_into_all_units": {
            "gains": [0.0, 0.5, 1.0, 2.0, 3.0],
            "identity": False,
            "outcome": {"per_step_ratio": {"value": [0.0, 1.02, 1.0, 0.97, 0.5]}},
        },
    }


def network(name="linear2", seed=0, loss="reference", batch_size=2048, **sections):
    losses = {
        "reference": {"divergence": "reference", "ngram_weight": 0.0},
        "independent": {"divergence": "independent", "ngram_weight": 0.0},
        "ngram": {},
    }
    config = TrainConfig.profile("laptop", preset(name)).replace(
        loss=losses[loss], train={"batch_size": batch_size, **sections.pop("train", {})}, **sections
    )
    return Evidence(
        f"{name}-{loss}-seed{seed}", config, 1.0, seed, fidelity(name), dynamics(), circuits()
    )


def spoiled(of, measures, *path, value):
    """The same network with one number of one of its measures set to another value."""
    changed = copy.deepcopy(getattr(of, measures))
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return of._replace(**{measures: changed})
