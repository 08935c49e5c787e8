"""`hmmrnn train` in a checkout: python -m experiments.train --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("train", sys.argv[1:])
