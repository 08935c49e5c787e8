import json

import pytest

from scripts import preset_table


def compared(value, **more):
    return {"network": {"value": value}, **more}


@pytest.fixture
def runs(tmp_path):
    """Three runs of linear2; in one of them the symbol never changes."""
    for seed, (kl, turns) in enumerate([(0.003, 0.5), (0.001, 0.25), (0.002, None)]):
        run = tmp_path / f"linear2-laptop-seed{seed}"
        run.mkdir()
        records = {
            "fidelity": {
                "kl": {"6": compared(kl, floor={"value": kl / 10})},
                "excess_surprise": compared(-0.01),
                "volatility": compared(0.07, exact=0.069),
                "dwell": [{"cv": compared(0.9, exact=0.97)}],
            },
            "dynamics": {"rotation": {"value": turns}},
            "manifest": {"wall_time_s": 120.0 + 30 * seed},
        }
        for name, record in records.items():
            (run / f"{name}.json").write_text(json.dumps(record))
    return tmp_path


def test_a_row_has_median_and_range_over_seeds(runs):
    cells = [cell.strip() for cell in preset_table.row(runs, "linear2").strip("|").split("|")]
    assert len(cells) == preset_table.HEAD.splitlines()[0].strip("|").count("|") + 1
    assert cells[:5] == ["`linear2`", "100", "3", "0.0020 (0.0010 to 0.0030)", "0.0002"]
    assert cells[8:] == ["0.38 (0.25 to 0.50), 2 of 3", "2.5 (2.0 to 3.0)"]


def test_missing_runs_and_unknown_numbers_are_named(runs):
    assert "no finished run" in preset_table.row(runs, "linear3")
    assert preset_table.over_seeds([None, None], ".2f") == "none"
