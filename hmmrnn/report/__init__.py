"""Reports of a run or of a planted task: what its folder holds, as one file that opens offline."""

from hmmrnn.report.build import build_discovery_page, build_report
from hmmrnn.report.circuit_sentences import account
from hmmrnn.report.claims import build_claims_page
from hmmrnn.report.dynamics_sentences import (
    fixed_point_summary,
    regime_sentence,
    with_sentences,
)
from hmmrnn.report.summary import estimate, five_numbers, verdict
from hmmrnn.report.view import FILE as VIEW_FILE

__all__ = [
    "VIEW_FILE",
    "account",
    "build_claims_page",
    "build_discovery_page",
    "build_report",
    "estimate",
    "five_numbers",
    "fixed_point_summary",
    "regime_sentence",
    "verdict",
    "with_sentences",
]
