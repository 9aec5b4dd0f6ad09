"""Trades into Redis Streams, `trades:<PAIR>`: each once and in order, whatever happens to the server meanwhile.

XADD is not idempotent, so a write is one transaction: all of it is there or nothing, and with it goes the record of what is there
(`redis_held.py`). After a connection that broke in the middle the record says which of the two it was.

A pair whose stream cannot be written waits for itself (`redis_waiting.py`).
"""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, cast
from uuid import uuid4

import structlog

from marketd.bus import Full
from marketd.clock import Clock
from marketd.errors import Declined, DeliveryError, Disconnected
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.model.marks import Mark, Series
from marketd.net.redis import RedisConfig, RedisLink, asked
from marketd.net.redis_wire import RedisWire, ReplyError, Word, refusal
from marketd.sinks.redis_entry import Entries
from marketd.sinks.redis_flight import Flight, corrections, packed, written_anew
from marketd.sinks.redis_held import RECORD, Held, Progress, encode_progress, read_record
from marketd.sinks.redis_look import look_back, missing, reason_of, run_of, wrong_streams
from marketd.sinks.redis_noticed import Noticed
from marketd.sinks.redis_waiting import WaitingRooms
from marketd.sinks.spill import GIB

WAITING_S = 1.0  # so often it is looked whether streams that could not be written can
SLOW_S = 3.0  # without an answer the sink says that it waits
STUCK_S = 60.0  # without an answer the connection is given up
ASK_S = 10.0  # for questions: a large stream takes a while to read
log = structlog.get_logger("redis")


