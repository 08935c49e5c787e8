"""Command lines in a process that has done the imports, which take longer than most of them.

A program for conftest.py. A line of standard input asks for something, a line of standard output
answers:

    {"arguments": [...], "cwd": DIR, "to": DIR}    run `hmmrnn ARGUMENTS` in a copy of this process,
                                                   its outputs in files: the process number
    {"end_of": NUMBER}                             its exit code, null while it runs
    {..., "here": true}                            run it in this process to its end: its exit code

JAX begins anew in each copy. Where command lines run here, what one of them compiled is known to
the next; a process that has computed makes no copies.
"""

import importlib
import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import IO, Any

from absl import flags

from hmmrnn import programs
from hmmrnn.cli.console import DOORS, main


def serve(requests: IO[str], answers: IO[str]) -> dict[str, Any]:
    """Answer all requests; in a copy, return the one that it has to carry out."""
    for line in requests:
        request = json.loads(line)
        if "end_of" in request:
            number, status = os.waitpid(request["end_of"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if number else None
        elif "here" in request:
            answer = carried_out(request)
        elif (answer := forked()) == 0:
            return request
        print(json.dumps(answer), file=answers, flush=True)
    raise SystemExit


def carried_out(request: dict[str, Any]) -> int:
    """The exit code of a command line that runs in this process."""
    become(request)
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    forget_flags()
    programs.forget_programs_if_many()
    return code


def forget_flags() -> None:
    """Undefine the flags of all doors, and let the others be as if none had been given."""
    known = flags.FLAGS
    ours = {
        flag.name
        for module, defined in known.flags_by_module_dict().items()
        if module.startswith("hmmrnn.")
        for flag in defined
    }
    for name in ours:
        delattr(known, name)
    for name in known:
        known[name].unparse()
    for module in [name for name in known.key_flags_by_module_dict() if "hmmrnn" in name]:
        del known.key_flags_by_module_dict()[module]


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
    programs.FEW_MAPPINGS = programs.MANY_MAPPINGS  # command lines share what is compiled
    for name in DOORS:
        importlib.import_module(f"hmmrnn.cli.{name}")
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    copy = serve(requests, answers)
    requests.close()
    answers.close()
    become(copy)
    main()
