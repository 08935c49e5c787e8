"""The interactive view, in a browser that draws it without a graphics card."""

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import hmmrnn.report
from hmmrnn import InputError
from hmmrnn.dynamics.view import TrajectoryView
from hmmrnn.figures.style import ZONE_COLORS, symbol_color
from hmmrnn.report import build_report
from hmmrnn.report.view import CYCLE, FILE, view_html
from hmmrnn.storage import write_arrays

from . import browser as chromium
from .run import FIGURES, Page, fill

EPOCHS = [0, 20, 40, 60]
SMALL, WIDE, WILD, FINAL = range(4)
T = 60
STYLE = re.search(
    r"<style>.*?</style>", (Path(hmmrnn.report.__file__).parent / "page.html").read_text(), re.S
)[0]


def record(n_snapshots=4):
    """An orbit that grows, becomes too wide, then diverges, and is itself in the end."""
    angle = np.arange(T) * 0.3
    orbit = np.stack([3 * np.cos(angle), 2 * np.sin(angle), np.sin(2 * angle)], axis=-1)
    driven = np.stack([0.3 * orbit, 4 * orbit, orbit, orbit + 0.1])
    driven[WILD, T // 2 :] = np.nan
    quiet = driven[:, :8:4, None, :] * np.linspace(1, 0, 11)[:, None]
    symbols = np.tile((np.cos(angle) > 0) * 2, (4, 1))
    symbols[WILD, T // 2 :] = -1
    found = TrajectoryView(
        driven=driven.astype(np.float32),
        symbols=symbols.astype(np.int16),
        zones=(np.arange(T) // 5 % 4).astype(np.int8),
        phase=np.arctan2(driven[..., 1], driven[..., 0]).astype(np.float32),
        quiet=quiet.astype(np.float32),
        epochs=np.array(EPOCHS, np.int32),
        explained=np.array([0.53, 0.27, 0.07], np.float32),
    )
    per_snapshot = ("driven", "symbols", "phase", "quiet", "epochs")
    return found._replace(**{name: getattr(found, name)[-n_snapshots:] for name in per_snapshot})


def write(folder, found, **changes):
    """A page with nothing but the view of a record."""
    folder.mkdir(exist_ok=True)
    write_arrays(folder / FILE, found._asdict() | changes)
    path = folder / "page.html"
    path.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>view</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{STYLE}</head><body>{view_html(folder)}</body></html>"
    )
    return path


class View:
    """The view on a page, with hands."""

    def __init__(self, browser, path):
        self.page = chromium.Page(browser, path, width=520, height=640)
        self.settled()

    def settled(self):
        self.page.wait_for("document.querySelector('.trajectory-view').ariaBusy === 'false'")
        return self

    def set(self, selector, value):
        """Move a control as a hand would."""
        self.page.evaluate(
            f"(() => {{ const it = document.querySelector('{selector}'); it.value = '{value}';"
            "it.dispatchEvent(new Event('input')); })()"
        )
        return self.settled()

    def tick(self):
        self.page.evaluate("document.querySelector('.quiet').click()")
        return self.settled()

    def text(self, selector):
        return self.page.evaluate(f"document.querySelector('{selector}').textContent")

    def hidden(self, selector):
        return self.page.evaluate(f"document.querySelector('{selector}').offsetHeight === 0")

    def drawn(self, *names):
        """Of each trace: its name, and the values of what is asked for."""
        wanted = ", ".join(f"'{name}'" for name in names)
        return self.page.evaluate(
            f"document.querySelector('.plot').data.map((t) => [t.name, t.mode, ...[{wanted}].map("
            "(path) => path.split('.').reduce((o, k) => o?.[k], t) ?? null)])"
        )

    def marks(self):
        """Points of the path by the name in the legend."""
        return {
            name: np.array([x, y, z], float).T
            for name, mode, x, y, z in self.drawn("x", "y", "z")
            if "markers" in mode
        }

    def layout(self, path):
        return self.page.evaluate(f"document.querySelector('.plot')._fullLayout.{path}")

    def eye(self):
        seen = self.layout("scene._scene.getCamera().eye")
        return np.array([seen[axis] for axis in "xyz"])

    def middle(self):
        left, top, width, height = self.page.box(".plot")
        return np.array([left + width / 2, top + height / 2])

    def picture(self):
        """The pixels of the plot, once they no longer change."""
        left, top, width, height = self.page.box(".plot").astype(int)
        last = None
        for _ in range(20):
            self.page.frames(4)
            seen = self.page.screenshot()[top : top + height, left : left + width, :3]
            if last is not None and np.array_equal(seen, last):
                break
            last = seen
        return seen

    def becomes_other(self, before, share):
        """Whether this share of the pixels changes; a busy machine paints late."""
        for _ in range(20):
            if np.mean(np.abs(before - self.picture()).max(axis=-1) > 0.1) > share:
                return True
            time.sleep(0.1)
        return False


@pytest.fixture(scope="module")
def launch():
    with chromium.launcher() as started:
        yield started


@pytest.fixture(scope="module")
def browser(launch):
    return launch()


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    return View(browser, write(tmp_path_factory.mktemp("view") / "run", record()))


@pytest.fixture
def view(opened):
    """The view as it is after loading; when a test is done with it, nothing has gone wrong."""
    opened.page.evaluate("document.querySelector('.reset').click()")
    opened.set(".colour", "symbol").set(".epoch", FINAL)
    yield opened
    if opened.page.evaluate("document.querySelector('.quiet').checked"):
        opened.tick()
    assert not opened.page.errors
    assert [address[:5] for address in opened.page.requests] == ["file:"]


def test_the_final_path_is_drawn_in_the_colours_of_its_symbols(view):
    found = record()
    marks = view.marks()
    assert list(marks) == ["symbol 0", "symbol 2"]
    for k in (0, 2):
        expected = found.driven[FINAL, found.symbols[FINAL] == k]
        np.testing.assert_allclose(marks[f"symbol {k}"], expected, rtol=1e-3)
    colors = [entry[2] for entry in view.drawn("marker.color") if entry[1] == "markers"]
    assert colors == [symbol_color(0), symbol_color(2)]
    assert view.layout("scene.xaxis.title.text") == "PC1 (53 % of variance)"
    assert view.text("output") == "epoch 60 (final)"
    assert view.text(".status") == ""
    picture = view.picture()
    for k in (0, 2):
        color = np.array([int(symbol_color(k)[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert np.sum(np.abs(picture - color).max(axis=-1) < 0.05) > 200


def test_lines_of_a_stay_begin_at_the_point_before_it(view):
    found = record()
    lines = {name: x for name, mode, x in view.drawn("x") if mode == "lines"}
    for k in (0, 2):
        segments = sum(None not in pair for pair in pairwise(lines[f"symbol {k}"]))
        assert segments == np.sum(found.symbols[FINAL, 1:] == k)


def turned_by_dragging(view):
    """The eye after a drag; a busy machine draws too few frames of one, and gets up to four."""
    before = view.eye()
    for _ in range(4):
        view.page.drag(view.middle(), view.middle() + np.array([90, 40]))
        if np.linalg.norm(view.eye() - before) > 0.3:
            break
    return view.eye()


def test_dragging_rotates_the_view(view):
    before, picture = view.eye(), view.picture()
    after = turned_by_dragging(view)
    assert np.linalg.norm(after - before) > 0.3
    assert np.linalg.norm(after) == pytest.approx(np.linalg.norm(before), rel=0.1)
    assert view.becomes_other(picture, 0.01)


def test_keys_rotate_zoom_and_reset(view):
    before, picture = view.eye(), view.picture()
    view.page.evaluate("document.querySelector('.plot').focus()")
    for _ in range(3):
        view.page.tab.keyboard.press("ArrowRight")
    after = view.eye()
    turned = np.arctan2(after[1], after[0]) - np.arctan2(before[1], before[0])
    assert turned == pytest.approx(np.pi / 6, abs=0.01)
    assert view.becomes_other(picture, 0.01)
    view.page.tab.keyboard.press("ArrowUp")
    assert view.eye()[2] > after[2]
    view.page.tab.keyboard.press("-")
    assert np.linalg.norm(view.eye()) > 1.05 * np.linalg.norm(after)
    view.page.tab.keyboard.press("0")
    np.testing.assert_allclose(view.eye(), before, atol=1e-3)


def test_the_wheel_scrolls_the_page_until_the_view_was_clicked(view):
    before = view.eye()
    view.page.evaluate("document.activeElement.blur()")
    view.page.wheel(view.middle(), 40)
    np.testing.assert_allclose(view.eye(), before, atol=1e-3)
    view.page.drag(view.middle(), view.middle(), n_moves=1)
    view.page.wheel(view.middle(), 40)
    assert np.linalg.norm(view.eye()) > 1.05 * np.linalg.norm(before)


def test_the_slider_changes_what_is_drawn_and_keeps_the_camera(view):
    found, picture = record(), view.picture()
    view.page.drag(view.middle(), view.middle() + np.array([60, 0]))
    turned = view.eye()
    view.set(".epoch", SMALL)
    assert view.text("output") == "epoch 0"
    points = np.concatenate(list(view.marks().values()))
    np.testing.assert_allclose(
        np.sort(points, axis=0), np.sort(found.driven[SMALL], axis=0), rtol=1e-3
    )
    np.testing.assert_allclose(view.eye(), turned, atol=1e-3)
    assert view.becomes_other(picture, 0.01)
    for epoch in (WIDE, WILD, SMALL, FINAL):
        view.set(".epoch", epoch)
        assert view.text("output").startswith(f"epoch {EPOCHS[epoch]}")


def test_axes_stay_unless_a_snapshot_needs_longer_ones(view):
    final = view.layout("scene.xaxis.range")
    assert final[0] < -2.9 < 3.1 < final[1] < 3.7
    view.set(".epoch", SMALL)
    assert view.layout("scene.xaxis.range") == final
    view.set(".epoch", WIDE)
    low, high = view.layout("scene.xaxis.range")
    assert low <= -11.9
    assert high >= 12
    assert "Axes up to 3.6 times as long" in view.text(".status")


def test_a_snapshot_that_diverges_is_drawn_as_far_as_it_goes(view):
    view.set(".epoch", WILD)
    assert "it diverges" in view.text(".status")
    assert sum(map(len, view.marks().values())) == T // 2
    view.set(".colour", "phase").tick()
    view.set(".epoch", FINAL)
    assert view.text(".status") == ""


def test_colours_by_zone_are_for_the_final_network_only(view):
    view.set(".colour", "zone")
    entries = {e[0]: (e[2], len(e[3])) for e in view.drawn("marker.color", "x") if e[2]}
    names = ("cluster", "kick-zone", "transition", "other")
    assert {name: entries[name] for name in names} == {
        name: (color, T // 4) for name, color in zip(names, ZONE_COLORS, strict=True)
    }
    assert "final epoch" in view.text("option[value=zone]")
    view.set(".epoch", SMALL)
    assert "final network only" in view.text(".status")
    assert len(view.marks()["zone not computed"]) == T


def test_colours_by_phase_go_round(view):
    view.set(".colour", "phase")
    name, _, colors, scale, low, high = view.drawn(
        *(f"marker.{k}" for k in ("color", "colorscale", "cmin", "cmax"))
    )[0]
    assert name == "phase"
    np.testing.assert_allclose(colors, record().phase[FINAL], atol=2e-3)
    assert (low, high) == pytest.approx((-np.pi, np.pi))
    assert scale[0][1] == scale[-1][1] == CYCLE[0]


def test_paths_without_noise_can_be_laid_over(view):
    n_before, picture = len(view.drawn()), view.picture()
    view.tick()
    overlay = {name: x for name, _, x in view.drawn("x")[n_before:]}
    assert list(overlay) == ["without noise", "their ends"]
    assert sum(x is not None for x in overlay["without noise"]) == 2 * 11
    np.testing.assert_allclose(overlay["their ends"], record().quiet[FINAL, :, -1, 0], atol=1e-6)
    assert view.becomes_other(picture, 0.0005)
    assert len(view.tick().drawn()) == n_before


def test_text_follows_a_dark_page_and_the_background_is_that_of_the_page(view):
    def check(paper, ink):
        assert view.layout("font.color") == view.layout("scene.xaxis.color") == ink
        shown = np.round(view.picture()[-2, 2] * 255).astype(int)
        assert shown.tolist() == [int(paper[i : i + 2], 16) for i in (1, 3, 5)]

    check("#fdfdfc", "#1c2024")
    view.page.tab.emulate_media(color_scheme="dark")
    view.page.wait_for("document.querySelector('.plot')._fullLayout.font.color === '#e4e6e8'")
    check("#14171a", "#e4e6e8")
    view.page.tab.emulate_media(color_scheme="light")
    view.page.wait_for("document.querySelector('.plot')._fullLayout.font.color === '#1c2024'")


def test_it_fits_a_phone(view):
    view.page.tab.set_viewport_size({"width": 360, "height": 640})
    view.page.wait_for("document.querySelector('.plot')._fullLayout.width <= 328")
    assert view.page.evaluate("document.documentElement.scrollWidth") <= 360
    for selector in (".plot", ".colour", ".epoch", "output", ".reset"):
        left, _, width, _ = view.page.box(selector)
        assert left >= 0
        assert width > 50
        assert left + width <= 360
    view.set(".colour", "zone")
    assert view.layout("scene.xaxis.title.text") == "PC1 (53 %)"
    view.page.tab.set_viewport_size({"width": 520, "height": 640})
    view.page.wait_for("document.querySelector('.plot')._fullLayout.width > 400")


def test_it_tells_those_who_cannot_see_it(view):
    label = "document.querySelector('.plot').getAttribute('aria-label')"
    assert "principal components" in view.page.evaluate(label)
    view.set(".epoch", WIDE)
    read = "document.querySelector('.epoch').getAttribute('aria-valuetext')"
    assert view.page.evaluate(read) == "epoch 20"
    assert "explain 87 % of its variance" in view.text(".caption")


def test_without_snapshots_there_is_no_slider(browser, tmp_path):
    view = View(browser, write(tmp_path / "run", record(1), zones=np.full(T, -1)))
    assert view.page.evaluate("document.querySelector('.epoch')") is None
    assert "kept no snapshots" in view.text(".caption")
    assert len(view.marks()) == 2
    assert view.page.evaluate("document.querySelector('option[value=zone]').disabled")
    assert "not computed" in view.text("option[value=zone]")
    assert not view.page.errors


def test_the_whole_report_works_in_a_browser(browser, tmp_path, smoke):
    folder = fill(tmp_path / "run", smoke, drawn=True)
    write_arrays(folder / FILE, record()._asdict())
    path = build_report(folder)
    view = View(browser, path)
    page = view.page
    assert page.evaluate("document.querySelectorAll('figure svg').length") == len(FIGURES)
    assert page.evaluate("document.documentElement.scrollWidth") <= 520
    page.evaluate("document.querySelector('.plot').scrollIntoView({block: 'center'})")
    before, picture = view.eye(), view.picture()
    assert np.linalg.norm(turned_by_dragging(view) - before) > 0.3
    assert view.becomes_other(picture, 0.01)
    picture = view.picture()
    view.set(".epoch", SMALL)
    assert view.text("output") == "epoch 0"
    assert view.becomes_other(picture, 0.01)
    points = np.concatenate(list(view.marks().values()))
    np.testing.assert_allclose(
        np.sort(points, axis=0), np.sort(record().driven[SMALL], axis=0), rtol=1e-3
    )
    assert not page.errors
    assert page.requests == [path.resolve().as_uri()]


def test_a_browser_without_webgl_is_told_so(launch, tmp_path):
    page = write(tmp_path / "run", record())
    with launch(chromium.NO_WEBGL) as browser:
        view = View(browser, page)
        assert "needs WebGL" in view.text(".status")
        assert view.hidden(".plot")
        assert view.hidden(".controls")
        assert not view.page.errors


def test_without_a_record_there_is_no_view(tmp_path):
    assert view_html(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"driven": np.zeros((3, T, 3), np.float32)}, "symbols has shape"),
        ({"driven": np.zeros((4, T, 2), np.float32)}, "driven has shape"),
        ({"quiet": np.zeros((4, 0, 11, 3), np.float32)}, "quiet has shape"),
        ({"zones": np.zeros(T - 1, np.int8)}, "zones has shape"),
        ({"explained": np.array(["a", "b", "c"])}, "explained is of type"),
        ({"epochs": np.zeros(4)}, "epochs is of type float64"),
        ({"phase": np.zeros(())}, "phase has shape"),
    ],
)
def test_a_record_of_another_form_is_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=rf"{FILE}: {words}"):
        write(tmp_path, record(), **changes)


def test_a_damaged_record_is_refused(tmp_path):
    arrays = record()._asdict()
    del arrays["phase"]
    write_arrays(tmp_path / FILE, arrays)
    with pytest.raises(InputError, match="lacks phase"):
        view_html(tmp_path)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="is damaged"):
        view_html(tmp_path)


def test_the_largest_view_stays_small_and_names_no_address(tmp_path):
    rng = np.random.default_rng(0)
    sizes = {"driven": (24, 400, 3), "phase": (24, 400), "quiet": (24, 8, 61, 3)}
    largest = {name: rng.normal(size=n).astype(np.float32) for name, n in sizes.items()}
    largest["symbols"] = rng.integers(0, 3, (24, 400))
    largest["zones"], largest["epochs"] = rng.integers(0, 4, 400), np.arange(24)
    write_arrays(tmp_path / FILE, record()._asdict() | largest)
    html = view_html(tmp_path)
    assert len(html) < 4e6
    library = re.search(r'<script type="text/plain" class="library">([^<]*)</script>', html)[1]
    rest = html.replace(library, "")
    assert not re.search(r"http|://|src=|href=|url\(|@import|fetch\(", rest)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", library)


def test_the_data_are_those_of_the_record(tmp_path):
    page = Page(write(tmp_path / "run", record()).read_text())
    assert [a for a in page.all("input") if a.get("type") == "range"] == [
        {"type": "range", "class": "epoch", "min": "0", "max": "3", "value": "3", "step": "1"}
    ]
    html = str(view_html(tmp_path / "run"))
    data = json.loads(re.search(r'class="data">(.*?)</script>', html)[1])
    found = record()
    seen = np.array(data["driven"], float).transpose(0, 2, 1)
    np.testing.assert_allclose(seen, found.driven, rtol=6e-4, atol=1e-6)
    assert data["epochs"] == EPOCHS
    assert data["axes"][2] == "PC3 (7 % of variance)"
    assert data["diverged"] == [False, False, True, False]


def test_a_state_that_never_moves_and_one_that_is_nowhere_have_axes(tmp_path):
    found = record()
    for value in (0.0, np.nan, 1e30):
        driven = np.full_like(found.driven, value)
        quiet = np.full_like(found.quiet, value)
        write_arrays(tmp_path / FILE, found._asdict() | {"driven": driven, "quiet": quiet})
        html = str(view_html(tmp_path))
        data = json.loads(re.search(r'class="data">(.*?)</script>', html)[1])
        for low, high in np.array(data["ranges"]).reshape(-1, 2):
            assert high > low
