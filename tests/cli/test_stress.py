"""Everything that may happen to a run folder, tried on every door and counted.

    python -m pytest -m slow -s tests/cli/test_stress.py

Kills at random moments, two processes at once, full and read-only disks, bad requests and files.
Whatever happens, each result is that of before or the new one, whole; what is refused is refused in
one line with exit code 1.
"""

import contextlib
import itertools
import json
import random
import re
import shutil
import signal
import subprocess
import time
import zipfile

import numpy as np
import pytest
from filelock import FileLock

from hmmrnn.folders import LOCK, MANIFEST, owned
from hmmrnn.storage import read_arrays, read_json, write_arrays

TRAINING = ("--preset=linear2", "--profile=smoke", "--train.epochs=40", "--seed=1")
ZOO = "linear2-reference-seed0"
GRID = {
    "base": {"preset": "linear2", "profile": "smoke", "train.epochs": 10},
    "vary": {"seed": [0, 1]},
}
SMALL = {
    "evaluate": ("--n_sequences=200",),
    "dynamics": ("--n_trajectories=6", "--n_steps=80", "--n_starts=8", "--n_states=24"),
    "circuits": ("--n_runs=8", "--n_steps=100"),
    "discover": ("--n_trials=8",),
    "report": (),
}
"""Analyses of a run folder, as fast as can be."""

SEED = {"discover": "--seed", "report": None}
N_KILLS, N_DISKS = 40, len(SMALL)
LONGEST = 10.0
"""Seconds that a refusal may take."""


class Tally:
    """How many were tried, and what went wrong."""

    def __init__(self):
        self.tried, self.wrong = 0, []

    def __call__(self, name, *problems):
        self.tried += 1
        self.wrong += [f"{name}: {problem}" for problem in problems if problem]

    def close(self, kind):
        print(f"\n{kind}: {self.tried} tried, {self.tried - len(self.wrong)} right")
        assert not self.wrong, "\n".join(self.wrong)


def command(name, folder, seed):
    flag = SEED.get(name, "--analysis_seed")
    return (name, f"--run={folder}", *SMALL[name], *([f"{flag}={seed}"] if flag else []))


