import shlex
from pathlib import Path

import pytest
from absl import flags

from hmmrnn import InputError, TrainConfig, hmm
from hmmrnn.cli.config_flags import define_spec_flags, spec_from_flags
from hmmrnn.report import commands
from hmmrnn.sequences import read_sequences
from hmmrnn.training import RunSpec

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
        config = TrainConfig.profile(profile, hmm.preset("fully3"))
        assert spec == RunSpec(config, 1.0, 0)


def test_set_flags_change_only_what_they_name():
    spec = parse("--preset=linear2", "--noise_std=2", "--seed=7", "--net.bias", "--loss.blur=1")
    expected = TrainConfig.profile("laptop", hmm.preset("linear2")).replace(
        net={"bias": True}, loss={"blur": 1.0}
    )
    assert spec == RunSpec(expected, 2.0, 7)


def test_lists_are_separated_by_commas():
    spec = parse("--preset=linear3", "--loss.ngram_orders=2,4,6", "--loss.ngram_strides=3")
    assert spec.config.loss.ngram_orders == (2, 4, 6)
    assert spec.config.loss.ngram_strides == (3,)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"divergence": "reference", "blur": 0.3, "tolerance": 1e-3},
        {"divergence": "none", "ngram_weight": 2.5, "ngram_orders": (2, 4, 6)},
        {"ngram_weight": 1.0, "ngram_strides": (1, 2), "ngram_floor": 1e-7},
        {"ngram_weight": 1.0, "ngram_discrepancy": "chi2", "ngram_source": "symbols"},
    ],
)
def test_the_command_in_the_report_is_read_back_as_the_same_run(options):
    config = TrainConfig.profile("smoke", hmm.preset("fully3")).replace(loss=options)
    spec = RunSpec(config, 0.7, 5)
    given = shlex.split(commands.of_training(Path("a b"), spec))[2:]
    own = [flag for flag in given if flag not in ("--outdir=a b", "--resume")]
    assert len(own) == len(given) - 2
    assert parse(*own) == spec


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--noise_std=nan"], "noise_std=nan: must be finite and not negative"),
        (["--noise_std=-1"], "noise_std=-1.0: must be finite and not negative"),
        (["--seed=-1"], "seed=-1: must be from 0"),
        (["--hmm=none.json"], "give one of --preset"),
        (["--train.epochs=0"], "train.epochs=0: must be at least 1"),
        (["--loss.blur=0"], "loss.blur=0.0: must be at least 0.001"),
        (["--loss.ngram_orders=2,x"], "loss.ngram_orders=2,x: must be whole numbers, as in 2,4"),
        (["--loss.ngram_orders=2.5"], "loss.ngram_orders=2.5: must be whole numbers"),
        (["--loss.ngram_orders=2,,4"], "loss.ngram_orders=2,,4: must be whole numbers"),
        (["--loss.ngram_orders="], "loss.ngram_orders=(): must be a list of at least one value"),
        (["--loss.ngram_orders=2,0"], "loss.ngram_orders=0: must be at least 1"),
        (
            ["--loss.ngram_weight=1", "--loss.ngram_orders=6", "--loss.ngram_strides=6"],
            "loss.ngram_orders=6, loss.ngram_strides=6: spans 31 steps, more than",
        ),
        (["--loss.ngram_weight=1", "--loss.ngram_orders=11"], "loss.ngram_orders=11: 3 symbols"),
        (
            ["--loss.divergence=none", "--loss.ngram_weight=0"],
            "loss.divergence=none: needs loss.ng",
        ),
        (["--loss.divergence=energy"], "loss.divergence=energy: needs loss.cost=euclidean"),
        (["--data.source=fixed", "--train.batch_size=20000"], "train.batch_size=20000: larger"),
    ],
)
def test_bad_values_are_named(given, message):
    with pytest.raises(InputError) as raised:
        parse("--preset=linear3", *given)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_neither_preset_nor_file():
    with pytest.raises(InputError, match="--preset"):
        parse()
    with pytest.raises(InputError, match=r"hmm=none\.json: "):
        parse("--hmm=none.json")


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [("--preset=linear9", "linear2"), ("--net.activation=gelu", "relu"), ("--train.epochs=x", "")],
)
def test_absl_refuses_what_it_can(flag, allowed):
    with pytest.raises(flags.IllegalFlagValueError, match=f"flag {flag}: .*{allowed}"):
        parse(flag)


def test_data_are_a_target_beside_preset_and_hmm(tmp_path):
    path = tmp_path / "mice.csv"
    path.write_text("0,1,1,0,1\n" * 8)
    spec = parse(f"--data={path}", "--profile=smoke", "--data.n_steps=4")
    assert spec.config.target == read_sequences(path)
    assert spec.config.data.n_steps == 4
    with pytest.raises(InputError, match="--preset"):
        parse(f"--data={path}", "--preset=linear3")
    with pytest.raises(InputError, match=r"data=none\.csv: "):
        parse("--data=none.csv")
