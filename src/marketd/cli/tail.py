"""`marketd tail`: the end of an event file, and what is added to it."""

import os
import signal
import sys
from collections import deque
from pathlib import Path
from threading import Event
from typing import Annotated, BinaryIO

import typer

from marketd.errors import ConfigError, StartError

EVERY_S = 0.2
BLOCK = 65_536
LATER = ("redis:", "nats:")


def tail(
    source: Annotated[str, typer.Argument(help="An event file, as events.jsonl.")],
    count: Annotated[int, typer.Option(min=0, help="The last so many lines; 0 follows what is added.")] = 10,
) -> None:
    """The last lines of an event file; --count 0 follows it, also when it is rotated, until Ctrl-C.

    Examples:

    - `marketd tail marketd-data/events.jsonl`

    - `marketd tail events.jsonl --count 0`
    """
    if source.startswith(LATER):
        raise ConfigError(f"tail {source}: {source.partition(':')[0]} is not in this version; allowed: a .jsonl file")
    path = Path(source)
    if path.suffix != ".jsonl":
        raise ConfigError(f"tail {source}: found {path.suffix or 'no ending'}, expected a .jsonl file")
    if not path.exists():
        raise StartError(f"{path}: there is no such file")
    if count:
        for line in last_lines(path, count):
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    else:
        follow(path, until_told())


def last_lines(path: Path, count: int) -> list[bytes]:
    """The last whole lines, oldest first, read from the end."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        blocks: deque[bytes] = deque()
        newlines = 0
        while at and newlines <= count:
            size = min(BLOCK, at)
            at = file.seek(at - size)
            blocks.appendleft(file.read(size))
            newlines += blocks[0].count(b"\n")
    whole = b"".join(blocks)
    lines = whole[: whole.rfind(b"\n") + 1].splitlines()
    return lines[-count:]


def until_told() -> Event:
    """Set by Ctrl-C or SIGTERM: that is how following ends."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def follow(path: Path, stop: Event) -> None:
    """Write lines as they are added. A file that was rotated away is read to its end before the new one is begun."""
    file: BinaryIO = path.open("rb")
    file.seek(0, os.SEEK_END)
    try:
        while not stop.is_set():
            if copy_lines(file, sys.stdout.buffer):
                continue
            sys.stdout.buffer.flush()
            fresh = _replaced(path, file)
            if fresh is not None:
                copy_lines(file, sys.stdout.buffer)
                file.close()
                file = fresh
                continue
            stop.wait(EVERY_S)
    finally:
        file.close()


def copy_lines(file: BinaryIO, out: BinaryIO) -> bool:
    """Copy the whole lines that are there; half a line waits for its end."""
    at = file.tell()
    if os.fstat(file.fileno()).st_size < at:  # cut short: begin again
        at = file.seek(0)
    block = file.read(BLOCK)
    end = block.rfind(b"\n") + 1
    while not end and len(block) % BLOCK == 0 and (more := file.read(BLOCK)):
        block += more
        end = block.rfind(b"\n") + 1
    out.write(block[:end])
    file.seek(at + end)
    return end > 0


def _replaced(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The file that now bears the name, if it is another one."""
    try:
        now, held = path.stat(), os.fstat(file.fileno())
        if (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino):
            return None
        return path.open("rb")
    except FileNotFoundError:
        return None  # between two files
