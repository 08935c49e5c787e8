import sys

import pytest

from experiments.cli import command_line


@pytest.mark.parametrize("spelling", ["--overwrite", "--overwrite=true", "-overwrite"])
def test_the_command_to_go_on_never_overwrites(monkeypatch, spelling):
    given = ["train.py", "--outdir=a b", spelling, "--noresume", "--seed=3"]
    monkeypatch.setattr(sys, "argv", given)
    assert command_line("--resume").endswith("'--outdir=a b' --seed=3 --resume")
