"""One port, several venues: paths, pace, floods."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.clock import ManualClock
from marketd.sim import Jumps, open_sim


async def test_the_environment_lines_name_each_venue_and_the_ranking_of_their_coins() -> None:
    async with open_sim(["binance", "binance_us"]) as sim:
        assert {
            "BINANCE_WS_URL": f"ws://{sim.address}/binance",
            "BINANCE_REST_URL": f"http://{sim.address}/binance",
            "BINANCE_US_WS_URL": f"ws://{sim.address}/binance_us",
            "BINANCE_US_REST_URL": f"http://{sim.address}/binance_us",
            "COINGECKO_URL": f"http://{sim.address}/coingecko",
        } == sim.env()


async def test_an_unknown_venue_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'mtgox' does not exist; allowed: binance"):
        async with open_sim(["mtgox"]):
            pass
    async with open_sim(["binance"]) as sim, httpx.AsyncClient() as client:
        answer = await client.get(f"http://{sim.address}/mtgox/ticker")

        assert (answer.status_code, "there are /binance" in answer.text) == (404, True)


async def test_running_freely_makes_trades_without_being_asked(connect) -> None:  # type: ignore[no-untyped-def]
    async with (
        open_sim(["binance"], rate=2000, jumps=Jumps(0.05, 30)) as sim,
        connect(sim.env()["BINANCE_WS_URL"] + "/stream?streams=btcusdt@trade") as client,
    ):
        ids = [(await client.next())["data"]["t"] for _ in range(200)]

        assert list(range(ids[0], ids[0] + 200)) == ids


async def test_the_same_seed_and_clock_give_the_same_frames(connect) -> None:  # type: ignore[no-untyped-def]
    seen = []
    for _ in range(2):
        clock = ManualClock()
        async with (
            open_sim(["binance"], seed=5, clock=clock) as sim,
            connect(sim.env()["BINANCE_WS_URL"] + "/stream?streams=btcusdt@trade/btcusdt@depth/ethusdt@bookTicker") as client,
        ):
            for _ in range(10):
                await clock.advance(0.1)
                sim.step(10)
            seen.append(await client.all())

    assert seen[0] == seen[1]


async def test_a_flood_sends_every_frame_it_encoded(connect) -> None:  # type: ignore[no-untyped-def]
    async with (
        open_sim(["binance"]) as sim,
        connect(sim.env()["BINANCE_WS_URL"] + "/stream?streams=btcusdt@trade/ethusdt@trade/solusdt@trade") as client,
    ):
        flood = await sim.flood("binance", 5000)
        frames = await client.all()
        paced = await sim.flood("binance", 50, events_per_s=5000)

        venue = sim.venue("binance")
        made = sum(len(venue.trades(symbol)) for symbol in venue.listings)

        assert flood.trades == flood.frames == len(frames)
        assert flood.trades + paced.trades == made


async def test_symbols_replace_the_venues_own_list() -> None:
    async with open_sim(["binance"], symbols=["AAAUSDT"]) as sim, httpx.AsyncClient() as client:
        info = (await client.get(sim.env()["BINANCE_REST_URL"] + "/api/v3/exchangeInfo")).json()

        assert [symbol["symbol"] for symbol in info["symbols"]] == ["AAAUSDT"]


async def test_a_jump_moves_every_venue_that_lists_the_symbol() -> None:
    async with open_sim(["binance", "binance_us"]) as sim:
        before = [float(sim.venue(name).book("BTCUSDT")[0][0][0]) for name in sim.venues]
        sim.jump("BTCUSDT", 30)
        after = [float(sim.venue(name).book("BTCUSDT")[0][0][0]) for name in sim.venues]

        assert all(28 < (b / a - 1) * 10_000 < 32 for a, b in zip(before, after, strict=True))


async def test_a_move_is_of_one_symbol_and_comes_when_it_is_said_to() -> None:
    clock = ManualClock(1_700_000_000_000_000_000)
    async with open_sim(["binance"], clock=clock, faults="move:symbol=BTCUSDT,bps=-40,at=5s") as sim:
        prices = []
        for _ in range(2):
            prices.append([float(sim.venue("binance").book(symbol)[0][0][0]) for symbol in ("BTCUSDT", "ETHUSDT")])
            await clock.advance(5)
            sim.tick()
        prices.append([float(sim.venue("binance").book(symbol)[0][0][0]) for symbol in ("BTCUSDT", "ETHUSDT")])

    assert [-40, 0] == [round((after / before - 1) * 10_000) for before, after in zip(prices[0], prices[2], strict=True)]


@pytest.mark.parametrize("rate", [0, 500])
async def test_what_fails_inside_comes_out_as_it_is(rate: float) -> None:
    with pytest.raises(KeyError):
        async with open_sim(["binance"], rate=rate):
            raise KeyError("mine")


async def test_the_test_on_the_page_runs() -> None:
    (text,) = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs" / "sim.md").read_text(), re.DOTALL)
    module: dict[str, Any] = {}
    exec(text, module)

    await module["test_a_gap_is_repaired"]()
