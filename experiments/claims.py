"""`hmmrnn claims` in a checkout: python -m experiments.claims --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("claims", sys.argv[1:])
