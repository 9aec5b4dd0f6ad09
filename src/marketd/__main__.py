"""`python -m marketd` is the program, and so is `marketd`."""

import sys

from marketd.loading import loading


def main() -> int:
    """Run the program."""
    with loading():
        from marketd.cli import main as program

    return program()


if __name__ == "__main__":
    sys.exit(main())
