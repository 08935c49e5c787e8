"""The commands that make each part of a run folder, to copy into a terminal."""

import dataclasses
import shlex
from pathlib import Path

from hmmrnn.settings import Section
from hmmrnn.training import RunSpec, TrainConfig
from hmmrnn.training.config import PROFILES, SECTIONS
from hmmrnn.training.run_folder import ORIGIN


def of_step(step: str, folder: Path) -> str:
    """The command of one analysis: evaluate, dynamics, circuits, discover or report."""
    return f"hmmrnn {step} {shlex.quote(f'--run={folder}')}"


def of_training(folder: Path, spec: RunSpec) -> str:
    """The command of the training; it goes on where `folder` holds an unfinished one."""
    config = spec.config
    changed = {name: _all_changed(config, name) for name in PROFILES}
    profile = min(changed, key=lambda name: len(changed[name]))
    flags = [
        config.target.flag(folder),
        f"--profile={profile}",
        f"--seed={spec.seed}",
        f"--noise_std={spec.noise_std!r}",
        *changed[profile],
        *([] if spec.origin is None else [f"--origin={folder / ORIGIN}"]),
        f"--outdir={folder}",
        "--resume",
    ]
    return shlex.join(["hmmrnn", "train", *flags])


def _all_changed(config: TrainConfig, profile: str) -> list[str]:
    """The flags that make a profile's configuration this one."""
    other = TrainConfig.profile(profile, config.target)
    return [flag for s in SECTIONS for flag in _changed(getattr(config, s), getattr(other, s))]


def _changed(ours: Section, profile: Section) -> list[str]:
    """A flag for each option that differs from the profile's."""
    return [
        f"--{ours.section}.{field.name}={_value(getattr(ours, field.name))}"
        for field in dataclasses.fields(ours)
        if getattr(ours, field.name) != getattr(profile, field.name)
    ]


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
