from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from hmmrnn.cli import sweep_progress
from hmmrnn.cli.sweep_progress import SweepProgress, duration
from hmmrnn.sweep.folder import Failure
from hmmrnn.sweep.grid import Entry
from hmmrnn.sweep.plan import Batch
from hmmrnn.training import RunSpec

ONCE, TWICE = Failure(["no memory"]), Failure(["no memory", "diverged"])


@pytest.fixture
def clock(monkeypatch):
    """The time, in seconds, that tests set."""
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(
        sweep_progress, "time", SimpleNamespace(monotonic=lambda: now.seconds + 5e4)
    )
    return now


@pytest.fixture(scope="module")
def entries(smoke):
    return [Entry(f"seed{seed}", RunSpec(smoke, 1.0, seed)) for seed in range(4)]


@pytest.fixture
def printed():
    return StringIO()


@pytest.fixture
def follow(entries, clock, printed):
    """A function that begins to follow the first n networks."""

    def begin(n=4, n_done=0, n_lanes=2, width=500, some=()):
        progress = SweepProgress(some or entries[:n], n_done, n_lanes)
        progress.console = Console(width=width, file=printed)
        return progress

    return begin


def batch(*some):
    return Batch(some[0].spec.config, tuple(some))


def at(epoch, n_members=1, loss=0.5):
    """The progress of a batch after some of its 8 epochs."""
    losses = np.zeros((n_members, 8))
    losses[:, :epoch] = loss
    return SimpleNamespace(
        state=SimpleNamespace(epoch=np.full(n_members, epoch)),
        records=SimpleNamespace(loss=losses),
        floor=SimpleNamespace(mean=np.full(n_members, 0.25)),
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (12 * 60, "12 min"),
        (3569, "59 min"),
        (3571, "1 h 00 min"),
        (3 * 3600 + 5 * 60, "3 h 05 min"),
        (100 * 3600, "100 h 00 min"),
        (-1e-9, "0 s"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_nothing_is_known_before_something_is_done(follow, clock, entries):
    progress = follow()
    assert np.isnan(progress.seconds_left())
    clock.seconds += 10
    progress.watch.begins(0, batch(entries[0]))
    progress.watch.advances(0, at(0))
    assert np.isnan(progress.seconds_left())
    assert "time left not known yet" in progress.totals()


def test_time_left_at_the_speed_so_far(follow, clock, entries):
    progress = follow()
    for lane in (0, 1):
        progress.watch.begins(lane, batch(entries[lane]))
        progress.watch.advances(lane, at(0))
    clock.seconds += 30
    progress.watch.advances(0, at(4))
    progress.watch.advances(1, at(2))
    # 6 of 32 epochs in 30 s
    assert progress.seconds_left() == pytest.approx(26 * 5)
    clock.seconds += 30
    for lane in (0, 1):
        progress.watch.advances(lane, at(8))
        progress.watch.ends(lane, entries[lane], None)
    assert progress.seconds_left() == pytest.approx(60)
    assert progress.totals() == ("2 of 4 networks finished, 0 failed, 60 s so far, about 60 s left")


def test_at_the_end_nothing_is_left(follow, clock, entries):
    progress = follow()
    for entry in entries:
        progress.watch.begins(0, batch(entry))
        progress.watch.advances(0, at(0))
        clock.seconds += 5
        progress.watch.advances(0, at(8))
        progress.watch.ends(0, entry, None)
    assert progress.totals() == "4 of 4 networks finished, 0 failed, 20 s so far, about 0 s left"


def test_what_checkpoints_spared_says_nothing_about_speed(follow, clock, entries):
    """Each of two networks goes on from epoch 4 of 8, and takes 10 s for the second half."""
    progress = follow(2, n_lanes=1)
    for entry, left in zip(entries[:2], (10, 0), strict=True):
        progress.watch.begins(0, batch(entry))
        progress.watch.advances(0, at(4))
        clock.seconds += 5
        progress.watch.advances(0, at(6))
        # for the second one nobody knows yet that it has a checkpoint
        assert progress.seconds_left() == pytest.approx(5 + 2 * left)
        clock.seconds += 5
        progress.watch.advances(0, at(8))
        progress.watch.ends(0, entry, None)


def test_what_checkpoints_spared_a_batch_is_spared_for_all_of_it(follow, clock, entries):
    """Two members go on from epoch 4; then two from their beginning need four times 4 epochs."""
    progress = follow(n_lanes=1)
    progress.watch.begins(0, batch(*entries[:2]))
    progress.watch.advances(0, at(4, 2))
    clock.seconds += 40
    progress.watch.advances(0, at(8, 2))
    progress.watch.ends(0, entries[0], None)
    progress.watch.ends(0, entries[1], None)
    assert progress.seconds_left() == pytest.approx(80)


def test_members_that_wait_for_their_measures_are_trained(follow, clock, entries):
    progress = follow(n_lanes=1)
    progress.watch.begins(0, batch(*entries))
    progress.watch.advances(0, at(0, 4))
    clock.seconds += 40
    progress.watch.advances(0, at(8, 4))
    assert progress.seconds_left() == pytest.approx(0)
    progress.watch.ends(0, entries[0], None)
    assert progress.seconds_left() == pytest.approx(0, abs=1)


def test_what_failed_at_once_took_no_work(follow, clock, entries):
    """The first one is refused; the second one takes 10 s for each of its epochs."""
    progress = follow(2)
    progress.watch.begins(0, Batch(entries[0].spec.config, (entries[0],), "too large"))
    progress.watch.ends(0, entries[0], ONCE)
    progress.watch.begins(1, batch(entries[1]))
    progress.watch.advances(1, at(0))
    clock.seconds += 40
    progress.watch.advances(1, at(4))
    # 4 epochs in 40 s; 4 more, and 8 of the one that is tried once more
    assert progress.seconds_left() == pytest.approx(120)


def test_failures_are_counted_when_given_up(follow, clock, entries, printed):
    progress = follow(3, n_done=5, n_lanes=1)
    for entry, failed in zip(entries[:3], (None, ONCE, ONCE), strict=True):
        progress.watch.begins(0, batch(entry))
        progress.watch.advances(0, at(0))
        clock.seconds += 8
        progress.watch.advances(0, at(8))
        progress.watch.ends(0, entry, failed)
    assert progress.totals().startswith("6 of 8 networks finished, 0 failed, 24 s so far")
    assert progress.seconds_left() > 0  # two are tried again
    progress.watch.begins(0, batch(entries[1]))
    progress.watch.ends(0, entries[1], TWICE)
    progress.watch.begins(0, batch(entries[2]))
    progress.watch.ends(0, entries[2], None)
    assert progress.totals().startswith(
        "7 of 8 networks finished, 1 failed, 24 s so far, about 0 s"
    )
    lines = printed.getvalue().splitlines()
    assert lines[0].startswith("seed0 finished; 6 of 8 networks finished")
    assert lines[1] == "seed1: no memory (tried once more at the end)"
    assert lines[3] == "seed1: diverged (given up)"
    assert len(lines) == 5


def test_lines_in_a_log_are_not_broken(follow, clock, entries, printed):
    """A log has no width; programs that search it read lines."""
    entry = entries[0]._replace(name="linear3-hidden_size150-noise_dim100-seed0")
    progress = follow(width=80, some=[entry])
    progress.watch.begins(0, batch(entry))
    progress.watch.advances(0, at(0))
    clock.seconds += 100
    progress.watch.advances(0, at(4))
    clock.seconds += 100
    progress.watch.advances(0, at(8))
    progress.watch.ends(0, entry, None)
    said = printed.getvalue().splitlines()
    assert len(said) == 3
    assert all("networks finished, 0 failed" in line for line in said)


def test_a_log_is_told_once_a_minute(follow, clock, entries, printed):
    progress = follow(1)
    progress.watch.begins(0, batch(entries[0]))
    progress.watch.advances(0, at(0))
    for epoch, expected in ((1, 0), (2, 1), (3, 1), (4, 2)):
        clock.seconds += 31
        progress.watch.advances(0, at(epoch))
        assert len(printed.getvalue().splitlines()) == expected


def test_losses_that_are_not_finite_are_no_news(follow, clock, entries, printed):
    """Warnings are errors here, and lines between the rows of the table on a terminal."""
    progress = follow(1)
    progress.watch.begins(0, batch(entries[0]))
    progress.watch.advances(0, at(2, loss=np.nan))
    assert rendered(progress, 100)[1].split() == ["seed0", "1", "2/8", "0.25"]


def rendered(progress, width):
    text = StringIO()
    Console(width=width, file=text).print(progress.table())
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 120])
def test_the_table_fits_the_terminal(follow, clock, entries, width):
    named = [
        entry._replace(name=f"linear3-hidden_size{150 + i}-noise_dim100-learning_rate0.001-seed{i}")
        for i, entry in enumerate(entries)
    ]
    progress = follow(some=named)
    progress.watch.begins(0, batch(*named[:3]))
    progress.watch.advances(0, at(4, 3, loss=0.123456))
    clock.seconds += 10
    progress.watch.advances(0, at(6, 3, loss=0.123456))
    lines = rendered(progress, width)
    assert max(map(len, lines)) <= width
    header, first, second, *totals = lines
    assert header.split() == ["training", "networks", "epoch", "loss", "floor"]
    assert first.split()[-4:] == ["3", "6/8", "0.1235", "0.25"]
    assert first.startswith("linear3-hidden_size150"[: width // 4])
    assert "…" in first
    assert second.split() == ["idle"]
    assert " ".join(line.strip() for line in totals) == progress.totals()


def test_on_a_terminal_the_table_is_shown(entries, clock, monkeypatch):
    terminal = StringIO()
    monkeypatch.setattr(
        sweep_progress,
        "Console",
        lambda file: Console(file=terminal, force_terminal=True, width=100),
    )
    with SweepProgress(entries, 0, 2) as progress:
        progress.watch.begins(0, batch(entries[0]))
        progress.watch.advances(0, at(0))
        clock.seconds += 10
        progress.watch.advances(0, at(4))
        progress.live.refresh()
        progress.watch.ends(0, entries[0], TWICE)
    shown = terminal.getvalue()
    assert "seed0" in shown
    assert "4/8" in shown
    assert "0 of 4 networks finished, 0 failed, 10 s so far" in shown
    assert "seed0: diverged (given up)" in shown
    assert "finished;" not in shown
