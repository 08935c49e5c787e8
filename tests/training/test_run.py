import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from hmmrnn import InputError, StorageError, TrainingDivergedError, load, storage, train
from hmmrnn.folders import replacing
from hmmrnn.training import RunSpec, checkpoint
from hmmrnn.training.run import train_run
from hmmrnn.training.run_folder import only_trainer, read_spec
from hmmrnn.training.signals import InterruptedRun


@pytest.fixture(scope="module")
def spec(smoke):
    return RunSpec(smoke, 1.0, 3)


@pytest.fixture(scope="module")
def finished(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    train_run(folder, spec)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


@pytest.fixture
def unfinished(copy):
    """A run that was killed after its last checkpoint, before its results were written."""
    (copy / "params.npz").unlink()
    return copy


def stop_at(epoch):
    def observe(progress):
        if int(progress.state.epoch) == epoch:
            os.kill(os.getpid(), signal.SIGTERM)

    return observe


def same_params(a, b):
    return all(np.array_equal(a[name], b[name]) for name in b)


def test_the_folder_holds_what_train_computes(spec, finished):
    fit = train(spec.config, spec.noise_std, jax.random.key(spec.seed))
    loaded = load(finished)
    assert loaded.config == spec.config
    assert loaded.cell == fit.cell
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(fit), strict=True):
        np.testing.assert_array_equal(a, b)
    with np.load(finished / "params.npz", allow_pickle=False) as file:
        assert set(file.files) == {"W_in", "W_rec", "W_out"}
    assert storage.read_json(finished / "manifest.json")["status"] == "finished"
    assert read_spec(finished) == spec


def test_interrupted_twice_ends_in_the_same_bits(spec, finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(InterruptedRun) as stop:
        train_run(folder, spec, observe=stop_at(2))
    assert stop.value.epoch == 2
    assert storage.read_json(folder / "manifest.json")["status"] == "interrupted"
    with pytest.raises(InputError, match="--resume"):
        load(folder)
    with pytest.raises(InterruptedRun):
        train_run(folder, spec, resume=True, observe=stop_at(5))
    train_run(folder, spec, resume=True)
    for a, b in zip(jax.tree.leaves(load(folder)), jax.tree.leaves(load(finished)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_second_stop_request_does_not_wait(spec, finished, tmp_path):
    def impatient(progress):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path / "run", spec, observe=impatient)
    fit = train_run(tmp_path / "run", spec, resume=True)
    assert same_params(fit.params, load(finished).params)


def test_signal_handlers_are_put_back(spec, finished):
    before = signal.getsignal(signal.SIGTERM)
    train_run(finished, spec, resume=True)
    assert signal.getsignal(signal.SIGTERM) == before


def test_resume_begins_a_run_that_is_not_there(spec, finished, tmp_path):
    fit = train_run(tmp_path / "new", spec, resume=True)
    assert same_params(fit.params, load(finished).params)


def test_a_run_is_never_overwritten_by_accident(spec, copy):
    before = (copy / "params.npz").read_bytes()
    with pytest.raises(InputError, match="--resume"):
        train_run(copy, spec)
    other = spec._replace(config=spec.config.replace(train={"learning_rate": 0.5}), seed=4)
    with pytest.raises(InputError, match=r"train\.learning_rate, seed"):
        train_run(copy, other, resume=True)
    assert (copy / "params.npz").read_bytes() == before
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="resume and overwrite exclude each other"):
        train_run(copy, spec, resume=True, overwrite=True)
    analyses = ("fidelity.json", "dynamics.json", "circuits.json", "discovery.json")
    with replacing(copy, "analyses") as beside:
        for name in (*analyses, "discovery_0_2.npz", "trajectory_view.npz", "report.html"):
            (beside / name).write_text("of the network that was here")
    with pytest.warns(UserWarning, match=r"notes\.txt"):
        train_run(copy, other, overwrite=True)
    assert not [path for path in copy.iterdir() if path.name in analyses or "0_2" in path.name]
    assert not (copy / "trajectory_view.npz").exists()
    assert not (copy / "report.html").exists()
    assert (copy / "params.npz").read_bytes() != before
    assert (copy / "notes.txt").read_text() == "mine"


def test_foreign_folders_and_files_are_refused(spec, tmp_path):
    (tmp_path / "photo.jpg").write_text("x")
    with pytest.raises(InputError, match="holds files that are no run"):
        train_run(tmp_path, spec, overwrite=True)
    with pytest.raises(InputError, match="is a file, not a folder"):
        train_run(tmp_path / "photo.jpg", spec)


@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_newest_checkpoint_is_skipped(spec, finished, unfinished, damage):
    newest = unfinished / "checkpoints" / "8" / "default" / "arrays.npz"
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 2] ^= 0xFF
        newest.write_bytes(content)
    else:
        newest.unlink()
    seen = []
    with pytest.warns(UserWarning, match="epoch 8 "):
        train_run(unfinished, spec, resume=True, observe=lambda p: seen.append(int(p.state.epoch)))
    assert seen == [7, 8]
    assert same_params(load(unfinished).params, load(finished).params)
    assert (unfinished / "checkpoints-damaged" / "8").is_dir()


