"""Pretend Bybit: what a client sees on the wire."""

import httpx

from marketd.clock import ManualClock
from marketd.sim import open_sim


async def subscribe(client, *args: str) -> dict[str, object]:  # type: ignore[no-untyped-def]
    answer: dict[str, object] = await client.ask({"req_id": "7", "op": "subscribe", "args": list(args)})
    return answer


async def test_subscriptions_are_answered_once_all_or_nothing(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["bybit"], clock=clock) as sim, connect(sim.env()["BYBIT_WS_URL"]) as client:
        taken = await subscribe(client, "publicTrade.BTCUSDT")
        refused = await subscribe(client, "publicTrade.ETHUSDT", "publicTrade.NOPE")
        crowded = await subscribe(client, *[f"kline.{n}.BTCUSDT" for n in range(11)])
        pong = await client.ask({"req_id": "9", "op": "ping"})
        sim.step(60)

        assert ("subscribe", True, "7") == (taken["op"], taken["success"], taken["req_id"])
        assert (False, "error:handler not found,topic:publicTrade.NOPE") == (refused["success"], refused["ret_msg"])
        assert (False, "args size >10") == (crowded["success"], crowded["ret_msg"])
        assert ("ping", "pong") == (pong["op"], pong["ret_msg"])
        assert {"publicTrade.BTCUSDT"} == {frame["topic"] for frame in await client.all()}


async def test_trades_arrive_as_the_truth_says(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["bybit"], clock=clock) as sim, connect(sim.env()["BYBIT_WS_URL"]) as client:
        await subscribe(client, "publicTrade.BTCUSDT")
        sim.step(90)
        rows = [row for frame in await client.all() for row in frame["data"]]

        assert sim.venue("bybit").trades("BTCUSDT") == [
            (row["i"], row["p"], row["v"], row["S"].lower(), row["T"] * 1_000_000) for row in rows
        ]


async def test_a_book_starts_with_a_snapshot_and_counts_on(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["bybit"], clock=clock) as sim, connect(sim.env()["BYBIT_WS_URL"]) as client:
        await subscribe(client, "orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT")
        for _ in range(40):
            sim.step(20)
        frames = await client.all()
        deep = [frame for frame in frames if frame["topic"] == "orderbook.50.BTCUSDT"]
        best = [frame for frame in frames if frame["topic"] == "orderbook.1.BTCUSDT"]
        book = {side: dict(deep[0]["data"][side]) for side in "ba"}
        for frame in deep[1:]:
            for side in "ba":
                book[side].update(frame["data"][side])
        left = {side: {price: size for price, size in book[side].items() if size != "0"} for side in "ba"}
        bids, asks = sim.venue("bybit").book("BTCUSDT", 50)

        assert ["snapshot"] + ["delta"] * 39 == [frame["type"] for frame in deep[:40]]
        assert list(range(deep[0]["data"]["u"], deep[0]["data"]["u"] + len(deep))) == [frame["data"]["u"] for frame in deep]
        assert (dict(bids), dict(asks)) == (left["b"], left["a"])
        assert {"snapshot"} == {frame["type"] for frame in best}
        assert [list(bids[0])] == best[-1]["data"]["b"]


async def test_a_candle_is_confirmed_once_its_minute_is_over(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["bybit"], clock=clock) as sim, connect(sim.env()["BYBIT_WS_URL"]) as client:
        await subscribe(client, "kline.1.BTCUSDT")
        sim.step(30)
        await clock.advance(60)
        sim.step(30)
        rows = [row for frame in await client.all() for row in frame["data"]]

        assert [False, True, False] == [row["confirm"] for row in rows]
        assert rows[1]["start"] + 60_000 == rows[2]["start"] == rows[1]["end"] + 1


async def test_rest_rows_come_newest_first_within_inclusive_ends(clock: ManualClock) -> None:
    async with open_sim(["bybit"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BYBIT_REST_URL"]) as rest:
        sim.step(30)
        window = {"category": "spot", "symbol": "BTCUSDT", "interval": "1", "start": 1_699_999_980_000 - 120_000}
        candles = (await rest.get("/v5/market/kline", params=window | {"end": 1_699_999_980_000})).json()["result"]["list"]
        trades = (await rest.get("/v5/market/recent-trade", params={"symbol": "BTCUSDT"})).json()["result"]["list"]

        assert [1_699_999_980_000 - i * 60_000 for i in range(3)] == [int(row[0]) for row in candles]
        assert 60 == len(trades)
        assert sorted((int(row["execId"]) for row in trades), reverse=True) == [int(row["execId"]) for row in trades]


async def test_errors_are_200_with_a_code_or_404_for_the_wrong_category(clock: ManualClock) -> None:
    async with open_sim(["bybit"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BYBIT_REST_URL"]) as rest:
        unknown = await rest.get("/v5/market/kline", params={"category": "spot", "symbol": "NOPE", "interval": "1"})
        linear = await rest.get("/v5/market/kline", params={"category": "linear", "symbol": "BTCUSDT"})

        assert (200, 10001) == (unknown.status_code, unknown.json()["retCode"])
        assert 404 == linear.status_code


async def test_more_than_600_requests_in_5_seconds_are_refused(clock: ManualClock) -> None:
    async with open_sim(["bybit"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BYBIT_REST_URL"]) as rest:
        statuses = [(await rest.get("/v5/market/time")).status_code for _ in range(601)]

        assert [200] * 600 + [403] == statuses
