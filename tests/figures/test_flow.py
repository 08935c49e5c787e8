import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hmmrnn.dynamics.kramers_moyal import bin_edges, drift_diffusion, kramers_moyal
from hmmrnn.dynamics.probability_current import flow, flow_sums
from hmmrnn.figures import symbol_color, to_svg
from hmmrnn.figures.flow import flow_figure
from hmmrnn.intervals import bootstrap_weights

TAGS = {"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect", "circle"}


@pytest.fixture(scope="module")
def records():
    """Two wells along the first coordinate."""
    rng = np.random.default_rng(0)
    z, path = rng.standard_normal((60, 2)), []
    for _ in range(400):
        force = np.stack([z[:, 0] - z[:, 0] ** 3, -z[:, 1]], axis=1)
        z = z + 0.1 * force + 0.2 * rng.standard_normal(z.shape)
        path.append(z)
    return measured(jnp.asarray(np.stack(path, axis=1), jnp.float32))


def measured(points):
    weights = bootstrap_weights(len(points), jax.random.key(0))
    x = points[..., 0]
    along = kramers_moyal(drift_diffusion(x, bin_edges(x)), weights)
    return along, flow(flow_sums(points), weights, jax.random.key(1))


def test_the_panels_say_what_is_shown(records):
    figure = flow_figure(*records, (0, 2))
    drift, potential, mean_step, current = figure.axes
    assert drift.get_xlabel() == potential.get_xlabel() == "logit 0 \N{MINUS SIGN} logit 2 (s.d.)"
    assert [text.get_text() for text in drift.get_legend().get_texts()] == ["drift", "diffusion"]
    assert (mean_step.get_title("left"), current.get_title("left")) == ("mean step", "current")
    assert not any(axes.texts for axes in figure.axes)


def test_lines_show_the_records(records):
    along = records[0]
    drift, potential, *_ = flow_figure(*records, (0, 2)).axes
    lines = {line.get_label(): line.get_ydata() for line in [*drift.lines, *potential.lines]}
    for label, profile in (
        ("drift", along.drift),
        ("diffusion", along.diffusion),
        ("density", along.density_potential),
        ("from drift", along.drift_potential),
    ):
        np.testing.assert_array_equal(lines[label], profile.value)
    dots = next(line for line in potential.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(dots.get_xdata(), along.density_wells.at)
    assert along.density_wells.n == 2


def test_the_ground_has_the_colours_of_the_preferred_symbols(records):
    svg = to_svg(flow_figure(*records, (1, 2)), "flow").lower()
    assert symbol_color(1).lower() in svg
    assert symbol_color(2).lower() in svg


def test_one_arrow_in_each_cell_with_enough_points(records):
    _, _, mean_step, current = flow_figure(*records, (0, 2)).axes
    known = np.isfinite(records[1].diffusion)
    for axes, vectors in ((mean_step, records[1].drift), (current, records[1].current)):
        arrows = next(part for part in axes.collections if hasattr(part, "U"))
        np.testing.assert_array_equal(arrows.U, vectors[known][:, 0])


def test_the_svg_is_small_and_plain(records):
    svg = to_svg(flow_figure(*records, (0, 2)), "flow")
    assert set(re.findall(r"<([A-Za-z]+)", svg)) <= TAGS
    assert len(svg) < 400_000


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_empty_panels_say_why(value):
    svg = to_svg(flow_figure(*measured(jnp.full((3, 50, 2), value)), (0, 2)), "flow")
    assert svg.count("too few steps") == 2
    assert svg.count("too few points") == 2