def test_half_written_checkpoints_are_ignored(spec, finished, unfinished):
    whole = unfinished / "checkpoints" / "8"
    whole.rename(unfinished / "checkpoints" / "8.orbax-checkpoint-tmp")
    fit = train_run(unfinished, spec, resume=True)
    assert same_params(fit.params, load(finished).params)


def test_no_whole_checkpoint_stops_and_removes_nothing(spec, unfinished):
    for path in (unfinished / "checkpoints").glob("*/default/arrays.npz"):
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(StorageError, match="--overwrite"),
    ):
        train_run(unfinished, spec, resume=True)
    aside = {p.name for p in (unfinished / "checkpoints-damaged").iterdir()}
    assert aside == {"6", "7", "8"}


def test_a_disk_that_cannot_be_read_costs_no_checkpoint(spec, finished, unfinished, monkeypatch):
    real = checkpoint.read_npz

    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(checkpoint, "read_npz", broken)
    with pytest.raises(StorageError, match=r"epoch 8 .*\(Input/output error\)"):
        train_run(unfinished, spec, resume=True)
    monkeypatch.setattr(checkpoint, "read_npz", real)
    fit = train_run(unfinished, spec, resume=True)
    assert same_params(fit.params, load(finished).params)


def test_a_finished_run_needs_no_checkpoints(spec, finished, copy):
    shutil.rmtree(copy / "checkpoints")
    seen = []
    fit = train_run(copy, spec, resume=True, observe=seen.append)
    assert not seen
    assert same_params(fit.params, load(finished).params)


def test_damaged_results_are_made_again_from_the_last_checkpoint(spec, finished, copy):
    (copy / "params.npz").write_bytes(b"PK")
    train_run(copy, spec, resume=True)
    assert same_params(load(copy).params, load(finished).params)


def test_a_damaged_manifest_does_not_matter(spec, finished, unfinished):
    for content in ("[]", "{", '{"wall_time_s": null}'):
        (unfinished / "manifest.json").write_text(content)
        fit = train_run(unfinished, spec, resume=True)
        assert same_params(fit.params, load(finished).params)
        (unfinished / "params.npz").unlink()


def test_a_stop_request_before_the_first_epoch_is_kept(spec, finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(InterruptedRun) as stop:
        train_run(folder, spec, observe=stop_at(0))
    assert stop.value.epoch == 0
    fit = train_run(folder, spec, resume=True)
    assert same_params(fit.params, load(finished).params)


def test_a_stop_request_in_the_last_epoch_comes_after_the_files(spec, finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(InterruptedRun) as stop:
        train_run(folder, spec, observe=stop_at(spec.config.train.epochs))
    assert (stop.value.epoch, stop.value.signal_number) == (8, signal.SIGTERM)
    assert same_params(load(folder).params, load(finished).params)


def test_only_the_last_checkpoints_are_kept(spec, finished):
    kept = sorted(int(p.name) for p in (finished / "checkpoints").iterdir())
    assert kept == [6, 7, 8]


def test_divergence_stops_with_the_last_good_state_and_advice(spec, tmp_path):
    config = spec.config.replace(train={"max_bad_steps": 4})
    broken = RunSpec(config, 3e38, 0)  # its draws overflow single precision
    with pytest.raises(TrainingDivergedError, match="in a new folder"):
        train_run(tmp_path / "run", broken)
    with pytest.raises(TrainingDivergedError) as raised:
        train_run(tmp_path / "run", broken, resume=True)
    message = str(raised.value)
    assert "4 steps in a row" in message
    assert "--train.learning_rate (now 0.001)" in message
    assert storage.read_json(tmp_path / "run" / "manifest.json")["status"] == "diverged"
    (saved,) = (tmp_path / "run" / "checkpoints").glob("*/default/arrays.npz")
    with np.load(saved) as file:
        assert all(np.all(np.isfinite(file[n])) for n in file.files[:3])


def test_full_disk_during_a_checkpoint_keeps_earlier_ones(spec, finished, tmp_path, monkeypatch):
    real, calls = checkpoint.save_npz, []

    def fills_up(path, arrays):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"PK")
            raise OSError(28, "No space left on device")
        real(path, arrays)

    monkeypatch.setattr(checkpoint, "save_npz", fills_up)
    folder = tmp_path / "run"
    with pytest.raises(StorageError, match=r"checkpoint of epoch 3 .*\(No space left on device\)"):
        train_run(folder, spec)
    monkeypatch.setattr(checkpoint, "save_npz", real)
    seen = []
    train_run(folder, spec, resume=True, observe=lambda p: seen.append(int(p.state.epoch)))
    assert seen[0] == 2
    assert same_params(load(folder).params, load(finished).params)


@pytest.mark.parametrize("name", ["params.npz", "history.npz", "snapshots.npz", "config.json"])
def test_loading_a_damaged_run_names_the_file(copy, name):
    path = copy / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError) as raised:
        load(copy)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_parameters_of_another_size_are_refused(copy):
    storage.write_arrays(copy / "params.npz", {"W_in": np.zeros((2, 2))})
    with pytest.raises(InputError, match=r"params\.npz: .*config\.json"):
        load(copy)


