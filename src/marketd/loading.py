"""Loading code takes a moment in which Ctrl-C and SIGTERM have to end the program: quietly, as nothing has begun."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

STOPPED = 1
FIRST = 1  # process of a container: the system lets no signal end it that it does not handle


@contextmanager
def loading() -> Iterator[None]:
    """Ctrl-C within it ends the process without a word; a shell's background job, which ignores it, goes on ignoring it."""
    if os.getpid() == FIRST and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end_as_killed)  # until the command has a handler of its own
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


def _end_as_killed(number: int, _: object) -> NoReturn:
    os._exit(128 + number)
