import numpy as np

from hmmrnn.dynamics import PCA
from hmmrnn.dynamics.fixed_points.find import FixedPoints
from hmmrnn.figures import to_svg
from hmmrnn.figures.fixed_points import fixed_point_figure
from hmmrnn.intervals import Estimate


def record(n_points=3, n_units=4, n_starts=1_000):
    """A stable fixed point, a saddle and a slow point, and so on."""
    rng = np.random.default_rng(0)
    kind = np.arange(n_points) % 3
    values = (0.5 * rng.normal(size=(n_points, n_units)) + 0.2j).astype(np.complex64)
    return FixedPoints(
        points=rng.normal(size=(n_points, n_units)),
        fixed=kind < 2,
        n_found=100 + np.arange(n_points),
        n_attracted=np.where(kind == 0, 700, 0),
        attracted=Estimate.stack([Estimate(0.7, 0.67, 0.73)] * n_points),
        q=np.zeros(n_points),
        residual=np.zeros(n_points),
        from_origin=np.ones(n_points),
        at_kink=np.zeros(n_points, bool),
        eigenvalues=values,
        n_unstable=(kind == 1).astype(float),
        returns=(kind == 0).astype(float),
        stable=kind == 0,
        n_starts=n_starts,
        n_valid=n_starts,
        n_fixed=900,
        n_slow=100,
        n_settled=n_starts,
        n_points=n_points,
        scale=1.0,
        plane=PCA(np.zeros(n_units), np.eye(2, n_units), np.array([0.41, 0.24])),
        starts_in_plane=rng.normal(size=(n_starts, 2)),
        points_in_plane=3 * rng.normal(size=(n_points, 2)),
    )


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_each_point_has_its_place_its_kind_and_its_count():
    found = record()
    figure = fixed_point_figure(found)
    plane = figure.axes[0]
    starts, *points = plane.lines
    assert len(starts.get_xdata()) == 400
    for line, place in zip(points, found.points_in_plane, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), [place])
    assert len({(line.get_marker(), line.get_color()) for line in points}) == 3
    assert texts(plane) == ["700", "(101)", "(102)"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["start", "stable", "unstable", "slow"]
    assert plane.get_xlabel() == "PC1 (41 % of variance)"


def test_eigenvalues_stand_against_the_unit_circle():
    found = record()
    circle = fixed_point_figure(found).axes[1]
    assert circle.patches[0].get_radius() == 1
    drawn = np.concatenate([line.get_xydata() for line in circle.lines[1:]])
    values = found.eigenvalues.ravel()
    np.testing.assert_allclose(drawn, np.stack([values.real, values.imag], axis=1))
    assert circle.get_title("left") == "eigenvalues there"
    beside = fixed_point_figure(found._replace(at_kink=np.array([True, False, False])))
    assert beside.axes[1].get_title("left") == "eigenvalues beside them"


def test_many_points_get_one_count_and_none_a_note():
    many = fixed_point_figure(record(n_points=30))
    assert texts(many.axes[0]) == ["30 points"]
    svg = to_svg(fixed_point_figure(record(n_points=0)), "fixed_points")
    assert "no fixed or" in svg
    assert len(to_svg(many, "fixed_points")) < 400_000


def test_eigenvalues_that_are_not_finite_leave_the_panel_as_it_is():
    found = record()
    broken = found._replace(eigenvalues=np.full_like(found.eigenvalues, np.nan))
    to_svg(fixed_point_figure(broken), "fixed_points")
