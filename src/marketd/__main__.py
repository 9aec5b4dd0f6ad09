"""`python -m marketd` is the program."""

import sys

from marketd.cli import main

if __name__ == "__main__":
    sys.exit(main())
