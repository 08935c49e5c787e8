import json

from scripts import dynamics_table


def entry(value, **more):
    return {"value": value, "low": value - 0.1, "high": value + 0.1, **more}


def null(mean):
    return {"null_mean": mean, "null_low": -0.03, "null_high": 0.04, "p_value": 0.001}


FOUND = {
    "regime": {"kind": "orbit"},
    "rotation": entry(0.95),
    "dwell_cv": entry(0.7),
    "plane": {"explained": [0.563, 0.136, 0.05]},
    "surrogates": {"time_reversed": null(0.0), "phase_shuffled": null(0.01)},
    "fixed_points": {
        "n_starts": 1000,
        "n_attracted": [998, 2, 0],
        "fixed": [True, True, False],
        "from_origin": [0.0, 0.7, 0.5],
    },
    "development": {
        "bifurcation_by_jump": 60.0,
        "bifurcation": {"epoch": 70.0, "low": 60.0, "high": 80.0},
        "descent": {"onset": None},
        "epochs": [60, 70, 80, 90],
        "rotation": [entry(0.9), entry(0.95), entry(0.1), {"value": None}],
    },
}


def cells(folder, found):
    (folder / "dynamics.json").write_text(json.dumps(found))
    return dict(zip(dynamics_table.HEAD, dynamics_table.row(folder), strict=True))


def test_a_row_shows_what_the_file_holds(tmp_path):
    row = cells(tmp_path, FOUND)
    assert row["net rotation [95 %]"] == "0.95 [0.85, 1.05]"
    assert row["time-reversed [95 %], p"] == "0.00 [-0.03, 0.04], 0.001"
    assert row["PC1 + PC2 (%)"] == "56.3 + 13.6"
    assert row["end at the origin without noise"] == "998 of 1000, 2 fixed points"
    assert row["bifurcation: paper's rule; change point"] == "60; 70 [60, 80]"
    assert row["second descent"] == "none"
    assert row[dynamics_table.HEAD[-1]] == "1; 1 of 2"  # from epoch 70 on, where it is defined


def test_gaps_are_named(tmp_path):
    assert cells(tmp_path, FOUND | {"development": None})["second descent"] == "none"
    row = cells(tmp_path, {"problem": "it diverges"})
    assert row["verdict"] == "it diverges"
    assert row["net rotation [95 %]"] == "none"


def test_all_lines_have_the_same_cells(tmp_path):
    (tmp_path / "dynamics.json").write_text(json.dumps(FOUND))
    lines = dynamics_table.markdown([dynamics_table.row(tmp_path)]).splitlines()
    assert len({line.count("|") for line in lines}) == 1
