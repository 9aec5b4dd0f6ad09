"""Pretend Coinbase Exchange: what a client sees on the wire."""

import httpx

from marketd.clock import ManualClock
from marketd.sim import open_sim


def subscription(*channels: str, products: tuple[str, ...] = ("BTC-USD",)) -> dict[str, object]:
    return {"type": "subscribe", "product_ids": list(products), "channels": list(channels)}


async def test_matches_carry_the_makers_side_and_the_ticker_the_takers(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["coinbase"], clock=clock) as sim, connect(sim.env()["COINBASE_WS_URL"]) as client:
        state = await client.ask(subscription("matches", "ticker"))
        sim.step(90)
        frames = await client.all()
        matches = [frame for frame in frames if frame["type"] == "match"]
        tickers = {frame["trade_id"]: frame["side"] for frame in frames if frame["type"] == "ticker"}
        truth = sim.venue("coinbase").trades("BTCUSD")

        assert {
            "type": "subscriptions",
            "channels": [{"name": n, "product_ids": ["BTC-USD"]} for n in ("matches", "ticker")],
        } == state
        assert ["last_match", "ticker"] == [frame["type"] for frame in frames[:2]]
        assert [(t.trade_id, t.price, t.size) for t in truth] == [(str(m["trade_id"]), m["price"], m["size"]) for m in matches]
        assert ["sell" if t.side == "buy" else "buy" for t in truth] == [m["side"] for m in matches]
        assert [t.side for t in truth] == [tickers[int(t.trade_id)] for t in truth]


async def test_level2_updates_lead_from_the_snapshot_to_the_book(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["coinbase"], clock=clock) as sim, connect(sim.env()["COINBASE_WS_URL"]) as client:
        await client.ask(subscription("level2_batch"))
        for _ in range(30):
            sim.step(20)
        snapshot, *updates = await client.all()
        book = {"buy": dict(snapshot["bids"]), "sell": dict(snapshot["asks"])}
        for side, price, size in (change for update in updates for change in update["changes"]):
            book[side][price] = size
            if float(size) == 0:
                del book[side][price]
        bids, asks = sim.venue("coinbase").book("BTCUSD", 1000)

        assert (dict(bids), dict(asks)) == (book["buy"], book["sell"])


async def test_the_heartbeat_names_the_last_trade(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["coinbase"], clock=clock) as sim, connect(sim.env()["COINBASE_WS_URL"]) as client:
        await client.ask(subscription("heartbeat"))
        sim.step(60)

        assert int(sim.venue("coinbase").trades("BTCUSD")[-1].trade_id) == (await client.next())["last_trade_id"]


async def test_one_wrong_product_fails_the_whole_subscription(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["coinbase"], clock=clock) as sim, connect(sim.env()["COINBASE_WS_URL"]) as client:
        refused = await client.ask(subscription("matches", products=("BTC-USD", "NO-PE")))
        locked = await client.ask(subscription("level2"))
        sim.step(50)

        assert {"type": "error", "message": "Failed to subscribe", "reason": "NO-PE is not a valid product"} == refused
        assert "error" == locked["type"]
        assert [] == await client.all()


async def test_who_does_not_subscribe_within_five_seconds_is_cut(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["coinbase"], clock=clock) as sim, connect(sim.env()["COINBASE_WS_URL"]) as client:
        await clock.advance(6)
        sim.tick()

        assert await client.is_gone()


async def test_trades_are_walked_back_by_cursor(clock: ManualClock) -> None:
    async with open_sim(["coinbase"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["COINBASE_REST_URL"]) as rest:
        sim.step(60)
        ids: list[int] = []
        after: dict[str, str] = {}
        for _ in range(3):
            page = await rest.get("/products/BTC-USD/trades", params={"limit": 100, **after})
            after = {"after": page.headers["CB-AFTER"]}
            ids += [row["trade_id"] for row in page.json()]

        assert list(range(ids[0], ids[0] - 300, -1)) == ids
        assert int(sim.venue("coinbase").trades("BTCUSD")[-1].trade_id) == ids[0]


async def test_candles_are_newest_first_low_before_high_without_empty_ones(clock: ManualClock) -> None:
    async with open_sim(["coinbase"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["COINBASE_REST_URL"]) as rest:
        window = {"granularity": 60, "start": 1_699_000_020, "end": 1_699_000_020 + 299 * 60}
        rows = (await rest.get("/products/BTC-USD/candles", params=window)).json()
        refused = await rest.get("/products/BTC-USD/candles", params=window | {"end": 1_699_000_020 + 300 * 60})

        assert sorted((row[0] for row in rows), reverse=True) == [row[0] for row in rows]
        assert 150 < len(rows) < 300
        assert all(low <= min(open_, close) <= max(open_, close) <= high for _, low, high, open_, close, _ in rows)
        assert 400 == refused.status_code
        assert "exceeds 300" in refused.json()["message"]


async def test_more_than_a_burst_is_refused_and_unknown_products_are_not_found(clock: ManualClock) -> None:
    async with open_sim(["coinbase"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["COINBASE_REST_URL"]) as rest:
        missing = await rest.get("/products/NO-PE/trades")
        statuses = [(await rest.get("/products")).status_code for _ in range(15)]

        assert (404, {"message": "NotFound"}) == (missing.status_code, missing.json())
        assert [200] * 14 + [429] == statuses
