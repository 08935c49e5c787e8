import shlex
from dataclasses import replace
from pathlib import Path
from typing import get_origin

import pytest

from hmmrnn import TrainConfig, hmm
from hmmrnn.report import commands
from hmmrnn.settings import option_types
from hmmrnn.training import RunSpec
from hmmrnn.training.config import PROFILES, SECTIONS


def parsed(command):
    program, door, *flags = shlex.split(command)
    named = [flag.removeprefix("--").partition("=") for flag in flags]
    return f"{program} {door}", {name: value for name, _, value in named}


def config_of(flags, target):
    """The configuration that the command line would make of the flags."""
    config = TrainConfig.profile(flags["profile"], target)
    for name, section in SECTIONS.items():
        given = {}
        for field, kind in option_types(section).items():
            value = flags.get(f"{name}.{field}")
            if value is not None:
                given[field] = value == "true" if kind is bool else value
                if kind in (int, float):
                    given[field] = kind(value)
                if get_origin(kind) is tuple:
                    given[field] = [int(item) for item in value.split(",")]
        config = replace(config, **{name: replace(getattr(config, name), **given)})
    return config


@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("preset", ["linear3", "fully3"])
def test_the_training_command_stands_for_the_run(profile, preset):
    config = TrainConfig.profile(profile, hmm.preset(preset))
    config = config.replace(
        net={"bias": True, "hidden_size": 33}, loss={"ngram_orders": (2, 4, 6), "ngram_weight": 5.0}
    )
    spec = RunSpec(config, 0.5, 12)
    program, flags = parsed(commands.of_training(Path("runs/my run"), spec))
    assert program == "hmmrnn train"
    assert config_of(flags, hmm.preset(flags["preset"])) == config
    assert (flags["seed"], flags["noise_std"]) == ("12", "0.5")
    assert flags["outdir"] == "runs/my run"
    assert "resume" in flags
    assert flags["loss.ngram_orders"] == "2,4,6"


def test_the_command_of_a_plain_run_is_short():
    spec = RunSpec(TrainConfig.profile("laptop", hmm.preset("linear3")), 1.0, 0)
    flags = parsed(commands.of_training(Path("runs/demo"), spec))[1]
    assert set(flags) == {"preset", "profile", "seed", "noise_std", "outdir", "resume"}


def test_a_folder_with_spaces_is_quoted():
    command = commands.of_step("evaluate", Path("runs/it's mine; rm"))
    assert parsed(command) == ("hmmrnn evaluate", {"run": "runs/it's mine; rm"})
