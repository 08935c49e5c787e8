"""The command line that judges claims: what it writes, what it misses, what it refuses."""

import json

import pytest
from claims.synthetic import network

from hmmrnn.claims.judging import CLAIMS
from hmmrnn.storage import read_json, write_json
from hmmrnn.training import RunSpec
from hmmrnn.training.run_folder import open_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Ten networks whose measures are made up, one of which was never looked at."""
    folder = tmp_path_factory.mktemp("runs")
    for loss in ("reference", "ngram"):
        for seed in range(5):
            one = network(seed=seed, loss=loss)
            open_run(
                folder / one.name, RunSpec(one.config, 1.0, seed), resume=False, overwrite=False
            )
            for measure in ("fidelity", "dynamics", "circuits"):
                if (loss, seed, measure) != ("ngram", 4, "circuits"):
                    write_json(folder / one.name / f"{measure}.json", getattr(one, measure))
    return folder


@pytest.fixture(scope="module")
def judged(door, runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims") / "out"
    return door("claims", f"--runs={runs}/*", f"--outdir={folder}"), folder


def test_every_claim_is_judged_and_written(judged):
    done, folder = judged
    assert done.returncode == 0, done.stderr
    found = read_json(folder / "claims.json")
    verdicts = {(r["claim"], r["loss"]): r for r in found["rows"] if r["preset"] == "linear2"}
    assert verdicts["C1", "reference"]["verdict"] == "supported"
    assert verdicts["C8b", "ngram"]["verdict"] == "true by construction"
    assert verdicts["C9", "ngram"]["n_judged"] == 4
    assert verdicts["Hb", "all"]["verdict"] == "not supported"  # here both losses orbit
    assert len(found["networks"]) == 10
    assert {row["claim"] for row in found["rows"]} >= {claim.name for claim in CLAIMS}
    assert "C3    reference    supported" in done.stdout


def test_what_was_not_measured_is_named_with_its_command(judged):
    done, _ = judged
    assert "1 of 10 networks have no circuits.json" in done.stdout
    assert "hmmrnn circuits --runs=" in done.stdout
    assert "dynamics.json" not in done.stdout


def test_the_pages_hold_every_rule_and_the_commands(judged):
    _, folder = judged
    page, prose = ((folder / name).read_text() for name in ("report.html", "claims.md"))
    for claim in CLAIMS:
        assert claim.statement in prose
        assert claim.rule_text in prose
        assert f'id="{claim.name}"' in page
    assert "hmmrnn claims" in page
    assert page.count("<svg") == 3
    rows = [line for line in prose.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in rows)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--runs={runs}/nothing*", "--outdir={out}"), "matches no run folder"),
        (("--runs={runs}/*", "--outdir={runs}/linear2-ngram-seed0"), "holds a run of a network"),
        (("--runs={broken}/*", "--outdir={out}"), "not an object with named fields"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(door, runs, tmp_path, flags, problem):
    broken = tmp_path / "broken" / "one"
    one = network()
    open_run(broken, RunSpec(one.config, 1.0, 0), resume=False, overwrite=False)
    (broken / "fidelity.json").write_text(json.dumps([1, 2]))
    places = {"runs": runs, "out": tmp_path / "out", "broken": tmp_path / "broken"}
    done = door("claims", *(flag.format(**places) for flag in flags))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert problem in line
