import pytest
from absl import flags

from experiments.config_flags import define_spec_flags, spec_from_flags
from hmmrnn import InputError, TrainConfig, hmm

FLAGS = flags.FLAGS


@pytest.fixture(scope="module", autouse=True)
def defined():
    define_spec_flags()


def parse(*given):
    FLAGS.unparse_flags()
    for name in FLAGS:
        FLAGS[name].unparse()
    FLAGS(["test", *given])
    return spec_from_flags()


def test_unset_flags_leave_the_profile_as_it_is():
    for profile in ("smoke", "laptop", "paper"):
        spec = parse("--preset=fully3", f"--profile={profile}")
        assert spec == (TrainConfig.profile(profile, hmm.preset("fully3")), 1.0, 0)


def test_set_flags_change_only_what_they_name():
    spec = parse("--preset=linear2", "--noise_std=2", "--seed=7", "--net.bias", "--loss.blur=1")
    expected = TrainConfig.profile("laptop", hmm.preset("linear2")).replace(
        net={"bias": True}, loss={"blur": 1.0}
    )
    assert spec == (expected, 2.0, 7)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--noise_std=nan"], "noise_std=nan: must be finite and not negative"),
        (["--noise_std=-1"], "noise_std=-1.0: must be finite and not negative"),
        (["--seed=-1"], "seed=-1: must be from 0"),
        (["--hmm=none.json"], "give either --preset"),
        (["--train.epochs=0"], "train.epochs=0: must be at least 1"),
        (["--loss.blur=0"], "loss.blur=0.0: must be at least 0.001"),
        (["--data.source=fixed", "--train.batch_size=20000"], "train.batch_size=20000: larger"),
    ],
)
def test_bad_values_are_named(given, message):
    with pytest.raises(InputError) as raised:
        parse("--preset=linear3", *given)
    assert str(raised.value).startswith(message)


def test_neither_preset_nor_file():
    with pytest.raises(InputError, match="give either --preset"):
        parse()
    with pytest.raises(InputError, match=r"hmm=none\.json: cannot be read"):
        parse("--hmm=none.json")


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [("--preset=linear9", "linear2"), ("--net.activation=gelu", "relu"), ("--train.epochs=x", "")],
)
def test_absl_refuses_what_it_can(flag, allowed):
    with pytest.raises(flags.IllegalFlagValueError, match=f"flag {flag}: .*{allowed}"):
        parse(flag)
