"""Trades into Redis Streams, `trades:<PAIR>`: each once and in order, whatever happens to the server meanwhile.

XADD is not idempotent, so a write is one transaction: all of it is there or nothing, and with it goes the record of what is there
(`redis_held.py`). After a connection that broke in the middle the record says which of the two it was.
"""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast
from uuid import uuid4

import structlog

from marketd.bus import Full
from marketd.clock import Clock
from marketd.errors import Declined, Disconnected
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.model.marks import Mark, Series
from marketd.net.redis import RedisConfig, RedisLink, asked
from marketd.net.redis_wire import RedisWire, ReplyError, pack, refusal
from marketd.sinks.redis_entry import FIELDS, Entries, stream_of
from marketd.sinks.redis_held import RECORD, Held, Progress, decode_progress, encode_progress, field_of, read_record

CHUNK = 500  # trades in one transaction
SLOW_S = 3.0  # without an answer the sink says that it waits
STUCK_S = 60.0  # without an answer the connection is given up
ASK_S = 10.0  # for questions: a large stream takes a while to read
LATELY_NS = 300_000_000_000  # so long another writer is said to be there, and what was lost
PAGE = 1000  # entries of a stream read in one go
log = structlog.get_logger("redis")


@dataclass
class Flight:
    """A transaction that was sent and not answered yet."""

    trades: Sequence[Trade]
    number: int
    progress: dict[Series, Progress]  # what the record says afterwards, of the series in it
    commands: bytes
    sent_s: float = 0.0
    answers: asyncio.Future[list[Any]] | None = None


