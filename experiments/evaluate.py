"""`hmmrnn evaluate` in a checkout: python -m experiments.evaluate --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("evaluate", sys.argv[1:])
