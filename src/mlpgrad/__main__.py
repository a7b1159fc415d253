"""`python -m mlpgrad` is the command `mlpgrad`."""

import sys

from mlpgrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
