import numpy as np
import pytest
from matplotlib.colors import to_hex

from hmmrnn.dynamics.noise_levels import RadiusFit, occupied_region
from hmmrnn.dynamics.orbits import Orbit
from hmmrnn.dynamics.readout_geometry import (
    AxisGeometry,
    CarriedVariance,
    Emission,
    ReadoutAxes,
    symbol_pairs,
)
from hmmrnn.dynamics.surrogates import Significance
from hmmrnn.figures import symbol_color, to_svg
from hmmrnn.figures.orbits import (
    RARE,
    noise_level_figure,
    phase_figure,
    readout_figure,
    rotation_figure,
)
from hmmrnn.intervals import UNKNOWN, Estimate

LEVELS = np.array([0.1, 1.0, 2.0])
FITTED = ("slope", "intercept", "r_squared")


def near(value, spread=0.03):
    return Estimate(value, value - spread, value + spread)


def profile(value, spread=0.02):
    value = np.asarray(value, float)
    return Estimate(value, value - spread, value + spread)


def orbit(n_bins=24, rotation=0.97):
    occupancy = np.full(n_bins, (1 - RARE / 2) / (n_bins - 2))
    occupancy[[3, 4]] = [0, RARE / 2]
    speed = 0.3 + 0.1 * np.sin(np.arange(n_bins))
    speed[3] = np.nan
    others = {name: near(1.5) for name in ("radius", "radius_cv", "period", "period_cv")}
    return Orbit(
        rotation=near(rotation),
        direction=1.0,
        advance=profile(speed),
        distance=profile(1.3 * speed),
        occupancy=occupancy,
        n_periods=40,
        n_transitions=81,
        n_valid=8,
        **others,
    )


def emission(k=3, n_bins=24):
    values = np.random.default_rng(0).dirichlet(np.ones(k), n_bins)
    values[3] = np.nan
    return Emission(profile(values), orbit(n_bins).occupancy, near(0.8), 8)


def nulls(p_value, n):
    return Significance(*np.float32([0.97, 0.001, -0.05, 0.06, p_value]), np.int32(n))


def nothing():
    found = orbit()
    blank = Estimate(*(np.full(24, np.nan) for _ in range(3)))
    empty = found._replace(
        rotation=UNKNOWN, advance=blank, distance=blank, occupancy=np.full(24, np.nan), n_valid=0
    )
    silent = Significance(*np.full(5, np.nan), np.int32(200))
    dark = emission()
    dark = dark._replace(
        probability=Estimate(*(np.full((24, 3), np.nan) for _ in range(3))),
        occupancy=np.full(24, np.nan),
        explained=UNKNOWN,
        n_valid=0,
    )
    return empty, silent, dark


def radius_fit(**others):
    found = RadiusFit(
        LEVELS, profile(4.5 * LEVELS, 0.1), near(4.5), near(1e-9, 1e-9), near(1.0, 1e-9), True
    )
    return found._replace(**others)


def regions():
    points = np.random.default_rng(0).standard_normal((500, 2)) + 1
    return [occupied_region(level * points) for level in LEVELS]


def geometry(n):
    rng = np.random.default_rng(n)
    return AxisGeometry(rng.random(n), 90 * rng.random(n), rng.standard_normal((n, 2)))


def readout(k=3):
    pairs = len(symbol_pairs(k))
    axes = ReadoutAxes(geometry(k), geometry(k), geometry(pairs), np.float32(0.02))
    return axes, CarriedVariance(np.linspace(0.1, 0.9, pairs), np.float32(0.5))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_rotation_stands_beside_its_surrogates():
    others = [("linear3", near(0.9)), ("linear3", near(1.0)), ("linear2", UNKNOWN)]
    figure = rotation_figure(orbit(), nulls(1 / 1001, 1000), nulls(0.2, 200), others)
    (axes,) = figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["this network", "time reversed", "phases shuffled", "linear3", "linear2"]
    drawn = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(drawn[0], (0.97, 0))
    np.testing.assert_allclose([d[0] for d in drawn[1:3]], 0.001, rtol=1e-4)
    assert [round(d[1]) for d in drawn[3:]] == [3, 3]
    assert texts(axes) == ["p ≤ 0.001", "p = 0.2"]


