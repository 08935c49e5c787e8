import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmmrnn import InputError, TrainConfig
from hmmrnn.claims.evidence import recipe
from hmmrnn.hmm import PRESETS, preset
from hmmrnn.sweep.grid import entries, read_grid
from hmmrnn.training import RunSpec

TINY = {"profile": "smoke", "preset": "linear3"}


def of(base=(), **vary):
    return {"base": {**TINY, **dict(base)}, "vary": vary}


def names_of(grid):
    return [entry.name for entry in grid]


def written(folder, value):
    path = folder / "grid.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def test_the_papers_grid_is_its_144_and_6_networks():
    grid = read_grid("paper")
    assert len(grid) == len(set(names_of(grid))) == 150
    lists = {"linear": [], "others": []}
    for entry in grid:
        config = entry.spec.config
        name = re.match("[a-z]+[0-9]", entry.name)[0]
        lists["linear" if name.startswith("linear") else "others"].append(
            (name, config.net.hidden_size, config.net.noise_dim, entry.spec.seed)
        )
        assert entry.spec.noise_std == 1.0
        assert config.target == preset(name)
        special = name in ("fully3", "cyclic4")
        assert config.train.clip_norm == (0.3 if special else 0.9)
        assert config.train.epochs == {"fully3": 1000, "cyclic4": 1000, "linear5": 1500}.get(
            name, 500
        )
        assert (config.loss.divergence, config.data.source) == ("reference", "fixed")
        assert (config.train.batch_size, config.data.n_sequences) == (4096, 30_000)
        assert (config.train.learning_rate, config.train.schedule) == (1e-3, "constant")
    linear = [f"linear{m}" for m in (2, 3, 4, 5)]
    expected = itertools.product(linear, (50, 150, 200), (1, 10, 100, 200), (0, 1, 2))
    assert sorted(lists["linear"]) == sorted(expected)
    default = TrainConfig.profile("paper", preset("fully3")).net
    assert sorted(lists["others"]) == sorted(
        (name, default.hidden_size, default.noise_dim, seed)
        for name in ("fully3", "cyclic4")
        for seed in (0, 1, 2)
    )


def test_the_zoos_grid_has_both_losses_for_every_preset_and_five_seeds():
    grid = read_grid("zoo")
    assert sorted(names_of(grid)) == sorted(
        [
            "linear2-paper-seed0",
            *(
                f"{name}-{loss}-seed{seed}"
                for name in PRESETS
                for loss in ("ngram", "reference")
                for seed in range(5)
            ),
        ]
    )
    for entry in grid:
        name, loss, _ = entry.name.split("-")
        if loss == "paper":
            assert entry.spec.config == TrainConfig.profile("paper", preset("linear2"))
            continue
        config = entry.spec.config
        assert config.target == preset(name)
        if loss == "reference":
            assert (config.loss.divergence, config.loss.ngram_weight) == ("reference", 0.0)
            assert config.train.batch_size == 2048
            assert config.train.epochs * config.train.steps_per_epoch == 600
        else:
            plain = TrainConfig.profile("laptop", preset(name))
            every = config.train.snapshot_every
            assert config == plain.replace(train={"snapshot_every": every})
        if entry.spec.seed == 0:
            assert config.train.epochs // config.train.snapshot_every >= 12


def test_the_grid_of_batch_sizes_has_equally_many_steps():
    grid = read_grid("batch_sizes")
    steps = {e.spec.config.train.epochs * e.spec.config.train.steps_per_epoch for e in grid}
    losses = {(e.spec.config.loss.divergence, e.spec.config.train.batch_size) for e in grid}
    assert steps == {600}
    assert losses == {
        ("reference", 256),
        ("reference", 512),
        ("reference", 1024),
        ("independent", 512),
        ("independent", 2048),
        ("none", 512),
        ("none", 2048),
    }