def contents(folder):
    """All files by name, but the manifest and what is hidden; paths of run folders are one."""
    return {
        str(path.relative_to(folder)): re.sub(rb"/[\w./-]+/run(?!\w)", b"RUN", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST and not path.name.startswith(".")
        if "checkpoints" not in path.parts
    }


def leftovers(folder):
    hidden = {p.name for p in folder.rglob(".*") if p.name != LOCK and "checkpoints" not in p.parts}
    return f"left {sorted(hidden)}" if hidden else None


def refusal(done, seconds=0.0):
    """What is wrong with a refusal: it is one line, with code 1, at once."""
    told = done.stderr.strip().splitlines()
    progress = [line for line in told if "|" in line and not line.startswith("error:")]
    lines = [line for line in told if not line.startswith("warning:") and line not in progress]
    if "Traceback" in done.stderr:
        return f"a traceback: {lines[-1]}"
    if done.returncode != 1:
        return f"code {done.returncode}: {lines[-1:] or done.stdout[-200:]}"
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"not one line: {lines[:3]}"
    return f"{seconds:.0f} s" if seconds > LONGEST else None


@pytest.fixture(scope="module")
def before(door, tmp_path_factory):
    """A network with the results of all analyses."""
    folder = tmp_path_factory.mktemp("before") / "run"
    made = ("zoo", f"--network={ZOO}", f"--outdir={folder}")
    for arguments in (made, *(command(name, folder, 0) for name in SMALL)):
        done = door(*arguments)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def small(door, tmp_path_factory):
    """A network that was hardly trained, measured once."""
    folder = tmp_path_factory.mktemp("small") / "run"
    for arguments in (
        ("train", "--preset=linear2", "--profile=smoke", f"--outdir={folder}"),
        command("evaluate", folder, 0),
        command("report", folder, 0),
    ):
        done = door(*arguments)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def after(door, before, tmp_path_factory):
    """What each analysis leaves if nothing disturbs it, and how long it takes."""
    found = {}
    for name in SMALL:
        folder = shutil.copytree(before, tmp_path_factory.mktemp("after") / "run")
        begin = time.monotonic()
        process = door.start(*command(name, folder, 1))
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        found[name] = contents(folder), time.monotonic() - begin
    return found


def judged(folder, before, after):
    """Whether a folder is as before or as after, and nothing between."""
    with owned(folder):
        pass
    found = contents(folder)
    if found not in (contents(before), after):
        same = [name for name in found if found[name] == contents(before).get(name)]
        return f"mixed: {len(same)} of {len(found)} files are those of before"
    listed = read_json(folder / MANIFEST)["files"]
    missing = [n for n in listed if "." in n and n.endswith(("json", "svg")) and n not in found]
    lost = sorted(set(missing) - {"failure.json"})
    return f"lists {lost}, which are not there" if lost else leftovers(folder)


@pytest.mark.slow
def test_kills_at_random_moments(door, before, after, tmp_path):
    moments, tally = random.Random(0), Tally()
    for i, name in zip(range(N_KILLS), itertools.cycle(SMALL), strict=False):
        folder = shutil.copytree(before, tmp_path / f"{i}" / "run")
        whole, seconds = after[name]
        process = door.start(*command(name, folder, 1))
        # every other one near the end, where files are written
        time.sleep(seconds * (moments.uniform(0.8, 1.05) if i % 2 else moments.uniform(0, 1)))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        tally(f"kill {i} of {name}", judged(folder, before, whole))
        shutil.rmtree(folder)
    tally.close("kills of analyses")


@pytest.mark.slow
def test_kills_of_what_makes_a_run(door, before, tmp_path):
    """Trainings, copies of the zoo, sweeps: the next one makes of it what an undisturbed does."""
    moments, tally = random.Random(1), Tally()
    grid = tmp_path / "grid.json"
    grid.write_text(json.dumps(GRID))
    made = {
        "train": ("train", *TRAINING, "--resume"),
        "zoo": ("zoo", f"--network={ZOO}"),
        "sweep": ("sweep", f"--grid={grid}", "--n_sequences=50", "--resume"),
    }
    for name, arguments in made.items():
        whole = tmp_path / f"{name}-whole"
        begin = time.monotonic()
        process = door.start(*arguments, f"--outdir={whole}")
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        seconds = time.monotonic() - begin
        for i in range(4):
            folder = tmp_path / f"{name}{i}"
            process = door.start(*arguments, f"--outdir={folder}")
            time.sleep(seconds * moments.uniform(0.3, 1.0))
            process.send_signal(signal.SIGKILL) if process.poll() is None else None
            process.communicate()
            ended = folder.exists() and any(p.name[0] != "." for p in folder.iterdir())
            if name != "zoo" or not ended:
                process = door.start(*arguments, f"--outdir={folder}")
                _, errors = process.communicate()
                assert process.returncode == 0, errors
            differ = [
                str(path.relative_to(whole))
                for path in whole.rglob("*.npz")
                if "checkpoints" not in path.parts and path.name != "sweep.npz"
                if not same_arrays(path, folder / path.relative_to(whole))
            ]
            tally(f"kill {i} of {name}", f"{differ} differ" if differ else None)
    tally.close("kills of trainings, copies and sweeps")


def same_arrays(path, other):
    found, expected = read_arrays(other), read_arrays(path)
    return found.keys() == expected.keys() and all(
        np.array_equal(found[key], expected[key], equal_nan=found[key].dtype.kind == "f")
        for key in found
    )


@pytest.mark.slow
def test_two_processes_at_once(door, before, after, tmp_path):
    tally = Tally()
    pairs = list(itertools.product(("evaluate", "dynamics", "circuits"), SMALL))
    others = {"train": ("--resume",), "train again": ("--overwrite",)}
    for i, (first, second) in enumerate([*pairs, *itertools.product(["discover"], others)]):
        folder = shutil.copytree(before, tmp_path / f"{i}" / "run")
        process = door.start(*command(first, folder, 1))
        while process.poll() is None and not is_held(folder):
            time.sleep(0.01)
        if second in SMALL:
            done = door(*command(second, folder, 2))
        else:
            flags = (f"--outdir={folder}", "--train.learning_rate=0.01", *others[second])
            done = door("train", *TRAINING, *flags)
        running = process.poll() is None
        _, errors = process.communicate()
        tally(
            f"{second} beside {first}",
            None if running else "the first one had ended",
            refusal(done),
            None if "another process is at work" in done.stderr else done.stderr,
            errors if process.returncode else None,
            None if contents(folder) == after[first][0] else "the first one was disturbed",
        )
    tally.close("pairs of processes")


def is_held(folder):
    lock = FileLock(folder / LOCK)
    with contextlib.suppress(TimeoutError):
        with lock.acquire(timeout=0):
            pass
        return False
    return True


@contextlib.contextmanager
def disk(place, options):
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def mounting(tmp_path):
    try:
        with disk(tmp_path / "try", "size=1m"):
            pass
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disks can be mounted here")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_disks(kind, mounting, door, before, tmp_path):
    tally = Tally()
    for name in SMALL:
        with disk(tmp_path / name, "size=64m") as place:
            folder = shutil.copytree(before, place / "run")
            if kind == "full":
                free = shutil.disk_usage(place).free
                (place / "filler").write_bytes(bytes(free - 12_288))
            else:
                subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
            begin = time.monotonic()
            done = door(*command(name, folder, 1))
            seconds = time.monotonic() - begin
            changed = None if contents(folder) == contents(before) else "files changed"
            soon = seconds if kind == "read-only" else 0.0
            tally(f"{name} on a {kind} disk", refusal(done, soon), changed)
    for name, arguments in {
        "train": ("train", *TRAINING),
        "zoo": ("zoo", f"--network={ZOO}"),
    }.items():
        with disk(tmp_path / name, "size=32k" if kind == "full" else "ro,size=1m") as place:
            done = door(*arguments, f"--outdir={place / 'run'}")
            tally(f"{name} on a {kind} disk", refusal(done))
    tally.close(f"{kind} disks")


HUGE = {
    "net.hidden_size": ("100000", "1000000000", "1" + "0" * 30),
    "net.noise_dim": ("1000000000000",),
    "train.batch_size": ("100000000", "1000000000"),
    "train.epochs": ("1000000000", "1000000000000"),
    "train.steps_per_epoch": ("1" + "0" * 18,),
    "data.n_steps": ("1000000000",),
}
WRONG = {
    "net.hidden_size": ("0", "-1", "1.5", "many"),
    "net.activation": ("swish",),
    "net.initial_state": ("warm",),
    "train.epochs": ("0", "-5", "nan"),
    "train.batch_size": ("1", "-4"),
    "train.learning_rate": ("-1", "nan", "inf", "fast"),
    "train.schedule": ("linear",),
    "train.final_rate": ("2", "-0.1"),
    "train.b1": ("1", "-0.5"),
    "train.clip_norm": ("0", "nan"),
    "train.temperature": ("0", "-1"),
    "train.chunk_epochs": ("0",),
    "train.snapshot_every": ("-1",),
    "train.checkpoint_every": ("0",),
    "train.keep_checkpoints": ("1",),
    "train.keep_state_at": ("-1", "1000000"),
    "train.activity_penalty": ("-1", "nan"),
    "loss.divergence": ("chi",),
    "loss.blur": ("0", "-1"),
    "loss.ngram_orders": ("0", "a"),
    "loss.ngram_weight": ("-1",),
    "data.source": ("net",),
    "data.n_sequences": ("1", "-3"),
    "data.n_steps": ("1", "-2"),
    "noise_std": ("-1", "nan", "inf", "loud"),
    "seed": ("-1", "4294967296", "1.5", "one"),
    "preset": ("linear9",),
    "profile": ("fast",),
}
REQUESTS = {
    **{f"train --{n}={v}": ("train", f"--{n}={v}") for n, vs in HUGE.items() for v in vs},
    **{f"train --{n}={v}": ("train", f"--{n}={v}") for n, vs in WRONG.items() for v in vs},
}
OF_RUNS = {
    "evaluate": {"n_sequences": ("0", "1", "x", "1" + "0" * 12), "analysis_seed": ("-1", "1e3")},
    "dynamics": {
        "n_states": ("1", "1000000000"),
        "n_trajectories": ("1", "1" + "0" * 12),
        "n_steps": ("0", "1" + "0" * 12),
        "n_starts": ("0", "1" + "0" * 12),
    },
    "circuits": {"n_runs": ("1", "1" + "0" * 12), "n_steps": ("10", "1" + "0" * 12)},
    "discover": {"n_trials": ("1", "1" + "0" * 12), "kind": ("best",), "circuit_size": ("0",)},
}
PATHS = ("", "nowhere", "/proc/version", "x" * 5_000, "a\0b", "/dev/null")


def ask(door, tally, name, *arguments):
    begin = time.monotonic()
    done = door(*arguments)
    tally(name, refusal(done, time.monotonic() - begin))


@pytest.mark.slow
def test_bad_requests(door, before, tmp_path):
    tally = Tally()
    given = ("--preset=linear2", "--profile=smoke", f"--outdir={tmp_path / 'new'}")
    for name, (which, flag) in REQUESTS.items():
        kept = [g for g in given if not g.startswith(flag.partition("=")[0] + "=")]
        ask(door, tally, name, which, *kept, flag)
    for which, flags in OF_RUNS.items():
        for flag, values in flags.items():
            for value in values:
                asked = (which, f"--run={before}", f"--{flag}={value}")
                ask(door, tally, " ".join(asked[::2]), *asked)
    for which in (*SMALL, "analyse"):
        for path in PATHS[1:]:
            if "\0" not in path:
                ask(door, tally, f"{which} of {path[:20]}", which, f"--run={path}")
    grid = tmp_path / "grid.json"
    grid.write_text(
        json.dumps(
            {"base": {}, "vary": {"seed": [*range(1000)], "noise_std": [*map(float, range(1000))]}}
        )
    )
    ask(
        door, tally, "sweep of 1000 x 1000", "sweep", f"--grid={grid}", f"--outdir={tmp_path / 's'}"
    )
    k = 1000
    hmm = tmp_path / "hmm.json"
    even = (np.full(k, 1 / k)).tolist()
    hmm.write_text(json.dumps({"initial": even, "transition": [even] * k, "emission": [even] * k}))
    asked = ("train", f"--hmm={hmm}", "--profile=smoke", "--train.batch_size=100000", given[2])
    ask(door, tally, "train on an HMM of 1000 states", *asked)
    tally.close("bad requests")
    assert not (tmp_path / "new").exists() or not any(
        p.name[0] != "." for p in (tmp_path / "new").iterdir()
    )


def edited(**changes):
    def edit(path):
        fields = json.loads(path.read_text())
        for name, value in changes.items():
            section, _, option = name.rpartition("__")
            (fields[section] if section else fields)[option] = value
        path.write_text(json.dumps(fields))

    return edit


def text(content):
    return lambda path: path.write_text(content)


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def arrays(change):
    def edit(path):
        found = read_arrays(path)
        write_arrays(path, {**found, **change(found)})

    return edit


def bomb(path):
    """Three gigabytes of zeros in a few megabytes."""
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9)
    with packed, packed.open("W_rec.npy", "w", force_zip64=True) as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": (3 * 2**28,)}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(3 * 2**10):
            member.write(bytes(2**20))


