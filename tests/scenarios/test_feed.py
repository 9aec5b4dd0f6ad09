"""The feed of each venue against its simulated twin: every fault by name, every promise of docs/venues.md."""

import pytest

from marketd.sim.server import SIM_VENUES
from marketd.venues import VENUES
from tests.scenarios.feeds import scenario

NAMES = [name for name in VENUES if name in SIM_VENUES]
SEEDS = [1, 2]
DOLLARS = ("BTCUSD", "ETHUSD")
SYMBOLS = {"alpaca": ("AAPL", "MSFT"), "bitfinex": DOLLARS, "coinbase": DOLLARS, "kraken": DOLLARS}


def symbols_of(name: str) -> tuple[str, str]:
    return SYMBOLS.get(name, ("BTCUSDT", "ETHUSDT"))


@pytest.mark.parametrize("name", NAMES)
async def test_without_faults_everything_arrives_once_and_nothing_is_said_to_be_missing(name: str) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=1) as here:
        await here.flows(one, 200)
        await here.complete(one, other)

        assert here.gaps("trade") == []
        assert here.gaps("book") == []
        here.check_live_order(one)
        assert not any(stream.state == "dead" for stream in here.feed.intake.streams.values())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", ["gap:every=3s,count=5", "duplicate:p=0.2,for=20s", "reorder:p=0.1,for=20s"])
@pytest.mark.parametrize("name", NAMES)
async def test_frames_that_are_lost_repeated_or_swapped_cost_nothing_where_the_venue_proves_it(
    name: str, fault: str, seed: int
) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=seed) as here:
        kind, _, settings = fault.partition(":")
        here.fault(kind, channel="trade", **dict(pair.split("=") for pair in settings.split(",")))
        await here.flows(one, 300)
        if here.venue.proofs["trade"].detects == "overlap":  # within a connection nothing is proven, only audited
            here.check_trades(one)
            return
        await here.complete(one, other)
        if here.venue.proofs["trade"].detects == "ids" and name != "binance_us":
            assert here.unrecovered(one) == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
async def test_a_broken_connection_comes_back_and_what_was_missed_is_fetched_or_said(name: str, seed: int) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=seed) as here:
        here.fault("disconnect", every="4s")
        for _ in range(5):
            before = here.feed.reconnects
            await here.eventually(lambda seen=before: here.feed.reconnects > seen, "a reconnect")  # type: ignore[misc]
        await here.complete(one, other)

        assert len(here.statuses("disconnected")) >= 5
        if here.venue.proofs["trade"].detects == "ids":
            assert here.unrecovered(one) == []
        crossed = [gap for gap in here.gaps("book") if gap.cause == "crossed"]
        assert crossed == []
