"""Command lines in copies of a process that has done the imports, which take longer than they do.

A program for conftest.py. It imports the package but computes nothing, so JAX begins anew in each
copy. A line of standard input asks for something, a line of standard output answers:

    {"arguments": [...], "cwd": DIR, "to": DIR}    run `hmmrnn ARGUMENTS`, its outputs in files:
                                                   the process number
    {"end_of": NUMBER}                             its exit code, null while it runs
"""

import importlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from hmmrnn.cli.console import DOORS, main


def serve() -> dict[str, Any]:
    """Answer all requests; in a copy, return the one that it has to carry out."""
    for line in sys.stdin:
        request = json.loads(line)
        if "end_of" in request:
            number, status = os.waitpid(request["end_of"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if number else None
        elif (answer := forked()) == 0:
            return request
        print(json.dumps(answer), flush=True)
    raise SystemExit


def forked() -> int:
    """0 in the copy, its process number in the original.

    Newer versions of Python warn of threads. Here only BLAS has some, which stop for a fork.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def become(request: dict[str, Any]) -> None:
    """Set up outputs, folder, path and arguments as a start from a shell would."""
    outputs = [Path(request["to"]) / name for name in ("stdout", "stderr")]
    for place, path in enumerate((Path(os.devnull), *outputs)):
        file = os.open(path, os.O_RDONLY if place == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(file, place)
        os.close(file)
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]
    sys.argv = ["hmmrnn", *request["arguments"]]


if __name__ == "__main__":
    for name in DOORS:
        importlib.import_module(f"hmmrnn.cli.{name}")
    become(serve())
    main()
