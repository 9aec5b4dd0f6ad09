"""Updates are worked on as they come, again after the way was broken, and nothing in them ends the loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from marketd.analysis.listening import Listening
from marketd.analysis.updates import Update
from marketd.clock import ManualClock
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.rooms import room
from marketd.stores.cache import Message, Publish, Resumed
from marketd.stores.cache.memory import MemoryCache

EVERY_S = {"5m": 30.0, "1h": 120.0}


class Bench:
    """A listening role on a cache in memory, and what it was given to do."""

    def __init__(self, coins: Sequence[str] = ()) -> None:
        self.clock, self.metrics = ManualClock(), Metrics()
        self.cache = MemoryCache(self.clock, self.metrics)
        self.given: list[Update] = []
        self.left_out: Mapping[str, str] = {}
        self.fails: Exception | None = None
        desk = self.cache.of("dashboard")
        self.listening = Listening("scanner", desk, EVERY_S, coins, self.clock, self.metrics, self.work)

    async def work(self, update: Update) -> Mapping[str, str]:
        self.given.append(update)
        if self.fails is not None:
            raise self.fails
        return self.left_out

    async def publish(self, channel: str, payload: bytes) -> None:
        await self.cache.of("market-data").do(Publish(channel, payload))
        await self.clock.advance(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Bench"]:
        async with room("test") as here:
            here.start("listening", self.listening.run())
            await self.clock.advance(0)
            yield self

    def skipped(self, reason: str) -> float:
        found = self.metrics.registry.get_sample_value("marketd_analysis_skipped_total", {"role": "scanner", "reason": reason})
        return found or 0.0


async def test_the_coins_of_an_update_are_worked_on_and_then_it_is_well() -> None:
    async with Bench().running() as bench:
        before = bench.listening.state
        await bench.publish("market:update:1h", b'{"symbols": ["BTCUSDT"], "failed": ["XUSD"]}')
        half = bench.listening.state
        await bench.publish("market:update:5m", b'{"symbols": ["BTCUSDT"]}')
        after = bench.listening.state
        await bench.clock.advance(10)

    assert ("ok", "waits for the first update of 5m, 1h") == before
    assert ("ok", "waits for the first update of 5m") == half
    assert ("ok", "2 coins") == after
    assert [Update("1h", ("BTCUSDT", "XUSD"), frozenset({"XUSD"})), Update("5m", ("BTCUSDT",), frozenset())] == bench.given
    assert 10.0 == bench.listening.age_s("1h")


async def test_configured_coins_are_worked_on_at_once_and_beside_those_of_an_update() -> None:
    async with Bench(coins=["ETHUSDT"]).running() as bench:
        at_once = list(bench.given)
        await bench.publish("market:update:1h", b'{"symbols": ["BTCUSDT"]}')

    assert [Update("5m", ("ETHUSDT",), frozenset(), True), Update("1h", ("ETHUSDT",), frozenset(), True)] == at_once
    assert ("ETHUSDT", "BTCUSDT") == bench.given[-1].coins


async def test_after_the_way_was_broken_the_known_coins_are_read_again() -> None:
    class Broken:
        """Hears one update, then loses its way and finds it again."""

        @asynccontextmanager
        async def listen(self, *_: str) -> AsyncIterator[AsyncIterator[Message | Resumed]]:
            async def heard() -> AsyncIterator[Message | Resumed]:
                yield Resumed("listening")
                yield Message("market:update:1h", b'{"symbols": ["BTCUSDT"]}')
                yield Resumed("connected again")
                await asyncio.Event().wait()

            yield heard()

    bench = Bench()
    bench.listening._desk = Broken()  # type: ignore[assignment]
    async with bench.running():
        given = bench.given

    assert [Update("1h", ("BTCUSDT",), frozenset(), resumed) for resumed in (False, True)] == given


async def test_a_message_that_is_none_is_counted_and_told_and_the_next_one_is_taken() -> None:
    with capture_logs() as lines:
        async with Bench().running() as bench:
            await bench.publish("market:update:1h", b'{"symbols": [7]}')
            await bench.publish("market:update:1h", b'{"symbols": ["BTCUSDT"]}')

    assert 1.0 == bench.skipped("message")
    assert 1 == len(bench.given)
    assert ["market:update:1h"] == [one["channel"] for one in lines if one["event"] == "analysis.message"]


async def test_a_cache_that_fails_is_said_until_it_works_again() -> None:
    async with Bench().running() as bench:
        bench.fails = DeliveryError("redis: out of memory")
        await bench.publish("market:update:1h", b'{"symbols": ["BTCUSDT"]}')
        failing = bench.listening.state
        bench.fails = None
        await bench.publish("market:update:1h", b'{"symbols": ["BTCUSDT"]}')

    assert ("degraded", "redis: out of memory") == failing
    assert "ok" == bench.listening.state[0]
    assert 1.0 == bench.skipped("cache")


async def test_silence_of_the_cache_is_degraded() -> None:
    async with Bench().running() as bench:
        await bench.publish("market:update:5m", b'{"symbols": ["BTCUSDT"]}')
        await bench.publish("market:update:1h", b'{"symbols": ["BTCUSDT"]}')
        await bench.clock.advance(61)
        state = bench.listening.state

    assert ("degraded", "no update of 5m for 61 s, expected every 30 s on market:update:5m") == state


@pytest.mark.parametrize(
    ("left_out", "word"), [({"XUSD": "no candles"}, "ok"), ({"XUSD": "no candles", "AUSD": "torn"}, "degraded")]
)
async def test_coins_left_out_are_named_and_told_once(left_out: Mapping[str, str], word: str) -> None:
    message = b'{"symbols": ["AUSD", "XUSD"]}'
    with capture_logs() as lines:
        async with Bench().running() as bench:
            bench.left_out = left_out
            await bench.publish("market:update:5m", message)
            for _ in range(3):
                await bench.publish("market:update:1h", message)
            state = bench.listening.state
            bench.left_out = {}
            await bench.publish("market:update:1h", message)
            await bench.publish("market:update:5m", message)

    assert word == state[0]
    assert "XUSD: no candles" in state[1]
    assert ["analysis.left_out"] * 2 + ["analysis.whole"] * 2 == [one["event"] for one in lines]
    assert ("ok", "2 coins") == bench.listening.state


@pytest.mark.parametrize(
    ("left_out", "shown"),
    [
        ({f"C{n}USD": "no candles" for n in range(8)}, "C0USD, C1USD, C2USD, C3USD, C4USD and 3 more: no candles"),
        ({"AUSD": "no candles", "BUSD": "torn", "CUSD": "no candles"}, "AUSD, CUSD: no candles; BUSD: torn"),
        ({f"C{n}USD": f"{n} candles" for n in range(7)}, "C4USD: 4 candles; and 2 more"),
    ],
)
async def test_a_reason_that_coins_share_is_said_once(left_out: Mapping[str, str], shown: str) -> None:
    async with Bench().running() as bench:
        bench.left_out = left_out
        for timeframe in ("5m", "1h"):
            await bench.publish(f"market:update:{timeframe}", f'{{"symbols": {[*left_out]}}}'.replace("'", '"').encode())
        state = bench.listening.state

    assert state[1].endswith(shown)


@pytest.mark.parametrize("deep", [b'{"symbols": ' + b"[" * 100_000, b'{"x": ' + b"[" * 100_000])
async def test_a_message_that_is_nested_without_end_is_skipped_and_the_next_one_worked_on(deep: bytes) -> None:
    async with Bench().running() as bench:
        await bench.publish("market:update:1h", deep)
        await bench.publish("market:update:1h", b'{"symbols": ["BTCUSDT"]}')

    assert ["1h"] == [update.timeframe for update in bench.given]
    assert 1.0 == bench.skipped("message")
