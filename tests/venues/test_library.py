"""A venue as a library, on simulated venues."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.clock import ManualClock
from marketd.errors import ConfigError, Disconnected
from marketd.model.events import Candle
from marketd.model.timeframes import MINUTE
from marketd.sim import Sim, open_sim
from marketd.venues.library import VenueClient, _ns, open_venue

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive ones are asked about here


def client(sim: Sim, clock: ManualClock | None = None, name: str = "binance") -> VenueClient:
    where = sim.env()
    return open_venue(name, rest_url=where[f"{name.upper()}_REST_URL"], stream_url=where[f"{name.upper()}_WS_URL"], clock=clock)


async def test_symbols_are_listed_in_our_spelling_and_asked_for_once(clock: ManualClock) -> None:
    async with open_sim(["coinbase"], clock=clock) as sim, client(sim, clock, "coinbase") as venue:
        symbols = await venue.get_symbols()

        assert "BTCUSD" in symbols
        assert symbols == sorted(symbols)
        assert await venue.instruments() is await venue.instruments()


async def test_candles_come_oldest_first_over_several_pages_and_only_from_the_span(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim, client(sim, clock) as venue:
        end = clock.now_ns() - clock.now_ns() % MINUTE
        start = end - 2500 * MINUTE
        candles = await venue.fetch_candles("BTCUSDT", "1m", start, end)

        assert [one.open_time for one in candles] == list(range(start, end, MINUTE))
        assert all(one.closed for one in candles[:-1])
        assert await venue.fetch_candles("BTCUSDT", "1m", end, start) == []


async def test_a_symbol_or_timeframe_that_the_venue_lacks_is_named(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim, client(sim, clock) as venue:
        with pytest.raises(ConfigError, match="binance does not list 'NOPE'"):
            await venue.fetch_candles("NOPE", "1m", 0, 1)
        with pytest.raises(ConfigError, match="7m"):
            await venue.fetch_candles("BTCUSDT", "7m", 0, 1)
        with pytest.raises(ConfigError, match="7m"):
            await venue.subscribe_candles("BTCUSDT", "7m", lambda candle: None)


async def test_candles_are_called_back_as_they_form_until_cancelled() -> None:
    async with open_sim(["binance"], rate=200) as sim, client(sim) as venue:
        candles: asyncio.Queue[Candle] = asyncio.Queue()
        task = asyncio.ensure_future(venue.subscribe_candles("BTCUSDT", "1m", candles.put_nowait))
        async with asyncio.timeout(20):
            first = await candles.get()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert (first.symbol, first.timeframe) == ("BTCUSDT", "1m")
        assert task.cancelled()


async def test_a_venue_that_is_not_there_is_a_disconnect() -> None:
    async with open_venue("binance", rest_url="http://127.0.0.1:1") as venue:
        with pytest.raises(Disconnected):
            await venue.get_symbols()


def test_an_unknown_venue_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="did you mean 'kraken'"):
        open_venue("krakn")


@given(st.datetimes(EPOCH - timedelta(days=20_000), EPOCH + timedelta(days=2_900_000)), st.integers(-12, 12))
def test_a_datetime_means_its_exact_nanosecond_and_a_naive_one_utc(when: datetime, hours: int) -> None:
    exact = (when - EPOCH) // timedelta(microseconds=1) * 1000

    assert _ns(when) == exact
    assert _ns(when.replace(tzinfo=UTC)) == exact
    assert _ns(when.replace(tzinfo=timezone(timedelta(hours=hours)))) == exact - hours * 3600 * 10**9
    assert _ns(exact) == exact
