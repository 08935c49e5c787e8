"""Small records of kick circuits made by hand, and what all of their figures must fulfil."""

import re
from dataclasses import replace

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from hmmrnn.circuits.carriers import Arm, Holding
from hmmrnn.circuits.composition import composition
from hmmrnn.circuits.connectivity import Blocks
from hmmrnn.circuits.dose_responses import Contrast, DoseResponse
from hmmrnn.circuits.find import KickCircuit, PairCircuit, name_of
from hmmrnn.circuits.kick_neurons import KickNeurons, Levels
from hmmrnn.circuits.kick_tests import Groups, Injection, KickTest, NaturalNoise, Response
from hmmrnn.circuits.noise_replay import ReplayEffects
from hmmrnn.circuits.optimal_kick import OptimalKick
from hmmrnn.circuits.outcomes import Outcomes
from hmmrnn.circuits.populations import Population
from hmmrnn.circuits.pulses import PulseEffects
from hmmrnn.circuits.resonance import Resonance
from hmmrnn.circuits.windows import WindowEffects
from hmmrnn.dynamics import PCA
from hmmrnn.figures import to_svg
from hmmrnn.intervals import Estimate

from .test_svg import shown_texts

TAGS = {"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect", "circle"}
TWO = ((0, 2), (2, 0))
SIX = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
MINUS = "\N{MINUS SIGN}"


def near(value, spread=0.03):
    return Estimate(float(value), float(value) - spread, float(value) + spread)


def course(values, spread=0.03):
    values = np.asarray(values, float)
    return Estimate(values, values - spread, values + spread)


def mask(units, n):
    found = np.zeros(n, bool)
    found[list(units)] = True
    return found


def circuit(pairs=TWO, n_units=40, n_kick=2, n_population=4, n_states=300, seed=0):
    """Kick groups, then populations, of units that follow each other; pairs share no unit."""
    rng = np.random.default_rng(seed)
    size = 1 + n_kick + n_population
    found, groups = [], {}
    for i, pair in enumerate(pairs):
        first = i * size % (n_units - size)
        kick = mask(range(first, first + n_kick), n_units)
        like = mask(range(first, first + n_kick + 1), n_units) & (n_kick > 0)
        members = mask(range(first + n_kick + 1, first + size), n_units)
        found.append((pair, kick, like, members))
    groups |= {f"population {name_of(p)}": members for p, _, _, members in found}
    groups |= {f"kick {name_of(p)}": kick for p, kick, _, _ in found}
    activity = {name: rng.uniform(0, 2, 30) for name, members in groups.items() if members.any()}
    points = rng.normal(size=(n_states, 2)) * [3, 1]
    preactivation = rng.normal(size=(n_states, n_units)) + points[:, :1]
    return KickCircuit(
        pairs=tuple(
            PairCircuit(p, kick_neurons(p, kick, like, rng), population(p, members), True, activity)
            for p, kick, like, members in found
        ),
        groups=groups,
        blocks=blocks(tuple(groups), rng),
        shared=composition(groups),
        plane=PCA(np.zeros(n_units), np.eye(2, n_units), np.array([0.5, 0.2])),
        seen=points,
        seen_preactivation=preactivation,
    )


def kick_neurons(pair, kick, like, rng):
    n = len(kick)
    score = np.where(like, rng.uniform(0.1, 1, n), rng.uniform(-3, -0.1, n))
    push = np.where(kick, rng.uniform(0.1, 0.3, n), rng.uniform(-0.02, 0.05, n))
    levels = Levels(*(np.zeros(n) for _ in range(4)))
    problem = "" if kick.any() else "no unit has the paper's three levels of pre-activation"
    known = push if kick.any() else np.full(n, np.nan)
    return KickNeurons(
        pair, 60, levels, score, known, known, known - 0.04, like, kick, near(0.9), True, problem
    )


def population(pair, members):
    values = np.zeros(len(members))
    return Population(pair, values, members, members, values, near(0.4), near(0.1))


