"""What a heat map shows, read back from its paths."""

import numpy as np
from matplotlib.collections import PathCollection


def cells_of(axes):
    (found,) = (c for c in axes.collections if isinstance(c, PathCollection))
    return found


def rectangles(cells):
    """Corners and value of each rectangle."""
    return [
        (*polygon.min(0), *polygon.max(0), float(value))
        for path, value in zip(cells.get_paths(), cells.get_array(), strict=True)
        for polygon in path.to_polygons(closed_only=False)
    ]


def values_at(cells, points):
    """Values whose colours the cells around points have; NaN where there is none."""
    x0, y0, x1, y1, value = np.array(rectangles(cells)).T
    x, y = np.asarray(points, float).T[..., None]
    inside = (x0 < x) & (x < x1) & (y0 < y) & (y < y1)
    return np.where(inside.any(1), value[inside.argmax(1)], np.nan)


def drawn(axes, shape):
    """The values that a heat map of unit cells shows."""
    rows, columns = np.indices(shape) + 0.5
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    return values_at(cells_of(axes), points).reshape(shape)
