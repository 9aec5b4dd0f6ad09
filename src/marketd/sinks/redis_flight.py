"""One transaction: up to 500 trades and the record of them, all of it or nothing."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marketd.model.events import Trade
from marketd.model.marks import Series
from marketd.net.redis_wire import RedisWire, Word, pack
from marketd.sinks.redis_entry import Entries
from marketd.sinks.redis_held import RECORD, Progress, decode_progress, encode_progress, field_of

CHUNK = 500  # trades in one transaction
MULTI, EXEC = pack("MULTI"), pack("EXEC")


@dataclass
class Flight:
    """A transaction on its way."""

    source: list[Trade]  # its trades stand in front there until they are known to be in the streams
    trades: Sequence[Trade]
    writer: str
    number: int
    progress: dict[Series, Progress]  # what the record says afterwards, of the series in it
    commands: bytes
    sent_s: float = 0.0
    answers: asyncio.Future[list[Any]] | None = None

    def send(self, wire: RedisWire, now_s: float) -> None:
        self.answers, self.sent_s = wire.send(self.commands, len(self.trades) + 4), now_s

    def record_without(
        self, before: Sequence[bytes | None], failed: Collection[int], symbols: Collection[str]
    ) -> dict[Series, Progress | None]:
        """What the record should say of these symbols, since some of their trades were not written; `before` is what it said."""
        found: dict[Series, Progress | None] = {}
        for series, value in zip(self.progress, before, strict=True):
            if series[1] in symbols:
                known = decode_progress(value)
                for index, trade in enumerate(self.trades):
                    if (trade.venue, trade.symbol) == series and index not in failed:
                        known = (known or Progress()).with_trade(trade)._replace(writer=self.writer, number=self.number)
                found[series] = known
        return found

    def others(self, before: Sequence[bytes | None], written: Collection[Series]) -> dict[Series, str]:
        """Who else wrote series that we had `written`."""
        mine, found = f'"{self.writer}"'.encode(), {}
        for series, value in zip(self.progress, before, strict=True):
            if value is None or mine in value or series not in written:
                continue
            if (known := decode_progress(value)) is not None and known.writer != self.writer:
                found[series] = known.writer
        return found


def packed(
    entries: Entries, source: list[Trade], start: int, writer: str, number: int, known: Callable[[Series], Progress]
) -> Flight:
    """The transaction for the trades from `start` on."""
    trades = source[start : start + CHUNK]
    newest: dict[Series, Trade] = {}
    progress: dict[Series, Progress] = {}
    for trade in trades:
        series = (trade.venue, trade.symbol)
        if trade.repaired:
            progress[series] = (progress.get(series) or known(series)).with_trade(trade)
        else:  # they come in order
            newest[series] = trade
    for series, trade in newest.items():
        progress[series] = (progress.get(series) or known(series)).with_trade(trade)
    for series, after in progress.items():
        progress[series] = after._replace(writer=writer, number=number)
    fields = [field_of(series) for series in progress]
    values = [word for field, one in zip(fields, progress.values(), strict=True) for word in (field, encode_progress(one))]
    commands = (MULTI, pack("HMGET", RECORD, *fields), entries.pack(trades), pack("HSET", RECORD, *values), EXEC)
    return Flight(source, trades, writer, number, progress, b"".join(commands))


def corrections(record: Mapping[Series, Progress | None]) -> list[tuple[Word, ...]]:
    """The commands that make the record say this."""
    return [
        ("HDEL", RECORD, field_of(series)) if known is None else ("HSET", RECORD, field_of(series), encode_progress(known))
        for series, known in record.items()
    ]


def written_anew(record: Mapping[Series, Progress], writer: str) -> list[tuple[Word, ...]]:
    """The commands that write all of the record, but nothing over what others have written."""
    return [
        ("HSET" if known.writer == writer else "HSETNX", RECORD, field_of(series), encode_progress(known))
        for series, known in record.items()
    ]
