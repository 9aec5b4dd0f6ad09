"""The client's stream against a real server, over a line that the test cuts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.bus import Bus
from marketd.client import (
    BadRequest,
    Broken,
    Channel,
    Connected,
    MarketDataClient,
    Missed,
    NotAllowed,
    NotFound,
    Retry,
    Streamed,
    Unreachable,
)
from marketd.client.live import Message
from marketd.clock import ManualClock, SystemClock
from marketd.model.events import Event, Trade
from marketd.stores.events import EventStore
from tests.api.conftest import Parts, seen
from tests.line import Line, laid
from tests.samples import candle, quote, trade, trades

T = TypeVar("T")
WITHIN_S = 20.0
TRADES = Channel("trade", "BTCUSDT")


@dataclass
class There:
    bus: Bus
    line: Line
    client: MarketDataClient
    waited: list[float]
    store: EventStore

    async def publish(self, events: Sequence[Event]) -> None:
        """Returns when the server has handed them out."""
        stream = next(one for one in self.bus.subscriptions if one.name == "stream")
        self.bus.publish(events)
        await stream.settled()


Start = Callable[..., AbstractAsyncContextManager[There]]


@pytest.fixture
def start(tmp_path: Path, clock: ManualClock) -> Start:
    """A server, a line to it, and a client on the line that waits for nothing."""

    @asynccontextmanager
    async def begin(token: str | None = None, given: str | None = None) -> AsyncIterator[There]:
        async with seen(Parts(), tmp_path, clock) as views:
            there = replace(views, clock=SystemClock(), feeds=None)
            config = ApiConfig.model_validate({"port": 0, "token": token, "stream": {"held": 100}})
            async with run_api(config, there, tmp_path) as url, laid(url) as line:
                waited: list[float] = []

                async def wait(delay_s: float) -> None:
                    waited.append(delay_s)
                    await asyncio.sleep(0.01)

                async with MarketDataClient(line.url, given, wait=wait) as client:
                    assert there.bus is not None
                    assert isinstance(there.store, EventStore)
                    yield There(there.bus, line, client, waited, there.store)

    return begin


async def until(stream: AsyncIterator[Message], kind: type[T]) -> T:
    """The next of this kind; others before it are let go."""
    async with asyncio.timeout(WITHIN_S):
        async for message in stream:
            if isinstance(message, kind):
                return message
    raise AssertionError("the stream ended")


def at(channel: Channel) -> Channel:
    return Channel(channel.type, channel.symbol, "binance", channel.timeframe)


async def test_events_come_typed_with_their_place(start: Start) -> None:
    candles = Channel("candle", "BTCUSDT", timeframe="1m")
    async with (
        start() as there,
        aclosing(there.client.stream(at(TRADES), at(candles), at(Channel("quote", "BTCUSDT")))) as stream,
    ):
        connected = await until(stream, Connected)
        there.bus.publish([trade(1), candle(1), quote(1)])
        got = [await until(stream, Streamed) for _ in range(3)]

    assert connected.is_again is False
    assert {one.event for one in got} == {trade(1), candle(1), quote(1)}
    assert {(one.pos, one.is_snapshot) for one in got} == {(1, False)}


async def test_after_a_break_it_goes_on_where_it_was(start: Start) -> None:
    async with start() as there, aclosing(there.client.stream(at(TRADES))) as stream:
        await until(stream, Connected)
        got: list[Streamed] = []
        for number in range(5):
            there.bus.publish(trades(number * 10 + 1, number * 10 + 5))
            got += [await until(stream, Streamed) for _ in range(5)]
            there.line.cut()
            broken = await until(stream, Broken)
            there.bus.publish(trades(number * 10 + 6, number * 10 + 10))
            again = await until(stream, Connected)

            assert "connection" in broken.reason
            assert again.is_again
            got += [await until(stream, Streamed) for _ in range(5)]

    assert [one.event.trade_id for one in got if isinstance(one.event, Trade)] == [str(number) for number in range(1, 51)]
    assert [one.pos for one in got] == list(range(1, 51))
    assert not any(one.is_snapshot for one in got)


async def test_what_is_no_longer_held_is_said_to_be_missed(start: Start) -> None:
    async with start() as there, aclosing(there.client.stream(at(TRADES))) as stream:
        await until(stream, Connected)
        there.bus.publish([trade(1)])
        await until(stream, Streamed)
        there.line.cut()
        await until(stream, Broken)
        for number in range(2, 502, 10):
            await there.publish(trades(number, number + 9))
        missed = await until(stream, Missed)
        snapshot = await until(stream, Streamed)

    assert (missed.channel, missed.after) == (at(TRADES), 1)
    assert missed.first is not None
    assert "no longer held" in missed.reason
    assert (snapshot.is_snapshot, snapshot.event) == (True, trade(501))


OTHER = Channel("trade", "ETHUSDT", "binance")


def others(first: int, last: int) -> list[Event]:
    return trades(first, last, symbol="ETHUSDT")


async def away(there: There, stream: AsyncIterator[Message], stored: Sequence[Event]) -> None:
    """One trade comes; 2 to 301 are published while the connection is down, more than are held, and these are stored."""
    await until(stream, Connected)
    there.bus.publish(others(1, 1))
    await until(stream, Streamed)
    target, there.line.target = there.line.target, 1
    there.line.cut()
    await until(stream, Broken)
    for first in range(2, 302, 10):
        await there.publish(others(first, first + 9))
    await there.store.write([*others(1, 1), *stored])
    there.line.target = target


async def rest(stream: AsyncIterator[Message], until_id: str) -> list[Message]:
    """All from here to this trade, without what is said of the connection."""
    found: list[Message] = []
    async with asyncio.timeout(WITHIN_S):
        async for message in stream:
            if not isinstance(message, Connected | Broken):
                found.append(message)
            if isinstance(message, Streamed) and isinstance(message.event, Trade) and message.event.trade_id == until_id:
                break
    return found


def ids(found: Sequence[Message]) -> list[int]:
    return [int(one.event.trade_id) for one in found if isinstance(one, Streamed) and isinstance(one.event, Trade)]


async def test_trades_that_are_no_longer_held_come_from_the_store(start: Start) -> None:
    async with start() as there, aclosing(there.client.stream(OTHER)) as stream:
        await away(there, stream, others(2, 301))
        filled = await rest(stream, "301")
        snapshot = await until(stream, Streamed)
        there.bus.publish(others(302, 305))
        live = await rest(stream, "305")

    assert ids(filled) == list(range(2, 302))
    assert [one.pos for one in filled if isinstance(one, Streamed)] == [0] * 300
    assert (snapshot.is_snapshot, snapshot.event) == (True, others(301, 301)[0])
    assert ids(live) == [302, 303, 304, 305]
    assert not any(isinstance(one, Missed) for one in (*filled, *live))


async def test_what_the_store_lacks_too_is_said(start: Start) -> None:
    async with start() as there, aclosing(there.client.stream(OTHER)) as stream:
        await away(there, stream, [*others(2, 99), *others(101, 301)])
        filled = await rest(stream, "301")
        missed = await until(stream, Missed)

    assert ids(filled) == [*range(2, 100), *range(101, 302)]
    assert (missed.after, missed.filled) == (1, 299)


async def test_what_the_store_had_before_it_came_live_comes_once_and_proves_nothing(start: Start) -> None:
    async with start() as there, aclosing(there.client.stream(OTHER)) as stream:
        await away(there, stream, [*others(2, 99), *others(101, 302)])
        filled = await rest(stream, "302")
        there.bus.publish(others(302, 303))
        live = await rest(stream, "303")
        missed = [one for one in live if isinstance(one, Missed)]

    assert ids(filled) == [*range(2, 100), *range(101, 303)]
    assert ids(live) == [301, 303]  # the first is the snapshot
    assert [(one.after, one.filled) for one in missed] == [(1, 300)]


async def test_after_another_run_the_store_fills_what_it_can_and_it_is_said(start: Start) -> None:
    async with start() as old, start() as new, aclosing(old.client.stream(OTHER)) as stream:
        await until(stream, Connected)
        old.bus.publish(others(1, 1))
        await until(stream, Streamed)
        await new.store.write(others(1, 20))
        old.line.target = new.line.target
        old.line.cut()
        filled = await rest(stream, "20")
        missed = await until(stream, Missed)

    assert ids(filled) == list(range(2, 21))
    assert (missed.after, missed.first, missed.filled) == (1, None, 19)


async def test_a_server_that_started_anew_is_said_with_what_it_has(start: Start, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    async with start() as old, start() as new, aclosing(old.client.stream(at(TRADES))) as stream:
        await until(stream, Connected)
        old.bus.publish([trade(1)])
        await until(stream, Streamed)
        old.line.target = new.line.target
        old.line.cut()
        missed = await until(stream, Missed)
        connected = await until(stream, Connected)
        new.bus.publish([trade(2)])
        live = await until(stream, Streamed)

    assert (missed.after, missed.first) == (1, None)
    assert connected.is_again
    assert (live.event, live.pos) == (trade(2), 1)


async def test_a_server_that_is_away_is_asked_again_less_and_less_often(start: Start) -> None:
    async with start() as there:
        target, there.line.target = there.line.target, 1
        async with aclosing(there.client.stream(at(TRADES))) as stream:
            for _ in range(8):
                await until(stream, Broken)
            there.line.target = target
            await until(stream, Connected)

    assert there.waited[7] > there.waited[0]
    assert max(there.waited) <= 8.0


async def test_who_wants_to_gives_up(start: Start) -> None:
    async with start() as there:
        there.line.target = 1

        with pytest.raises(Unreachable):
            async for _ in there.client.stream(at(TRADES), retry=Retry(attempts=3)):
                pass
        assert len(there.waited) == 2


async def test_what_no_second_try_can_mend_is_raised(start: Start) -> None:
    async with start() as there:
        with pytest.raises(BadRequest) as error:
            await anext(there.client.stream(Channel("candle", "BTCUSDT", "binance")))
        assert error.value.parameter == "channels[0].timeframe"


@pytest.mark.parametrize("given", [None, "wrong"])
async def test_without_the_token_nothing_is_streamed(given: str | None, start: Start) -> None:
    async with start(token="right", given=given) as there:
        with pytest.raises(NotAllowed):
            await anext(there.client.stream(at(TRADES)))


async def test_with_the_token_it_streams(start: Start) -> None:
    async with start(token="right", given="right") as there, aclosing(there.client.stream(at(TRADES))) as stream:
        assert isinstance(await anext(stream), Connected)


async def test_who_takes_slowly_gets_everything(start: Start) -> None:
    async with start() as there, aclosing(there.client.stream(at(TRADES))) as stream:
        await until(stream, Connected)
        for number in range(1, 3001, 60):
            await there.publish(trades(number, number + 59))
            await until(stream, Streamed)
        got = [await until(stream, Streamed) for _ in range(3000 - 50)]

    assert got[-1].pos == 3000


async def test_a_process_without_events_says_so(tmp_path: Path, clock: ManualClock) -> None:
    async with seen(Parts(), tmp_path, clock) as views:
        there = replace(views, feeds=None, features=None)
        async with run_api(ApiConfig(port=0), there, tmp_path) as url, MarketDataClient(url) as client:
            with pytest.raises(NotFound, match="role ingest"):
                await anext(client.stream(at(TRADES)))
