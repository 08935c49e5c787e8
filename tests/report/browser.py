"""A headless Chromium, driven by playwright, whose wheel brings the driver but no browser."""

import io
import os
import shutil
from contextlib import contextmanager

import matplotlib.image
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND")
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # drawn by the processor
NO_WEBGL = ("--disable-gpu", "--disable-3d-apis")


def chromium_or_skip():
    """Path of the browser; HMMRNN_CHROMIUM names one that is not found by itself."""
    wanted = os.environ.get("HMMRNN_CHROMIUM")
    found = next(filter(None, map(shutil.which, [wanted] if wanted else NAMES)), None)
    if found is None:
        why = f"HMMRNN_CHROMIUM={wanted} is no program" if wanted else "none is installed"
        pytest.skip(f"needs the browser Chromium: {why}")
    return found


@contextmanager
def launcher():
    """A function that starts a browser with these flags; all end with the context."""
    program = chromium_or_skip()
    with sync_playwright() as driver:
        yield lambda flags=WEBGL: driver.chromium.launch(
            executable_path=program, args=[*FLAGS, *flags], chromium_sandbox=False
        )


class Page:
    """One page: what it said, asked for and shows. Its `tab` is playwright's."""

    def __init__(self, browser, path, *, width, height):
        self.tab = browser.new_page(viewport={"width": width, "height": height})
        self.errors = []  # of its console and its scripts
        self.requests = []  # addresses that it asked for
        self.tab.on("console", self._hear)
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(path.resolve().as_uri())

    def _hear(self, message):
        if message.type in ("error", "assert"):
            self.errors.append(message.text)

    def evaluate(self, expression):
        """The value of a JavaScript expression; promises are awaited."""
        return self.tab.evaluate(expression)

    def wait_for(self, condition):
        """Wait until a JavaScript condition holds."""
        self.tab.wait_for_function(condition)

    def frames(self, n=1):
        """Wait until the page was painted `n` times."""
        for _ in range(n):
            self.evaluate("new Promise((done) => requestAnimationFrame(() => done()))")

    def box(self, selector):
        """Left, top, width and height of the first such element on the screen."""
        found = self.tab.locator(selector).first.bounding_box()
        return np.array([found[name] for name in ("x", "y", "width", "height")])

    def drag(self, start, end, n_moves=8):
        """Press the left button at one point (x, y), move and release it at another."""
        mouse = self.tab.mouse
        mouse.move(*map(float, start))
        mouse.down()
        for share in np.linspace(0, 1, n_moves + 1)[1:]:
            mouse.move(*map(float, (1 - share) * np.array(start) + share * np.array(end)))
            self.frames()
        mouse.up()
        self.frames(3)  # what was moved last is drawn

    def wheel(self, at, distance):
        """Turn the wheel at a point; downwards is positive."""
        self.tab.mouse.move(*map(float, at))
        self.tab.mouse.wheel(0, distance)

    def screenshot(self):
        """The visible part of the page as an array (height, width, channels) from 0 to 1."""
        return matplotlib.image.imread(io.BytesIO(self.tab.screenshot()))
