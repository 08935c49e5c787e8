"""The claims in the documentation are what the program wrote, by the rules as they are."""

import shutil
from pathlib import Path

from hmmrnn.claims.judging import CLAIMS, Ledger
from hmmrnn.report import build_claims_page
from hmmrnn.storage import read_json

DOCS = Path(__file__).parents[2] / "docs"


def test_rules_are_those_by_which_the_published_claims_were_judged():
    stated = Ledger([], []).numbers()["claims"]
    assert read_json(DOCS / "claims.json")["claims"] == stated


def test_the_published_page_is_that_of_the_published_numbers(tmp_path):
    shutil.copyfile(DOCS / "claims.json", tmp_path / "claims.json")
    _, page = build_claims_page(tmp_path)
    assert page.read_text() == (DOCS / "claims_ledger.md").read_text()


def test_every_claim_is_judged_for_both_losses():
    rows = read_json(DOCS / "claims.json")["rows"]
    for claim in CLAIMS:
        over_all = {
            row["loss"] for row in rows if (row["claim"], row["preset"]) == (claim.name, "all")
        }
        assert over_all >= {"ngram", "reference"}, claim.name
    assert {row["claim"] for row in rows} >= {"C14a", "C14b", "C14c", "Ha", "Hb"}
