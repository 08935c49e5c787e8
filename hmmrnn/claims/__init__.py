"""Claims about how these networks work, judged over many networks by rules fixed beforehand."""

from hmmrnn.claims.evidence import Evidence, read_evidence
from hmmrnn.claims.ledger import CLAIMS, Ledger, ledger, numbers
from hmmrnn.claims.rule import Claim, Finding, Row, judge

__all__ = [
    "CLAIMS",
    "Claim",
    "Evidence",
    "Finding",
    "Ledger",
    "Row",
    "judge",
    "ledger",
    "numbers",
    "read_evidence",
]