def test_emission_has_the_colours_of_its_symbols_and_gaps_where_hardly_anything_is():
    record = emission()
    symbols, speed = phase_figure(orbit(), record).axes
    assert [to_hex(line.get_color()).upper() for line in symbols.lines] == [
        symbol_color(k) for k in range(3)
    ]
    for k, line in enumerate(symbols.lines):
        shown = line.get_ydata()
        assert np.isnan(shown[[3, 4]]).all()
        np.testing.assert_array_equal(shown[5:], record.probability.value[5:, k])
    np.testing.assert_allclose(symbols.lines[0].get_xdata()[:2], [7.5, 22.5])
    assert [text.get_text() for text in speed.get_legend().get_texts()] == [
        "either way",
        "net",
        "time spent",
    ]
    np.testing.assert_array_equal(speed.lines[1].get_ydata()[5:], orbit().advance.value[5:])


def test_radius_has_its_fit_and_says_what_is_by_construction():
    radius, plane = noise_level_figure(radius_fit(), regions()).axes
    assert texts(radius) == ["slope 4.5\nintercept 0\nR² 1\nby construction"]
    points = radius.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [(v, 4.5 * v) for v in LEVELS])
    other = radius_fit(intercept=near(-0.2), r_squared=near(0.99999), by_construction=False)
    radius, _ = noise_level_figure(other, regions()).axes
    assert texts(radius) == ["slope 4.5\nintercept \N{MINUS SIGN}0.2\nR² 0.999"]
    assert len(plane.collections) == 3  # a contour for each level
    x0, x1 = plane.get_xlim()
    y0, y1 = plane.get_ylim()
    assert x1 - x0 == pytest.approx(y1 - y0)
    paths = [path.vertices for c in plane.collections for path in c.get_paths()]
    corners = np.concatenate(paths)
    assert corners[:, 0].min() > x0
    assert corners[:, 0].max() < x1
    assert corners[:, 1].min() > y0
    assert corners[:, 1].max() < y1


def test_readout_arrows_are_in_proportion():
    axes, carried = readout()
    plane, shares = readout_figure(axes, carried, regions()[1]).axes
    ends = np.array([text.xy for text in plane.texts])
    vectors = axes.centred.projection
    np.testing.assert_allclose(ends * (vectors[0, 0] / ends[0, 0]), vectors)
    rows = [label.get_text() for label in shares.get_yticklabels()]
    assert rows == [f"{i} \N{MINUS SIGN} {j}" for i, j in symbol_pairs(3)]
    np.testing.assert_array_equal(shares.lines[0].get_xdata(), axes.pairs.share)
    np.testing.assert_array_equal(shares.lines[1].get_xdata(), carried.pairs)


@pytest.mark.parametrize("k", [1, 2, 8])
def test_any_number_of_symbols(k):
    axes, carried = readout(k)
    svg = to_svg(readout_figure(axes, carried, regions()[0]), "readout")
    assert ("a single symbol" in svg) == (k == 1)
    to_svg(phase_figure(orbit(), emission(k)), "phase")


def test_networks_without_an_orbit_give_notes():
    empty, silent, dark = nothing()
    assert "fewer than two" in to_svg(rotation_figure(empty, silent, silent), "rotation")
    assert to_svg(phase_figure(empty, dark), "phase").count("no phase") == 2
    blank = occupied_region(np.zeros((5, 2)))
    broken = radius_fit(radius=profile([np.nan] * 3), **dict.fromkeys(FITTED, UNKNOWN))
    svg = to_svg(noise_level_figure(broken, [blank] * 3), "noise")
    assert "not finite" in svg
    assert "does not move" in svg
    axes, carried = readout()
    lost = ReadoutAxes(*(type(g)(*(x * np.nan for x in g)) for g in axes[:3]), axes.chance)
    to_svg(readout_figure(lost, carried._replace(pairs=carried.pairs * np.nan), blank), "readout")


def test_files_stay_small():
    axes, carried = readout()
    for figure in (
        rotation_figure(orbit(), nulls(0.1, 200), nulls(0.1, 200)),
        phase_figure(orbit(), emission()),
        noise_level_figure(radius_fit(), regions()),
        readout_figure(axes, carried, regions()[0]),
    ):
        svg = to_svg(figure, "orbits")
        assert len(svg) < 100_000
        assert "<image" not in svg
