"""Options of the nested configuration as dotted flags: `--train.learning_rate=5e-4`."""

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from absl import flags

from hmmrnn.errors import InputError
from hmmrnn.hmm import PRESETS, from_json, preset
from hmmrnn.sequences import described, read_sequences
from hmmrnn.settings import Section, option_types
from hmmrnn.targets import Target
from hmmrnn.training import RunSpec, TrainConfig, read_origin
from hmmrnn.training.config import PROFILES, SECTIONS
from hmmrnn.training.memory import expect_possible
from hmmrnn.training.origin import expect_fits

FLAGS = flags.FLAGS


def define_spec_flags() -> None:
    """Everything that determines a run: its target, profile, noise level, seed, every option."""
    flags.DEFINE_enum("preset", None, list(PRESETS), "HMM of the paper")
    flags.DEFINE_string("hmm", None, "JSON file with an HMM of your own, instead of --preset")
    flags.DEFINE_string(
        "data", None, "npz or text file with sequences of symbols, instead of an HMM"
    )
    flags.DEFINE_enum(
        "profile",
        "laptop",
        list(PROFILES),
        "ready-made options: smoke (seconds), laptop (minutes on 2 cores, its number of steps "
        "suits the sequence length of the preset), paper (its recipe)",
    )
    flags.DEFINE_float("noise_std", 1.0, "standard deviation of the noise drive")
    flags.DEFINE_integer("seed", 0, "random seed of the run")
    flags.DEFINE_string(
        "origin",
        None,
        "state.npz of another run (see train.keep_state_at), whose parameters and optimiser this "
        "training begins with; take that run's --seed for the same fixed data",
    )
    for section in SECTIONS.values():
        define_options(section)


def define_options(section: type[Section]) -> None:
    """One flag for each option of `section`; unset flags leave the profile's value."""
    for name, kind in option_types(section).items():
        meta = section.__dataclass_fields__[name].metadata
        flag = f"{section.section}.{name}"
        help_text = f"{meta['help']} (unset: the profile's)"
        if get_origin(kind) is Literal:
            flags.DEFINE_enum(flag, None, list(get_args(kind)), help_text)
        elif get_origin(kind) is tuple:
            flags.DEFINE_list(flag, None, f"{help_text}; separated by commas")
        else:
            DEFINE[kind](flag, None, help_text)


def spec_from_flags() -> RunSpec:
    """The run that the flags ask for. Raises `InputError`."""
    if FLAGS.noise_std < 0 or FLAGS.noise_std == float("inf") or FLAGS.noise_std != FLAGS.noise_std:
        raise InputError(f"noise_std={FLAGS.noise_std}: must be finite and not negative")
    if not 0 <= FLAGS.seed < 2**32:
        raise InputError(f"seed={FLAGS.seed}: must be from 0 to 4294967295")
    config = TrainConfig.profile(FLAGS.profile, target_from_flags())
    config = config.replace(**given_options())
    expect_possible(config, on_host=True)
    origin = None
    if FLAGS.origin is not None:
        origin = read_origin(FLAGS.origin)
        expect_fits(origin.arrays, config.cell, f"origin={FLAGS.origin}")
    return RunSpec(config, FLAGS.noise_std, FLAGS.seed, origin)


def target_from_flags() -> Target:
    """The HMM named by --preset or described in the file --hmm, or the sequences in --data."""
    if (FLAGS.preset, FLAGS.hmm, FLAGS.data).count(None) != 2:
        raise InputError(
            f"give one of --preset ({', '.join(PRESETS)}), --hmm=FILE.json and --data=FILE"
        )
    if FLAGS.data is not None:
        data = read_sequences(FLAGS.data)
        print(f"{FLAGS.data}: {described(data)}")
        return data
    return preset(FLAGS.preset) if FLAGS.preset else from_json(FLAGS.hmm)


def given_options() -> dict[str, dict[str, Any]]:
    """Options set on the command line, by section."""
    return {
        name: {
            option: given_value(f"{name}.{option}")
            for option in option_types(section)
            if FLAGS[f"{name}.{option}"].present
        }
        for name, section in SECTIONS.items()
    }


def given_value(flag: str) -> Any:  # noqa: ANN401
    """The value of a flag; the items of a list are whole numbers."""
    value = FLAGS[flag].value
    if not isinstance(value, list):
        return value
    try:
        return tuple(map(int, value))
    except ValueError:
        raise InputError(f"{flag}={','.join(value)}: must be whole numbers, as in 2,4,6") from None


DEFINE: dict[type, Callable[..., Any]] = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_boolean,
    str: flags.DEFINE_string,
}
