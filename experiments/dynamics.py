"""`hmmrnn dynamics` in a checkout: python -m experiments.dynamics --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("dynamics", sys.argv[1:])
