import numpy as np
import pytest
from matplotlib.colors import to_hex

from hmmrnn.figures import symbol_color, to_svg, trajectory_figure

from .records import portrait, still


def test_the_driven_path_is_coloured_by_preferred_symbol():
    record = portrait(n_steps=60, symbols=(0, 2, 1))
    lines = trajectory_figure(record).axes[0].collections[0]
    stays = lines.get_segments()
    colors = [to_hex(color).upper() for color in lines.get_colors()]
    starts = [0, *(np.flatnonzero(np.diff(record.driven_symbols)) + 1)]
    assert colors == [symbol_color(int(record.driven_symbols[s])) for s in starts]
    path = np.concatenate([stays[0], *(stay[1:] for stay in stays[1:])])
    np.testing.assert_array_equal(path, record.driven[:, :2])


def test_quiet_paths_run_from_start_to_end():
    record = portrait()
    *paths, starts, ends = trajectory_figure(record).axes[1].lines
    assert len(paths) == len(record.quiet)
    for line, path in zip(paths, record.quiet, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), path[:, :2])
    np.testing.assert_array_equal(starts.get_xydata(), record.quiet[:, 0, :2])
    np.testing.assert_array_equal(ends.get_xydata(), record.quiet[:, -1, :2])


def test_both_panels_have_equal_scales_that_hold_all_points():
    record = portrait()
    figure = trajectory_figure(record)
    to_svg(figure, "trajectories")
    for axes in figure.axes:
        (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
        for points in (record.driven, record.quiet.reshape(-1, 3)):
            assert np.all((points[:, 0] > x0) & (points[:, 0] < x1))
            assert np.all((points[:, 1] > y0) & (points[:, 1] < y1))
        unit = axes.transData.transform([(0, 0), (1, 1)])
        np.testing.assert_allclose(*(unit[1] - unit[0]), rtol=1e-6)
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_axes_and_legend_say_what_is_shown():
    figure = trajectory_figure(portrait(symbols=(0, 2)))
    assert figure.axes[0].get_xlabel() == "PC1 (53 % of variance)"
    assert figure.axes[0].get_ylabel() == "PC2 (16 % of variance)"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["symbol 0", "symbol 2", "start", "end"]


@pytest.mark.parametrize("n_components", [1, 3])
def test_a_state_that_does_not_move_gives_a_note(n_components):
    record = still(portrait())
    plane = record.plane._replace(explained=np.zeros(n_components))
    svg = to_svg(trajectory_figure(record._replace(plane=plane)), "trajectories")
    assert "does not move" in svg


def test_a_long_path_is_cut_to_stay_readable():
    lines = trajectory_figure(portrait(n_steps=2_000)).axes[0].collections[0]
    n_points = 1 + sum(len(stay) - 1 for stay in lines.get_segments())
    assert n_points <= 301