class RedisStreams:
    """The sink. One connection writes; the next transaction is packed while the server works on the last."""

    name = "redis"
    full = Full.SPILL
    gather_s = 0.001
    types: frozenset[type[Event]] | None = frozenset({Trade})

    def __init__(self, config: RedisConfig, link: RedisLink, clock: Clock, metrics: Metrics | None = None) -> None:
        self.capacity = config.capacity
        self.writer = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._others: dict[str, tuple[str, int]] = {}  # streams that another writer was seen in: who, and when (ns)
        self._lost: tuple[str, int] | None = None  # what the server no longer had, in words, and when that was seen (ns)
        self._link, self._clock, self._metrics = link, clock, metrics
        self._entries = Entries(config.stream_maxlen)
        self._held = Held()
        self._progress: dict[Series, Progress] = {}  # with all that was packed
        self._acknowledged: dict[Series, Progress] = {}  # of this run's transactions, by the last of each series
        self._stored: dict[Series, Progress] = {}  # the record as it should be
        self._is_torn = False  # somebody put something else in its place: entries are there that it does not know of
        self._wire: RedisWire | None = None
        self._server = b""  # the run of the server that it was opened to
        self._checked: set[str] = set()  # streams that are streams, or nothing yet
        self._number = 0
        self._offered: Sequence[Event] = ()
        self._fresh: list[Trade] = []  # of it, what is to be written
        self._written = 0  # of those
        self._flight: Flight | None = None
        self._next: Flight | None = None  # packed, not sent

    async def __aenter__(self) -> Self:
        await self._connect(is_first=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._wire is not None:
            await self._wire.close("closed")

    def progress(self) -> Mapping[Series, Mark]:
        return {series: held.mark for series, held in self._held.at_open.items() if held.trade_id is not None}

    @property
    def symbols(self) -> list[str]:
        """Whose streams there are, as far as is known."""
        return sorted({symbol for _, symbol in (*self._held.at_open, *self._progress)})

    @property
    def others(self) -> dict[str, str]:
        """Streams that another writer was seen in of late, and who."""
        since = self._clock.now_ns() - LATELY_NS
        return {stream: writer for stream, (writer, seen) in self._others.items() if seen > since}

    @property
    def lost(self) -> str | None:
        """What the server no longer had of late, in words."""
        return self._lost[0] if self._lost is not None and self._lost[1] > self._clock.now_ns() - LATELY_NS else None

    async def write(self, batch: Sequence[Event]) -> None:
        """Returns when all of it is in the streams. What is there already is left out, of a batch that is offered again too."""
        wire = await self._ready()
        if self._is_torn:
            await self._mend(wire)
        if batch != self._offered:
            if self._flight is not None:
                await self._land(wire, self._flight)
            trades = cast(Sequence[Trade], batch)
            if self._held.are_new(trades):
                self._fresh = list(trades)
            else:
                for symbol, since in self._held.unread(trades).items():
                    await self._read(wire, symbol, since)
                self._fresh = self._held.fresh(trades)
            self._written, self._next = 0, None
            self._offered = list(batch)
        await self._check(wire)
        while self._written < len(self._fresh):
            if self._flight is None:
                flight = self._next or self._packed(self._written)
                self._next = None
                self._send(wire, flight)
            assert self._flight is not None
            upto = self._written + len(self._flight.trades)
            if self._next is None and upto < len(self._fresh):
                self._next = self._packed(upto)
            await self._land(wire, self._flight)
        self._offered = ()

    # One transaction.

    def _packed(self, start: int) -> Flight:
        trades = self._fresh[start : start + CHUNK]
        self._number += 1
        newest: dict[Series, Trade] = {}
        progress: dict[Series, Progress] = {}
        for trade in trades:
            series = (trade.venue, trade.symbol)
            if trade.repaired:
                progress[series] = self._known(series, progress).with_trade(trade)
            else:  # they come in order
                newest[series] = trade
        for series, trade in newest.items():
            progress[series] = self._known(series, progress).with_trade(trade)
        for series, known in progress.items():
            progress[series] = known._replace(writer=self.writer, number=self._number)
        self._progress |= progress
        fields = [field_of(series) for series in progress]
        values = [word for series, known in progress.items() for word in (field_of(series), encode_progress(known))]
        entries = self._entries.pack(trades)
        commands = b"".join((pack("MULTI"), pack("HMGET", RECORD, *fields), entries, pack("HSET", RECORD, *values), pack("EXEC")))
        return Flight(trades, self._number, progress, commands)

    def _known(self, series: Series, progress: Mapping[Series, Progress]) -> Progress:
        return progress.get(series) or self._progress.get(series) or Progress()

    def _send(self, wire: RedisWire, flight: Flight) -> None:
        flight.sent_s = self._clock.monotonic()
        flight.answers = wire.send(flight.commands, len(flight.trades) + 4)
        self._flight = flight

    async def _land(self, wire: RedisWire, flight: Flight) -> None:
        """Wait for its answers. A server that is slow is waited for: sent once more it would be there twice."""
        assert flight.answers is not None
        try:
            async with asyncio.timeout(SLOW_S):
                answers = await asyncio.shield(flight.answers)
        except TimeoutError:
            waited_s = self._clock.monotonic() - flight.sent_s
            if waited_s > STUCK_S:
                wire.abort(f"no answer within {STUCK_S:g} s")
            raise Declined(f"redis: {self._link.state.url}: no answer yet; it is waited for, nothing is sent twice") from None
        except Disconnected as error:
            raise self._link.lost(str(error)) from error
        refused = answers[-1]
        if isinstance(refused, ReplyError):  # EXEC says that something was wrong, the command itself what it was
            first = next((answer for answer in answers if isinstance(answer, ReplyError)), refused)
            self._flight, self._next = None, None
            raise Declined(f"redis: {self._link.state.url}: {refusal(first)}; trades wait, nothing is lost")
        before, *entries, stored = refused
        self._is_torn = isinstance(before, ReplyError) or isinstance(stored, ReplyError)
        if self._is_torn:  # the transaction's other commands were executed all the same
            known = map(self._stored.get, flight.progress)
            before = [None if one is None else encode_progress(one) for one in known]
        else:
            self._notice_others(flight, before)
        gone = [] if self._is_torn else self._gone(flight, before)
        failed = [index for index, answer in enumerate(entries) if isinstance(answer, ReplyError)]
        self._landed(flight)
        if gone:
            await self._look_for_more(wire, gone)
        if failed:
            await self._put_right(wire, flight, before, entries, failed)
        if self._is_torn:
            await self._mend(wire)

    def _landed(self, flight: Flight) -> None:
        self._acknowledged |= flight.progress
        self._stored |= flight.progress
        self._written += len(flight.trades)
        self._flight = None

    def _gone(self, flight: Flight, before: Sequence[bytes | None]) -> list[Series]:
        """What was acknowledged and is in the record no more: somebody deleted it."""
        pairs = zip(flight.progress, before, strict=True)
        return [series for series, value in pairs if value is None and series in self._acknowledged]

    async def _look_for_more(self, wire: RedisWire, gone: Sequence[Series]) -> None:
        """All that is gone is said at once; what was written since is not."""
        (answer,) = await asked(self._link, wire, ("HGETALL", RECORD), within_s=ASK_S)
        record = read_record(answer) if isinstance(answer, list) else self._stored
        self._say_lost(record, gone)

    async def _mend(self, wire: RedisWire) -> None:
        """Write the whole record anew, as soon as its key is free; before that nothing else is written."""
        commands = [
            ("HSET" if known.writer == self.writer else "HSETNX", RECORD, field_of(series), encode_progress(known))
            for series, known in self._stored.items()
        ]
        for answer in await asked(self._link, wire, *commands, within_s=ASK_S):
            if isinstance(answer, ReplyError):
                wrong = f"holds something else, expected a hash; rename or delete it ({answer})"
                raise Declined(f"redis: {RECORD}: {wrong}; trades wait, nothing is lost")
        self._is_torn = False
        log.info("redis.record_mended", series=len(commands))

    async def _put_right(
        self, wire: RedisWire, flight: Flight, before: Sequence[bytes | None], entries: Sequence[Any], failed: Sequence[int]
    ) -> None:
        """Somebody put something else in a stream's place just now: its trades are still to be written, as the record says."""
        symbols = {flight.trades[index].symbol for index in failed}
        commands: list[tuple[str | bytes, ...]] = []
        for series, value in zip(flight.progress, before, strict=True):
            if series[1] in symbols:
                commands.append(("HSET", RECORD, field_of(series), value) if value else ("HDEL", RECORD, field_of(series)))
                known = decode_progress(value)
                for record in (self._progress, self._acknowledged, self._stored):
                    record.pop(series, None)
                if known is not None:
                    self._progress[series] = self._stored[series] = known
        self._fresh[: self._written] = [flight.trades[index] for index in failed]
        self._written, self._next = 0, None
        self._checked -= symbols
        await asked(self._link, wire, *commands, within_s=ASK_S)
        raise Declined(f"redis: {stream_of(min(symbols))}: {refusal(entries[failed[0]])}; trades wait, nothing is lost")

    def _notice_others(self, flight: Flight, before: Sequence[bytes | None]) -> None:
        """Who writes the same series leaves a trace in the record. Entries may be there twice then, so it is said."""
        for series, value in zip(flight.progress, before, strict=True):
            ours, found = self._acknowledged.get(series), decode_progress(value)
            if ours is None or found is None or found.writer == self.writer:
                continue
            stream = stream_of(series[1])
            self._others[stream] = (found.writer, self._clock.now_ns())
            log.warning("redis.two_writers", symbol=series[1], venue=series[0], stream=stream, other=found.writer, us=self.writer)

    # The connection.

    async def _ready(self) -> RedisWire:
        """A connection, and certainty about what was sent over the last one."""
        if self._wire is None or not self._wire.is_open:
            await self._connect()
        assert self._wire is not None
        return self._wire

    async def _connect(self, is_first: bool = False) -> None:
        old, self._wire = self._wire, None
        wire = await self._link.open("write")
        self._wire = wire
        try:
            (info,) = await asked(self._link, wire, ("INFO", "server"), within_s=ASK_S)
            run = _run_of(info) if isinstance(info, bytes) else b""
            if old is not None and old.client_id is not None and run == self._server:
                # What it still holds of us unread, a server that was frozen would execute later. Another run of it has
                # nothing of us, and that number may be another client's there.
                await asked(self._link, wire, ("CLIENT", "KILL", "ID", old.client_id), within_s=ASK_S)
            (answer,) = await asked(self._link, wire, ("HGETALL", RECORD), within_s=ASK_S)
            if isinstance(answer, ReplyError):
                raise Declined(f"redis: {RECORD}: {refusal(answer)}; trades wait, nothing is lost")
            if not isinstance(answer, list):
                raise self._link.lost("no Redis server answers there: HGETALL gave no list")
        except BaseException:
            await wire.close("of no use")
            self._wire = old
            raise
        self._server = run
        record = read_record(answer)
        self._checked.clear()
        if is_first:
            self._held.opened(record, self._clock.now_ns())
            self._progress, self._stored = dict(record), dict(record)
            self._acknowledged.clear()
            self._offered, self._flight, self._next, self._is_torn = (), None, None, False
            return
        flight, self._flight = self._flight, None
        if flight is not None:
            is_there = any(record.get(series) == expected for series, expected in flight.progress.items())
            if is_there:
                self._landed(flight)
            self._next = None
            log.info("redis.read_back", trades=len(flight.trades), is_there=is_there)
        self._say_lost(record)
        self._progress |= record
        self._stored |= record

    def _say_lost(self, record: Mapping[Series, Progress], gone: Sequence[Series] = ()) -> None:
        """Whether the server still has what it had acknowledged; `gone` are series of which that is known, and written since."""
        lost = [
            series
            for series, ours in self._acknowledged.items()
            if (found := record.get(series)) is None or (found.writer == self.writer and found.number < ours.number)
        ]
        for series in lost:
            del self._acknowledged[series]
            self._progress.pop(series, None)
            self._stored.pop(series, None)
        if lost or gone:
            names = sorted({stream_of(symbol) for _, symbol in (*lost, *gone)})
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            what = f"{self._link.state.url} no longer has what it had acknowledged, in {shown}"
            self._lost = (what, self._clock.now_ns())
            log.error("redis.lost", streams=shown, text=f"redis: {what}")

    # The streams.

    async def _check(self, wire: RedisWire) -> None:
        """Before the first entry: what stands under the key must be a stream, or nothing."""
        symbols = sorted({trade.symbol for trade in self._fresh} - self._checked)
        if not symbols or self._flight is not None:
            return
        answers = await asked(self._link, wire, *(("TYPE", stream_of(symbol)) for symbol in symbols), within_s=ASK_S)
        for symbol, answer in zip(symbols, answers, strict=True):
            if isinstance(answer, ReplyError):
                raise Declined(f"redis: {stream_of(symbol)}: {refusal(answer)}; trades wait, nothing is lost")
            if answer not in (b"none", b"stream"):
                kind = cast(bytes, answer).decode()
                wrong = f"holds a {kind}, expected a stream; rename or delete it"
                raise Declined(f"redis: {stream_of(symbol)} {wrong} (trades wait, nothing is lost)")
            self._checked.add(symbol)

    async def _read(self, wire: RedisWire, symbol: str, since: int) -> None:
        """Look back into a stream until `since` (ns), newest first."""
        end = "+"
        while True:
            (answer,) = await asked(self._link, wire, ("XREVRANGE", stream_of(symbol), end, "-", "COUNT", PAGE), within_s=ASK_S)
            if isinstance(answer, ReplyError):
                raise Declined(f"redis: {stream_of(symbol)}: {refusal(answer)}; trades wait, nothing is lost")
            entries = cast(list[tuple[bytes, list[bytes]]], answer)
            self._held.read(symbol, since, map(_identity, entries))
            if len(entries) < PAGE:
                return
            ms, _, seq = entries[-1][0].partition(b"-")
            if int(ms) * 1_000_000 < since:
                return
            end = f"{int(ms)}-{int(seq) - 1}" if int(seq) else f"{int(ms) - 1}-{2**64 - 1}"


def _run_of(info: bytes) -> bytes:
    return next((line.partition(b":")[2].strip() for line in info.splitlines() if line.startswith(b"run_id:")), b"")


def _identity(entry: tuple[bytes, Sequence[bytes]]) -> tuple[str, str]:
    """Venue and trade id. Entries of another program may have other fields, or these in another order."""
    words = entry[1]
    fields = dict(zip(words[::2], words[1::2], strict=False))
    return fields.get(FIELDS[0].encode(), b"").decode("utf-8", "replace"), fields.get(b"trade_id", b"").decode("utf-8", "replace")
