"""Command lines as a user meets them: from a shell, or where only they matter, without imports."""

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 400
"""Seconds; some command lines compile for minutes when the machine is busy."""


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def started():
    """A function that starts a command line in a process of its own, as a shell does."""

    def start(*arguments, cwd=ROOT, variables=None, **options):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        command = [sys.executable, "-m", "hmmrnn", *arguments]
        known = {**environment(), **(variables or {})}
        return subprocess.Popen(command, cwd=cwd, env=known, **pipes)

    return start


@pytest.fixture(scope="session")
def from_shell(started):
    """A function that starts a command line as a shell does, and waits for its end."""

    def run(*arguments, cwd=ROOT):
        process = started(*arguments, cwd=cwd)
        outputs = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, *outputs)

    return run


class Copy:
    """A command line in a copy of the server: as much of `subprocess.Popen` as tests need."""

    def __init__(self, number, place, ask):
        self.number, self.place, self.ask = number, place, ask
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            self.returncode = self.ask(end_of=self.number)
        return self.returncode

    def send_signal(self, which):
        os.kill(self.number, which)

    def communicate(self, timeout=PATIENCE):
        begin = time.monotonic()
        while self.poll() is None:
            assert time.monotonic() < begin + timeout
            time.sleep(0.01)
        return tuple((self.place / name).read_text() for name in ("stdout", "stderr"))


class Doors:
    """Command lines in processes that have imported what they need; see door_server.py."""

    def __init__(self, folder):
        self.places = (folder / str(i) for i in itertools.count())
        self.servers = {}

    def __call__(self, *arguments, cwd=ROOT):
        """Run one to its end, beside what others have compiled before.

        Those of a sweep choose their devices, so each has a process of its own.
        """
        if arguments[:1] == ("sweep",):
            process = self.start(*arguments, cwd=cwd)
            outputs = process.communicate()
            return subprocess.CompletedProcess(arguments, process.returncode, *outputs)
        place = self._place()
        where = {"cwd": str(cwd), "to": str(place)}
        code = self._ask("lasting", arguments=arguments, here=True, **where)
        outputs = ((place / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(arguments, code, *outputs)

    def start(self, *arguments, cwd=ROOT):
        """Begin one in a process of its own."""
        place = self._place()
        number = self._ask("copied", arguments=arguments, cwd=str(cwd), to=str(place))
        return Copy(number, place, lambda **request: self._ask("copied", **request))

    def close(self):
        for server in self.servers.values():
            server.communicate()  # it ends with its input

    def _place(self):
        place = next(self.places)
        place.mkdir()
        return place

    def _ask(self, server, **request):
        if server not in self.servers:
            program = Path(__file__).with_name("door_server.py")
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            command = [sys.executable, program]
            self.servers[server] = subprocess.Popen(command, env=environment(), **pipes)
        asked = self.servers[server]
        print(json.dumps(request), file=asked.stdin, flush=True)
        answer = asked.stdout.readline()
        assert answer, "the server of command lines has ended; its error is above"
        return json.loads(answer)


@pytest.fixture(scope="session")
def door(tmp_path_factory):
    """Runs command lines without the seconds of their imports; see `Doors`."""
    doors = Doors(tmp_path_factory.mktemp("doors"))
    yield doors
    doors.close()
