"""The end of an event file, and what is added to it."""

import os
import sys
from collections import deque
from pathlib import Path
from threading import Event
from typing import BinaryIO

import msgspec

from marketd.cli.stopping import until_told
from marketd.errors import ConfigError, StartError

EVERY_S = 0.2
BLOCK = 65_536
_decoder = msgspec.json.Decoder()


def tail_file(source: str, count: int) -> None:
    """The last whole lines of a .jsonl file; with count 0 what is added, until a signal. Raises ConfigError, StartError."""
    path = Path(source)
    if path.suffix != ".jsonl":
        raise ConfigError(f"tail {source}: expected redis:KEY, redis:list, nats:SUBJECT, nats:list or a .jsonl file")
    if not path.exists():
        near = [one for one in (Path(path.name), Path("marketd-data", path.name)) if one.exists()]
        found = f"; there is one at {near[0]}" if near else "; a daemon writes events.jsonl in its data directory"
        raise StartError(f"{path}: there is no such file{found}")
    out = Whole(path, sys.stdout.buffer)
    if count:
        lines = last_lines(path, count)
        out.skip_to(path.stat().st_size - sum(len(line) + 1 for line in lines) - _torn_bytes(path))
        for line in lines:
            out.write(line + b"\n")
        sys.stdout.buffer.flush()
    else:
        follow(path, until_told(), out)
    if out.damaged:
        sys.stderr.write(f"{path}: {out.damaged} damaged {'line' if out.damaged == 1 else 'lines'} skipped\n")


class Whole:
    """Passes on whole lines of a file that are JSON; of the others it says file, line and what is wrong with them."""

    def __init__(self, path: Path, out: BinaryIO) -> None:
        self._path, self._out = path, out
        self._at = 0  # of the file: all before was passed over or seen
        self.damaged = 0

    def skip_to(self, at: int) -> None:
        """The lines from here on come next."""
        self._at = at

    def write(self, lines: bytes) -> None:
        """Whole lines, each with its end."""
        try:
            _decoder.decode_lines(lines)
        except (msgspec.DecodeError, UnicodeDecodeError):
            for line in lines.splitlines(keepends=True):
                self._one(line)
        else:
            self._out.write(lines)
            self._at += len(lines)

    def _one(self, line: bytes) -> None:
        at, self._at = self._at, self._at + len(line)
        try:
            if line.strip():
                _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.damaged += 1
            self._out.flush()
            sys.stderr.write(f"{self._path}:{self._number(at)}: damaged, skipped: {error}\n")
        else:
            self._out.write(line)

    def _number(self, at: int) -> int:
        """Of the line that begins there."""
        with self._path.open("rb") as file:
            count = 1
            while at > 0 and (block := file.read(min(BLOCK, at))):
                at -= len(block)
                count += block.count(b"\n")
        return count


def _torn_bytes(path: Path) -> int:
    """Half a line at the end, which is not shown."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        torn = 0
        while at:
            size = min(BLOCK, at)
            at = file.seek(at - size)
            block = file.read(size)
            end = block.rfind(b"\n") + 1
            torn += len(block) - end
            if end:
                break
        return torn


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


def follow(path: Path, stop: Event, out: Whole) -> None:
    """Write lines as they are added. A file that was rotated away is read to its end before the new one is begun."""
    file: BinaryIO = path.open("rb")
    out.skip_to(file.seek(0, os.SEEK_END))
    try:
        while not stop.is_set():
            if copy_lines(file, out):
                continue
            sys.stdout.buffer.flush()
            fresh = _replaced(path, file)
            if fresh is not None:
                copy_lines(file, out)
                file.close()
                file = fresh
                out.skip_to(0)
                continue
            stop.wait(EVERY_S)
    finally:
        file.close()


def copy_lines(file: BinaryIO, out: Whole) -> bool:
    """Copy the whole lines that are there; half a line waits for its end."""
    at = file.tell()
    if os.fstat(file.fileno()).st_size < at:  # cut short: begin again
        at = file.seek(0)
        out.skip_to(0)
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
