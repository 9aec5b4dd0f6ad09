"""Pretend Kraken: what a client sees on the wire."""

import json
import zlib
from decimal import Decimal

import httpx

from marketd.clock import ManualClock
from marketd.sim import open_sim


def subscription(channel: str, *symbols: str, **params: object) -> dict[str, object]:
    return {"method": "subscribe", "params": {"channel": channel, "symbol": list(symbols), **params}, "req_id": 11}


async def test_each_symbol_has_its_own_answer(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["kraken"], clock=clock) as sim, connect(sim.env()["KRAKEN_WS_URL"]) as client:
        assert "status" == (await client.next())["channel"]
        client.send(subscription("trade", "BTC/USD", "XBT/USD", "ETH/USD"))
        answers = await client.all()
        client.send(subscription("ohlc", "BTC/USD", interval=1, snapshot=False))
        client.send(subscription("ohlc", "BTC/USD", interval=5, snapshot=False))
        second = (await client.all())[-1]
        pong = await client.ask({"method": "ping", "req_id": 5})

        assert [True, False, True] == [answer["success"] for answer in answers]
        assert "Currency pair not supported XBT/USD" == answers[1]["error"]
        assert "Already subscribed to one ohlc interval on this symbol" == second["error"]
        assert ("pong", 5) == (pong["method"], pong["req_id"])


async def test_trades_arrive_as_the_truth_says(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["kraken"], clock=clock) as sim, connect(sim.env()["KRAKEN_WS_URL"]) as client:
        client.send(subscription("trade", "BTC/USD", snapshot=True))
        sim.heal()
        await client.all()
        sim.step(90)
        await client.transport.measure_roundtrip_time(1)
        frames = [json.loads(client.frames.get_nowait(), parse_float=str) for _ in range(client.frames.qsize())]
        rows = [row for frame in frames if frame["channel"] == "trade" for row in frame["data"]]

        assert [t[:4] for t in sim.venue("kraken").trades("BTCUSD")] == [
            (str(row["trade_id"]), row["price"], row["qty"], row["side"]) for row in rows
        ]


async def test_the_checksum_fits_the_book_that_the_client_cuts_itself(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["kraken"], clock=clock) as sim, connect(sim.env()["KRAKEN_WS_URL"]) as client:
        client.send(subscription("book", "BTC/USD", depth=10))
        await client.transport.measure_roundtrip_time(1)
        for _ in range(40):
            sim.step(20)
        await client.transport.measure_roundtrip_time(1)
        frames = [json.loads(client.frames.get_nowait(), parse_float=Decimal) for _ in range(client.frames.qsize())]
        books = [frame["data"][0] for frame in frames if frame.get("channel") == "book"]
        sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        for update in books:
            for name, levels in sides.items():
                levels.update({level["price"]: level["qty"] for level in update[name]})
                kept = sorted(((p, q) for p, q in levels.items() if q), reverse=name == "bids")[:10]
                sides[name] = dict(kept)
            text = "".join(
                f"{price:.2f}".replace(".", "").lstrip("0") + f"{size:.8f}".replace(".", "").lstrip("0")
                for name in ("asks", "bids")
                for price, size in sides[name].items()
            )
            assert zlib.crc32(text.encode()) == update["checksum"]
        assert 41 == len(books)


async def test_a_quiet_second_has_a_heartbeat(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["kraken"], clock=clock) as sim, connect(sim.env()["KRAKEN_WS_URL"]) as client:
        client.send(subscription("trade", "BTC/USD"))
        await client.all()
        for _ in range(2):
            await clock.advance(1)
            sim.tick()

        assert {"channel": "heartbeat"} == (await client.all())[-1]


async def test_trades_are_paged_by_their_last_time_without_loss(clock: ManualClock) -> None:
    async with (
        open_sim(["kraken"], clock=clock, limits=False) as sim,
        httpx.AsyncClient(base_url=sim.env()["KRAKEN_REST_URL"]) as rest,
    ):
        since = str(clock.now_ns() - 3_600_000_000_000)
        sim.step(60)
        ids: list[int] = []
        while True:
            page = (await rest.get("/Trades", params={"pair": "XBTUSD", "since": since, "count": 37})).json()["result"]
            rows, since = page["XXBTZUSD"], page["last"]
            if not rows:
                break
            ids += [row[6] for row in rows]

        assert list(range(ids[0], ids[0] + len(ids))) == ids
        assert int(sim.venue("kraken").trades("BTCUSD")[-1].trade_id) == ids[-1]


async def test_ohlc_reaches_back_720_minutes_whatever_is_asked_and_intervals_without_trades_are_rows_or_not(
    clock: ManualClock,
) -> None:
    async with open_sim(["kraken"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["KRAKEN_REST_URL"]) as rest:
        result = (await rest.get("/OHLC", params={"pair": "BTC/USD", "interval": 1, "since": 1_600_000_000})).json()["result"]
        rows = result["XXBTZUSD"]
        newer = (await rest.get("/OHLC", params={"pair": "XBTUSD", "since": rows[-4][0]})).json()["result"]["XXBTZUSD"]

        minutes = [row[0] // 60 for row in rows]
        assert 0 < minutes[0] - (minutes[-1] - 720) < 10
        assert 600 < len(rows) < 720
        assert "0.00000000" in [row[6] for row in rows]
        assert rows[-2][0] == result["last"]
        assert rows[-3:] == newer


async def test_errors_come_with_status_200(clock: ManualClock) -> None:
    async with open_sim(["kraken"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["KRAKEN_REST_URL"]) as rest:
        answers = [await rest.get("/Depth", params={"pair": "NOPE"}) for _ in range(6)]

        assert {200} == {answer.status_code for answer in answers}
        assert ["EQuery:Unknown asset pair"] == answers[0].json()["error"]
        assert ["EGeneral:Too many requests"] == answers[5].json()["error"]
