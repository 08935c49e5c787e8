"""Reports of a run or of a planted task: what its folder holds, as one file that opens offline."""

from hmmrnn.report.build import build_discovery_page, build_report
from hmmrnn.report.circuit_sentences import account
from hmmrnn.report.circuits import PATTERNS as CIRCUIT_FIGURES
from hmmrnn.report.claims import build_claims_page
from hmmrnn.report.discovery import PATTERNS as DISCOVERY_FIGURES
from hmmrnn.report.dynamics import FIGURES as DYNAMICS_FIGURES
from hmmrnn.report.dynamics import PAIR_FIGURES
from hmmrnn.report.summary import estimate, five_numbers, verdict
from hmmrnn.report.view import FILE as VIEW_FILE

__all__ = [
    "CIRCUIT_FIGURES",
    "DISCOVERY_FIGURES",
    "DYNAMICS_FIGURES",
    "PAIR_FIGURES",
    "VIEW_FILE",
    "account",
    "build_claims_page",
    "build_discovery_page",
    "build_report",
    "estimate",
    "five_numbers",
    "verdict",
]
