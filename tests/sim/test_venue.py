"""Faults on the wire, seen through one venue."""

import asyncio

import httpx
import pytest
from picows import WSError

from marketd.clock import ManualClock
from marketd.sim import open_sim

TRADES = "/stream?streams=btcusdt@trade/ethusdt@trade"


async def test_a_gap_leaves_out_frames_that_rest_knows(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + TRADES) as client:
        sim.fault("binance", "gap", symbol="BTCUSDT", count=3)
        sim.step(100)
        seen = [str(f["data"]["t"]) for f in await client.all() if f["data"]["s"] == "BTCUSDT"]
        truth = [trade.trade_id for trade in sim.venue("binance").trades("BTCUSDT")]
        async with httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as rest:
            rows = (
                await rest.get("/api/v3/historicalTrades", params={"symbol": "BTCUSDT", "fromId": truth[0], "limit": 3})
            ).json()

        assert truth[3:] == seen
        assert truth[:3] == [str(row["id"]) for row in rows]


async def test_a_mute_symbol_is_silent_while_the_others_go_on(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + TRADES) as client:
        sim.fault("binance", "mute", symbol="BTCUSDT")
        sim.step(100)
        assert {"ETHUSDT"} == {frame["data"]["s"] for frame in await client.all()}
        sim.heal("binance")
        sim.step(100)
        assert {"BTCUSDT", "ETHUSDT"} == {frame["data"]["s"] for frame in await client.all()}


async def test_a_mute_venue_still_answers_pings(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + TRADES) as client:
        sim.fault("binance", "mute")
        client.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        sim.step(100)

        assert await client.all() == []


async def test_a_stalled_venue_sends_afterwards_what_it_held(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + TRADES) as client:
        sim.fault("binance", "stall")
        sim.step(100)
        client.transport.send_ping(b"x")
        async with httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as rest:  # a whole round trip meanwhile
            await rest.get("/api/v3/ping")
        assert client.frames.qsize() == 0
        sim.heal()
        assert len(sim.venue("binance").trades("BTCUSDT")) + len(sim.venue("binance").trades("ETHUSDT")) == len(
            await client.all()
        )


@pytest.mark.parametrize("name", ["duplicate", "reorder", "garble"])
async def test_frames_arrive_twice_in_another_order_or_spoilt(connect, clock: ManualClock, name: str) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + "/ws/btcusdt@trade") as client:
        sim.fault("binance", name)
        sim.step(60)
        truth = [trade.trade_id for trade in sim.venue("binance").trades("BTCUSDT")]
        await client.transport.measure_roundtrip_time(1)
        seen = [(await client.raw()).decode() for _ in range(client.frames.qsize())]
        ids = [next((each for each in truth if f'"t":{each},' in frame and frame.endswith("}")), None) for frame in seen]

        expected = {
            "duplicate": [truth[0], *truth],
            "reorder": [truth[1], truth[0], *truth[2:]],
            "garble": [ids[0], *truth[1:]],
        }
        assert expected[name] == ids
        if name == "garble":
            assert not seen[0].startswith('{"e":"trade"') or ids[0] is None or seen[0] != seen[1]


async def test_refused_requests_carry_status_and_retry_after(clock: ManualClock) -> None:
    async with (
        open_sim(["binance"], clock=clock, faults="refuse:status=418,retry_after=9,path=depth") as sim,
        httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as rest,
    ):
        answer, other = await rest.get("/api/v3/depth"), await rest.get("/api/v3/ping")

        assert (answer.status_code, answer.headers["Retry-After"], other.status_code) == (418, "9", 200)


async def test_a_refused_handshake_is_no_connection(clock: ManualClock, connect) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock, faults="refuse:on=ws,status=429") as sim:
        with pytest.raises(WSError, match="429"):
            async with connect(sim.env()["BINANCE_WS_URL"] + TRADES):
                pass


async def test_a_slow_answer_comes_after_faster_ones(clock: ManualClock) -> None:
    async with (
        open_sim(["binance"], clock=clock, faults="slow:path=depth,by=50ms") as sim,
        httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as rest,
    ):
        order: list[str] = []

        async def ask(name: str) -> None:
            await rest.get(f"/api/v3/{name}", params={"symbol": "BTCUSDT"})
            order.append(name)

        await asyncio.gather(ask("depth"), ask("ping"))

        assert order == ["ping", "depth"]


async def test_a_skewed_clock_shows_in_times(clock: ManualClock, connect) -> None:  # type: ignore[no-untyped-def]
    async with (
        open_sim(["binance"], clock=clock, faults="skew:by=7s") as sim,
        connect(sim.env()["BINANCE_WS_URL"] + TRADES) as client,
        httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as rest,
    ):
        sim.step(50)
        now_ms = clock.now_ns() // 1_000_000

        assert now_ms + 7000 == (await rest.get("/api/v3/time")).json()["serverTime"]
        assert now_ms + 7000 == (await client.next())["data"]["T"]


async def test_a_subscription_can_be_refused(clock: ManualClock, connect) -> None:  # type: ignore[no-untyped-def]
    async with (
        open_sim(["binance"], clock=clock, faults="error:symbol=BTCUSDT,message=no such thing") as sim,
        connect(sim.env()["BINANCE_WS_URL"] + "/ws") as client,
    ):
        refused = await client.ask({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})
        taken = await client.ask({"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 2})

        assert refused == {"error": {"code": 2, "msg": "no such thing"}, "id": 1}
        assert taken == {"result": None, "id": 2}


async def test_a_disconnect_drops_the_line_and_keeps_it_down(clock: ManualClock, connect) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim:
        async with connect(sim.env()["BINANCE_WS_URL"] + TRADES) as client:
            sim.fault("binance", "disconnect", for_s=30)
            assert await client.is_gone()
        with pytest.raises(WSError, match="503"):
            async with connect(sim.env()["BINANCE_WS_URL"] + TRADES):
                pass
        await clock.advance(31)
        async with connect(sim.env()["BINANCE_WS_URL"] + TRADES) as client:
            sim.step(20)
            assert await client.next()


async def test_a_cut_is_announced_first(clock: ManualClock, connect) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + TRADES) as client:
        sim.fault("binance", "cut", by_s=5)
        assert (await client.next())["stream"] == "!serverShutdown"
        await clock.advance(6)
        sim.tick()
        assert await client.is_gone()


async def test_an_unknown_setting_of_a_fault_is_named() -> None:
    async with open_sim(["binance"]) as sim:
        with pytest.raises(ValueError, match="'colour' is not a setting"):
            sim.fault("binance", "gap", colour="red")
