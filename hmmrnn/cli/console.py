"""The console command: `hmmrnn DOOR --flag=value ...`, and the list of its doors."""

import ast
import difflib
import importlib
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

from hmmrnn.cli.outputs import print_anywhere, quiet_without_readers, stopped_by

DOORS = (
    "reproduce",
    "train",
    "evaluate",
    "dynamics",
    "circuits",
    "discover",
    "report",
    "analyse",
    "sweep",
    "zoo",
    "claims",
)
"""Modules of this folder, each with `define_flags` and `main`, in the order of the list."""

HELP, VERSION = ("--help", "-help", "-h", "-?", "--helpfull", "--helpshort", "help"), "--version"


def main() -> None:
    """Open the door that the first argument names; without one, list them.

    Raises:
        SystemExit: with 1 and one line for a door that does not exist; as the door ends.
    """
    arguments = sys.argv[1:]
    print_anywhere()
    door, *flags = arguments or HELP[:1]
    if door in (*HELP, VERSION) or (door.startswith("-") and set(flags) & set(HELP)):
        with quiet_without_readers():
            print(version() if door == VERSION else overview())
        return
    if door not in DOORS:
        print(f"error: {door}: {_advice(door)}", file=sys.stderr)
        raise SystemExit(1)
    open_door(door, flags)


def open_door(name: str, arguments: Sequence[str]) -> None:
    """Run a door with these flags.

    Raises:
        SystemExit: as `launch`; 130 if SIGINT comes while its modules are imported.
    """
    flags = ["--help" if argument == "-h" else argument for argument in arguments]
    sys.argv = [f"hmmrnn {name}", *flags]  # absl reads them there
    try:
        from hmmrnn.cli.launch import launch

        door = importlib.import_module(f"hmmrnn.cli.{name}")
        door.define_flags()
    except KeyboardInterrupt:
        print("error: interrupted before it began", file=sys.stderr)
        raise SystemExit(stopped_by()) from None
    except ValueError as error:
        if "JAX_" not in str(error):
            raise
        print(f"error: {str(error).splitlines()[0]}", file=sys.stderr)
        raise SystemExit(1) from None
    launch(door.main, door.__doc__ or "")


def version() -> str:
    """Of the package."""
    return f"hmmrnn {importlib.metadata.version('hmmrnn')}"


def overview() -> str:
    """All doors, a sentence each."""
    lines = [f"  {name:10} {sentence(name)}" for name in DOORS]
    return "\n".join(
        (
            "hmmrnn DOOR [--flag=value ...]",
            "",
            *lines,
            "",
            "hmmrnn DOOR --help shows what a door does, how long it takes, and its flags.",
        )
    )


def sentence(door: str) -> str:
    """The first line of a door's help, read without the seconds that its imports take."""
    source = Path(__file__).with_name(f"{door}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _advice(door: str) -> str:
    if door.startswith("-"):
        return "a door comes first, then its flags; hmmrnn --help lists the doors"
    near = difflib.get_close_matches(door, DOORS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no such door; {hint}hmmrnn --help lists them"
