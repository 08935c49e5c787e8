"""Run folders of every format that there was, made by the versions of then."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hmmrnn import hmm, zoo
from hmmrnn.errors import InputError
from hmmrnn.folders import MANIFEST
from hmmrnn.settings import values_before
from hmmrnn.sweep.folder import fingerprint
from hmmrnn.sweep.grid import read_grid
from hmmrnn.training import RunSpec, TrainConfig, load, read_spec
from hmmrnn.training.config import FORMAT_VERSION, SECTIONS, fingerprinted
from hmmrnn.training.run import train_run
from hmmrnn.training.run_folder import continued, expect_same

FORMATS = Path(__file__).parent / "formats"
FOLDERS = sorted(FORMATS.iterdir(), key=lambda folder: int(folder.name))


def test_there_is_one_of_each():
    assert [int(folder.name) for folder in FOLDERS] == list(range(1, FORMAT_VERSION + 1))
    for folder in FOLDERS:
        assert json.loads((folder / "config.json").read_text())["format"] == int(folder.name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_is_read_and_means_what_it_meant(folder):
    """Sizes are those of the command that made it; what was added since does what was done."""
    fit, spec = load(folder), read_spec(folder)
    assert fit.params["W_rec"].shape == (4, 4)
    assert spec.config.target == hmm.preset("linear3")
    assert (spec.config.data.n_steps, spec.config.train.epochs, spec.seed) == (6, 2, 0)
    for name, section in SECTIONS.items():
        for option, value in values_before(section, int(folder.name)).items():
            assert getattr(getattr(spec.config, name), option) == value
    assert np.array_equal(fit.snapshots.params["W_rec"][-1], fit.params["W_rec"])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_training_that_was_left_half_way_goes_on(folder, tmp_path):
    """From the checkpoint of its first epoch to the parameters that it ended with then."""
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    manifest = json.loads((run / MANIFEST).read_text())
    (run / MANIFEST).write_text(json.dumps({**manifest, "status": "interrupted"}))
    (run / "params.npz").unlink()
    fit, before = train_run(run, read_spec(folder), resume=True), load(folder)
    first = np.asarray(before.snapshots.params["W_rec"][1])
    assert np.array_equal(fit.snapshots.params["W_rec"][1], first)
    assert not np.array_equal(before.params["W_rec"], first)
    for name, expected in before.params.items():
        assert np.isfinite(fit.params[name]).all()
        if int(folder.name) > 1:  # then noise was drawn by another generator
            np.testing.assert_allclose(fit.params[name], expected, atol=1e-5)


def test_an_older_sweep_is_known_again():
    """Fingerprints of format 2 are those of its whole config.json."""
    fields = json.loads((FORMATS / "2" / "config.json").read_text())
    spec = read_spec(FORMATS / "2")
    config = {name: fields[name] for name in fields if name not in ("noise_std", "seed")}
    assert json.loads(json.dumps(fingerprinted(spec.config))) == config
    changed = spec.config.replace(train={"activity_penalty": 1e-4})
    assert fingerprint(spec._replace(config=changed)) != fingerprint(spec)
    assert fingerprinted(changed)["train"]["activity_penalty"] == 1e-4


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1", "029005775ba29174"), ("2", "029005775ba29174"), ("3", "3426659db5382832")],
)
def test_fingerprints_are_those_that_older_sweeps_wrote(version, expected):
    """Though what was called hmm then is the target now."""
    assert fingerprint(read_spec(FORMATS / version)) == expected


def test_an_older_sweep_of_the_papers_grid_is_known_again():
    """Its profile validates and averages differently by now, which makes no other network."""
    before = next(entry for entry in zoo.list() if entry.name == "linear2-paper-seed0")
    spec = read_spec(before.folder)
    assert spec.config.train.validate_every == 1
    names = "linear2-hidden_size150-noise_dim100-seed0"
    now = next(entry.spec for entry in read_grid("paper") if entry.name == names)
    assert now.config.train.validate_every == 10
    assert fingerprint(now) == fingerprint(spec)
    with pytest.warns(UserWarning, match=r"train\.validate_every=1, train\.average_epochs=0"):
        assert continued(before.folder, now) == spec
    other = now._replace(config=now.config.replace(train={"learning_rate": 1.0}))
    with pytest.warns(UserWarning, match=r"train\.validate_every=1"):
        assert continued(before.folder, other).config.train.learning_rate == 1.0
    assert continued(FORMATS / str(FORMAT_VERSION), now) == now
    assert continued(FORMATS / "nowhere", now) == now


def test_a_profile_that_has_another_default_by_now_goes_on_as_it_did_then(tmp_path):
    """Asked for by the same flags; the options that are not followed are named."""
    now = RunSpec(TrainConfig.profile("laptop", hmm.preset("linear3")), 1.0, 0)
    assert now.config.train.activity_penalty > 0
    added = {name: values_before(section, 2) for name, section in SECTIONS.items()}
    then = {
        name: {o: v for o, v in fields.items() if o not in added[name]} if name in added else fields
        for name, fields in now.config.to_dict().items()
    }
    written = {"hmm": then.pop("target"), **then, "format": 2, "noise_std": 1.0, "seed": 0}
    (tmp_path / "config.json").write_text(json.dumps(written))
    with pytest.warns(UserWarning, match=r"train\.activity_penalty=0"):
        asked = continued(tmp_path, now)
    expect_same(tmp_path, asked)
    assert asked == read_spec(tmp_path)
    as_before = now._replace(config=now.config.replace(train={"activity_penalty": 0.0}))
    assert fingerprint(as_before) == fingerprint(asked) != fingerprint(now)


def test_what_an_older_format_cannot_say_is_refused():
    fields = json.loads((FORMATS / "1" / "config.json").read_text())
    del fields["noise_std"], fields["seed"]
    with pytest.raises(InputError, match=r"loss\.extra_iterations=3"):
        TrainConfig.from_dict({**fields, "loss": {**fields["loss"], "extra_iterations": 3}})
    loss = {name: value for name, value in fields["loss"].items() if name != "blur"}
    with pytest.raises(InputError, match="blur"):
        TrainConfig.from_dict({**fields, "loss": loss})