def absurd(path):
    """A header that asks for more than there is."""
    with zipfile.ZipFile(path, "w") as file, file.open("W_rec.npy", "w") as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2**20)}
        np.lib.format.write_array_header_1_0(member, header)
        member.write(bytes(100))


NOT_FINITE = arrays(lambda found: {"W_rec": np.full_like(found["W_rec"], np.nan)})
WHOLE = arrays(lambda found: {"W_rec": found["W_rec"].astype(np.int64)})
TEXTS = arrays(lambda found: {"W_rec": found["W_rec"].astype(str)})
OTHER = arrays(lambda found: {"W_rec": found["W_rec"][:-1]})
BACKWARDS = arrays(lambda found: {"epochs": found["epochs"][::-1]})
EQUAL = arrays(lambda found: {"epochs": np.zeros_like(found["epochs"])})
NUMBERS = {"params.npz", "snapshots.npz", "history.npz"}
DAMAGE = {
    "config.json": {
        "empty": text(""),
        "cut": cut,
        "deep": text("[" * 100_000),
        "twice": text('{"seed": 1, "seed": 2}'),
        "NaN": edited(noise_std=float("nan")),
        "1e400": lambda path: path.write_text(
            path.read_text().replace('"noise_std": 1.0', '"noise_std": 1e400')
        ),
        "negative": edited(noise_std=-1.0),
        "true": edited(noise_std=True),
        "text": edited(noise_std="1"),
        "half a seed": edited(seed=1.5),
        "negative seed": edited(seed=-1),
        "another seed": edited(seed=2),
        "epochs": edited(train__epochs=10**12),
        "hidden": edited(net__hidden_size=10**9),
        "hidden text": edited(net__hidden_size="64"),
        "unknown": edited(net__activation="swish"),
        "unknown section": edited(extra={}),
        "list": text("[]"),
        "null": text("null"),
        "not text": lambda path: path.write_bytes(b"\xff\xfe{"),
    },
    "params.npz": {
        "empty": text(""),
        "cut": cut,
        "flipped": flipped,
        "NaN": NOT_FINITE,
        "int64": WHOLE,
        "texts": TEXTS,
        "other shape": OTHER,
        "bomb": bomb,
        "absurd": absurd,
        "JSON": text("{}"),
    },
    "snapshots.npz": {
        "empty": text(""),
        "cut": cut,
        "flipped": flipped,
        "int64": WHOLE,
        "texts": TEXTS,
        "backwards": BACKWARDS,
        "equal": EQUAL,
        "absurd": absurd,
    },
    "history.npz": {"empty": text(""), "cut": cut, "flipped": flipped, "absurd": absurd},
}
OF_RESULTS = {"empty": text(""), "cut": cut, "deep": text("[" * 100_000), "list": text("[]")}


