import numpy as np
import pytest

from hmmrnn.dynamics.change_points import SecondDescent
from hmmrnn.figures import development_figure, symbol_color, to_svg
from hmmrnn.figures.development import N_PORTRAITS, shown_snapshots
from hmmrnn.intervals import UNKNOWN, Estimate

from .records import NOWHERE, development, spread

LOSS = np.linspace(5, 0.5, 60)
COURSES = ("transitions_per_step", "rotation", "critical_share", "unstable_share")
LOSS_ROW, KL, RATE, CRITICAL, ROTATION, SHIFT = range(6)
WORDS = ("loss", "KL", "transitions", "critical pair", "turns", "mean shift")  # in the labels


def drawn(found, loss=LOSS, floor=0.4, kl=None):
    kl = spread(np.geomspace(1, 0.01, len(found.epochs))) if kl is None else kl
    return development_figure(found, loss, floor, kl)


def course(figure, row):
    return np.array(figure.axes[row].lines[0].get_xydata())


def portraits(figure):
    return [axes for axes in figure.axes if axes.get_title(loc="left").startswith("epoch")]


def holed(found, at):
    """`found` with a snapshot that is not finite."""
    entries = {name: list(getattr(found, name)) for name in COURSES}
    for values in entries.values():
        values[at] = UNKNOWN
    courses = {name: Estimate.stack(values) for name, values in entries.items()}
    paths, shift = found.paths.copy(), found.mean_shift.copy()
    paths[at] = shift[at] = np.nan
    return found._replace(**courses, paths=paths, mean_shift=shift, n_valid=len(found.epochs) - 1)


def empty(found):
    """`found` of a training whose snapshots are all not finite."""
    for at in range(len(found.epochs)):
        found = holed(found, at)
    nothing = SecondDescent(np.nan, np.nan, np.nan, np.nan)
    return found._replace(
        bifurcation=NOWHERE, bifurcation_by_jump=np.nan, descent=nothing, n_valid=0
    )


def test_every_course_is_that_of_the_record():
    found = development()
    kl = spread(np.geomspace(1, 0.01, 7))
    figure = drawn(found, kl=kl)
    for axes, word in zip(figure.axes[:6], WORDS, strict=True):
        assert word in axes.get_ylabel().replace("\n", " ")
    assert figure.axes[5].get_xlabel() == "epoch"
    np.testing.assert_allclose(course(figure, LOSS_ROW), np.stack([np.arange(1, 61), LOSS], 1))
    shift = np.median(found.mean_shift, axis=1)
    expected = (kl, found.transitions_per_step, found.critical_share, found.rotation, shift)
    for row, entries in enumerate(expected, KL):
        values = getattr(entries, "value", entries)
        np.testing.assert_allclose(course(figure, row), np.stack([found.epochs, values], 1))
    band = figure.axes[ROTATION].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(1.1 * 0.98)


def test_the_bifurcation_is_marked_in_every_course():
    for axes in drawn(development()).axes[:6]:
        marks = [line for line in axes.lines if list(line.get_xdata()) == [40.0, 40.0]]
        assert len(marks) == 1
        extents = [p.get_extents().transformed(axes.transData.inverted()) for p in axes.patches]
        assert any(np.allclose([e.x0, e.x1], [30, 40]) for e in extents)


def test_the_second_descent_is_marked_and_the_floor_drawn():
    axes = drawn(development()).axes[0]
    assert [text.get_text().strip() for text in axes.texts] == ["second descent"]
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    np.testing.assert_allclose([band.x0, band.x1], [12, 35])
    assert any(np.allclose(line.get_ydata(), 0.4) for line in axes.lines[1:])


def test_portraits_stand_around_the_bifurcation_in_the_colours_of_their_symbols():
    found = development()
    shown = portraits(drawn(found))
    titles = [axes.get_title(loc="left") for axes in shown]
    assert {"epoch 0", "epoch 30", "epoch 40", "epoch 60"} <= set(titles)
    assert len(shown) <= N_PORTRAITS
    lines = shown[-1].collections[0]
    np.testing.assert_allclose(lines.get_segments()[0], found.paths[-1][:2])
    used = {tuple(np.round(color, 3)) for color in lines.get_colors()}
    wanted = {tuple(int(symbol_color(k)[i : i + 2], 16) / 255 for i in (1, 3, 5)) for k in range(3)}
    assert {tuple(round(x, 3) for x in (*color, 1.0)) for color in wanted} == used


@pytest.mark.parametrize("n", [1, 2, 3, 12, 40])
def test_of_many_snapshots_some_are_shown_in_order(n):
    found = development(tuple(range(0, 10 * n, 10)), onset=10 * (n // 2))
    chosen = shown_snapshots(found)
    assert chosen == sorted(set(chosen))
    assert {0, n - 1, n // 2} <= set(chosen) <= set(range(n))
    assert len(chosen) <= N_PORTRAITS
    assert len(portraits(drawn(found))) == len(chosen)


def test_a_snapshot_that_is_not_finite_is_a_gap_and_told():
    figure = drawn(holed(development(), 0))
    assert np.isnan(course(figure, CRITICAL)[0, 1])
    assert np.isfinite(course(figure, CRITICAL)[1:]).all()
    first = portraits(figure)[0]
    assert [text.get_text() for text in first.texts] == ["diverges"]
    to_svg(figure, "development")


def test_a_state_that_does_not_move_is_told():
    found = development()
    paths = found.paths.copy()
    paths[-1] = 0.0
    last = portraits(drawn(found._replace(paths=paths)))[-1]
    assert [text.get_text() for text in last.texts] == ["at rest"]


def test_without_a_bifurcation_nothing_is_marked():
    found = development()._replace(
        bifurcation=NOWHERE,
        bifurcation_by_jump=np.nan,
        descent=SecondDescent(np.nan, np.nan, np.nan, np.nan),
    )
    for axes in drawn(found).axes[:6]:
        assert not axes.patches
        assert not axes.texts


def test_with_nothing_finite_every_panel_says_so():
    figure = drawn(
        empty(development()),
        loss=np.full(60, np.nan),
        floor=np.nan,
        kl=Estimate.stack([UNKNOWN] * 7),
    )
    svg = to_svg(figure, "development")
    assert "no epoch had a finite loss" in svg
    assert svg.count("not defined at any snapshot<") == 5
    assert svg.count("diverges<") == len(portraits(figure))


def test_rotation_that_is_never_defined_says_so_beside_the_others():
    found = development()._replace(rotation=Estimate.stack([UNKNOWN] * 7))
    figure = drawn(found)
    notes = [[text.get_text() for text in axes.texts] for axes in figure.axes[KL : SHIFT + 1]]
    assert notes.pop(ROTATION - KL) == ["not defined at any snapshot"]
    assert not any(notes)


def test_the_file_stays_small():
    found = development(tuple(range(0, 1000, 10)), onset=400, n_units=150, n_steps=300)
    assert len(to_svg(drawn(found, loss=np.geomspace(100, 1, 1000)), "development")) < 400_000
