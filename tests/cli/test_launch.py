import os
import sys

import pytest

from hmmrnn.cli import launch


@pytest.mark.parametrize("spelling", ["--overwrite", "--overwrite=true", "-overwrite"])
def test_the_command_to_go_on_never_overwrites(monkeypatch, spelling):
    given = ["train.py", "--outdir=a b", spelling, "--noresume", "--seed=3"]
    monkeypatch.setattr(sys, "argv", given)
    assert launch.command_line("--resume").endswith("'--outdir=a b' --seed=3 --resume")


@pytest.mark.parametrize(
    ("given", "version", "expected"),
    [
        ("", "0.10.2", launch.NO_YNN),
        ("--xla_a=1", "0.10.0", f"--xla_a=1 {launch.NO_YNN}"),
        (f"{launch.NO_YNN}INDIVIDUAL", "0.10.2", f"{launch.NO_YNN}INDIVIDUAL"),
        ("--xla_a=1", "0.12.0", "--xla_a=1"),
    ],
)
def test_cpu_products_leave_the_users_own_flags_alone(monkeypatch, given, version, expected):
    monkeypatch.setattr(launch.importlib.metadata, "version", lambda _: version)
    monkeypatch.setenv("XLA_FLAGS", given)
    launch.choose_cpu_products()
    assert os.environ["XLA_FLAGS"] == expected