@pytest.mark.slow
def test_damaged_files(door, before, tmp_path):
    """Of the network, to every analysis; of results, to the report that shows them."""
    tally, folder = Tally(), tmp_path / "run"
    cases = [(f, kind, how) for f, kinds in DAMAGE.items() for kind, how in kinds.items()]
    for i, (file, kind, damage) in enumerate(cases):
        shutil.copytree(before, folder)
        damage(folder / file)
        was = contents(folder)
        for which in (list(SMALL)[i % len(SMALL)], "report"):
            ask(door, tally, f"{which}, {file} {kind}", *command(which, folder, 1))
        if contents(folder) != was:
            tally.wrong.append(f"{file} {kind}: files changed")
        shutil.rmtree(folder)
    for file in ("fidelity.json", "dynamics.json", "circuits.json", "discovery.json"):
        for kind, damage in OF_RESULTS.items():
            shutil.copytree(before, folder)
            damage(folder / file)
            ask(door, tally, f"report, {file} {kind}", *command("report", folder, 1))
            shutil.rmtree(folder)
    tally.close("damaged files")


@pytest.mark.slow
@pytest.mark.parametrize(
    "variable",
    ["JAX_ENABLE_X64=1", "JAX_DEBUG_NANS=1", "JAX_DEBUG_INFS=1", "JAX_PLATFORMS=cuda"],
)
def test_surroundings(variable, started, before):
    name, _, value = variable.partition("=")
    was = contents(before)
    for which in SMALL:
        if which == "report" and name == "JAX_PLATFORMS":
            continue  # reads files only
        begin = time.monotonic()
        process = started(*command(which, before, 1), variables={name: value})
        printed, errors = process.communicate(timeout=400)
        done = subprocess.CompletedProcess(process.args, process.returncode, printed, errors)
        problem = refusal(done, time.monotonic() - begin - LONGEST)  # imports come first
        assert problem is None, f"{which}: {problem}"
        assert variable in errors
    assert contents(before) == was


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_of_analyses(number, door, before, after, tmp_path):
    tally = Tally()
    for name in SMALL:
        folder = shutil.copytree(before, tmp_path / name / "run")
        process = door.start(*command(name, folder, 1))
        while process.poll() is None and not is_held(folder):
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(number)
        _, errors = process.communicate()
        lines = errors.strip().splitlines()
        stopped = process.returncode == 128 + number and len(lines) == 1
        ended = process.returncode == 0 and contents(folder) == after[name][0]
        tally(f"{name}", None if stopped or ended else f"{process.returncode}: {lines[-2:]}")
        tally(f"files of {name}", judged(folder, before, after[name][0]))
    tally.close(f"stops by {signal.Signals(number).name}")


