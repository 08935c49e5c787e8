import numpy as np
import pytest

from hmmrnn.dynamics import Across
from hmmrnn.figures import networks_figure, to_svg
from hmmrnn.figures.networks import MEAN
from hmmrnn.intervals import Estimate

from .records import spread


def across(values, mean=None):
    networks = {f"seed{i}": entry for i, entry in enumerate(spread(values))}
    known = [v for v in values if np.isfinite(v)]
    middle = float(np.mean(known)) if known else np.nan
    return Across(
        networks, Estimate(middle, 0.8 * middle, 1.2 * middle) if mean is None else mean, len(known)
    )


def dots(axes):
    """Value and whether it is filled, of each network."""
    return [
        (float(line.get_xdata()[0]), line.get_markerfacecolor() != "none")
        for line in axes.lines
        if line.get_marker() == "o"
    ]


def means(axes):
    return [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "D"]


def test_each_number_has_a_strip_with_all_networks_and_their_mean():
    numbers = {"net rotation (turns)": across([0.1, 0.9, 1.0]), "CV": across([0.8, 0.7, 0.9])}
    figure = networks_figure(numbers, "seed1")
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(numbers)
    for axes, found in zip(figure.axes, numbers.values(), strict=True):
        assert dots(axes) == [
            (entry.value, name == "seed1") for name, entry in found.networks.items()
        ]
        assert means(axes) == [found.mean.value]


def test_intervals_are_drawn_over_trajectories_and_over_networks():
    found = across([1.0, 2.0])
    axes = networks_figure({"x": found}, "seed0").axes[0]
    spans = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    for entry in (*found.networks.values(), found.mean):
        assert any(np.allclose(span, entry.parts[1:]) for span in spans)
    colored = [line for line in axes.lines if line.get_color() == MEAN]
    assert len(colored) == 2


def test_networks_stand_apart_from_each_other_and_from_the_mean():
    axes = networks_figure({"x": across([1.0] * 12)}, "seed0").axes[0]
    heights = [line.get_ydata()[0] for line in axes.lines if line.get_marker() in ("o", "D")]
    low, high = axes.get_ylim()
    assert len(set(heights)) == 13
    assert min(heights[:-1]) > heights[-1]
    assert low < min(heights)
    assert max(heights) < high


def test_a_number_of_no_network_says_so():
    figure = networks_figure({"x": across([1.0, 2.0]), "y": across([np.nan, np.nan])}, "seed0")
    assert not figure.axes[0].texts
    assert [text.get_text() for text in figure.axes[1].texts] == ["not defined for any network"]
    to_svg(figure, "networks")


@pytest.mark.parametrize(
    "found",
    [
        across([1.0], mean=Estimate(1.0, np.nan, np.nan)),
        across([1.0, np.nan], mean=Estimate(1.0, np.nan, np.nan)),
    ],
)
def test_one_known_network_has_a_mean_without_an_interval(found):
    axes = networks_figure({"x": found}, "seed0").axes[0]
    assert means(axes) == [1.0]
    assert sum(line.get_color() == MEAN for line in axes.lines) == 1
    assert "nan" not in to_svg(networks_figure({"x": found}, "seed0"), "networks")


def test_a_network_that_is_not_among_them_is_no_error():
    axes = networks_figure({"x": across([1.0, 2.0])}, "another").axes[0]
    assert not any(filled for _, filled in dots(axes))
