"""Pretend Binance: what a client sees on the wire."""

from decimal import Decimal
from itertools import pairwise

import httpx
import pytest

from marketd.clock import ManualClock
from marketd.sim import open_sim

STREAMS = "/stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@depth@100ms/btcusdt@kline_1m"


async def test_trades_arrive_as_the_truth_says_in_combined_form(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + STREAMS) as client:
        sim.step(100)
        frames = [frame["data"] for frame in await client.all() if frame["stream"] == "btcusdt@trade"]
        truth = sim.venue("binance").trades("BTCUSDT")

        assert truth
        assert [(t.trade_id, t.price, t.size, t.ts_event) for t in truth] == [
            (str(f["t"]), f["p"], f["q"], f["T"] * 1_000_000) for f in frames
        ]
        assert [t.side == "sell" for t in truth] == [f["m"] for f in frames]
        assert all(later["t"] == earlier["t"] + 1 for earlier, later in pairwise(frames))


async def test_depth_updates_follow_each_other_and_lead_to_the_book(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + STREAMS) as client:
        async with httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as rest:
            sim.step(20)
            snapshot = (await rest.get("/api/v3/depth", params={"symbol": "BTCUSDT", "limit": 1000})).json()
        for _ in range(50):
            sim.step(10)
        updates = [f["data"] for f in await client.all() if f["stream"] == "btcusdt@depth@100ms"]
        book = {side: dict(snapshot[name]) for side, name in (("b", "bids"), ("a", "asks"))}
        last = snapshot["lastUpdateId"]
        for update in updates:
            if update["u"] <= last:
                continue
            assert update["U"] <= last + 1 <= update["u"]
            last = update["u"]
            for side in "ba":
                for price, size in update[side]:
                    book[side][price] = size
                    if Decimal(size) == 0:
                        del book[side][price]
        bids, asks = sim.venue("binance").book("BTCUSDT", 1000)

        assert (dict(bids), dict(asks)) == (book["b"], book["a"])


async def test_a_kline_closes_once_its_minute_is_over(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + STREAMS) as client:
        sim.step(30)
        await clock.advance(180)
        sim.step(30)
        klines = [f["data"]["k"] for f in await client.all() if f["stream"] == "btcusdt@kline_1m"]

        assert [k["x"] for k in klines] == [False, True, True, True, False]
        assert [later["t"] - earlier["t"] for earlier, later in pairwise(klines[1:])] == [60_000] * 3
        assert tuple(klines[2][key] for key in ("n", "f", "L", "v")) == (0, -1, -1, "0.00000000")
        assert {klines[1]["c"]} == {klines[2][key] for key in "ohlc"}


