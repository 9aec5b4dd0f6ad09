"""Loading code takes a moment in which Ctrl-C has to end the program: quietly, as nothing has begun."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

STOPPED = 1


@contextmanager
def loading() -> Iterator[None]:
    """Ctrl-C within it ends the process without a word; a shell's background job, which ignores it, goes on ignoring it."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: object) -> NoReturn:
    os._exit(STOPPED)
