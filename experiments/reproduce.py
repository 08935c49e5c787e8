"""`hmmrnn reproduce` in a checkout: python -m experiments.reproduce --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("reproduce", sys.argv[1:])