async def test_control_messages_are_answered_in_the_venues_words(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + "/ws") as client:
        assert await client.ask({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "nope@trade"], "id": 7}) == {
            "result": None,
            "id": 7,
        }
        assert await client.ask({"method": "LIST_SUBSCRIPTIONS", "id": 9}) == {"result": ["btcusdt@trade", "nope@trade"], "id": 9}
        assert await client.ask({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 8}) == {"result": None, "id": 8}
        sim.step(50)
        assert await client.all() == []
        assert (await client.ask({"method": "SHOUT", "id": 1}))["code"] == 2
        client.send({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        client.send({"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert await client.is_gone()  # more than five messages within one second


async def test_raw_streams_have_no_wrapper(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + "/ws/ethusdt@trade") as client:
        sim.step(50)

        assert {"trade"} == {frame["e"] for frame in await client.all()}


async def test_the_daily_cut_is_announced(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + STREAMS) as client:
        for _ in range(24 * 60):  # pongs must come in between
            await clock.advance(60)
            sim.tick()
            await client.transport.measure_roundtrip_time(1)
        frames = [frame["stream"] for frame in await client.all()]

        assert frames[-1] == "!serverShutdown"
        await clock.advance(60)
        sim.tick()
        assert await client.is_gone()


async def test_a_client_that_never_pongs_is_cut(clock: ManualClock, connect) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance"], clock=clock) as sim, connect(sim.env()["BINANCE_WS_URL"] + STREAMS) as client:
        client.transport.underlying_transport.pause_reading()
        for _ in range(5):
            await clock.advance(20)
            sim.tick()
        client.transport.underlying_transport.resume_reading()

        assert await client.is_gone()


async def get(sim, path: str, **params: object) -> httpx.Response:  # type: ignore[no-untyped-def]
    async with httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as client:
        return await client.get(f"/api/v3/{path}", params=params)  # type: ignore[arg-type]


async def test_pages_of_old_trades_join(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        sim.step(20)
        newest = (await get(sim, "trades", symbol="BTCUSDT", limit=1)).json()[0]["id"]
        rows = []
        while not rows or rows[-1]["id"] < newest:
            first = rows[-1]["id"] + 1 if rows else newest - 2500
            rows += (await get(sim, "historicalTrades", symbol="BTCUSDT", fromId=first, limit=1000)).json()

        assert list(range(newest - 2500, newest + 1)) == [row["id"] for row in rows]


async def test_klines_keep_their_rows_limits_and_running_candle(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        sim.step(20)
        now = clock.now_ns() // 1_000_000
        newest = (await get(sim, "klines", symbol="BTCUSDT", interval="1m", limit=3)).json()
        window = (
            await get(sim, "klines", symbol="BTCUSDT", interval="1m", startTime=1_699_000_020_000, endTime=1_699_000_140_000)
        ).json()
        capped = (await get(sim, "klines", symbol="BTCUSDT", interval="1m", startTime=1_699_000_020_000, limit=5000)).json()

        assert now // 60_000 * 60_000 == newest[-1][0]
        assert [row[0] for row in window] == [1_699_000_020_000, 1_699_000_080_000, 1_699_000_140_000]
        assert (len(capped), len(capped[0])) == (1000, 12)
        assert all(Decimal(row[3]) <= min(Decimal(row[1]), Decimal(row[4])) for row in capped)


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("klines", {"symbol": "NOPE", "interval": "1m"}, -1121),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("depth", {}, -1102),
        ("trades", {"symbol": "BTCUSDT", "limit": "many"}, -1100),
    ],
)
async def test_errors_carry_the_venues_codes(clock: ManualClock, path: str, params: dict[str, str], code: int) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        answer = await get(sim, path, **params)

        assert (400, code) == (answer.status_code, answer.json()["code"])


async def test_too_much_weight_is_429_and_then_418(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        answers = [await get(sim, "depth", symbol="BTCUSDT", limit=5000) for _ in range(50)]

        assert [a.status_code for a in answers[:24]] == [200] * 24
        assert answers[23].headers["X-MBX-USED-WEIGHT-1M"] == "6000"
        assert (answers[24].status_code, answers[24].json()["code"]) == (429, -1003)
        assert int(answers[24].headers["Retry-After"]) <= 61
        assert answers[-1].status_code == 418


async def test_binance_us_wants_a_key_for_old_trades_and_has_less_weight(clock: ManualClock, connect) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["binance_us"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_US_REST_URL"]) as rest:
        refused = await rest.get("/api/v3/historicalTrades", params={"symbol": "BTCUSDT"})
        allowed = await rest.get("/api/v3/historicalTrades", params={"symbol": "BTCUSDT"}, headers={"X-MBX-APIKEY": "k"})
        info = (await rest.get("/api/v3/exchangeInfo")).json()

        assert (refused.status_code, allowed.status_code) == (401, 200)
        assert info["rateLimits"][0]["limit"] == 1200
        async with connect(sim.env()["BINANCE_US_WS_URL"] + "/stream?streams=btcusdt@trade") as client:
            sim.step(30)
            assert {"a", "b"} <= set((await client.next())["data"])