def test_arrays_of_another_kind_are_refused(copy):
    params = storage.read_arrays(copy / "params.npz")
    storage.write_arrays(copy / "params.npz", {n: p.astype("U5") for n, p in params.items()})
    with pytest.raises(InputError, match=r"params\.npz: .*config\.json"):
        load(copy)


def test_snapshots_without_epochs_are_refused(copy):
    storage.write_arrays(copy / "snapshots.npz", {})
    with pytest.raises(InputError, match=r"snapshots\.npz: .*config\.json"):
        load(copy)


@pytest.mark.parametrize("field", [{"seed": 1e999}, {"noise_std": None}, {"net": None}])
def test_a_configuration_with_impossible_values_is_refused(copy, field):
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | field))
    with pytest.raises(InputError, match=r"config\.json"):
        load(copy)


def test_loading_what_is_no_run(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        load(tmp_path / "none")
    with pytest.raises(InputError, match=r"config\.json: "):
        load(tmp_path)


def test_two_trainings_never_share_a_folder(spec, finished, tmp_path):
    """While one is at work, every way to begin another is refused, and the first one goes on."""
    folder, refused = tmp_path / "run", []

    def intrude(progress):
        for how in ({"resume": True}, {"overwrite": True}, {}):
            with pytest.raises(InputError, match="another process is at work in this folder"):
                train_run(folder, spec._replace(seed=4), **how)
            refused.append(how)

    train_run(folder, spec, observe=intrude)
    assert len(refused) == 3 * (spec.config.train.epochs + 1)
    assert same_params(load(folder).params, load(finished).params)
    assert read_spec(folder) == spec
    train_run(folder, spec._replace(seed=4), overwrite=True)
    assert read_spec(folder).seed == 4


def test_a_place_where_no_run_can_be_gets_no_lock(spec, tmp_path):
    (tmp_path / "other.txt").write_text("")
    with pytest.raises(InputError, match="holds files that are no run"):
        train_run(tmp_path, spec)
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_a_finished_run_is_loaded_while_another_looks_at_it(spec, finished):
    with only_trainer(finished):
        fit = train_run(finished, spec, resume=True)
    assert same_params(fit.params, load(finished).params)


@pytest.mark.parametrize("change", [{"seed": 4}, {"noise_std": 2.0}])
def test_a_configuration_that_was_edited_is_refused(copy, spec, change):
    fields = storage.read_json(copy / "config.json") | change
    storage.write_json(copy / "config.json", fields)
    for ask in (load, read_spec, lambda folder: train_run(folder, spec, resume=True)):
        with pytest.raises(InputError):
            ask(copy)
    storage.write_json(copy / "config.json", dict(reversed(fields.items())) | read(spec))
    assert load(copy).config == spec.config  # the order of fields is nothing


def read(spec):
    return {"seed": spec.seed, "noise_std": spec.noise_std}


@pytest.mark.parametrize("name", ["params.npz", "mean_params.npz"])
def test_parameters_that_are_not_finite_are_refused(spec, tmp_path, name):
    config = spec.config.replace(train={"epochs": 1, "average_epochs": 1})
    train_run(tmp_path / "run", spec._replace(config=config))
    params = storage.read_arrays(tmp_path / "run" / name)
    params["W_rec"][0, 0] = np.nan
    storage.write_arrays(tmp_path / "run" / name, params)
    with pytest.raises(InputError, match=rf"{name}: W_rec"):
        load(tmp_path / "run")


@pytest.mark.parametrize(
    "epochs", [lambda e: e[::-1], np.zeros_like, lambda e: e + 1, lambda e: e[None]]
)
def test_snapshots_of_other_epochs_are_refused(copy, epochs):
    snapshots = storage.read_arrays(copy / "snapshots.npz")
    assert len(snapshots["epochs"]) > 1
    snapshots["epochs"] = epochs(snapshots["epochs"])
    storage.write_arrays(copy / "snapshots.npz", snapshots)
    with pytest.raises(InputError, match=r"snapshots\.npz"):
        load(copy)


def test_whole_numbers_are_no_parameters(copy):
    params = storage.read_arrays(copy / "params.npz")
    storage.write_arrays(copy / "params.npz", {n: p.astype(np.int64) for n, p in params.items()})
    with pytest.raises(InputError, match=r"params\.npz"):
        load(copy)


@pytest.mark.parametrize("change", [{"seed": 4}, {"config": {"net": {"hidden_size": 17}}}])
def test_a_checkpoint_of_another_run_is_not_gone_on_with(spec, unfinished, tmp_path, change):
    other = spec._replace(seed=change.get("seed", spec.seed))
    other = other._replace(config=spec.config.replace(**change.get("config", {})))
    with pytest.raises(InterruptedRun):
        train_run(tmp_path / "other", other, observe=stop_at(2))
    shutil.rmtree(tmp_path / "other" / "checkpoints")
    shutil.copytree(unfinished / "checkpoints", tmp_path / "other" / "checkpoints")
    with pytest.raises(InputError, match="another run"):
        train_run(tmp_path / "other", other, resume=True)
    assert not (tmp_path / "other" / "params.npz").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("generator", "rbg"), ("precision", "default"), ("x64", True)]
)
def test_a_run_does_not_go_on_where_its_bits_would_be_others(spec, unfinished, option, value):
    manifest = storage.read_json(unfinished / "manifest.json")
    assert option in manifest["bits"]
    manifest["bits"][option] = value
    manifest["status"] = "running"
    storage.write_json(unfinished / "manifest.json", manifest)
    with pytest.raises(InputError, match=f"{option} {value}"):
        train_run(unfinished, spec, resume=True)
    assert not (unfinished / "params.npz").exists()


