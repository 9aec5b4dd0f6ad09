"""Pairs whose stream cannot be written: the trades of each wait on disk, for themselves, until its key is mended."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast
from urllib.parse import quote, unquote

import structlog

from marketd.errors import Declined
from marketd.metrics import Metrics
from marketd.model.events import Trade
from marketd.sinks.redis_entry import stream_of
from marketd.sinks.spill import FileSpill

SUFFIX = ".pair"  # of a directory; no symbol makes another name of it
CHUNK = 2000  # trades written in one go, between which the other pairs have their turn
log = structlog.get_logger("redis")


class Room:
    """One pair's trades, in order."""

    def __init__(self, symbol: str, directory: Path, limit_bytes: int) -> None:
        """Raises OSError where the directory cannot be used."""
        self.symbol = symbol
        self.reason = ""  # why they wait; nothing is known yet of what an earlier run left
        self.hand: list[Trade] | None = None  # of the chunk being written, what is not in the stream yet
        self._taken: Sequence[Trade] = ()
        self._spill = FileSpill(directory, f"redis {symbol}", limit_bytes=limit_bytes)
        self._directory = directory

    def __len__(self) -> int:
        return len(self._spill)

    @property
    def size_bytes(self) -> int:
        return self._spill.size_bytes

    def add(self, trades: Sequence[Trade]) -> int:
        """How many found no room."""
        lost = self._spill.append(trades)
        self._spill.close()  # as many files as pairs would be open
        return lost

    def chunk(self) -> Sequence[Trade]:
        """What comes next, the same until `commit`; empty when nothing waits. Raises Declined where the disk does not give it."""
        try:
            self._taken = self._taken or cast(list[Trade], self._spill.read(CHUNK))
        except OSError as error:
            self.reason = f"can be written, but {self._directory} cannot be read: {error.strerror or error}"
            raise Declined(f"redis: {stream_of(self.symbol)} {self.reason}") from None
        return self._taken

    def commit(self) -> None:
        """The chunk is in the stream."""
        self._spill.commit()
        self._taken, self.hand = (), None

    def close(self, is_over: bool = False) -> None:
        if is_over:
            self._spill.commit()  # lines that nobody can read
        self._spill.close()
        if is_over:
            with suppress(OSError):
                self._directory.rmdir()


class WaitingRooms:
    """Every pair that waits."""

    def __init__(self, directory: Path, limit_bytes: int, metrics: Metrics | None) -> None:
        """`limit_bytes` on disk for all together, which one batch may exceed."""
        self._directory, self._limit_bytes, self._metrics = directory, limit_bytes, metrics
        self._rooms: dict[str, Room] = {}
        self._is_full = False  # said once

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._rooms

    def __iter__(self) -> Iterator[str]:
        return iter(self._rooms)

    def __len__(self) -> int:
        return len(self._rooms)

    def __getitem__(self, symbol: str) -> Room:
        return self._rooms[symbol]

    @property
    def reason(self) -> str | None:
        """Why some wait, in words."""
        stuck = [room for room in self._rooms.values() if room.reason]
        if not stuck:
            return None
        more = f"; and {len(stuck) - 1} more such streams" if len(stuck) > 1 else ""
        return f"{stream_of(stuck[0].symbol)} {stuck[0].reason}; {len(stuck[0]):,} trades of it wait{more}"

    def open(self) -> None:
        """Find what an earlier run left."""
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            symbol = unquote(path.name.removesuffix(SUFFIX))
            if symbol not in self._rooms:
                self._open(symbol)
        for room in self._rooms.values():
            room.hand = None  # to be asked about again

    def stuck(self, symbol: str, reason: str) -> None:
        """Its stream cannot be written: said once, until it is over. Raises Declined where nothing can wait."""
        room = self._rooms.get(symbol) or self._open(symbol)
        if not room.reason:
            stream = stream_of(symbol)
            text = f"redis: {stream} {reason}; its trades wait on disk, all other pairs go on"
            log.warning("redis.held", symbol=symbol, stream=stream, reason=reason, text=text)
        room.reason = reason

    def hold(self, trades: Sequence[Trade]) -> None:
        """Each behind what waits of its pair already. What the disk does not take is counted as dropped and said."""
        by_symbol: dict[str, list[Trade]] = {}
        for trade in trades:
            by_symbol.setdefault(trade.symbol, []).append(trade)
        left_bytes = self._limit_bytes - sum(room.size_bytes for room in self._rooms.values()) if by_symbol else 0
        for symbol, its in by_symbol.items():
            room = self._rooms[symbol]
            before = room.size_bytes
            self._lost(room.add(its) if left_bytes > 0 else len(its))
            left_bytes -= room.size_bytes - before

    def over(self, symbol: str) -> None:
        """Nothing of it waits any more."""
        room = self._rooms.pop(symbol)
        room.close(is_over=True)
        self._is_full = False
        log.info("redis.released", symbol=symbol, stream=stream_of(symbol))

    def close(self) -> None:
        """What is on disk stays for the next start."""
        for room in self._rooms.values():
            room.close()
        self._rooms.clear()

    def _open(self, symbol: str) -> Room:
        try:
            room = Room(symbol, self._directory / f"{quote(symbol, safe='')}{SUFFIX}", self._limit_bytes)
        except OSError as error:
            where = f"cannot use {self._directory}: {error.strerror or error}"
            raise Declined(f"redis: {stream_of(symbol)} cannot be written and its trades cannot wait: {where}") from None
        self._rooms[symbol] = room
        return room

    def _lost(self, count: int) -> None:
        if count and self._metrics is not None:
            self._metrics.dropped.labels("redis", "spill_full", "trade").inc(count)
        if count and not self._is_full:
            self._is_full = True
            text = "redis: the disk has no room for trades whose stream cannot be written; dropped, see events_dropped_total"
            log.error("redis.held_full", trades=count, text=text)
