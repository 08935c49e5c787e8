"""What discovery.json holds, by hand: of a trained network, and of a ring with planted units."""

from .analysis import NOTHING, estimate

REASON = "the symbol changes from 2 to 0 in 3 of 256 runs: at least 16 are needed"
COMMAND = "hmmrnn discover --task=ring --contamination=0.2 --outdir=runs/ring"
BASELINES = ("correlation", "variance", "decoder weight", "weights in", "weights out", "random")
ATTRIBUTIONS = ("one pass", "path cut", "integrated")
MEASURES = ("stake", "faithfulness", "completeness", "minimality", "necessity", "sufficiency")

NETWORK_WINDOWS = {"-8..-5": [12, 16], "-4..-1": [16, 20], "0..3": [20, 24]}
TASK_WINDOWS = {"hold": [0, 20], "cue": [20, 35], "keep": [60, 100]}
AUPRC = {
    "intervention": (0.999, 0.981, 0.994),
    "one pass": (0.964, 0.951, 0.957),
    "path cut": (0.998, 0.978, 0.993),
    "integrated": (0.942, 0.931, 0.937),
    "correlation": (0.285, 0.264, 0.312),
    "variance": (0.397, 0.494, 0.401),
    "decoder weight": (0.211, 0.253, 0.222),
    "weights in": (0.194, 0.187, 0.195),
    "weights out": (0.871, 0.833, 0.852),
    "random": (0.165, 0.207, 0.171),
}


def of_run():
    """One change of symbols."""
    return {
        "source": {"run": "runs/demo", "seed": 0, "n_trials": 64, "kind": "mean"},
        "command": "hmmrnn discover --run=runs/demo",
        "cases": {"0_2": network_case()},
        "problems": {},
    }


def of_task():
    """One condition of the ring, with its judgement."""
    return {
        "source": {"task": "ring", "seed": 0, "contamination": 0.2, "noise_std": 0.1},
        "command": COMMAND,
        "cases": {"jumping": task_case(), "still here": one_window(task_case())},
        "problems": {},
    }


def network_case():
    """Three windows around the change, most at stake in the second."""
    kick = {
        "population 0>2": overlap(31, (2, 3, 2), (1.55, 1.24, 0.93), (0.412, 0.435, 0.398)),
        "kick 0>2": overlap(8, (1, 3, 0), (0.42, 0.33, 0.25), (0.517, 0.683, 0.294)),
        "kick 2>0": overlap(0, (0, 0, 0), (0.0, 0.0, 0.0), (None, None, None)),
    }
    return case(NETWORK_WINDOWS, ((1, 5), (1, 3, 4, 7), (2, 3, 6)), (1.72, 3.124, 1.41)) | {
        "n_trials": 48,
        "n_units": 150,
        "groups": {"kick 0>2": {"effect": [0.511, 1.273, 0.121], "alone": [0.377, 0.944, 0.117]}},
        "judgement": None,
        "kick": kick,
    }


def task_case():
    """Three windows with 2, 4 and 2 true units of 256."""
    fields = case(TASK_WINDOWS, ((3, 4, 9), (3, 4, 16, 17), (3, 4)), (0.403, 0.907, 1.121))
    return fields | {
        "n_trials": 64,
        "n_units": 256,
        "groups": {
            "ring": {"effect": [0.407, 0.691, 1.124], "alone": [0.174, 0.1206, 0.768]},
            "echoes": {"effect": [0.0053, 0.0019, 0.0227], "alone": [0.0031, 0.0017, 0.0148]},
        },
        "judgement": judgement(),
        "kick": None,
    }


def case(windows, circuits, stake):
    """What both kinds have, numbers that differ by window and by measure."""
    places = range(len(windows))
    return {
        "kind": "mean",
        "windows": windows,
        "effect": {name: [[0.1, 0.2]] * len(windows) for name in NOTHING},
        "agreement": {
            name: [{"rank": 0.991 - 0.013 * m - 0.002 * w, "slope": 1.07 + m + 0.03 * w, "n": 256}
                   for w in places]
            for m, name in enumerate(ATTRIBUTIONS)
        },
        "edge_agreement": [{"rank": 0.951 + 0.003 * w, "slope": 0.961, "n": 96} for w in places],
        "circuits": [
            {
                "units": list(circuits[w]),
                "chosen_at": 0.962,
                **{name: estimate(0.151 * m + 0.0131 * w) for m, name in enumerate(MEASURES)},
                "faithfulness": estimate(0.953 + 0.007 * w, 0.005),
                "stake": estimate(stake[w], 0.05),
            }
            for w in places
        ],
        "curves": {
            name: [curve(0.93 - 0.041 * r - 0.003 * w) for w in places]
            for r, name in enumerate(("intervention", "path cut", *BASELINES))
        },
        "twins": [
            [
                {
                    "units": [9 + w, 12 + i],
                    "correlation": 0.988 - 0.01 * i,
                    "effect": 0.0274 - 0.003 * i,
                    "beyond": 0.0128 - 0.002 * i,
                }
                for i in range(5)
            ]
            for w in places
        ],
        "edges": [
            {
                "n_edges": 809 + w,
                "faithfulness": estimate(0.961 + 0.004 * w, 0.009),
                "curve": curve(0.98),
                "strongest": [{"receiver": 5, "sender": 9, "strength": 0.1}],
            }
            for w in places
        ],
    }  # fmt: skip


def curve(cpr):
    return {
        "sizes": [0, 1, 256],
        "faithfulness": {"value": [0, 0.5, 1], "low": [0, 0.4, 1], "high": [0, 0.6, 1]},
        "cpr": estimate(cpr, 0.004),
        "cmd": estimate(1 - cpr, 0.004),
    }


def score(auprc, n_true, n=256):
    return {"auprc": auprc, "precision": auprc / 2, "n_true": n_true, "n": n}


def judgement():
    return {
        "units": {
            name: {
                "windows": [score(a, n) for a, n in zip(each, (2, 4, 2), strict=True)],
                "timing": score(each[1] - 0.021, 8, 768),
            }
            for name, each in AUPRC.items()
        },
        "edges": {
            "attribution": [score(0.828 + 0.01 * w, 992, 65536) for w in range(3)],
            "weights": [score(0.126 + 0.01 * w, 992, 65536) for w in range(3)],
        },
        "unconnected": 0.0,
        "decoding": {
            "circuit": 0.9616,
            "random": 0.9523,
            "random_low": 0.9479,
            "random_high": 0.9683,
            "all_units": 0.9659,
        },
        "decoded_as": "R^2",
        "isolation": None,
    }


def one_window(fields):
    """The same with its first window alone, and with a law to know."""

    def first(value):
        if isinstance(value, dict):
            return {name: first(entry) for name, entry in value.items()}
        return value[:1] if isinstance(value, list) else value

    judged = fields["judgement"] | {
        "units": first(fields["judgement"]["units"]),
        "edges": first(fields["judgement"]["edges"]),
        "isolation": {"full": 0.001421, "isolated": 0.001423, "others": 0.2278},
    }
    parts = ("agreement", "edge_agreement", "circuits", "curves", "groups", "twins", "edges")
    circuit = fields["circuits"][0]
    return fields | {name: first(fields[name]) for name in parts} | {
        "windows": {"all": [0, 100]},
        "circuits": [circuit],
        "twins": fields["twins"][:1],
        "judgement": judged | {"decoded_as": "accuracy"},
    }  # fmt: skip


def overlap(n, shared, expected, auprc):
    return {"auprc": list(auprc), "n": n, "shared": list(shared), "expected": list(expected)}
