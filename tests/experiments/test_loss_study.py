import csv
import dataclasses
import io

import jax
import numpy as np
import pytest

from experiments.loss_grid import LOSSES, PRESETS, SEEDS, SHARED, SLOW, Cell, cells
from experiments.loss_study import kl_of_6grams, recorded, run, share
from experiments.loss_table import as_csv, as_markdown, write_table
from hmmrnn.errors import InputError
from hmmrnn.hmm import ngram_law, preset
from hmmrnn.nets import init_params
from hmmrnn.storage import write_json
from hmmrnn.training import TrainConfig


def record(**changes):
    plain = {
        "loss": "reference", "preset": "linear3", "batch_size": 256, "data": "fresh", "seed": 0,
        "steps": 600,
        "seconds_per_step": 0.025, "steps_to_goal": 100, "seconds_to_goal": 2.5,
        "kl2": 0.1, "kl4": 0.2, "kl6": 0.3, "kl6_floor": 0.001, "excess_surprise": -0.01,
        "dwell_cv": 1.0, "rotation": 0.5,
    }  # fmt: skip
    return {**plain, **changes}


def test_every_run_of_the_grid_has_a_valid_configuration_and_a_name_of_its_own():
    grid = cells()
    assert len({cell.name for cell in grid}) == len(grid) == len(set(grid))
    for cell in [cell for cell in grid if cell.seed == 0]:
        config = cell.spec.config
        steps = config.train.epochs * config.steps_per_epoch
        assert cell.steps <= steps <= 1.3 * cell.steps + 160  # whole passes over fixed data
        assert (config.train.batch_size, config.data.source) == (cell.batch_size, cell.source)


def test_the_grid_covers_losses_targets_batches_data_and_seeds():
    grid = set(cells())
    assert len(grid) == len(SEEDS) * (len(LOSSES) * len(PRESETS) * (3 * 2 + 1) + len(SLOW))
    assert Cell("reference", "linear2", 4096, "fresh", 2) in grid


@pytest.mark.slow
def test_a_run_measures_what_the_table_shows():
    full = Cell("6-gram law", "linear3", 16, "fresh", 0).spec
    config = full.config.replace(train={"epochs": 4}, net={"hidden_size": 8, "noise_dim": 4})

    class Small(Cell):
        spec = full._replace(config=config)

    found = run(Small("6-gram law", "linear3", 16, "fresh", 0))
    assert found["steps"] == 40
    assert found["bad_steps"] == 0
    assert found["kl6"] > found["kl6_floor"] > 0
    assert found["kl4"] < found["kl6"]
    assert found["steps_to_goal"] is None  # no network learns in 40 steps
    assert set(record()) <= set(found)


def test_the_divergence_during_training_is_that_of_independent_symbols_before_it():
    config = TrainConfig.profile("laptop", preset("linear3"))
    params = init_params(config.cell, jax.random.key(0))
    silent = {**params, "W_out": 0 * params["W_out"]}  # every symbol equally likely at every step
    law = ngram_law(config.target, 6, config.data.n_steps)
    expected = np.sum(law * np.log(law * 3**6))
    found = kl_of_6grams(config, silent, jax.random.key(1))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_table_has_a_row_for_each_setting_with_median_and_worst_seed():
    records = [record(seed=i, kl6=kl, rotation=kl) for i, kl in enumerate((0.1, 0.4, 0.2))]
    lines = as_markdown([*records, record(batch_size=512, steps_to_goal=None)]).splitlines()
    assert len(lines) == 4
    assert "| linear3 | reference | 256 | fresh | 600 | 3 |" in lines[2]
    assert "0.2000 (worst 0.4000)" in lines[2]
    assert "| 25 |" in lines[2]
    assert "| never |" in lines[3]
    assert len({line.count("|") for line in lines}) == 1


def test_a_goal_that_some_seeds_miss_says_how_many_reached_it():
    text = as_markdown([record(seed=0), record(seed=1, steps_to_goal=None)])
    assert "100 (1 of 2)" in text


def test_the_csv_file_has_a_row_for_each_run():
    rows = list(csv.DictReader(io.StringIO(as_csv([record(), record(steps_to_goal=None)]))))
    assert [row["steps_to_goal"] for row in rows] == ["100", ""]
    assert float(rows[0]["kl6"]) == 0.3


def test_the_table_is_written_from_a_folder_of_records(tmp_path):
    for i, name in enumerate(("reference", "energy")):
        for seed in range(2):
            row = record(loss=name, seed=seed, kl6=0.1 / (i + seed + 1), rotation=None)
            write_json(tmp_path / "records" / f"{name}{seed}.json", row)
    write_table(tmp_path / "records", tmp_path / "table")
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 5
    assert (tmp_path / "table.md").read_text().count("| linear3 |") == 2
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_records_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no records"):
        write_table(tmp_path, tmp_path / "table")


@pytest.mark.parametrize("other", [{"loss": "of old"}, {"preset": "linear9"}])
def test_a_record_of_another_study_is_named(tmp_path, other):
    write_json(tmp_path / "stranger.json", record(**other))
    with pytest.raises(InputError, match=r"stranger\.json: is no record of this study"):
        write_table(tmp_path, tmp_path / "table")


def test_a_run_is_done_once_and_again_when_its_options_change(tmp_path, monkeypatch):
    cell = Cell("energy", "linear3", 256, "fresh", 0)
    assert not recorded(cell, tmp_path)
    write_json(tmp_path / f"{cell.name}.json", record(recipe=cell.recipe))
    assert recorded(cell, tmp_path)
    assert not recorded(dataclasses.replace(cell, seed=1), tmp_path)
    monkeypatch.setitem(SHARED, "learning_rate", 1e-3)
    assert not recorded(cell, tmp_path)


@pytest.mark.parametrize("wrong", ["2/2", "0", "a/2", "-1/2", "0/0"])
def test_a_wrong_part_is_an_error(wrong):
    with pytest.raises(InputError, match="must be of the form"):
        share(wrong)
    assert share("1/3") == (1, 3)
