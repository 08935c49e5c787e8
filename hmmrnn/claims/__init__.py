"""Claims about how these networks work, judged over many networks by rules fixed beforehand."""

from hmmrnn.claims.evidence import Evidence, read_evidence
from hmmrnn.claims.judging import Ledger, ledger

__all__ = [
    "Evidence",
    "Ledger",
    "ledger",
    "read_evidence",
]
