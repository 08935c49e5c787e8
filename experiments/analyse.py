"""`hmmrnn analyse` in a checkout: python -m experiments.analyse --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("analyse", sys.argv[1:])