class RedisStreams:
    """The sink. One connection writes; the next transaction is packed while the server works on the last."""

    name = "redis"
    full = Full.SPILL
    gather_s = 0.001
    types: frozenset[type[Event]] | None = frozenset({Trade})

    def __init__(
        self,
        config: RedisConfig,
        link: RedisLink,
        clock: Clock,
        directory: Path,
        metrics: Metrics | None = None,
        *,
        waiting_bytes: int = GIB,
    ) -> None:
        """`directory` and `waiting_bytes` are for trades of pairs whose stream cannot be written."""
        self.capacity = config.capacity
        self.writer = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self.noticed = Noticed(link.state.url, clock)
        self._link, self._clock = link, clock
        self._entries = Entries(config.stream_maxlen)
        self._held = Held()
        self.waiting = WaitingRooms(directory, waiting_bytes, metrics)
        self._turn = asyncio.Lock()  # to write
        self._progress: dict[Series, Progress] = {}  # with all that was packed
        self._acknowledged: dict[Series, Progress] = {}  # of this run's transactions, by the last of each series
        self._stored: dict[Series, Progress] = {}  # the record as it should be
        self._is_torn = False  # somebody put something else in its place: entries are there that it does not know of
        self._wire: RedisWire | None = None
        self._server = b""  # the run of the server that it was opened to
        self._checked: set[str] = set()  # streams that are streams, or nothing yet
        self._number = 0
        self._offered: Sequence[Event] = ()
        self._fresh: list[Trade] = []  # of it, what is still to be written
        self._flight: Flight | None = None
        self._next: Flight | None = None  # packed, not sent

    async def __aenter__(self) -> Self:
        await self._connect(is_first=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._wire is not None:
            self._wire.abort("closed")  # nobody need wait for its answers
        async with self._turn:
            self.waiting.close()
            if self._wire is not None:
                await self._wire.close("closed")

    def progress(self) -> Mapping[Series, Mark]:
        return {series: held.mark for series, held in self._held.at_open.items() if held.trade_id is not None}

    @property
    def symbols(self) -> list[str]:
        """Whose streams there are, as far as is known."""
        return sorted({symbol for _, symbol in (*self._held.at_open, *self._progress)})

    @property
    def takes_nothing(self) -> bool:
        """No stream could be written of late."""
        return bool(self.waiting) and not self._checked

    async def write(self, batch: Sequence[Event]) -> None:
        """Returns when all is in the streams, or on disk behind what waits of its pair; what is there already is left out."""
        async with self._turn:
            wire = await self._ready()
            if self._flight is not None and (batch != self._offered or self._flight.source is not self._fresh):
                await self._land(wire, self._flight)
            if batch != self._offered:
                await self._take_up(wire, cast(Sequence[Trade], batch))
            await self._write_out(wire, self._fresh)
            self._offered = ()

    async def tend(self) -> None:
        """Until cancelled: write what waits as soon as its stream can be written."""
        while True:
            await self._clock.sleep(WAITING_S)
            if self.waiting:
                with suppress(DeliveryError):  # said by whoever writes
                    await self.release()

    async def release(self) -> None:
        """Write what waits where the key was mended."""
        async with self._turn:
            if self._offered:  # the sink is in trouble as a whole
                return
            wrong = await self._wrong(await self._ready(), list(self.waiting))
            for symbol, reason in wrong.items():
                self.waiting.stuck(symbol, reason)
        for symbol in [one for one in self.waiting if one not in wrong]:
            while symbol in self.waiting:
                async with self._turn:
                    await self._release(symbol)

    async def _release(self, symbol: str) -> None:
        """A part of what waits of a pair, so that the others have their turn."""
        if self._offered:
            raise Declined("redis: the sink is in trouble as a whole")
        wire = await self._ready()
        if self._flight is not None:
            await self._land(wire, self._flight)
        room = self.waiting[symbol]
        if room.hand is None:
            trades = room.chunk()
            if not trades:
                self.waiting.over(symbol)
                self._checked.add(symbol)
                return
            await self._look_back(wire, trades)
            room.hand = self._held.fresh(trades)
        await self._write_out(wire, room.hand)
        room.commit()

    async def _take_up(self, wire: RedisWire, trades: Sequence[Trade]) -> None:
        """Tell apart what is to be written now, what waits and what is there."""
        rooms, offered = self.waiting, list(trades)
        symbols = {trade.symbol for trade in trades}
        if unknown := sorted(symbols.difference(self._checked, rooms)):
            for symbol, reason in (await self._wrong(wire, unknown)).items():
                rooms.stuck(symbol, reason)
        held: list[Trade] = []
        if rooms and not symbols.isdisjoint(rooms):
            held = [trade for trade in trades if trade.symbol in rooms]
            trades = [trade for trade in trades if trade.symbol not in rooms]
        if self._held.are_new(trades):
            fresh = list(trades)
        else:
            await self._look_back(wire, trades)
            fresh = self._held.fresh(trades)
        rooms.hold(held)
        self._fresh, self._offered = fresh, offered

    async def _write_out(self, wire: RedisWire, trades: list[Trade]) -> None:
        """Returns when the list is empty, and all that was in it is in the streams or waits."""
        if self._next is not None and self._next.source is not trades:
            self._unpack()
        if self._is_torn:
            await self._mend(wire)
        while trades or self._flight is not None:
            if self._flight is None:
                self._flight, self._next = self._next or self._packed(trades, 0), None
                self._flight.send(wire, self._clock.monotonic())
            upto = len(self._flight.trades)
            if self._next is None and upto < len(trades):
                self._next = self._packed(trades, upto)
            await self._land(wire, self._flight)

    # One transaction.

    def _packed(self, source: list[Trade], start: int) -> Flight:
        self._number += 1
        flight = packed(
            self._entries, source, start, self.writer, self._number, lambda one: self._progress.get(one) or Progress()
        )
        self._progress |= flight.progress
        return flight

    def _unpack(self) -> None:
        """What was packed and not sent is packed anew."""
        self._next, self._progress = None, dict(self._stored)

    async def _ask(self, wire: RedisWire, *commands: tuple[Word, ...]) -> list[Any]:
        return await asked(self._link, wire, *commands, within_s=ASK_S)

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
            first = next(answer for answer in answers if isinstance(answer, ReplyError))
            self._flight = None
            self._unpack()
            raise Declined(f"redis: {self._link.state.url}: {refusal(first)}; trades wait, nothing is lost")
        before, *entries, stored = refused
        self._is_torn = isinstance(before, ReplyError) or isinstance(stored, ReplyError)
        if self._is_torn:  # the transaction's other commands were executed all the same
            before = self._stored_of(flight)
        else:
            self.noticed.writers(flight.others(before, self._acknowledged), self.writer)
        pairs = () if self._is_torn else zip(flight.progress, before, strict=True)
        gone = [series for series, value in pairs if value is None and series in self._acknowledged]  # somebody deleted it
        failed = {index: reason_of(entry) for index, entry in enumerate(entries) if isinstance(entry, ReplyError)}
        self._landed(flight)
        if failed:
            await self._put_right(wire, flight, before, failed)
        if gone:
            await self._look_for_more(wire, gone)
        if self._is_torn:
            await self._mend(wire)

    def _landed(self, flight: Flight) -> None:
        self._acknowledged |= flight.progress
        self._stored |= flight.progress
        del flight.source[: len(flight.trades)]
        self._flight = None

    def _stored_of(self, flight: Flight) -> list[bytes | None]:
        """The record before it, as far as we know."""
        return [None if one is None else encode_progress(one) for one in map(self._stored.get, flight.progress)]

    async def _look_for_more(self, wire: RedisWire, gone: Sequence[Series]) -> None:
        """All that is gone is said at once; what was written since is not."""
        (answer,) = await self._ask(wire, ("HGETALL", RECORD))
        record = read_record(answer) if isinstance(answer, list) else self._stored
        self._say_lost(record, gone)

    async def _mend(self, wire: RedisWire) -> None:
        """Write the whole record anew, as soon as its key is free; before that nothing else is written."""
        commands = written_anew(self._stored, self.writer)
        for answer in await self._ask(wire, *commands):
            if isinstance(answer, ReplyError):
                wrong = f"holds something else, expected a hash; rename or delete it ({answer})"
                raise Declined(f"redis: {RECORD}: {wrong}; trades wait, nothing is lost")
        self._is_torn = False
        log.info("redis.record_mended", series=len(commands))

    async def _put_right(
        self, wire: RedisWire, flight: Flight, before: Sequence[bytes | None], failed: Mapping[int, str]
    ) -> None:
        """Somebody spoilt a stream just now: its trades wait from here on, and the record says what was written before."""
        wrong = {flight.trades[index].symbol: reason for index, reason in failed.items()}
        flight.source[:0] = [flight.trades[index] for index in failed]  # they are still to be written
        self._checked.difference_update(wrong)
        self._held.doubt(wrong, self._stored)
        after = flight.record_without(before, failed, wrong)
        for series, known in after.items():
            self._acknowledged.pop(series, None)
            self._stored.pop(series, None)
            if known is not None:
                self._stored[series] = known
        self._unpack()
        try:
            for symbol, reason in wrong.items():
                self.waiting.stuck(symbol, reason)
            if flight.source is self._fresh:
                self.waiting.hold([trade for trade in self._fresh if trade.symbol in wrong])
                self._fresh[:] = [trade for trade in self._fresh if trade.symbol not in wrong]
            for symbol in wrong:
                self.waiting[symbol].hand = None  # what of it is there is asked again
        finally:
            if not self._is_torn:
                await self._ask(wire, *corrections(after))
        if flight.source is not self._fresh:
            raise Declined("redis: what waited cannot be written yet")

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
            run = run_of(info)
            if old is not None and old.client_id is not None and run == self._server:
                # What it still holds of us unread, a server that was frozen would execute later. Another run of it has
                # nothing of us, and that number may be another client's there.
                await asked(self._link, wire, ("CLIENT", "KILL", "ID", old.client_id), within_s=ASK_S)
            (answer,) = await asked(self._link, wire, ("HGETALL", RECORD), within_s=ASK_S)
            if isinstance(answer, ReplyError):
                raise Declined(f"redis: {RECORD}: {refusal(answer)}; trades wait, nothing is lost")
            if not isinstance(answer, list):
                raise self._link.lost("no Redis server answers there: HGETALL gave no list")
            record = read_record(answer)
            flight = None if is_first else self._flight
            is_there = flight is not None and any(record.get(series) == after for series, after in flight.progress.items())
            failed = await missing(partial(self._ask, wire), flight.trades) if flight is not None and is_there else {}
        except BaseException:
            await wire.close("of no use")
            self._wire = old
            raise
        self._server = run
        self._checked.clear()
        if is_first:
            self._held.opened(record, self._clock.now_ns())
            self._progress, self._stored = dict(record), dict(record)
            self._acknowledged.clear()
            self._offered, self._fresh, self._flight, self._next, self._is_torn = (), [], None, None, False
            self.waiting.open()
            return
        self._flight = None
        before = self._stored_of(flight) if flight is not None else []
        if flight is not None:
            if is_there:
                self._landed(flight)
            log.info("redis.read_back", trades=len(flight.trades), is_there=is_there, missing=len(failed))
        self._say_lost(record)
        self._stored |= record
        self._unpack()
        if flight is not None and failed:
            await self._put_right(wire, flight, before, failed)

    def _say_lost(self, record: Mapping[Series, Progress], gone: Sequence[Series] = ()) -> None:
        """Does the server still have what it had acknowledged? Of `gone` it is known that it has not; they were written since."""
        lost = [
            series
            for series, ours in self._acknowledged.items()
            if (found := record.get(series)) is None or (found.writer == self.writer and found.number < ours.number)
        ]
        for series in lost:
            del self._acknowledged[series]
            self._progress.pop(series, None)
            self._stored.pop(series, None)
        self.noticed.loss([*lost, *gone])

    # The streams.

    async def _wrong(self, wire: RedisWire, symbols: Sequence[str]) -> dict[str, str]:
        found = await wrong_streams(partial(self._ask, wire), symbols)
        self._checked |= set(symbols).difference(found)
        return found

    async def _look_back(self, wire: RedisWire, trades: Sequence[Trade]) -> None:
        """As far as it takes to tell which of these are there."""
        for symbol, since in self._held.unread(trades).items():
            try:
                async for found in look_back(partial(self._ask, wire), symbol, since):
                    self._held.read(symbol, since, found)
            except Declined:
                self._checked.discard(symbol)  # it is looked at again
                raise
