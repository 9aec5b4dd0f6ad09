"""All the feeds of a daemon: who carries which symbols, changes at run time, and symbols that nobody lists."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.errors import ConfigError
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.sim import Sim, open_sim
from marketd.venues import venue_named
from marketd.venues.feed import FeedConfig
from marketd.venues.feeds import Feeds, channels_of, is_ours, streamed
from marketd.venues.rests import open_rests
from marketd.venues.section import FailoverConfig, VenueConfig
from marketd.venues.venue import Wanted
from tests.daemons import eventually

names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.", min_size=1, max_size=12)


def built(sim: Sim, venues: Mapping[str, Mapping[str, Any]], events: list[Event], share: tuple[int, int] = (1, 1)) -> Feeds:
    where = sim.env()
    configs = {
        name: VenueConfig.model_validate(
            {"ws_url": where[f"{name.upper()}_WS_URL"], "rest_url": where[f"{name.upper()}_REST_URL"], **settings}
        )
        for name, settings in venues.items()
    }
    clock = SystemClock()
    return Feeds(configs, lambda name: {}, FeedConfig(), FailoverConfig(), events.extend, clock, Metrics(), share=share)


@asynccontextmanager
async def running(
    venues: Mapping[str, Mapping[str, Any]], share: tuple[int, int] = (1, 1), rate: float = 0.0
) -> AsyncIterator[tuple[Feeds, Sim, list[Event]]]:
    events: list[Event] = []
    async with open_sim(list(venues), rate=rate) as sim:
        feeds = built(sim, venues, events, share)
        async with open_rests(feeds.venues, feeds.configs, SystemClock(), Metrics()) as rests, feeds.running(rests, {}, []):
            yield feeds, sim, events


@given(names, st.integers(1, 12))
def test_each_symbol_has_exactly_one_owner(symbol: str, count: int) -> None:
    assert sum(is_ours(symbol, (index, count)) for index in range(1, count + 1)) == 1


@given(names, st.integers(1, 12))
def test_another_process_moves_only_what_it_takes_over(symbol: str, count: int) -> None:
    before = next(index for index in range(1, count + 1) if is_ours(symbol, (index, count)))
    after = next(index for index in range(1, count + 2) if is_ours(symbol, (index, count + 1)))

    assert after in (before, count + 1)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_shares_are_about_equal(count: int) -> None:
    symbols = [f"SYMBOL{number}" for number in range(3000)]
    shares = [sum(is_ours(symbol, (index, count)) for symbol in symbols) for index in range(1, count + 1)]

    assert sum(shares) == 3000
    assert min(shares) > 0.85 * 3000 / count


async def test_a_process_wants_only_its_share() -> None:
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
    async with open_sim(["binance"]) as sim:
        shares = [built(sim, {"binance": {}}, [], (index, 3)).wanted_of("binance", symbols) for index in (1, 2, 3)]

    assert sorted(one.symbol for share in shares for one in share if one.channel == "trade") == sorted(symbols)


async def test_what_is_wanted_is_the_channels_that_the_venue_has_and_timeframes_that_it_knows() -> None:
    async with open_sim(["binance"]) as sim:
        feeds = built(sim, {"binance": {"channels": ["trade", "candle"], "timeframes": ["1m", "5m"]}}, [])
        default = built(sim, {"binance": {"channels": ["candle"]}}, [])

    assert feeds.wanted_of("binance", ["BTCUSDT"]) == [
        Wanted("trade", "BTCUSDT"),
        Wanted("candle", "BTCUSDT", "1m"),
        Wanted("candle", "BTCUSDT", "5m"),
    ]
    assert default.wanted_of("binance", ["BTCUSDT"]) == [Wanted("candle", "BTCUSDT", "1m")]


async def test_several_venues_run_beside_each_other() -> None:
    venues = {"binance": {"symbols": ["BTCUSDT"]}, "bybit": {"symbols": ["BTCUSDT"]}}
    async with running(venues, rate=200) as (feeds, _, events):
        await eventually(lambda: {one.venue for one in events if isinstance(one, Trade)} == {"binance", "bybit"})

        assert feeds.order("BTCUSDT") == ["binance", "bybit"]
        assert feeds.order("ETHUSDT") == []
        assert not feeds.is_standby("bybit")


async def test_symbols_change_at_run_time_without_a_reconnect_and_backups_follow() -> None:
    venues = {"binance": {"symbols": ["BTCUSDT"]}, "bybit": {"symbols": ["BTCUSDT"], "backup_for": "binance"}}
    async with running(venues, rate=100) as (feeds, sim, events):
        await eventually(lambda: any(isinstance(one, Trade) for one in events))
        sessions = {name: set(sim.venue(name).sessions) for name in venues}
        feeds.change("binance", ["ETHUSDT"])
        await eventually(lambda: any(isinstance(one, Trade) and one.symbol == "ETHUSDT" for one in events))
        await eventually(lambda: {one.symbol for one in feeds.feeds["bybit"].intake.streams} == {"ETHUSDT"})

        assert {one.symbol for one in feeds.feeds["binance"].intake.streams} == {"ETHUSDT"}
        assert sessions["binance"] <= set(sim.venue("binance").sessions)
        assert feeds.feeds["binance"].reconnects == 0
        assert feeds.is_standby("bybit")
        assert {one.venue for one in events if isinstance(one, Trade)} == {"binance"}


async def test_a_symbol_that_nobody_lists_is_named_and_the_rest_is_collected() -> None:
    with capture_logs() as said:
        async with running({"binance": {"symbols": ["BTCUSDT", "NOPENOPE"]}}) as (feeds, _, _events):
            await eventually(lambda: [one for one in said if one["event"] == "symbols.unlisted"])
            await eventually(lambda: feeds.feeds["binance"].connections_open == 1)
    unlisted = [one for one in said if one["event"] == "symbols.unlisted"]

    assert [(one["symbol"], one["reason"]) for one in unlisted] == [
        ("NOPENOPE", "none of binance lists it; it is left out"),
    ]


async def test_nothing_left_to_collect_is_a_mistake_in_the_config() -> None:
    async def run() -> None:
        async with running({"binance": {"symbols": ["NOPENOPE", "NEITHER"]}}):
            await asyncio.wait_for(asyncio.Event().wait(), 30.0)

    with pytest.raises(ConfigError, match="symbols: no venue lists any of NEITHER, NOPENOPE"):
        await run()


async def test_a_venue_that_runs_dry_does_not_hide_that_nothing_is_left_to_collect() -> None:
    async def run() -> None:
        async with running({"binance": {"symbols": ["NOPENOPE"]}, "alpaca": {"symbols": ["NOPENOPE"]}}):
            await asyncio.wait_for(asyncio.Event().wait(), 30.0)

    with pytest.raises(ConfigError, match=r"no venue lists any of NOPENOPE \(alpaca runs dry and is not asked\)"):
        await run()


async def test_an_unknown_venue_is_a_mistake_in_the_config() -> None:
    async with open_sim(["binance"]):
        with pytest.raises(ConfigError, match="did you mean 'binance'"):
            Feeds({"binanse": VenueConfig()}, lambda name: {}, FeedConfig(), FailoverConfig(), list, SystemClock(), Metrics())  # type: ignore[arg-type]


def test_only_timeframes_that_a_venue_streams_side_by_side_are_subscribed_to() -> None:
    venues = {name: venue_named(name, {}) for name in ("binance", "kraken", "alpaca")}
    asked = ("1h", "1m", "7m", "1d")

    assert {"binance": ["1m", "1h", "1d"], "kraken": ["1m"], "alpaca": ["1m"]} == {
        name: streamed(venue, asked) for name, venue in venues.items()
    }


def test_candles_of_a_venue_that_streams_none_come_of_its_trades_and_what_it_does_not_have_is_left_out() -> None:
    coinbase, alpaca = venue_named("coinbase", {}), venue_named("alpaca", {})

    assert ["quote", "trade"] == channels_of(coinbase, ["quote", "candle", "trade"])
    assert ["trade", "candle"] == channels_of(alpaca, ["trade", "book", "candle"])
    assert [] == channels_of(alpaca, ["book"])
