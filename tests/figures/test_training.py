import numpy as np
import pytest

from hmmrnn.figures import to_svg, training_figure

from .records import fit

FALLING = np.array([5.0, 2.0, 0.8, 0.3, 0.05, -0.02, 0.04] * 3, np.float32)
NAN = np.float32(np.nan)


def line(axes, label):
    return next(line for line in axes.lines if line.get_label().startswith(label))


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_curves_and_floor_are_those_of_the_record(smoke):
    volatility = np.linspace(0.6, 0.25, len(FALLING), dtype=np.float32)
    record = fit(smoke, FALLING, volatility=volatility, floor=(0.06, 0.14))
    loss, below = training_figure(record, 0.256).axes
    np.testing.assert_array_equal(line(loss, "network").get_ydata(), FALLING)
    np.testing.assert_array_equal(line(loss, "network").get_xdata(), np.arange(1, 22))
    np.testing.assert_allclose(line(loss, "HMM").get_ydata(), 0.06, rtol=1e-6)
    band = loss.patches[0].get_extents().transformed(loss.transData.inverted())
    np.testing.assert_allclose([band.y0, band.y1], [-0.08, 0.2], atol=1e-6)
    np.testing.assert_array_equal(line(below, "network").get_ydata(), volatility)
    np.testing.assert_array_equal(line(below, "HMM").get_ydata(), 0.256)
    assert loss.get_ylabel() == "loss"
    assert below.get_ylabel() == "volatility (per step)"
    assert below.get_xlabel() == "epoch"


@pytest.mark.parametrize(
    ("loss", "floor"),
    [
        (FALLING, (0.06, 0.14)),
        (FALLING, (0.0, 0.003)),
        (12 - np.linspace(0, 8, 30), (4.0, 0.05)),
        (np.geomspace(5, 0.01, 30), (0.02, 0.001)),
        (-FALLING, (-0.1, 0.01)),
        (np.zeros(5), (0.0, 0.0)),
    ],
)
def test_the_whole_course_and_the_floor_are_in_sight(smoke, loss, floor):
    axes = training_figure(fit(smoke, loss, floor=floor), 0.256).axes[0]
    low, high = axes.get_ylim()
    assert low <= min(loss.min(), floor[0] - floor[1])
    assert high >= max(loss.max(), floor[0] + floor[1])


def test_a_loss_that_falls_to_zero_is_resolved_near_its_floor(smoke):
    figure = training_figure(fit(smoke, FALLING, floor=(0.0, 0.01)), 0.256)
    axes = figure.axes[0]
    to_svg(figure, "training")
    height = axes.transData.transform([(1, 0.0), (1, 0.1), (1, 5.0)])[:, 1]
    assert height[1] - height[0] > 0.3 * (height[2] - height[0])
    assert "0" in [tick.get_text() for tick in axes.get_yticklabels()]


@pytest.mark.parametrize(
    ("options", "title"),
    [
        ({}, "independent Sinkhorn"),
        ({"divergence": "none", "ngram_weight": 1.0, "ngram_orders": (3,)}, "3-gram law"),
    ],
)
def test_the_loss_is_named(smoke, options, title):
    record = fit(smoke.replace(loss=options), FALLING, marginal_error=NAN * FALLING)
    assert f"Loss ({title})" in to_svg(training_figure(record, 0.256), "training")


def test_validation_is_shown_where_it_is_measured(smoke):
    held_out = FALLING + np.float32(0.1)
    axes = training_figure(fit(smoke, FALLING, validation=held_out), 0.256).axes[0]
    np.testing.assert_array_equal(line(axes, "validation").get_ydata(), held_out)
    axes = training_figure(fit(smoke, FALLING), 0.256).axes[0]
    assert not any("validation" in label for label in labels(axes))


@pytest.mark.parametrize(
    ("loss", "volatility", "floor", "exact"),
    [
        ([0.4], [0.3], (0.5, 0.1), 0.25),
        ([NAN] * 5, [NAN] * 5, (0.5, 0.1), 0.25),
        ([NAN], [NAN], (NAN, NAN), np.nan),
        ([1.0, NAN, 0.2], [0.3, NAN, 0.2], (0.0, NAN), np.nan),
        ([1.0, np.inf, 0.2], [0.0, 0.0, 0.0], (NAN, 0.1), 0.0),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], (0.0, 0.0), 0.0),
    ],
)
def test_odd_histories_give_a_figure(smoke, loss, volatility, floor, exact):
    record = fit(smoke, loss, volatility=volatility, floor=floor)
    figure = training_figure(record, exact)
    svg = to_svg(figure, "training")
    assert ("no epoch had a finite loss" in svg) == (not np.isfinite(loss).any())


def test_a_single_epoch_is_a_visible_dot(smoke):
    figure = training_figure(fit(smoke, [0.4]), 0.25)
    assert line(figure.axes[0], "network").get_marker() == "o"
    low, high = figure.axes[1].get_xlim()
    assert low < 1 < high
