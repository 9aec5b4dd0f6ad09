"""Pretend Binance.US: its markets, its weights, its day figures."""

import json
from itertools import pairwise

import httpx

from marketd.clock import ManualClock
from marketd.sim import open_sim


def symbols(*names: str) -> dict[str, str]:
    return {"symbols": json.dumps(names, separators=(",", ":"))}


async def test_it_lists_coins_against_usdt_and_some_against_usd_only(clock: ManualClock) -> None:
    async with open_sim(["binance_us"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_US_REST_URL"]) as rest:
        listed = {one["symbol"] for one in (await rest.get("/api/v3/exchangeInfo")).json()["symbols"]}

    assert {"BTCUSDT", "BTCUSD", "ETCUSD"} <= listed
    assert "ETCUSDT" not in listed


async def test_weights_are_the_venues_own_and_counted_by_the_minute(clock: ManualClock) -> None:
    async with open_sim(["binance_us"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_US_REST_URL"]) as rest:
        names = list(sim.venue("binance_us").listings)
        asked = [
            ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "5m", "limit": "501"}),
            ("/api/v3/ticker/24hr", {"symbol": "BTCUSDT"}),
            ("/api/v3/ticker/24hr", symbols(*names[:20])),
            ("/api/v3/ticker/24hr", symbols(*names[:21])),
            ("/api/v3/ticker/24hr", {}),
            ("/api/v3/exchangeInfo", {}),
        ]
        used = [0]
        for path, query in asked:
            used.append(int((await rest.get(path, params=query)).headers["x-mbx-used-weight-1m"]))

    assert [1, 1, 1, 20, 40, 10] == [later - earlier for earlier, later in pairwise(used)]


async def test_an_unknown_symbol_spoils_the_whole_question(clock: ManualClock) -> None:
    async with open_sim(["binance_us"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_US_REST_URL"]) as rest:
        answers = [
            await rest.get("/api/v3/ticker/24hr", params=query) for query in (symbols("BTCUSDT", "NOUSDT"), {"symbols": "BTC"})
        ]

    assert [(400, -1121), (400, -1100)] == [(one.status_code, one.json()["code"]) for one in answers]


async def test_a_fault_can_concern_one_coin(clock: ManualClock) -> None:
    async with open_sim(["binance_us"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_US_REST_URL"]) as rest:
        sim.fault("binance_us", "refuse", symbol="XRPUSDT", path="klines", status=503)
        statuses = [
            (await rest.get("/api/v3/klines", params={"symbol": symbol, "interval": "5m", "limit": "3"})).status_code
            for symbol in ("BTCUSDT", "XRPUSDT", "ETHUSDT")
        ]

    assert [200, 503, 200] == statuses
