"""`hmmrnn discover` in a checkout: python -m experiments.discover --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("discover", sys.argv[1:])