def test_the_networks_called_alike_differ_from_the_zoos_in_the_loss_alone():
    zoo = {e.name: e.spec.config for e in read_grid("zoo") if "-reference-" in e.name}
    both = [*read_grid("alike"), *read_grid("batch_sizes")]
    alike = [e for e in both if e.spec.config.train.batch_size == 2048]
    assert {e.name.split("-")[0] for e in alike} == {
        "linear2",
        "linear3",
        "linear4",
        "linear5",
    }
    for entry in alike:
        twin = zoo[f"{entry.name.split('-')[0]}-reference-seed{entry.spec.seed}"]
        assert recipe(entry.spec.config, "loss") == recipe(twin, "loss")
        assert recipe(entry.spec.config) != recipe(twin)


def test_the_grid_of_sizes_differs_from_that_of_batch_sizes_in_one_option_each():
    beside = {entry.name: entry.spec.config.to_dict() for entry in read_grid("batch_sizes")}
    differences = []
    for entry in read_grid("sizes"):
        loss, ours = entry.name.split("-")[1], entry.spec.config.to_dict()
        theirs = beside[f"linear3-{loss}-batch_size512-seed{entry.spec.seed}"]
        changed = [
            f"{loss}: {section}.{option}={ours[section][option]}"
            for section in ("net", "loss", "data", "train")
            for option in ours[section]
            if ours[section][option] != theirs[section][option]
        ]
        differences += changed
        assert len(changed) == 1
    assert sorted(set(differences)) == [
        f"{loss}: {change}"
        for loss in ("ngram", "reference")
        for change in (
            "net.hidden_size=200",
            "net.noise_dim=1",
            "net.noise_dim=10",
            "train.clip_norm=0.1",
            "train.clip_norm=10.0",
        )
    ]


def test_a_block_gives_its_name_to_its_folders():
    plain = {**of(seed=[0])}
    named = {"name": "other", **of({"train.batch_size": 32}, seed=[0])}
    assert names_of(entries([plain, named])) == ["linear3-seed0", "linear3-other-seed0"]
    with pytest.raises(InputError, match="a string"):
        entries({"name": 3, **of(seed=[0])})


def test_a_file_means_the_product_of_its_lists(tmp_path):
    grid = read_grid(
        written(
            tmp_path,
            of(
                {"train.epochs": 5},
                **{"net.hidden_size": [4, 8], "noise_std": [0.5, 1], "seed": [0, 1, 2]},
            ),
        )
    )
    smoke = TrainConfig.profile("smoke", preset("linear3"))
    assert [entry.spec for entry in grid] == [
        RunSpec(smoke.replace(train={"epochs": 5}, net={"hidden_size": n}), level, seed)
        for n, level, seed in itertools.product((4, 8), (0.5, 1.0), (0, 1, 2))
    ]
    assert grid[0].name == "linear3-hidden_size4-noise_std0.5-seed0"
    assert all(type(entry.spec.noise_std) is float for entry in grid)


def test_without_profile_noise_level_and_seed_there_are_defaults():
    (entry,) = entries({"base": {"preset": "cyclic4"}})
    laptop = TrainConfig.profile("laptop", preset("cyclic4"))
    assert entry == ("cyclic4-seed0", RunSpec(laptop, 1.0, 0))


def test_blocks_are_joined_and_a_lone_vary_or_base_is_enough():
    lone = {"vary": {"preset": ["linear2"], "profile": ["smoke"], "seed": [7]}}
    grid = entries([of(seed=[0, 1]), lone, {"base": {**TINY, "seed": 5}}])
    assert [entry.spec.seed for entry in grid] == [0, 1, 7, 5]
    assert names_of(grid)[2] == "linear2-profilesmoke-seed7"


def test_sections_are_values_and_meet_single_options():
    losses = [{"divergence": "none", "ngram_weight": 1.0, "ngram_orders": [3]}, {"blur": 0.1}]
    grid = entries(of({"loss.ngram_floor": 1e-4, "train": {"epochs": 3}}, loss=losses))
    first, second = (entry.spec.config for entry in grid)
    assert (first.loss.divergence, first.loss.ngram_orders) == ("none", (3,))
    assert (second.loss.divergence, second.loss.blur) == ("independent", 0.1)
    assert first.loss.ngram_floor == second.loss.ngram_floor == 1e-4
    assert first.train.epochs == second.train.epochs == 3
    assert names_of(grid) == [
        "linear3-divergencenone_ngram_weight1.0_ngram_orders3-seed0",
        "linear3-blur0.1-seed0",
    ]


