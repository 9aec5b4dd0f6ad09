"""The cache's poller on the simulated Binance.US, into the cache in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import msgspec
import pytest

from marketd.candles.poller import Poller
from marketd.candles.section import CacheConfig
from marketd.errors import Disconnected
from marketd.metrics import Metrics
from marketd.model.cached import (
    CachedCandle,
    Updated,
    before_key,
    decode_candle,
    decode_candles,
    decode_price,
    decode_updated,
    ohlcv_key,
    price_key,
)
from marketd.net.governor import Governor, Priority
from marketd.net.quarantine import Quarantine
from marketd.rooms import room
from marketd.sim import Sim, open_sim
from marketd.stores.cache import MemoryCache, Message
from marketd.venues import venue_named
from marketd.venues.binance_us import BinanceUs
from marketd.venues.polled import questions_of
from marketd.venues.rest import Rest
from marketd.venues.rests import open_rests
from marketd.venues.section import VenueConfig
from marketd.venues.venue import Answer, Request
from tests.jumping import JumpingClock

pytestmark = pytest.mark.jumping
COINS = ("BTC", "ETH", "ETC")
MARKETS = ("BTCUSDT", "ETHUSDT", "ETCUSD")
PER_CYCLE = {"5m": 300_000, "1h": 3_600_000}


@dataclass
class Polled:
    sim: Sim
    poller: Poller
    cache: MemoryCache
    metrics: Metrics
    clock: JumpingClock
    quarantine: Quarantine
    told: list[tuple[str, Updated]] = field(default_factory=list)

    async def candles(self, symbol: str, timeframe: str) -> list[CachedCandle]:
        (value,) = await self.cache.of("dashboard").read(ohlcv_key(symbol, timeframe))
        return [] if value is None else decode_candles(value)

    def updates(self, channel: str) -> list[Updated]:
        return [update for name, update in self.told if name == f"market:update:{channel}"]

    async def cycles(self, count: int, timeframe: str = "5m") -> list[Updated]:
        """Wait for so many more; what they told."""
        before = len(self.updates(timeframe))
        await self.clock.when(lambda: len(self.updates(timeframe)) >= before + count)
        return self.updates(timeframe)[before:]


@asynccontextmanager
async def polling(
    tmp_path, *, symbols: Sequence[str] = COINS, timeframes: Sequence[str] = ("5m",), faults: str = ""
) -> AsyncIterator[Polled]:  # type: ignore[no-untyped-def]
    clock, metrics = JumpingClock(), Metrics()
    config = CacheConfig(symbols=tuple(symbols), timeframes=tuple(timeframes))
    venue = venue_named("binance_us", {})
    questions = questions_of(venue)
    assert questions is not None
    async with open_sim(["binance_us"], clock=clock, faults=faults) as sim:
        base = VenueConfig(rest_url=sim.env()["BINANCE_US_REST_URL"])
        async with open_rests({venue.name: venue}, {venue.name: base}, clock, metrics) as rests, room("test") as here:
            cache, quarantine = MemoryCache(clock, metrics), Quarantine(tmp_path / "quarantine.jsonl")
            poller = Poller(config, rests[venue.name], questions, cache.of("market-data"), clock, metrics, quarantine)
            found = Polled(sim, poller, cache, metrics, clock, quarantine)
            listening = asyncio.Event()
            here.start("listen", _listen(found, listening))
            await listening.wait()
            here.start("poller", poller.run())
            yield found


async def _listen(found: Polled, listening: asyncio.Event) -> None:
    async with found.cache.of("dashboard").listen("market:update:*") as heard:
        async for message in heard:
            listening.set()
            if isinstance(message, Message):
                found.told.append((message.channel, decode_updated(message.payload)))


async def test_after_a_cycle_every_key_is_there_with_its_life_and_its_digits(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path, timeframes=("5m", "1h")) as it:
        await it.cycles(1, "1h")
        for symbol in MARKETS:
            for timeframe, length_ms in PER_CYCLE.items():
                rows = await it.candles(symbol, timeframe)
                (before,) = await it.cache.of("dashboard").read(before_key(symbol, timeframe))
                assert before is not None
                assert (500, rows[0].open_time) == (len(rows), decode_candle(before).close_time)
                assert {length_ms} == {row.close_time - row.open_time for row in rows}
                assert all(later.open_time == earlier.close_time for earlier, later in pairwise(rows))
                truth = it.sim.venue("binance_us").rows.page(
                    symbol, it.sim.venue("binance_us").timeframes[timeframe], rows[0].open_time, rows[0].open_time, 1
                )
                assert (truth[0].open, truth[0].volume) == (str(rows[0].open), str(rows[0].volume))
                left_s = it.cache.ttl_s(ohlcv_key(symbol, timeframe))
                assert left_s is not None
                assert 0 < left_s <= {"5m": 120, "1h": 300}[timeframe]
            (price,) = await it.cache.of("dashboard").read(price_key(symbol))
            assert price is not None
            assert decode_price(price).price > 0

    assert ("ok", "9 keys of 3 coins are fresh") == it.poller.state
    assert {("rest", "marketd")} == {(visit.kind, visit.agent) for visit in it.sim.visits.all}


async def test_channels_say_what_was_refreshed_and_when_all_that_was_due_is_done(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path, timeframes=("5m", "1h")) as it:
        await it.cycles(2, "1h")
    five, every = it.updates("5m"), it.updates("all")

    assert ("5m", list(MARKETS), []) == (five[0].timeframe, five[0].symbols, five[0].failed)
    assert [["5m"], ["5m", "1h"]] == sorted(one.timeframes for one in every[:2])  # both are done after 40 s


async def test_a_coin_that_fails_is_tried_again_within_the_cycle(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path) as it:
        await it.cycles(1)
        it.sim.fault("binance_us", "error500", symbol="ETHUSDT", count=1)
        (told,) = await it.cycles(1)

    assert ([*MARKETS], []) == (told.symbols, told.failed)


async def test_a_coin_that_keeps_failing_leaves_the_others_fresh_and_its_key_expires(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path) as it:
        await it.cycles(1)
        it.sim.fault("binance_us", "error500", symbol="ETHUSDT")
        told = (await it.cycles(6))[-1]
        gone, there = await it.candles("ETHUSDT", "5m"), await it.candles("BTCUSDT", "5m")
        word, reason = it.poller.state
        it.sim.heal()
        healed = (await it.cycles(2))[-1]

    assert (["BTCUSDT", "ETCUSD"], ["ETHUSDT"]) == (told.symbols, told.failed)
    assert ([], 500, "degraded") == (gone, len(there), word)
    assert "ETHUSDT 5m" in reason
    assert [] == healed.failed


@pytest.mark.parametrize("fault", ["wrong_order", "duplicate_rows", "half_page", "garbage", "empty"])
async def test_what_cannot_be_believed_is_refused_counted_and_kept_aside(tmp_path, fault: str) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path) as it:
        await it.cycles(1)
        before = await it.candles("BTCUSDT", "5m")
        it.sim.fault("binance_us", fault, **({"path": "klines"} if fault in {"garbage", "empty"} else {}))
        told = (await it.cycles(2))[-1]
        after = await it.candles("BTCUSDT", "5m")

    assert (list(MARKETS), []) == (told.failed, told.symbols)
    assert before == after
    assert it.quarantine.kept > 0
    assert b"marketd_events_quarantined_total" in it.metrics.text()


async def test_a_market_that_spoils_the_question_for_all_prices_is_left_out(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path) as it:
        await it.cycles(1)
        it.sim.fault("binance_us", "refuse", symbol="ETHUSDT", path="ticker", status=400)
        since = it.clock.now_ns()
        fresh = it.poller.polling.kept["BTCUSDT", "price"], it.poller.polling.kept["ETCUSD", "price"]
        await it.clock.when(lambda: all((one.refreshed or 0) > since for one in fresh))
        late = it.poller.polling.kept["ETHUSDT", "price"]

    assert late.failing
    assert (late.refreshed or 0) <= since


async def test_while_the_venue_wants_silence_nothing_is_asked_and_nobody_bursts_after(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path) as it:
        await it.cycles(1)
        it.sim.fault("binance_us", "ban", retry_after=60, for_s=60)
        venue = it.sim.venue("binance_us")
        await it.clock.when(lambda: it.poller._rest.governor.paused_s > 0)
        asked = len(venue.requests)
        await it.clock.when(lambda: 0 < it.poller._rest.governor.paused_s < 10)
        meanwhile = len(venue.requests) - asked
        word, _ = it.poller.state
        await it.clock.when(lambda: it.poller.polling.state[0] == "ok", 20)
        told = (await it.cycles(1))[-1]

    assert (0, True) == (meanwhile, word != "ok")
    assert [] == told.failed


async def test_who_was_kept_waiting_by_the_venue_is_asked_for_within_the_same_cycle(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path, timeframes=("4h",)) as it:
        await it.cycles(1, "4h")
        begun_s = it.poller._started_s + 300
        await it.clock.when(lambda: it.clock.monotonic() > begun_s + 30)
        it.sim.fault("binance_us", "ban", retry_after=160, for_s=160)  # past every coin's moment, more than half of the cycle
        (told,) = await it.cycles(1, "4h")

    assert ([*MARKETS], []) == (told.symbols, told.failed)


async def test_a_process_that_stood_still_goes_on_with_the_next_cycle_and_calls_nobody_failed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path) as it:
        await it.cycles(1)
        before = len(it.sim.venue("binance_us").requests)
        it.clock.stand_still(10_000)
        (told,) = await it.cycles(1)
        asked = [one for one in it.sim.venue("binance_us").requests[before:] if "klines" in one]

    assert ([*MARKETS], []) == (told.symbols, told.failed)
    assert len(MARKETS) == len(asked)


async def test_a_venue_that_does_not_list_yet_is_asked_until_it_does(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path, faults="refuse:path=exchangeInfo,status=503,for=5s") as it:
        await it.clock.when(lambda: "binance_us" in it.poller.state[1])
        word, _ = it.poller.state
        await it.cycles(1)

    assert "unhealthy" == word


async def test_a_coin_that_is_not_listed_is_left_out(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with polling(tmp_path, symbols=("BTC", "NOTHING")) as it:
        (told,) = await it.cycles(1)

    assert (["BTCUSDT"], ("NOTHING",)) == (told.symbols, it.poller.polling.unlisted)


class Says:
    """In a venue's place: the same answer to each question of a kind, by a word of its path."""

    def __init__(self, clock: JumpingClock, answers: dict[str, object]) -> None:
        self.venue, self.governor = BinanceUs(), Governor(clock, {"": (1200, 60.0)})
        self.answers, self._clock = answers, clock

    async def ask(self, request: Request, priority: Priority) -> Answer:
        word = next((word for word in self.answers if word in request.path), None)
        if word is None:
            raise Disconnected("nobody there")
        return Answer(200, {}, msgspec.json.encode(self.answers[word]), self._clock.now_ns())


