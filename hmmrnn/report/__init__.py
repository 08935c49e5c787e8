"""The report of a run: what its folder holds, as one HTML file that opens offline."""

from hmmrnn.report.build import build_report
from hmmrnn.report.summary import Number, five_numbers, verdict

__all__ = ["Number", "build_report", "five_numbers", "verdict"]
