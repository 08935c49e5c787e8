"""`hmmrnn circuits` in a checkout: python -m experiments.circuits --help"""

import sys

from hmmrnn.cli.console import open_door

if __name__ == "__main__":
    open_door("circuits", sys.argv[1:])
