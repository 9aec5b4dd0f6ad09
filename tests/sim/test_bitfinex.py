"""Pretend Bitfinex: what a client sees on the wire."""

import json
import zlib
from decimal import Decimal
from typing import Any

import httpx

from marketd.clock import ManualClock
from marketd.sim import open_sim


async def open_channel(client, **wanted: str) -> int:  # type: ignore[no-untyped-def]
    client.send({"event": "subscribe", **wanted})
    while True:
        answer = await client.next()
        if isinstance(answer, dict) and answer["event"] == "subscribed":
            return int(answer["chanId"])


async def all_exact(client) -> list[Any]:  # type: ignore[no-untyped-def]
    """Frames with their numbers as text."""
    await client.transport.measure_roundtrip_time(1)
    frames = [client.frames.get_nowait() for _ in range(client.frames.qsize())]
    return [json.loads(frame, parse_float=str, parse_int=str) for frame in frames]


async def test_each_trade_comes_as_te_and_tu_after_a_snapshot_of_thirty(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["bitfinex"], clock=clock) as sim, connect(sim.env()["BITFINEX_WS_URL"]) as client:
        assert {"event": "info", "version": 2} == {k: v for k, v in (await client.next()).items() if k in {"event", "version"}}
        await open_channel(client, channel="trades", symbol="tBTCUSD")
        sim.step(90)
        snapshot, *updates = await all_exact(client)
        truth = sim.venue("bitfinex").trades("BTCUSD")
        executed = [frame[2] for frame in updates if frame[1] == "te"]

        assert 30 == len(snapshot[1])
        assert executed == [frame[2] for frame in updates if frame[1] == "tu"]
        assert [(t.trade_id, t.price, t.size, t.side) for t in truth] == [
            (row[0], row[3], row[2].lstrip("-"), "sell" if row[2].startswith("-") else "buy") for row in executed
        ]


async def test_every_array_is_numbered_and_checksums_fit_the_book(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["bitfinex"], clock=clock) as sim, connect(sim.env()["BITFINEX_WS_URL"]) as client:
        client.send({"event": "conf", "flags": 65536 + 131072})
        await open_channel(client, channel="trades", symbol="tETHUSD")
        channel = await open_channel(client, channel="book", symbol="tBTCUSD", len="25")
        for _ in range(20):
            sim.step(20)
        frames = await all_exact(client)
        sides: dict[bool, dict[str, str]] = {True: {}, False: {}}
        checked = 0
        for frame in (frame for frame in frames if frame[0] == str(channel)):
            if frame[1] == "cs":
                text = zlib.crc32(joined(sides).encode())
                assert text == int(frame[2]) % 2**32
                checked += 1
                continue
            for price, count, amount in frame[1] if isinstance(frame[1][0], list) else [frame[1]]:
                side = sides[not amount.startswith("-")]
                if count == "0":
                    del side[price]
                else:
                    side[price] = amount

        numbers = [int(frame[-1]) for frame in frames]
        assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers
        assert 21 == checked


def joined(sides: dict[bool, dict[str, str]]) -> str:
    bids = sorted(sides[True].items(), key=lambda level: -Decimal(level[0]))[:25]
    asks = sorted(sides[False].items(), key=lambda level: Decimal(level[0]))[:25]
    return ":".join(text for pair in zip(bids, asks, strict=True) for level in pair for text in level)


async def test_candles_have_close_before_high_and_quiet_channels_beat(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["bitfinex"], clock=clock) as sim, connect(sim.env()["BITFINEX_WS_URL"]) as client:
        await open_channel(client, channel="candles", key="trade:1m:tBTCUSD")
        sim.step(30)
        await clock.advance(16)
        sim.tick()
        snapshot, update, beat = await client.all()

        assert all(row[4] <= min(row[1], row[2]) <= max(row[1], row[2]) <= row[3] for row in snapshot[1])
        assert snapshot[1][0][0] <= update[1][0]
        assert "hb" == beat[1]


async def test_errors_have_the_venues_codes(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["bitfinex"], clock=clock) as sim, connect(sim.env()["BITFINEX_WS_URL"]) as client:
        await client.next()
        wrong = await client.ask({"event": "subscribe", "channel": "trades", "symbol": "tNOPE"})
        await open_channel(client, channel="ticker", symbol="tBTCUSD")
        await client.next()
        twice = await client.ask({"event": "subscribe", "channel": "ticker", "symbol": "tBTCUSD"})
        unknown = await client.ask({"event": "dance"})

        assert ({"symbol": "tNOPE"}, [10300, 10301, 10000]) == (
            {"symbol": wrong["symbol"]},
            [wrong["code"], twice["code"], unknown["code"]],
        )


async def test_rest_pages_by_sort_and_inclusive_times(clock: ManualClock) -> None:
    async with open_sim(["bitfinex"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BITFINEX_REST_URL"]) as rest:
        first = 1_699_000_020_000
        window = {"start": first, "end": first + 600_000, "limit": 10_000}
        rising = (await rest.get("/candles/trade:1m:tBTCUSD/hist", params=window | {"sort": 1})).json()
        falling = (await rest.get("/candles/trade:1m:tBTCUSD/hist", params=window)).json()
        trades = (await rest.get("/trades/tBTCUSD/hist", params=window | {"sort": 1})).json()
        few = (await rest.get("/candles/trade:1m:tBTCUSD/hist", params={"start": first, "sort": 1, "limit": 50})).json()

        assert rising == falling[::-1]
        assert first <= rising[0][0] < rising[-1][0] <= first + 600_000
        assert sorted(row[1] for row in trades) == [row[1] for row in trades]
        assert rising[0][1] == next(row[3] for row in trades if row[1] // 60_000 * 60_000 == rising[0][0])
        assert 50 == len(few)


async def test_limits_and_errors_of_rest(clock: ManualClock) -> None:
    async with open_sim(["bitfinex"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BITFINEX_REST_URL"]) as rest:
        pairs = (await rest.get("/conf/pub:list:pair:exchange")).json()
        wrong = await rest.get("/trades/tNOPE/hist")
        statuses = [(await rest.get("/trades/tBTCUSD/hist")).status_code for _ in range(15)]

        assert [["BTCUSD", "ETHUSD", "SOLUSD"]] == pairs
        assert (500, ["error", 10020, "symbol: invalid"]) == (wrong.status_code, wrong.json())
        assert [200] * 14 + [429] == statuses
