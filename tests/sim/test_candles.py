"""Pages of candles: each venue's manner, thin markets, limits and bans, and the faults that spoil a page."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.clock import ManualClock
from marketd.sim import SIM_VENUES, Sim, open_sim
from marketd.sim.candles import Timeframe, timeframes
from marketd.sim.wire import parse_request

MINUTE_MS = 60_000
NOW_MS = 1_700_000_000_000  # of the clock: 20 s into a minute
RUNNING = NOW_MS // MINUTE_MS * MINUTE_MS
KEYS = {"APCA-API-KEY-ID": "K", "APCA-API-SECRET-KEY": "S"}
SYMBOLS = {"binance": "BTCUSDT", "binance_us": "BTCUSDT", "bybit": "BTCUSDT", "alpaca": "AAPL"}
DESCENDING = {"bybit", "coinbase"}
FILLED = {"binance", "binance_us", "bybit"}
each_venue = pytest.mark.parametrize("name", sorted(SIM_VENUES))
Rows = list[tuple[int, str, str, str, str, str]]  # open time (ms), open, high, low, close, volume


def question(name: str, symbol: str, first: int, last: int, limit: int) -> tuple[str, dict[str, Any]]:
    """How each venue is asked for minutes that open within first..last (ms), both inclusive."""
    base, quote = symbol[:-3], symbol[-3:]
    match name:
        case "binance" | "binance_us":
            params = {"symbol": symbol, "interval": "1m", "startTime": first, "endTime": last, "limit": limit}
            return "/api/v3/klines", params
        case "bybit":
            params = {"category": "spot", "symbol": symbol, "interval": "1", "start": first, "end": last, "limit": limit}
            return "/v5/market/kline", params
        case "bitfinex":
            return f"/candles/trade:1m:t{symbol}/hist", {"sort": 1, "start": first, "end": last, "limit": limit}
        case "coinbase":
            return f"/products/{base}-{quote}/candles", {"granularity": 60, "start": iso(first), "end": iso(last)}
        case "kraken":
            return "/0/public/OHLC", {"pair": symbol.replace("BTC", "XBT"), "interval": 1, "since": first // 1000 - 1}
    params = {"symbols": symbol, "timeframe": "1Min", "start": iso(first), "end": iso(last), "limit": limit}
    return "/v2/stocks/bars", params


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(name: str, text: str) -> Rows:
    """The rows of an answer in the order they stand there."""
    body = json.loads(text, parse_float=str)
    match name:
        case "binance" | "binance_us":
            return [tuple(row[:6]) for row in body]
        case "bybit":
            return [(int(row[0]), *row[1:6]) for row in body["result"]["list"]]
        case "bitfinex":
            return [(at, *map(str, (o, h, low, c, v))) for at, o, c, h, low, v in body]
        case "coinbase":
            return [(at * 1000, *map(str, (o, h, low, c, v))) for at, low, h, o, c, v in body]
        case "kraken":
            [rows] = [rows for key, rows in body["result"].items() if key != "last"]
            return [(at * 1000, o, h, low, c, v) for at, o, h, low, c, _, v, _ in rows]
    rows = (body["bars"] or {}).get("AAPL", [])
    return [(ms_of(row["t"]), *(str(row[key]) for key in "ohlcv")) for row in rows]  # type: ignore[misc]


def ms_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


async def ask(sim: Sim, name: str, first: int, last: int, limit: int = 1000) -> httpx.Response:
    path, params = question(name, SYMBOLS.get(name, "BTCUSD"), first, last, limit)
    async with httpx.AsyncClient(headers=KEYS) as rest:
        return await rest.get(sim.env()[f"{name.upper()}_REST_URL"] + path, params=params)


def truth(sim: Sim, name: str, first: int, last: int) -> list[tuple[int, Decimal, Decimal]]:
    """Open time, close and volume of each minute with a trade."""
    venue, symbol = sim.venue(name), SYMBOLS.get(name, "BTCUSD")
    listing = venue.listings[symbol]
    return [
        (at, Decimal(bar.close).scaleb(-listing.price_decimals), Decimal(bar.lots).scaleb(-listing.size_decimals))
        for at, bar in venue.candles(symbol, first, last + 1)
    ]


@each_venue
async def test_a_page_says_what_the_market_did_in_the_venues_order(name: str, clock: ManualClock) -> None:
    first, last = RUNNING - 200 * MINUTE_MS, RUNNING - MINUTE_MS
    async with open_sim([name], clock=clock) as sim:
        rows = read(name, (await ask(sim, name, first, last)).text)
        expected = truth(sim, name, first, last)
    inside = [row for row in rows if first <= row[0] <= last]
    traded = sorted((row[0], Decimal(row[4]), Decimal(row[5])) for row in inside if float(row[5]))

    assert [at for at, *_ in rows] == sorted((at for at, *_ in rows), reverse=name in DESCENDING)
    assert traded == expected
    assert all(float(low) <= min(float(o), float(c)) <= max(float(o), float(c)) <= float(h) for _, o, h, low, c, _ in rows)
    assert (len(inside) == 200) == (name in FILLED)
    assert len(expected) < 200


@each_venue
async def test_the_running_candle_is_there_when_the_range_reaches_now(name: str, clock: ManualClock) -> None:
    async with open_sim([name], clock=clock) as sim:
        for symbol in sim.venue(name).listings:
            sim.venue(name).market.trade(symbol, NOW_MS)
        rows = read(name, (await ask(sim, name, RUNNING - 9 * MINUTE_MS, RUNNING + 9 * MINUTE_MS)).text)

    assert rows[0 if name in DESCENDING else -1][0] == RUNNING


@each_venue
async def test_a_thin_market_has_rows_of_volume_zero_or_no_rows(name: str, clock: ManualClock) -> None:
    symbol = SYMBOLS.get(name, "BTCUSD")
    first, last = RUNNING - 290 * MINUTE_MS, RUNNING - MINUTE_MS
    async with open_sim([name], clock=clock, thin={symbol: 0.9}) as sim:
        rows = [row for row in read(name, (await ask(sim, name, first, last)).text) if first <= row[0] <= last]
        expected = truth(sim, name, first, last)
    traded = [row for row in rows if float(row[5])]

    assert 5 < len(expected) < 90
    assert sorted((row[0], Decimal(row[4]), Decimal(row[5])) for row in traded) == expected
    if name in FILLED:
        assert len(rows) == 290
        assert all(len({o, h, low, c}) == 1 for _, o, h, low, c, v in rows if not float(v))
    elif name == "kraken":
        assert len(traded) < len(rows) < 290
    else:
        assert len(rows) == len(traded)


async def test_the_trades_of_a_thin_market_are_numbered_without_a_hole(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock, thin={"BTCUSDT": 0.9}) as sim:
        state = sim.venue("binance").market.symbols["BTCUSDT"]
        trades = state.slice(state.number - 3000, 3001)

        assert [trade.number for trade in trades] == list(range(state.number - 3000, state.number + 1))
        assert sorted(trade.ts_ms for trade in trades) == [trade.ts_ms for trade in trades]
        assert all(state.by_number(trade.number) == trade for trade in trades[::100])


async def test_pages_are_cut_where_each_venue_cuts_them(clock: ManualClock) -> None:
    first, last = RUNNING - 2500 * MINUTE_MS, RUNNING - MINUTE_MS
    async with open_sim(clock=clock) as sim:
        pages = {name: read(name, (await ask(sim, name, first, last, 5)).text) for name in ("binance", "bybit", "bitfinex")}
        kraken = read("kraken", (await ask(sim, "kraken", first, last)).text)
        refused = await ask(sim, "coinbase", RUNNING - 300 * MINUTE_MS, RUNNING)
        whole = await ask(sim, "coinbase", RUNNING - 299 * MINUTE_MS, RUNNING)

        assert [row[0] for row in pages["binance"]] == [first + at * MINUTE_MS for at in range(5)]
        assert [row[0] for row in pages["bybit"]] == [last - at * MINUTE_MS for at in range(5)]
        assert len(pages["bitfinex"]) == 5
        assert pages["bitfinex"][0][0] < first + 5 * MINUTE_MS
        assert kraken[0][0] >= RUNNING - 719 * MINUTE_MS
        assert (400, 200) == (refused.status_code, whole.status_code)
        assert "exceeds 300" in refused.json()["message"]


async def test_coinbase_gives_rows_older_than_asked_for_now_and_then(clock: ManualClock) -> None:
    async with open_sim(["coinbase"], clock=clock) as sim:
        starts = [RUNNING - at * MINUTE_MS for at in range(100, 120)]
        older = [
            any(row[0] < start for row in read("coinbase", (await ask(sim, "coinbase", start, RUNNING)).text))
            for start in starts[:10]
        ]

    assert {True, False} == set(older)


async def test_months_weeks_and_three_days_open_where_the_venues_lay_them(clock: ManualClock) -> None:
    async with open_sim(["binance", "bitfinex"], clock=clock) as sim, httpx.AsyncClient() as rest:
        url = sim.env()["BINANCE_REST_URL"] + "/api/v3/klines"
        asked = {
            n: (await rest.get(url, params={"symbol": "BTCUSDT", "interval": n, "limit": 3})).json() for n in ("1M", "1w", "3d")
        }
        bitfinex = await rest.get(sim.env()["BITFINEX_REST_URL"] + "/candles/trade:1M:tBTCUSD/hist", params={"limit": 2})
    opens = {name: [iso(row[0]) for row in rows] for name, rows in asked.items()}

    assert ["2023-09-01T00:00:00Z", "2023-10-01T00:00:00Z", "2023-11-01T00:00:00Z"] == opens["1M"]
    assert ["2023-10-30T00:00:00Z", "2023-11-06T00:00:00Z", "2023-11-13T00:00:00Z"] == opens["1w"]
    assert "2023-11-14T00:00:00Z" == opens["3d"][-1]  # 1970-01-02 and 6558 times three days
    assert ["2023-11-01T00:00:00Z", "2023-10-01T00:00:00Z"] == [iso(row[0]) for row in bitfinex.json()]
    assert asked["1M"][0][6] + 1 == asked["1M"][1][0]


@given(st.sampled_from([60, 300, 0, 604_800]), st.integers(1_400_000_000_000, 1_900_000_000_000), st.integers(1, 40))
def test_intervals_follow_each_other(seconds: int, ts_ms: int, count: int) -> None:
    frame: Timeframe = timeframes({"x": seconds})["x"]
    opened = frame.open_of(ts_ms)

    assert opened <= ts_ms < frame.after(opened)
    assert frame.after(frame.after(opened, count), -count) == opened
    assert list(frame.opens(opened, frame.after(opened, count) - 1))[-1] == frame.after(opened, count - 1)


# Limits and bans


LIMITS = {"bitfinex": 30, "binance": 3000, "binance_us": 1200, "bybit": 600, "coinbase": 15, "kraken": 5, "alpaca": 200}


@each_venue
async def test_one_request_too_many_is_refused_and_counted(name: str, clock: ManualClock) -> None:
    async with open_sim([name], clock=clock) as sim:
        venue = sim.venue(name)
        path, params = question(name, SYMBOLS.get(name, "BTCUSD"), RUNNING - MINUTE_MS, RUNNING, 10)
        request = httpx.Request("GET", f"http://x{path}", params=params)
        head = f"GET {request.url.raw_path.decode()} HTTP/1.1\r\nuser-agent: x\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in KEYS.items()
        )
        asked = parse_request(head.encode())
        assert asked is not None
        answers = [venue.rest(asked) for _ in range(LIMITS[name] + 1)]
        refused = venue.refused
        await clock.advance(61)
        venue.rest(asked)
        later = venue.refused

    assert 1 == refused
    assert all(answer.status == 200 for answer in answers[:-1])
    assert answers[-1].status == {"bybit": 403, "kraken": 200}.get(name, 429)
    assert (b"Too many requests" in answers[-1].body) == (name == "kraken")
    assert ("Retry-After" in answers[-1].headers) == (name in {"binance", "binance_us"})
    assert later == (2 if name == "bybit" else 1)  # its ban lasts ten minutes


async def test_who_goes_on_asking_binance_is_banned_and_longer_each_time(clock: ManualClock) -> None:
    async with open_sim(["binance_us"], clock=clock) as sim:
        venue = sim.venue("binance_us")
        for wait_s in (120, 240):
            statuses = [(await ask(sim, "binance_us", RUNNING, RUNNING)).status_code for _ in range(2)]
            venue._weight.used = 2 * 1200  # type: ignore[attr-defined]
            banned = [await ask(sim, "binance_us", RUNNING, RUNNING) for _ in range(2)]
            await clock.advance(wait_s + 60)

            assert [200, 200] == statuses
            assert [418, 418] == [answer.status_code for answer in banned]
            assert str(wait_s) == banned[-1].headers["Retry-After"]
        assert venue.refused == 4


# Faults


async def minutes(sim: Sim, name: str, count: int = 60) -> list[int]:
    first, last = RUNNING - count * MINUTE_MS, RUNNING - MINUTE_MS
    return [at for at, *_ in read(name, (await ask(sim, name, first, last)).text)]


@pytest.mark.parametrize("name", ["binance", "bybit", "bitfinex", "kraken"])
async def test_pages_are_spoiled_by_name(name: str, clock: ManualClock) -> None:
    async with open_sim([name], clock=clock, limits=False) as sim:
        sim.venue(name).market.trade(SYMBOLS.get(name, "BTCUSD"), NOW_MS)
        whole = await minutes(sim, name)

        async def with_fault(fault: str) -> Sequence[int]:
            sim.fault(name, fault)
            found = await minutes(sim, name)
            sim.heal()
            return found

        assert await with_fault("half_page") == whole[: len(whole) // 2]
        shuffled = await with_fault("wrong_order")
        assert shuffled != whole
        assert sorted(shuffled) == sorted(whole)
        doubled = await with_fault("duplicate_rows")
        assert len(doubled) == len(whole) + (len(whole) + 2) // 3
        assert sorted(set(doubled)) == sorted(whole)
        forming = await with_fault("forming_last")
        assert forming[0 if name == "bybit" else -1] == RUNNING
        assert await minutes(sim, name) == whole
        assert sim.venue(name).refused == 0


async def test_a_corrected_candle_was_served_before_and_stays_corrected(clock: ManualClock) -> None:
    first, last = RUNNING - 60 * MINUTE_MS, RUNNING - MINUTE_MS
    async with open_sim(["bitfinex"], clock=clock) as sim:
        sim.fault("bitfinex", "corrected")
        before = read("bitfinex", (await ask(sim, "bitfinex", first, last)).text)
        unchanged = dict(sim.venue("bitfinex").rows.corrections)
        after = read("bitfinex", (await ask(sim, "bitfinex", first, last)).text)
        sim.heal()
        again = read("bitfinex", (await ask(sim, "bitfinex", first, last)).text)
        changed = {at for (_, _, at) in sim.venue("bitfinex").rows.corrections}

    assert unchanged == {}
    assert len(changed) == 3
    assert {row[0] for row, other in zip(before, after, strict=True) if row != other} == changed
    assert again == after
    assert all(float(new[5]) > float(old[5]) for old, new in zip(before, after, strict=True) if old != new)
    assert all(float(low) <= float(c) <= float(h) for _, _, h, low, c, _ in after)


async def test_refusals_of_candles_by_name(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim, httpx.AsyncClient(base_url=sim.env()["BINANCE_REST_URL"]) as rest:
        params = {"symbol": "BTCUSDT", "interval": "1m"}

        async def statuses() -> list[int]:
            return [(await rest.get("/api/v3/klines", params=params)).status_code for _ in range(6)]

        sim.fault("binance", "candle_429")
        limited = await statuses()
        sim.heal()
        sim.fault("binance", "candle_429", nth=2, symbol="ETHUSDT")
        other = await statuses()
        sim.heal()
        sim.fault("binance", "error500", count=1)
        broken = await statuses()
        time = (await rest.get("/api/v3/time")).status_code
        sim.heal()
        sim.fault("binance", "ban", retry_after=7)
        banned = await rest.get("/api/v3/time")

        assert [200, 200, 429, 200, 200, 429] == limited
        assert [200] * 6 == other
        assert [500, 200, 200, 200, 200, 200] == broken
        assert 200 == time
        assert (418, "7") == (banned.status_code, banned.headers["Retry-After"])
        assert sim.venue("binance").refused == 0


@pytest.mark.parametrize("name", sorted(SIM_VENUES))
async def test_every_venue_has_its_own_words_for_too_many_requests(name: str, clock: ManualClock) -> None:
    async with open_sim([name], clock=clock) as sim:
        sim.fault(name, "candle_429", nth=1)
        refused = await ask(sim, name, RUNNING - MINUTE_MS, RUNNING)
        sim.heal()
        sim.fault(name, "ban")
        banned = await ask(sim, name, RUNNING - MINUTE_MS, RUNNING)

        assert refused.status_code == (200 if name in {"kraken", "bybit"} else 429)
        assert (refused.status_code == 429) or b"oo many" in refused.content
        assert banned.status_code == {"kraken": 200, "bybit": 403, "binance": 418, "binance_us": 418}.get(name, 429)
