"""What every door shares: global switches, one-line errors, flags, the compile cache."""

import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import jax
from absl import app, flags, logging

from hmmrnn.cli.outputs import print_anywhere, quiet_without_readers, stopped_by
from hmmrnn.errors import InputError, StorageError, TrainingDivergedError
from hmmrnn.nets import LongRun

CACHE_VARIABLE = "HMMRNN_CACHE"
UNUSUAL = {
    "jax_enable_x64": "networks are trained and analysed in single precision",
    "jax_debug_nans": "NaN stands for what is not known",
    "jax_debug_infs": "infinities stand for what is left out",
}
"""Options of JAX with which no door opens, and why."""
NO_YNN = "--xla_cpu_experimental_ynn_fusion_type="


def launch(main: Callable[[], None], help_text: str) -> None:
    """Parse the flags and run `main`; --help shows `help_text` and all flags.

    Raises:
        SystemExit: 1 after one line on what the user can mend, 128 and the number of the signal
            after a stop (130 for SIGINT, 143 for SIGTERM, 141 if nobody reads the output).
    """
    print_anywhere()
    _expect_usual_switches()
    set_global_switches()
    sys.modules["__main__"].__doc__ = help_text.replace("%", "%%")  # where absl looks for it
    _list_all_flags_in_help()
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        with quiet_without_readers():
            app.run(lambda argv: _guarded(main, argv[1:]), flags_parser=_parsed)
    finally:
        signal.signal(signal.SIGTERM, before)