def test_a_few_of_each(door, small, tmp_path):
    """What there is no time for in full."""
    tally = Tally()
    given = ("--preset=linear2", "--profile=smoke", f"--outdir={tmp_path / 'new'}")
    for flag in (
        "net.hidden_size=1" + "0" * 30,
        "train.epochs=1000000000000",
        "data.n_steps=10000000000",
    ):
        ask(door, tally, flag, "train", *given, f"--{flag}")
    for flag in ("evaluate --n_sequences=1000000000000", "dynamics --n_states=1000000000000"):
        which, asked = flag.split()
        ask(door, tally, flag, which, f"--run={small}", asked)
    ask(door, tally, "a long path", "evaluate", f"--run={'x' * 5_000}")
    folder = shutil.copytree(small, tmp_path / "run")
    for file, kind in (
        ("params.npz", "NaN"),
        ("params.npz", "absurd"),
        ("config.json", "another seed"),
    ):
        kept = (folder / file).read_bytes()
        DAMAGE[file][kind](folder / file)
        ask(door, tally, f"{file} {kind}", *command("report", folder, 0))
        (folder / file).write_bytes(kept)
    with owned(folder):
        done = door(*command("evaluate", folder, 1))
    tally("owned by another one", refusal(done), None if "at work" in done.stderr else done.stderr)
    assert contents(folder) == contents(small)
    tally.close("a few of each")
