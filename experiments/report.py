"""`hmmrnn report` in a checkout: python -m experiments.report --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("report", sys.argv[1:])
