"""Pretend Alpaca: what a client sees on the wire."""

import json
from typing import Any

import httpx

from marketd.clock import ManualClock
from marketd.sim import open_sim

KEYS = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"}
LOGIN = {"action": "auth", "key": "k", "secret": "s"}


async def test_a_client_is_connected_authenticated_and_subscribed_in_turn(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["alpaca"], clock=clock) as sim, connect(sim.env()["ALPACA_WS_URL"]) as client:
        greeting = await client.next()
        early = await client.ask({"action": "subscribe", "trades": ["AAPL"]})
        wrong = await client.ask(LOGIN | {"secret": "wrong"})
        accepted = await client.ask(LOGIN)
        state = await client.ask({"action": "subscribe", "trades": ["AAPL"], "bars": ["*"]})

        assert [{"T": "success", "msg": "connected"}] == greeting
        assert [401, 402] == [early[0]["code"], wrong[0]["code"]]
        assert [{"T": "success", "msg": "authenticated"}] == accepted
        assert (["AAPL"], [], ["*"], ["AAPL"]) == tuple(state[0][k] for k in ("trades", "quotes", "bars", "corrections"))


async def test_trades_arrive_as_the_truth_says_without_a_side(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["alpaca"], clock=clock) as sim, connect(sim.env()["ALPACA_WS_URL"]) as client:
        client.send(LOGIN)
        client.send({"action": "subscribe", "trades": ["AAPL"]})
        await client.all()
        sim.step(60)
        await client.transport.measure_roundtrip_time(1)
        frames = [json.loads(client.frames.get_nowait(), parse_float=str, parse_int=str) for _ in range(client.frames.qsize())]

        assert [(t.trade_id, t.price, t.size) for t in sim.venue("alpaca").trades("AAPL")] == [
            (row["i"], row["p"], row["s"]) for frame in frames for row in frame
        ]


async def test_a_second_connection_is_refused_and_the_first_lives(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["alpaca"], clock=clock) as sim, connect(sim.env()["ALPACA_WS_URL"]) as first:
        first.send(LOGIN)
        await first.all()
        async with connect(sim.env()["ALPACA_WS_URL"]) as second:
            await second.next()
            assert 406 == (await second.ask(LOGIN))[0]["code"]
            assert await second.is_gone()
        assert 403 == (await first.ask(LOGIN))[0]["code"]


async def test_who_does_not_authenticate_is_told_and_cut(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["alpaca"], clock=clock) as sim, connect(sim.env()["ALPACA_WS_URL"]) as client:
        await client.next()
        await clock.advance(11)
        sim.tick()

        assert 404 == (await client.next())[0]["code"]
        assert await client.is_gone()


async def test_more_than_thirty_symbols_change_nothing(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["alpaca"], clock=clock) as sim, connect(sim.env()["ALPACA_WS_URL"]) as client:
        await client.next()
        await client.ask(LOGIN)
        refused = await client.ask({"action": "subscribe", "trades": [f"S{n}" for n in range(31)]})

        assert 405 == refused[0]["code"]


async def test_a_bar_comes_once_its_minute_is_over(connect, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    async with open_sim(["alpaca"], clock=clock) as sim, connect(sim.env()["ALPACA_WS_URL"]) as client:
        client.send(LOGIN)
        client.send({"action": "subscribe", "bars": ["AAPL"]})
        await client.all()
        sim.step(40)
        assert [] == await client.all()
        await clock.advance(60)
        sim.tick()
        ((bar,),) = await client.all()

        assert ("b", "AAPL", "2023-11-14T22:13:00Z") == (bar["T"], bar["S"], bar["t"])


async def pages(rest: httpx.AsyncClient, path: str, kind: str, **params: Any) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    token: str | None = ""
    while token is not None:
        body = (await rest.get(path, params=params | ({"page_token": token} if token else {}))).json()
        rows += [(symbol, row) for symbol, each in (body[kind] or {}).items() for row in each]
        token = body["next_page_token"]
    return rows


async def test_pages_of_several_symbols_join_whatever_their_size(clock: ManualClock) -> None:
    window = {"symbols": "MSFT,AAPL", "timeframe": "1Min", "start": "2023-11-10T10:00:00Z", "end": "2023-11-10T11:00:00Z"}
    async with (
        open_sim(["alpaca"], clock=clock, limits=False) as sim,
        httpx.AsyncClient(base_url=sim.env()["ALPACA_REST_URL"], headers=KEYS) as rest,
    ):
        whole = await pages(rest, "/v2/stocks/bars", "bars", **window)

        assert 80 < len(whole) < 122
        for limit in (1, 7, 50):
            assert whole == await pages(rest, "/v2/stocks/bars", "bars", **window, limit=limit)
        trades = await pages(rest, "/v2/stocks/trades", "trades", **window, limit=33)
        assert 240 == len({(symbol, row["i"]) for symbol, row in trades}) == len(trades)


async def test_daily_bars_begin_at_midnight_in_new_york(clock: ManualClock) -> None:
    window = {"symbols": "AAPL", "timeframe": "1Day", "start": "2023-11-03", "end": "2023-11-08"}
    async with (
        open_sim(["alpaca"], clock=clock) as sim,
        httpx.AsyncClient(base_url=sim.env()["ALPACA_REST_URL"], headers=KEYS) as rest,
    ):
        rows = await pages(rest, "/v2/stocks/bars", "bars", **window)

        assert ["04", "04", "04", "05", "05"] == [row["t"][11:13] for _, row in rows]


async def test_keys_limits_and_errors_of_rest(clock: ManualClock) -> None:
    async with open_sim(["alpaca"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["ALPACA_REST_URL"]) as rest:
        nobody = await rest.get("/v2/clock")
        rest.headers.update(KEYS)
        assets = (await rest.get("/v2/assets")).json()
        late = await rest.get("/v2/stocks/bars", params={"symbols": "AAPL", "timeframe": "1Min", "feed": "sip"})
        wrong = await rest.get("/v2/stocks/bars", params={"symbols": "AAPL", "timeframe": "7Moons"})
        statuses = [(await rest.get("/v2/clock")).status_code for _ in range(200)]

        assert ([401, 403, 400], ["AAPL", "MSFT"]) == (
            [nobody.status_code, late.status_code, wrong.status_code],
            [asset["symbol"] for asset in assets],
        )
        assert [200] * 197 + [429] * 3 == statuses
