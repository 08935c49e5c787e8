"""A headless Chromium that tests can drive: pages, console, mouse, screenshots.

It speaks the Chrome DevTools protocol over a pair of pipes, which needs no further package:
https://chromedevtools.github.io/devtools-protocol
"""

import base64
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import sys
import time

import matplotlib.image
import numpy as np
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # drawn by the processor
NO_WEBGL = ("--disable-gpu", "--disable-3d-apis")
PATIENCE_S = 30
LAUNCH = "import os, sys; os.dup2({}, 3); os.dup2({}, 4); os.execv(sys.argv[1], sys.argv[1:])"


def chromium_or_skip():
    """Path of the browser; HMMRNN_CHROMIUM names one that is not found by itself."""
    wanted = os.environ.get("HMMRNN_CHROMIUM")
    found = next(filter(None, map(shutil.which, [wanted] if wanted else NAMES)), None)
    if found is None:
        why = f"HMMRNN_CHROMIUM={wanted} is no program" if wanted else "none is installed"
        pytest.skip(f"needs the browser Chromium: {why}")
    return found


class Browser:
    """A running browser with a fresh profile in the folder `profile`; use it as a context."""

    def __init__(self, profile, flags=WEBGL):
        program = chromium_or_skip()
        theirs_in, self._to = _pipe()
        self._from, theirs_out = _pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-SE", "-c", LAUNCH.format(theirs_in, theirs_out), program),
                *(*FLAGS, *flags, f"--user-data-dir={profile}"),
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._received, self._n_sent, self._pages = b"", 0, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.send("Browser.close")
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._to)
            os.close(self._from)

    def open(self, path, *, width=800, height=900, dark=False):
        """A new page with the HTML file, loaded."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{domain}.enable")
        page.resize(width, height)
        page.prefer("dark" if dark else "light")
        page.send("Page.navigate", url=path.resolve().as_uri())
        page.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def send(self, method, session=None, **params):
        """The reply to one command; events that come before it are kept by their pages."""
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        rest = memoryview(json.dumps(message).encode() + b"\0")
        while rest:
            rest = rest[os.write(self._to, rest) :]
        while True:
            found = self._receive()
            if found.get("id") == self._n_sent:
                assert "error" not in found, (method, found["error"])
                return found["result"]
            if found.get("sessionId") in self._pages:
                self._pages[found["sessionId"]].take(found["method"], found["params"])

    def _receive(self):
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._from], [], [], PATIENCE_S)
            assert ready, "the browser does not answer"
            part = os.read(self._from, 1 << 20)
            assert part, "the browser has ended"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)


class Page:
    """One page: what it said, asked for and shows."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session
        self.console = []  # messages of all kinds, as (level, text)
        self.requests = []  # addresses that it asked for

    def send(self, method, **params):
        return self._browser.send(method, self._session, **params)

    def take(self, method, params):
        """Keep what an event says."""
        if method == "Runtime.consoleAPICalled":
            words = [str(a.get("value", a.get("description"))) for a in params["args"]]
            self.console.append((params["type"], " ".join(words)))
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            what = details.get("exception", {}).get("description", "")
            self.console.append(("error", f"{details['text']} {what}"))
        elif method == "Log.entryAdded":
            self.console.append((params["entry"]["level"], params["entry"]["text"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def evaluate(self, expression):
        """The value of a JavaScript expression; promises are awaited."""
        options = {"returnByValue": True, "awaitPromise": True}
        found = self.send("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, condition):
        """Wait until a JavaScript condition holds."""
        end = time.monotonic() + PATIENCE_S
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < end, f"{condition} does not come true; {self.console}"
            time.sleep(0.05)

    def frames(self, n=1):
        """Wait until the page was painted `n` times."""
        for _ in range(n):
            self.evaluate("new Promise((done) => requestAnimationFrame(() => done()))")

    def resize(self, width, height):
        options = {"deviceScaleFactor": 1, "mobile": width < 500}
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, **options)

    def prefer(self, scheme):
        """Ask for a light or a dark page."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def box(self, selector):
        """Left, top, width and height of the first such element on the screen."""
        name = json.dumps(selector)
        found = self.evaluate(
            f"(({{x, y, width, height}}) => [x, y, width, height])"
            f"(document.querySelector({name}).getBoundingClientRect())"
        )
        return np.array(found)

    def drag(self, start, end, n_moves=8):
        """Press the left button at one point (x, y), move and release it at another."""
        self._mouse("mouseMoved", start, 0)
        self._mouse("mousePressed", start, 1)
        for share in np.linspace(0, 1, n_moves + 1)[1:]:
            self._mouse("mouseMoved", (1 - share) * np.array(start) + share * np.array(end), 1)
            self.frames()
        self._mouse("mouseReleased", end, 0)

    def _mouse(self, kind, at, buttons):
        button = "none" if kind == "mouseMoved" and not buttons else "left"
        x, y = map(float, at)
        options = {"button": button, "buttons": buttons, "clickCount": int(button == "left")}
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **options)

    def wheel(self, at, distance):
        """Turn the wheel at a point; downwards is positive."""
        x, y = map(float, at)
        options = {"type": "mouseWheel", "deltaX": 0, "deltaY": distance}
        self.send("Input.dispatchMouseEvent", x=x, y=y, **options)

    def press(self, key):
        """Press and release a key, named as in KeyboardEvent.key."""
        for kind in ("rawKeyDown", "keyUp"):
            code = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}.get(key, 0)
            options = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.send("Input.dispatchKeyEvent", type=kind, **options)

    def screenshot(self, path=None):
        """The visible part of the page as an array (height, width, channels) from 0 to 1."""
        png = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(png)
        return matplotlib.image.imread(io.BytesIO(png))


def _pipe():
    """Ends of a pipe for reading and writing, both above the numbers that the browser reserves."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high
