"""One WebSocket client of a simulated venue."""

from marketd.clock import ManualClock
from marketd.sim import open_sim


async def test_a_client_that_leaves_is_forgotten_with_what_it_listened_to(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim:
        venue = sim.venue("binance")
        async with connect(sim.env()["BINANCE_WS_URL"] + "/stream?streams=btcusdt@depth/btcusdt@trade") as client:
            await client.all()
            there = len(venue.sessions), sorted(venue.watching), sorted(venue.views)
        while venue.sessions:
            await clock.advance(0.1)

        assert there == (1, [("book", "BTCUSDT", "depth"), ("trade", "BTCUSDT")], [("book", "BTCUSDT", "depth")])
        assert (venue.watching, venue.views) == ({}, {})


async def test_what_is_no_json_is_answered_in_the_venues_words(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with (
        open_sim(["binance"], clock=clock) as sim,
        connect(sim.env()["BINANCE_WS_URL"] + "/stream") as client,
    ):
        said = await client.ask("text")

        assert said["code"] == 3
        assert sim.venue("binance").heard_frames == 1
