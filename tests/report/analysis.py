"""What dynamics.json holds of a network of three symbols, written by hand, and its silent twin."""

import numpy as np
from figures.records import NOWHERE, development, spread

from hmmrnn.recordings import ZONES
from hmmrnn.storage import plain

PAIRS = ((0, 1), (1, 2))


def estimate(value, half=0.02):
    return {"value": value, "low": value - half, "high": value + half}


NOTHING = {"value": None, "low": None, "high": None}


def dated(**changes):
    """Of `development`: what is not path or picture."""
    found = development()._replace(**changes)
    fields = found._asdict()
    shift = fields.pop("mean_shift")
    kept = {name: fields[name] for name in fields if name not in ("paths", "symbols")}
    return plain({**kept, "median_mean_shift": np.median(shift, axis=1)})


def moving(symbols, kind, sentence, turns):
    """Verdict and what it rests on."""
    return {
        "symbols": list(symbols),
        "kind": kind,
        "sentence": sentence,
        "n_wells": 2,
        "barrier": estimate(1.234 + symbols[1]),
        "n_drift_wells": 2,
        "drift_barrier": estimate(1.1),
        "second_lag": estimate(1.456),
        "rotational_share": estimate(0.321 + turns),
        "rotational_share_reversed": 0.01,
        "rotational_share_p": 0.004,
        "current_p": 0.002,
    }


def analysis():
    """All measures but the portrait."""
    return {
        "orbit": {
            "rotation": estimate(0.991),
            "direction": -1.0,
            "radius": estimate(10.26),
            "radius_cv": estimate(0.951),
            "period": estimate(23.67, 1.4),
            "period_cv": estimate(0.412),
            "n_periods": 180,
            "n_transitions": 3656,
            "n_valid": 64,
        },
        "surrogates": {
            name: {
                "value": 0.991,
                "null_mean": mean,
                "null_low": mean - 0.03,
                "null_high": mean + 0.03,
                "p_value": p_value,
                "n_surrogates": 1000,
            }
            for name, mean, p_value in (
                ("time_reversed", 0.0021, 0.00099),
                ("phase_shuffled", -0.0034, 0.00498),
            )
        },
        "emission_by_phase": {"explained": estimate(0.813), "n_valid": 64},
        "readout": {
            "share_in_plane": [0.91, 0.87, 0.9],
            "angle_to_plane_degrees": [17.5, 21.1, 18.4],
            "chance_share": 0.0133,
            "carried_variance": 0.622,
        },
        "noise_levels": {
            "levels": [0.1, 1.0],
            "radius": [estimate(1.0), estimate(10.0)],
            "slope": estimate(9.96),
            "intercept": estimate(0.011),
            "r_squared": estimate(0.9987, 0.001),
            "by_construction": True,
            "occupied_area": [8.5, 852.0],
        },
        "regime": moving((0, 1), "orbit", "It orbits: all of it.", 0.2),
        "pairs": [
            {
                **moving(pair, "double well", f"It hops between {pair[0]} and {pair[1]}.", 0.1),
                "n_segments": 641 + pair[0],
                "n_steps": 32381 + pair[0],
                "n_forth": 624 + pair[0],
                "n_back": 725 + pair[0],
                "transitions_per_step": estimate(0.039),
                "rotation": estimate(0.155 + pair[0]),
                "rotation_p": 0.001,
            }
            for pair in PAIRS
        ],
        "fixed_points": {"n_points": 1, "summary": "1000 of 1000 states end at the origin."},
        "zones": {
            zone: {
                "share": estimate(0.8 / 2**i),
                "residency_time": estimate(17.7 - 4 * i),
                "sign_changes_per_step": estimate(0.43 - 0.1 * i),
                "unstable": estimate(0.39 + 0.4 * i),
                "critical_pairs": estimate(0.12 + 0.2 * i),
            }
            for i, zone in enumerate(ZONES)
        },
        "critical_share": estimate(0.152),
        "n_states": 1984,
        "n_valid": 1984,
        "censored_share": 0.0243,
        "noise_sensitivity": {
            zone: {
                "n_starts": 32,
                "relative_trace_0": estimate(0.0, 0.0),
                "relative_trace_0.5": estimate(0.97),
                "relative_trace_1": estimate(3.56 + 2 * i),
            }
            for i, zone in enumerate(ZONES[:3])
        },
        "mean_shift": {
            "one_step": estimate(0.0672, 0.001),
            "activity": estimate(0.369),
            "propagated_share": estimate(0.896),
            "alignment": estimate(0.675),
            "first_order_share": estimate(0.007),
            "horizon": 20,
            "n_starts": 32,
            "n_draws": 400,
        },
        "development": dated(),
        "networks": {
            f"number {i}": {
                "networks": {
                    f"seed{k}": entry for k, entry in enumerate(plain(spread([i, i + 2])))
                },
                "mean": estimate(1.5 + i),
                "n_valid": 2,
            }
            for i in range(2)
        },
    }


def silent_analysis():
    """The same of a network that never switches: all that cannot be known is null."""
    unknown = _unknown(analysis())
    regime = {"kind": "neither", "sentence": "It never switches: one symbol is preferred."}
    return unknown | {
        "regime": unknown["regime"] | regime | {"symbols": [0, 1], "n_wells": 0},
        "pairs": [],
        "orbit": unknown["orbit"] | {"n_periods": 0, "n_transitions": 0, "n_valid": 0},
        "noise_levels": unknown["noise_levels"] | {"by_construction": False},
        "development": dated(bifurcation=NOWHERE, bifurcation_by_jump=np.nan),
        "networks": None,
    }


def _unknown(value):
    """All estimates and numbers with decimals as null."""
    if isinstance(value, dict):
        return {name: _unknown(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_unknown(entry) for entry in value]
    return None if isinstance(value, float) else value
