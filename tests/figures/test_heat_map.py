import numpy as np

from hmmrnn.figures.heat_map import LEVELS, heat_map
from hmmrnn.figures.style import panels

from .heat_cells import cells_of, drawn


def test_cells_have_the_nearest_of_all_colours():
    values = np.random.default_rng(0).uniform(-1.2, 1.2, (6, 9))
    values[2, 3] = np.nan
    _, (axes,) = panels(2, "a map")
    heat_map(axes, np.arange(10.0), np.arange(7.0), values, (-1, 1), "viridis")
    found = drawn(axes, values.shape)
    assert np.isnan(found[2, 3])
    known = np.isfinite(values)
    np.testing.assert_allclose(found[known], np.clip(values[known], -1, 1), atol=1 / (LEVELS - 1))
    assert len(cells_of(axes).get_paths()) <= LEVELS
    assert 0 in np.linspace(-1, 1, LEVELS)
