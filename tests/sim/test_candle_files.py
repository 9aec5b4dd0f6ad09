"""Recorded candles as the source of a simulated venue."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.clock import ManualClock
from marketd.sim import SIM_VENUES, open_sim
from marketd.sim.candle_files import is_candle_file, read_candle_files

HOUR_MS = 3_600_000
OPEN = 1_600_002_000_000 // HOUR_MS * HOUR_MS
HOURS = f"""open_time_ms,open,high,low,close,volume,turnover
{OPEN},10.10,12.000,9.9,11,0.50,5.5
{OPEN + HOUR_MS},11,11,11,11,0.00000000,0
{OPEN + 4 * HOUR_MS},11,13.5,1e-7,12.10,3,36
"""


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def answers(path: Path, *answers: tuple[str, Any]) -> Path:
    lines = [{"ts": None, "method": "GET", "url": url, "status": 200, "body": body} for url, body in answers]
    return write(path, "".join(f"{json.dumps(line)}\n" for line in lines))


async def get(url: str, **params: object) -> Any:
    async with httpx.AsyncClient() as rest:
        answer = await rest.get(url, params={key: str(value) for key, value in params.items()})
    return json.loads(answer.text, parse_float=str)


async def test_rows_of_a_file_are_served_as_they_stand_there_and_nothing_is_filled(tmp_path: Path) -> None:
    path = write(tmp_path / "XRPETH-1h.csv.gz", HOURS)
    async with open_sim(["binance"], recording=path) as sim:
        url = sim.env()["BINANCE_REST_URL"] + "/api/v3/"
        info = await get(url + "exchangeInfo")
        rows = await get(url + "klines", symbol="XRPETH", interval="1h", startTime=OPEN, endTime=OPEN + 4 * HOUR_MS)
        page = await get(url + "klines", symbol="XRPETH", interval="1h", startTime=OPEN + 1, limit=1)
        minutes = await get(url + "klines", symbol="XRPETH", interval="1m")

    assert [one["symbol"] for one in info["symbols"]] == ["XRPETH"]
    assert [row[:6] for row in rows] == [
        [OPEN, "10.10", "12.000", "9.9", "11", "0.50"],
        [OPEN + HOUR_MS, "11", "11", "11", "11", "0.00000000"],
        [OPEN + 4 * HOUR_MS, "11", "13.5", "1e-7", "12.10", "3"],
    ]
    assert rows[0][6:8] == [OPEN + HOUR_MS - 1, "5.5"]
    assert [row[0] for row in page] == [OPEN + HOUR_MS]
    assert minutes == []


async def test_several_files_and_directories_serve_several_series(tmp_path: Path) -> None:
    write(tmp_path / "BTCUSDT-1h-2020.csv", HOURS)
    write(tmp_path / "BTCUSDT-1d.csv", f"{OPEN - OPEN % (24 * HOUR_MS)},1,2,0.5,1.5,7\n")
    write(tmp_path / "notes.txt", "nothing")
    other = write(tmp_path / "ETHUSDT-1M.csv", "1598918400000,1,2,0.5,1.5,7\n")
    (tmp_path / "sub").mkdir()
    async with open_sim(["bybit"], recording=[tmp_path, other]) as sim:
        url = sim.env()["BYBIT_REST_URL"] + "/v5/market/kline"
        asked = [("BTCUSDT", "60"), ("BTCUSDT", "D"), ("ETHUSDT", "M")]
        found = [(await get(url, category="spot", symbol=s, interval=i))["result"]["list"] for s, i in asked]

    assert [len(rows) for rows in found] == [3, 1, 1]
    assert [row[0] for row in found[0]] == [str(OPEN + 4 * HOUR_MS), str(OPEN + HOUR_MS), str(OPEN)]
    assert found[2][0] == ["1598918400000", "1", "2", "0.5", "1.5", "7", "0"]


@pytest.mark.parametrize(
    ("name", "url", "body"),
    [
        ("bitfinex", "/v2/candles/trade:1h:tBTCUST/hist?sort=1&start=1", [[OPEN, 1.5, 1.25, 2.0, 1.0, 3]]),
        ("coinbase", "/products/BTC-USD/candles?granularity=3600", [[OPEN // 1000, 1.0, 2.0, 1.5, 1.25, 3]]),
        ("binance", "/api/v3/klines?symbol=BTCUSDT&interval=1h", [[OPEN, "1.5", "2.0", "1", "1.2", "3", 9, "4", 1, "", "", ""]]),
        (
            "bybit",
            "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=60",
            {"retCode": 0, "result": {"list": [[str(OPEN), "1.5", "2.0", "1", "1.2", "3", "4"]]}},
        ),
        (
            "kraken",
            "/0/public/OHLC?pair=XBTUSD&interval=60",
            {"error": [], "result": {"XXBTZUSD": [[OPEN // 1000, "1.5", "2.0", "1", "1.2", "1.3", "3", 4]], "last": 1}},
        ),
        (
            "alpaca",
            "/v2/stocks/bars?symbols=AAPL&timeframe=1Hour&start=2020-09-13T00:00:00Z",
            {"bars": {"AAPL": [{"t": "2020-09-13T13:00:00Z", "o": 1.5, "h": 2.0, "l": 1, "c": 1.2, "v": 3}]}},
        ),
    ],
)
async def test_recorded_answers_are_served_again_in_each_venues_own_form(name: str, url: str, body: Any, tmp_path: Path) -> None:
    file = answers(tmp_path / "candles.jsonl.gz", (f"https://host{url}", json.dumps(body)))
    now = (OPEN + 30 * HOUR_MS) * 1_000_000
    async with open_sim([name], recording=file, now=now, clock=ManualClock()) as sim, httpx.AsyncClient() as rest:
        rest.headers.update({"APCA-API-KEY-ID": "K", "APCA-API-SECRET-KEY": "S"})
        got = await rest.get(sim.env()[f"{name.upper()}_REST_URL"] + url.removeprefix("/v2"))
        [row] = sim.venue(name).rows.page(*series(sim.venue(name)), 0, now // 1_000_000, 10)

    assert got.status_code == 200
    assert (row.open, row.high, row.volume) == ("1.5", "2.0", "3")
    assert all(number in got.text for number in row[1:6])
    assert (row.turnover == "4") == (name in {"binance", "bybit"})


def series(venue: Any) -> tuple[str, Any]:
    [symbol] = venue.listings
    return symbol, next(each for each in venue.timeframes.values() if each.length_ms == HOUR_MS)


async def test_the_venues_clock_decides_what_is_history_and_what_is_running(tmp_path: Path) -> None:
    path = write(tmp_path / "tBTCUSD-1h.csv", HOURS)
    clock = ManualClock()
    async with open_sim(["bitfinex"], recording=path, now=(OPEN + HOUR_MS + 5) * 1_000_000, clock=clock) as sim:
        url = sim.env()["BITFINEX_REST_URL"] + "/candles/trade:1h:tBTCUSD/hist"
        before = await get(url)
        await clock.advance(3 * 3600)
        after = await get(url)

    assert [row[0] for row in before] == [OPEN + HOUR_MS, OPEN]
    assert [row[0] for row in after] == [OPEN + 4 * HOUR_MS, OPEN + HOUR_MS, OPEN]


async def test_a_running_candle_of_a_file_is_shown_as_far_as_it_has_come(tmp_path: Path) -> None:
    path = write(tmp_path / "BTCUSDT-1h.csv", HOURS)
    clock = ManualClock()
    async with open_sim(["binance_us"], recording=path, now=OPEN * 1_000_000, clock=clock) as sim:
        url = sim.env()["BINANCE_US_REST_URL"] + "/api/v3/"
        seen, prices = [], []
        for _ in range(4):
            seen.append((await get(url + "klines", symbol="BTCUSDT", interval="1h"))[-1][1:6])
            prices.append((await get(url + "ticker/24hr", symbol="BTCUSDT"))["lastPrice"])
            await clock.advance(1195)
        await clock.advance(20)
        over = await get(url + "klines", symbol="BTCUSDT", interval="1h")

    # Its open; what lies nearest to that; the other end; and, once it is over, what the file says.
    assert seen == [
        ["10.10", "10.10", "10.10", "10.10", "0.01"],
        ["10.10", "10.10", "10.10", "10.10", "0.17"],
        ["10.10", "10.10", "9.9", "9.9", "0.33"],
        ["10.10", "12.000", "9.9", "12.000", "0.50"],
    ]
    assert prices == [row[3] for row in seen]
    assert over[0][1:6] == ["10.10", "12.000", "9.9", "11", "0.50"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("candles.csv", HOURS, "should say symbol and timeframe"),
        ("BTCUSDT-7h.csv", HOURS, "binance has no candles of 7h"),
        ("NOPE-1h.csv", HOURS, "NOPE is not a symbol"),
        ("BTCUSDT-1h.csv", "1,2,3\n", "line 1: not open_time_ms"),
        ("BTCUSDT-1h.csv", "open_time_ms,open\n", "no candles of binance"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        read_candle_files([write(tmp_path / name, text)], SIM_VENUES["binance"])


def test_a_line_that_is_no_answer_is_named(tmp_path: Path) -> None:
    good = ("https://x/api/v3/klines?symbol=BTCUSDT&interval=1h", "[]")
    path = answers(tmp_path / "a.jsonl", good, ("https://x/api/v3/klines?symbol=BTCUSDT", "[]"))

    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: not an answer of candles"):
        read_candle_files([path], SIM_VENUES["binance"])


def test_recordings_of_frames_are_not_taken_for_candles(tmp_path: Path) -> None:
    frames = write(tmp_path / "frames.jsonl", '{"ts": 1, "k": "in", "frame": "{}"}\n')
    depth = answers(tmp_path / "depth.jsonl", ("https://x/api/v3/depth?symbol=BTCUSDT", "{}"))

    assert not is_candle_file(frames, SIM_VENUES["binance"])
    assert not is_candle_file(depth, SIM_VENUES["binance"])
    assert not is_candle_file(tmp_path, SIM_VENUES["binance"])


async def test_frames_and_candles_do_not_go_together(tmp_path: Path) -> None:
    frames = write(tmp_path / "frames.jsonl", '{"ts": 1, "k": "in", "frame": "{}"}\n')
    candles = write(tmp_path / "BTCUSDT-1h.csv", HOURS)

    with pytest.raises(ValueError, match="do not go together"):
        async with open_sim(["binance"], recording=[frames, candles]):
            pass


@pytest.mark.recorded("bitfinex/rest/candles_1m_BTCUSD_2016_08.jsonl.gz")
async def test_a_recorded_month_with_its_outage_comes_back_digit_for_digit(recording: Path) -> None:
    expected: dict[int, list[str]] = {}
    with gzip.open(recording, "rt") as lines:
        for line in lines:
            for row in json.loads(json.loads(line)["body"], parse_float=str, parse_int=str):
                expected[int(row[0])] = row
    start, month = 1_470_009_600_000, 31 * 24 * 60 * 60_000
    found: list[list[str]] = []
    async with open_sim(["bitfinex"], recording=recording, limits=False) as sim, httpx.AsyncClient() as rest:
        url = sim.env()["BITFINEX_REST_URL"] + "/candles/trade:1m:tBTCUSD/hist"
        for at in range(start, start + month, 10_000 * 60_000):
            params = {"sort": 1, "start": at, "end": at + 10_000 * 60_000 - 1, "limit": 10_000}
            found += json.loads((await rest.get(url, params=params)).text, parse_float=str, parse_int=str)

    assert found == [expected[at] for at in sorted(expected)]
    assert len(found) > 19_000


@pytest.mark.recorded("binance/candles/freqtrade_dl/BTCUSDT-1h.csv.gz")
async def test_a_recorded_file_of_five_years_is_served_by_pages(recording: Path) -> None:
    with gzip.open(recording, "rt") as lines:
        expected = [line.strip().split(",")[:6] for line in lines if line[0].isdigit()]
    found: list[list[str]] = []
    async with open_sim(["binance"], recording=recording) as sim, httpx.AsyncClient() as rest:
        url, start = sim.env()["BINANCE_REST_URL"] + "/api/v3/klines", 0
        while True:
            params = {"symbol": "BTCUSDT", "interval": "1h", "startTime": start, "limit": 1000}
            rows = json.loads((await rest.get(url, params=params)).text, parse_int=str)
            if not rows:
                break
            found += [row[:6] for row in rows]
            start = int(rows[-1][0]) + 1
        refused = sim.venue("binance").refused

    assert found == expected
    assert refused == 0