def blocks(names, rng):
    size = len(names)
    mean = rng.uniform(-0.08, 0.08, (size, size))
    half = np.full((size, size), 0.04)
    return Blocks(names, mean, -half, half, mean / 0.02)


def unchanging():
    """A network whose preferred symbol hardly changes."""
    found = circuit(())
    return found._replace(blocks=Blocks((), *(np.zeros((0, 0)) for _ in range(4))))


def outcomes(n, k=3, **others):
    """Outcomes at n doses of which only `others` are known."""
    shapes = {"(G,)": (n,), "(G, K)": (n, k), "(G, K, K)": (n, k, k)}
    by_field = dict.fromkeys(Outcomes._fields[2:], "(G,)")
    by_field |= dict.fromkeys(("escape", "escape_change", "dwell_mean", "dwell_cv"), "(G, K)")
    pairwise = ("rate", "ratio", "raw_rate", "first", "hazard", "hazard_ratio")
    by_field |= dict.fromkeys(pairwise, "(G, K, K)")
    unknown = {name: course(np.full(shapes[kind], np.nan)) for name, kind in by_field.items()}
    valid = {"n_valid": np.full(n, 48), "n_valid_starts": np.full((n, k), 64)}
    return Outcomes(**{**valid, **unknown, **others})


def response(kind, pair=(0, 2), scale=1.0, doses=(0.0, 0.5, 1.0, 2.0), control=(0.9, 1.1)):
    """It turns the changes of the pair up, and those back down, to `scale` at most."""
    ratio = np.full((len(doses), 3, 3), np.nan)
    ratio[:, *pair] = np.asarray(doses) ** 2 * scale / 4
    ratio[:, *pair[::-1]] = np.linspace(scale, 0, len(doses))
    others = np.full((2, 3, 3), np.nan)
    others[:, *pair] = control
    blank = Contrast(*[course(np.full(len(doses), np.nan))] * 2)
    return DoseResponse(
        kind=kind,
        pair=pair,
        doses=np.asarray(doses),
        outcome=outcomes(len(doses), ratio=course(ratio, 0.05)),
        selectivity=blank,
        control_doses=np.array([0.0, 2.0]),
        n_controls=5,
        control=outcomes(2, ratio=course(others, 0.05)),
        specificity=blank,
    )


WINDOWS = tuple(range(-20, 11))


def window_effects(n_groups=4):
    steps = np.array(WINDOWS)
    groups = np.arange(n_groups)[:, None]
    bumps = course(0.8 / (groups + 1) * np.exp(-((steps + groups) ** 2) / 20))
    swings = replace(bumps, value=bumps.value - 0.1)
    others = course(0 * groups + steps / 10)
    return WindowEffects(WINDOWS, others, bumps, others, swings, near(1.0), 60, 25)


DOSES = (0.0, 0.5, 1.0, 2.0, 4.0)


def pulse_effects(n_groups=4):
    groups = np.arange(n_groups)[:, None]
    found, other = course(1 - np.exp(-np.array(DOSES) / (groups + 1))), course(DOSES + groups)
    return PulseEffects(DOSES, found, other, other, other, 200)


def replay_effects(values):
    """Replays of which `values` are on time; their other numbers are larger."""
    others = {
        name: course(np.asarray(values) + 0.01 * (i + 1))
        for i, name in enumerate(ReplayEffects._fields[:-1])
    }
    return ReplayEffects(**{**others, "on_time": course(values), "n_events": 60})


def resonance(n_units=20, identity=False, cv=(np.nan, 0.9, 0.7, 0.8, 1.0)):
    gains = np.linspace(0, 3, len(cv))
    found = outcomes(len(cv), pooled_cv=course(cv, 0.05), per_step=course(0.02 + 0 * gains, 0.001))
    return Resonance(gains, n_units, identity, found, 0, 1.5, Estimate(0.1, -0.02, 0.2))


def arm(escape, arrival=None):
    arrival = escape / 2 if arrival is None else arrival
    first = near(escape), near(12.0), near(arrival)
    return Arm(*first, near(0.0), near(0.0), near(0.0), 256)