def listed(*bases: str) -> dict[str, object]:
    rows = [{"symbol": f"{base}USDT", "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT"} for base in bases]
    return {"symbols": [{**row, "filters": []} for row in rows]}


def priced(base: str, at: object) -> dict[str, object]:
    return {"symbol": f"{base}USDT", "lastPrice": "1.50", "priceChangePercent": "-1", "volume": "7", "closeTime": at}


@asynccontextmanager
async def told(answers: dict[str, object]) -> AsyncIterator[tuple[Poller, MemoryCache, JumpingClock]]:
    clock, metrics = JumpingClock(), Metrics()
    rest, cache = Says(clock, answers), MemoryCache(clock, metrics)
    config = CacheConfig(symbols=("BTC", "ETH"), timeframes=("5m",))
    poller = Poller(config, cast(Rest, rest), rest.venue, cache.of("market-data"), clock, metrics)
    async with room("test") as here:
        here.start("poller", poller.run())
        yield poller, cache, clock


@pytest.mark.parametrize("at", [10**30, 10**18, -(10**18), 10**13, -1, 0, "soon"])
async def test_a_price_of_a_time_that_cannot_be_costs_no_other_coin_its_price(at: object) -> None:
    answers: dict[str, object] = {"exchangeInfo": listed("BTC", "ETH")}
    async with told(answers) as (poller, cache, clock):
        answers["ticker"] = [priced("BTC", at), priced("ETH", clock.now_ns() // 1_000_000)]
        await clock.when(lambda: poller.polling.kept and poller.polling.kept["ETHUSDT", "price"].refreshed is not None)
        btc, eth = await cache.of("dashboard").read(price_key("BTCUSDT"), price_key("ETHUSDT"))

    assert btc is None
    assert eth is not None
    assert poller.polling.kept["BTCUSDT", "price"].failing


async def test_a_venue_that_lists_none_of_the_coins_for_once_is_asked_again_soon() -> None:
    answers: dict[str, object] = {"exchangeInfo": listed()}
    async with told(answers) as (poller, _, clock):
        await clock.when(lambda: "none of the coins" in poller.state[1])
        word, _why = poller.state
        answers["exchangeInfo"] = listed("BTC", "ETH")
        before_s = clock.monotonic()
        await clock.when(lambda: len(poller.polling.instruments) == 2)

        assert word == "unhealthy"
        assert clock.monotonic() - before_s < 61
