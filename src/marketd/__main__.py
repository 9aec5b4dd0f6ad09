"""`python -m marketd` is the program, and so is `marketd`."""

import os
import signal
import sys
from typing import NoReturn

STOPPED = 1


def main() -> int:
    """Run the program. Ctrl-C while it is still being loaded ends it without a word, as nothing has begun."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background job ignores it, and stays so
        signal.signal(signal.SIGINT, _end)
    from marketd.cli import main as program

    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return program()


def _end(*_: object) -> NoReturn:
    os._exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main())