def holding(pair=(0, 2), value=0.6):
    names = (
        "baseline",
        "drive of s removed",
        "s clamped",
        "t clamped",
        "both clamped",
        "rest clamped",
        "drive of controls removed",
        "controls clamped",
    )
    gains = (0.0, 0.5, 1.0, 1.1)
    return Holding(
        pair=pair,
        arms={name: arm(value + i / 50) for i, name in enumerate(names)},
        gains=gains,
        within=[arm(value + (1 - g) / 4) for g in gains],
        across=[arm(value + (1 - g) / 8) for g in gains],
        drive_controls=[arm(value + 0.05), arm(value - 0.05)],
        clamp_controls=[arm(value + 0.02)],
        n_starts=256,
    )


def kick_test(pair=(0, 2), value=1.0):
    """A kick that works `value` as well as it can; NaN: none was found."""
    doses = (0.0, 1.0, 2.0, 4.0)

    def response(rate):
        found = course(0.2 + 0.8 * (1 - np.exp(-rate * np.array(doses))) * value)
        return Response(found, found)

    names = ("carriers of s", "carriers of t", "pushers")
    unit = np.full(6, 1 / 6) * value
    kick = OptimalKick(
        direction=np.ones((5, 3)),
        linear=np.ones((5, 3)),
        gain=np.arange(4.0),
        moved=np.float32(2.0),
        consistency=np.ones(2),
        lag_energy=np.array([0.1, 0.15, 0.2, 0.25, 0.3]) * value,
        unit_energy=unit,
        unit_gain=unit,
        participation=np.float32(6),
        n_valid=np.int32(128),
    )
    injection = Injection(
        doses=doses,
        optimal=response(1.0),
        linear=response(0.8),
        reverse=response(-0.1),
        random=response(0.05),
        random_range=[(0.15 * value, 0.3 * value)] * len(doses),
        advantage=response(0.5),
        through=[response(0.5 - 0.1 * i) for i in range(3)],
        without=[response(0.4 + 0.1 * i) for i in range(3)],
        n_starts=128,
        n_valid=128,
    )
    natural = NaturalNoise(
        near(1.3 * value), 0.6, near(-0.2 * value), 0.9, near(0.92 * value), near(0.9), 60, 900
    )
    groups = Groups(names, np.eye(3, 6, dtype=bool))
    return KickTest(pair, kick, groups, unit[:3], unit[:3], injection, natural)


def texts(figure):
    """All words of a figure, as they stand in its file."""
    svg = to_svg(figure, "circuit")
    return " ".join(" ".join(re.findall(r">([^<>]+)<", svg)).split())


def assert_plain_small_and_readable(figure, name="circuit"):
    """Only plain elements, a small file, and no text that is tiny, cut off or on other text."""
    svg = to_svg(figure, name)
    assert set(re.findall(r"<([A-Za-z]+)", svg)) <= TAGS
    assert len(svg) < 400_000
    assert "nan" not in svg
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = [text for text in shown_texts(figure) if text not in out_of_sight(figure)]
    boxes = [t.get_window_extent(canvas.get_renderer()).shrunk(0.9, 0.8) for t in shown]
    inside = figure.bbox.padded(2)
    for i, box in enumerate(boxes):
        assert shown[i].get_fontsize() >= 7.5
        assert inside.contains(box.x0, box.y0), shown[i]
        assert inside.contains(box.x1, box.y1), shown[i]
        for j in range(i):
            assert not box.overlaps(boxes[j]), (shown[i], shown[j])


def out_of_sight(figure):
    """Labels of ticks beyond the ends of colour bars that stand inside of other axes."""
    hidden = set()
    for bar in (child for axes in figure.axes for child in axes.child_axes):
        low, high = bar.get_ylim()
        for tick in bar.yaxis.get_major_ticks():
            if not low <= tick.get_loc() <= high:
                hidden |= {tick.label1, tick.label2}
    return hidden