def test_sections_that_change_other_options_to_the_same_value_are_told_apart():
    """Both would be called loss0.5 if only values made the name."""
    grid = entries(of(loss=[{"ngram_weight": 0.5}, {"blur": 0.5}]))
    assert len(set(names_of(grid))) == 2


def test_hmm_files_stand_relative_to_the_grid_file(tmp_path, monkeypatch):
    own = {"initial": [1, 0], "transition": [[0.9, 0.1], [0.2, 0.8]], "emission": [[1, 0], [0, 1]]}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "own.json").write_text(json.dumps(own))
    monkeypatch.chdir(tmp_path / "models")
    vary = {"hmm": ["models/own.json", str(tmp_path / "models" / "own.json")]}
    path = written(tmp_path, {"base": {"profile": "smoke"}, "vary": {"hmm": vary["hmm"][:1]}})
    (entry,) = read_grid(path)
    assert entry.name == "own-seed0"
    assert entry.spec.config.target.to_dict()["transition"] == own["transition"]
    path = written(tmp_path, {"base": {"profile": "smoke"}, "vary": vary})
    with pytest.raises(InputError, match="own-seed0 and own-seed0"):
        read_grid(path)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "the grid is empty"),
        ([], "the grid is empty"),
        ({"base": {}, "vary": {}}, "the grid is empty"),
        (3, 'a block has "base" and "vary"'),
        ('"paper"', 'a block has "base" and "vary"'),
        ("null", 'a block has "base" and "vary"'),
        ([[of()]], 'a block has "base" and "vary"'),
        ({"preset": "linear3"}, 'a block has "base" and "vary"'),
        ({"base": [1]}, '"base" and "vary" are objects'),
        ({"base": TINY, "vary": None}, '"base" and "vary" are objects'),
        ("{", "is damaged or no JSON (truncated)"),
        ("", "is damaged or of another kind"),
        (of(seed=[]), "seed=[]: must be a list of at least one value"),
        (of(seed=3), "seed=3: must be a list of at least one value"),
        (of(noise_std={"a": 1}), 'noise_std={"a": 1}: must be a list'),
        (of(sed=[1]), "sed: there is no such field; did you mean seed?"),
        (of({"net.hiden_size": 5}), "net.hiden_size: there is no such field; did you mean net.hid"),
        (of(loss=[{"blurr": 1}]), "loss.blurr: there is no such field; did you mean loss.blur?"),
        (of({"zzzzzz": 5}), "zzzzzz: there is no such field; there are profile, preset, hmm"),
        (of(loss=["energy"]), 'loss="energy": must be an object'),
        (of({"net.hidden_size": 0}), "net.hidden_size=0: must be at least 1"),
        (of({"net.hidden_size": 50.0}), "net.hidden_size=50.0: must be of type int"),
        (of({"net.hidden_size": [50, 60]}), "net.hidden_size=[50, 60]: must be of type int"),
        (of({"train.learning_rate": "fast"}), "train.learning_rate='fast': must be of type float"),
        (of({"loss.divergence": "kl"}), "loss.divergence=kl: allowed are"),
        (of(seed=[0, 1, 0]), "linear3-seed0 and linear3-seed0 are the same network"),
        ([of(), of({"seed": 0})], "linear3-seed0 and linear3-seed0 are the same network"),
        (of(noise_std=[1, 1.0]), "are the same network"),
        ([of(), of({"net.hidden_size": 4})], "two networks would share the folder linear3-seed0"),
        (of({"seed": 0}, seed=[0]), "seed stands both in base and in vary"),
        ({"base": {"profile": "smoke"}}, "one of a preset (linear2"),
        (of({"hmm": "own.json"}), "one of a preset (linear2"),
        ({"base": {"hmm": "nowhere.json"}}, "nowhere.json: cannot be read"),
        (of({"preset": "linear9"}), "preset=linear9: there are linear2, linear3"),
        (of({"preset": None}), "preset=None: there are linear2, linear3"),
        (of({"profile": "huge"}), "profile=huge: unknown; there are smoke, laptop"),
        (of(seed=[True]), "seed=True: must be a whole number"),
        (of(seed=[1.0]), "seed=1.0: must be a whole number"),
        (of(seed=[-1]), "seed=-1: must be a whole number"),
        (of(seed=[2**32]), "seed=4294967296: must be a whole number"),
        (of({"seed": [0, 1]}), "seed=[0, 1]: must be a whole number"),
        (of(noise_std=[-0.1]), "noise_std=-0.1: must be a number"),
        (of(noise_std=[False]), "noise_std=False: must be a number"),
        (of(noise_std=["1"]), "noise_std='1': must be a number"),
        (of(noise_std=[float("nan")]), "NaN is no number of JSON"),
        (of(noise_std=[float("inf")]), "Infinity is no number of JSON"),
        (of({"preset": ["linear2", "linear3"]}), "preset=['linear2', 'linear3']: "),
        (of({"profile": ["smoke", "laptop"]}), "profile=['smoke', 'laptop']: "),
        (of({"noise_std": 10**400}), "noise_std=1000000"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(grid, message, tmp_path):
    path = written(tmp_path, grid)
    with pytest.raises(InputError) as refusal:
        read_grid(path)
    told = str(refusal.value)
    assert told.startswith(f"grid={path}: ")
    assert message in told
    assert "\n" not in told


@pytest.mark.parametrize("grid", ["papr", "nowhere/grid.json", "{" + 300 * " " + "}"])
def test_a_file_that_is_not_there(grid):
    with pytest.raises(InputError, match=f"^grid={re.escape(grid)}: "):
        read_grid(grid)


def test_an_option_given_twice_is_not_chosen_in_silence():
    """As a section and by its dotted name: one of the two would be ignored."""
    with pytest.raises(InputError, match=r"net\.hidden_size"):
        entries(of({"net": {"hidden_size": 5}, "net.hidden_size": 9}))
    with pytest.raises(InputError, match=r"net\.hidden_size"):
        entries(of({"net.hidden_size": 9}, net=[{"hidden_size": 5}, {"hidden_size": 6}]))


levels = st.lists(
    st.floats(0, 1e6).map(lambda x: float(f"{x:.3g}")), min_size=1, max_size=3, unique=True
)
VARIED = {
    "preset": st.lists(st.sampled_from(["linear2", "linear3", "cyclic4"]), min_size=1, unique=True),
    "noise_std": levels,
    "train.learning_rate": levels,
    "net.hidden_size": st.lists(st.integers(1, 999), min_size=1, max_size=3, unique=True),
    "net.bias": st.just([False, True]),
    "loss.ngram_orders": st.lists(
        st.lists(st.integers(1, 6), min_size=1, max_size=2, unique=True),
        min_size=1, max_size=3, unique_by=tuple,
    ),
    "seed": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3, unique=True),
}  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.sets(st.sampled_from(sorted(VARIED))).flatmap(
        lambda some: st.fixed_dictionaries({name: VARIED[name] for name in sorted(some)})
    )
)
def test_every_network_has_a_file_name_of_its_own(vary):
    base = {name: value for name, value in TINY.items() if name not in vary}
    grid = entries({"base": base, "vary": vary})
    n_networks = 1
    for values in vary.values():
        n_networks *= len(values)
    names = names_of(grid)
    assert len(names) == len(set(names)) == n_networks
    assert len({entry.spec for entry in grid}) == n_networks
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", name)
        assert len(name) < 200


def test_the_name_of_an_hmm_file_becomes_a_plain_file_name(tmp_path):
    own = {"initial": [1, 0], "transition": [[0.9, 0.1], [0.2, 0.8]], "emission": [[1, 0], [0, 1]]}
    (tmp_path / ".my, [model] 2.json").write_text(json.dumps(own))
    (entry,) = entries({"base": {"profile": "smoke", "hmm": ".my, [model] 2.json"}}, tmp_path)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*-seed0", entry.name)
