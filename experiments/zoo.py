"""`hmmrnn zoo` in a checkout: python -m experiments.zoo --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("zoo", sys.argv[1:])