def test_a_file_of_somebody_else_survives_the_overwriting_or_stops_it(copy, spec):
    (copy / "state.npz").write_text("theirs")
    keeping = spec._replace(config=spec.config.replace(train={"keep_state_at": 1}))
    with pytest.raises(InputError, match=r"state\.npz was not written by hmmrnn"):
        train_run(copy, keeping, overwrite=True)
    with pytest.warns(UserWarning, match=r"state\.npz is not ours"):
        train_run(copy, spec, overwrite=True)
    assert (copy / "state.npz").read_text() == "theirs"


def test_a_folder_whose_configuration_is_none_of_ours_is_not_overwritten(spec, tmp_path):
    for name in ("config.json", "checkpoints/model.bin", "figures/fig1.pdf"):
        storage.write_text(tmp_path / "model" / name, '{"hidden_size": 4096}')
    before = {p: p.read_bytes() for p in (tmp_path / "model").rglob("*") if p.is_file()}
    with pytest.raises(InputError, match="nothing says"):
        train_run(tmp_path / "model", spec, overwrite=True)
    after = {p: p.read_bytes() for p in (tmp_path / "model").rglob("*") if p.is_file()}
    assert {p: c for p, c in after.items() if not p.name.startswith(".")} == before


@pytest.mark.parametrize(
    "options",
    [
        {"net": {"hidden_size": 10**5}},
        {"net": {"hidden_size": 10**9}},
        {"train": {"batch_size": 10**9}},
        {"train": {"steps_per_epoch": 10**8, "epochs": 10**5}},
        {"data": {"n_steps": 10**5}, "train": {"batch_size": 10**5}},
    ],
)
def test_what_cannot_fit_is_refused_before_anything_is_made(spec, tmp_path, options):
    large = spec._replace(config=spec.config.replace(**options))
    with pytest.raises(InputError, match="lower"):
        train_run(tmp_path / "run", large)
    assert not (tmp_path / "run").exists()
