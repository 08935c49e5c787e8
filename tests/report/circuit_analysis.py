"""What circuits.json holds of a network with kick neurons for one of two changes, by hand."""

from .analysis import NOTHING, estimate

PAIRS = ((0, 2), (2, 0))
VERDICT = "The paper's account does not hold in this network."
PROBLEM = "no unit has the three levels"
ACCOUNT = {
    (0, 2): (
        "2 kick neurons. Silent, this change is 0.11 [0.09, 0.13] times as frequent.",
        "The paper's account fails here: kick neurons are missing in one direction.",
        "7 units carry 90 % of the difference between the two clusters.",
    ),
    (2, 0): (f"No kick neuron ({PROBLEM}).",),
}
PARTS = {
    "kick neurons silent": (2, 0.531, 0.251),
    "all but circuit and carriers silent": (138, 0.713, 0.084),
    "carriers silent": (7, None, 2.75),
}


def said(text, pair=None):
    """A sentence about a pair, or about the whole network."""
    return {"pair": None if pair is None else list(pair), "text": text}


def circuit_analysis():
    """All that the page and the tables read, and a little more."""
    return {
        "verdict": "does not hold",
        "account": [
            said(VERDICT),
            *(said(line, pair) for pair in PAIRS for line in ACCOUNT[pair]),
        ],
        "rows": [with_kick_neurons(), without_kick_neurons()],
        "pairs": [
            {"pair": [0, 2], "n_events": 228, "kick": [1, 4], "problem": ""},
            {"pair": [2, 0], "n_events": 231, "kick": [], "problem": PROBLEM},
        ],
        "pair_tests": [
            {
                "pair": [0, 2],
                "kick_match": {"activity": 0.56},
                "population_match": {"activity": None},
            }
        ],
        "noise_into_all_units": {"gains": [0.0, 1.0], "n_units": 150, "identity": True},
        "ablations": {
            "names": list(PARTS),
            "n_units": [n_units for n_units, _, _ in PARTS.values()],
            "outcome": {
                "per_step_ratio": estimates([ratio for _, ratio, _ in PARTS.values()]),
                "kl": estimates([kl for _, _, kl in PARTS.values()]),
            },
        },
        "state_transitions": [
            {
                "pair": list(pair),
                "carriers": {
                    "in_s": [k in s for k in range(8)],
                    "in_t": [k in t for k in range(8)],
                },
            }
            for pair, s, t in (((0, 2), (0, 2), (4, 5)), ((2, 0), (4, 5), (0, 2)))
        ],
    }


def with_kick_neurons():
    """The row of 0 to 2."""
    return {
        "pair": [0, 2],
        "n_events": 228,
        "n_kick": 2,
        "n_kick_like": 3,
        "n_population": 38,
        "n_beyond_chance": 24,
        "baseline_rate": estimate(0.025, 0.001),
        "kick": response(0.113, 1.942, 0.967, 1.829, 0.0029),
        "recurrent": response(0.157, 1.873, 0.876, 1.716, 0.0039),
        "noise": response(0.253, 1.734, 0.971, 1.481, 0.0063),
        "criteria": {"found": False, "kick": True, "noise": True, "controls": True}
        | {"selective": True},
        "holds": False,
        "problem": "",
    }


def without_kick_neurons():
    """The row of 2 to 0, on which nothing can be dialled."""
    names = ("own", "back", "control", "specificity", "selectivity", "rate")
    nothing = dict.fromkeys(names, NOTHING)
    return with_kick_neurons() | {
        "pair": [2, 0],
        "n_events": 231,
        "n_kick": 0,
        "n_kick_like": 1,
        "n_population": 0,
        "n_beyond_chance": 0,
        "baseline_rate": estimate(0.031, 0.001),
        **dict.fromkeys(("kick", "recurrent", "noise"), nothing),
        "criteria": {"found": False, **dict.fromkeys(("kick", "noise", "controls", "selective"))},
        "problem": PROBLEM,
    }


def response(own, back, control, selectivity, rate):
    """A dose response at dose 0."""
    return {
        "own": estimate(own),
        "back": estimate(back),
        "control": estimate(control),
        "specificity": estimate(control - own),
        "selectivity": estimate(selectivity),
        "rate": estimate(rate, 0.0005),
    }


def estimates(values):
    """Many estimates as one, with lists for numbers."""
    each = [NOTHING if value is None else estimate(value) for value in values]
    return {name: [entry[name] for entry in each] for name in NOTHING}
