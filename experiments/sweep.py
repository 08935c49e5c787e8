"""`hmmrnn sweep` in a checkout: python -m experiments.sweep --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("sweep", sys.argv[1:])