def set_global_switches() -> None:
    """Full precision of products, the faster ones on CPUs, a compile cache that outlives us."""
    jax.config.update("jax_default_matmul_precision", "highest")
    choose_cpu_products()
    jax.config.update("jax_compilation_cache_dir", str(compile_cache()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def compile_cache() -> Path:
    """Folder of compiled code, one for each jaxlib and processor: it need not run elsewhere."""
    root = Path(os.environ.get(CACHE_VARIABLE) or Path("~/.cache/hmmrnn").expanduser())
    return root / f"jaxlib-{importlib.metadata.version('jaxlib')}-{_processor()}"


def _processor() -> str:
    """A name for the model and the instructions of this machine's processor."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    known = {x for x in lines if x.startswith(("model name", "flags", "Features", "CPU part"))}
    text = "\n".join(sorted(known)) or f"{platform.processor()} {platform.machine()}"
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def choose_cpu_products() -> None:
    """Let jaxlib 0.10 multiply with its older CPU library: a step at batch 512 is a tenth faster.

    Rounding differs between the two, so only a program that makes the same choice repeats another
    one bit by bit. Call it before the first computation; XLA_FLAGS of the user's own come first.
    """
    given = os.environ.get("XLA_FLAGS", "")
    known = importlib.metadata.version("jaxlib").startswith("0.10.")  # others may refuse the flag
    if known and NO_YNN.partition("=")[0] not in given:
        os.environ["XLA_FLAGS"] = f"{given} {NO_YNN}".strip()


def define_run_flag() -> None:
    """Flags of command lines that read run folders: `--run` for one of them, `--runs` for many."""
    flags.DEFINE_string("run", None, "run folder to read and to write to")
    flags.DEFINE_string("runs", None, "pattern of run folders, in quotes; instead of --run")
    flags.DEFINE_bool("missing_only", False, "leave out those of --runs that were analysed before")
    flags.DEFINE_integer(
        "networks_at_once",
        None,
        "networks of --runs and of equal shape that share the device; memory grows with them "
        "(default: 1 on a CPU, else 8)",
        lower_bound=1,
    )
    flags.DEFINE_integer("analysis_seed", 0, "random seed of the analysis", 0, 2**32 - 1)


def warn_of_unbounded(folder: Path, ran: LongRun | None) -> None:
    """Say in one line that a network explodes in long runs, if it does."""
    if ran is not None and ran.problem is not None:
        print(f"warning: {folder}: {ran.problem}", file=sys.stderr, flush=True)


def command_line(*extra: str) -> str:
    """The command that opened this door, with more flags at its end and no --overwrite."""
    names = {flag.lstrip("-") for flag in (*extra, "--overwrite")}
    given = [(argument, argument.lstrip("-").partition("=")[0]) for argument in sys.argv[1:]]
    kept = [
        argument
        for argument, name in given
        if not (argument.startswith("-") and {name, name.removeprefix("no")} & names)
    ]
    return shlex.join([*sys.argv[0].split(" "), *kept, *extra])


def to_type(command: str) -> str:
    """A command of ours as this shell finds it: by the path of hmmrnn, or by Python."""
    script = Path(sys.executable).with_name("hmmrnn")
    found = shutil.which("hmmrnn")
    if found is not None and script.exists() and Path(found).samefile(script):
        return command
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "hmmrnn"]
    return command.replace("hmmrnn", shlex.join(ours), 1)


def _list_all_flags_in_help() -> None:
    """Let --help show the flags of all our modules; absl shows only those of the main one."""
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith("hmmrnn.") else ():
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def _guarded(main: Callable[[], None], extra: list[str]) -> None:
    warnings.showwarning = _print_warning
    if not flags.FLAGS["verbosity"].present:
        # Orbax logs every checkpoint, and the traceback of every error that it raises as well.
        logging.set_verbosity(logging.FATAL)
    try:
        if extra:
            raise InputError(f"{extra[0]}: unknown argument; flags have the form --name=value")
        main()
    except (InputError, StorageError, TrainingDivergedError) as error:
        _fail(error)
    except (MemoryError, RecursionError) as error:
        _fail(f"not enough memory for this ({type(error).__name__} {error})".replace(" )", ")"))
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{str(error.filename)[:300]}: {error.strerror}")
    except (RuntimeError, AssertionError) as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            _fail(f"not enough memory for this: {str(error).splitlines()[0][:300]}")
        if (reason := _no_device()) is None:
            raise
        _fail(reason)
    except KeyboardInterrupt as stop:
        print("error: interrupted; files written so far are whole", file=sys.stderr)
        raise SystemExit(stopped_by(*stop.args)) from None


def _fail(reason: object) -> NoReturn:
    print(f"error: {reason}", file=sys.stderr)
    raise SystemExit(1) from None


def _no_device() -> str | None:
    """Why JAX finds no device, in one line, where it is told which to look for."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        line = next(iter(str(error).splitlines()), "there is none")
        return f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}: {line[:300]}"
    return None


def _terminated(number: int, frame: FrameType | None) -> None:
    """Files that were begun are dropped on the way out; once is enough.

    An exception within a callback of JAX would be printed and forgotten, so it waits for its end.
    """
    inner = frame
    while inner is not None:
        if "callback" in inner.f_code.co_name or inner.f_code.co_name == "__del__":
            signal.signal(signal.SIGALRM, lambda _, at: _terminated(number, at))
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            return
        inner = inner.f_back
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def _expect_usual_switches() -> None:
    """Refuse options of JAX that our numbers do not know, before seconds are spent.

    Raises:
        SystemExit: with code 1, after one line.
    """
    for option, why in UNUSUAL.items():
        if getattr(jax.config, option):
            name = option.upper()
            print(f"error: {name}={os.environ.get(name, True)}: {why}; unset it", file=sys.stderr)
            raise SystemExit(1)


def _parsed(arguments: list[str]) -> list[str]:
    """The arguments that are no flags; a wrong flag is one line and exit code 1, help is 0."""
    try:
        return flags.FLAGS(arguments)
    except SystemExit:  # of absl, which has shown the help
        raise SystemExit(0) from None
    except flags.Error as error:
        reason = " ".join(str(error).split())
        if missing := re.fullmatch(r"flag --(\w+)=None: .*", reason):
            reason = f"{missing[1]}: has to be given; --help says what it is"
        print(f"error: {reason}", file=sys.stderr)
        raise SystemExit(1) from None


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
