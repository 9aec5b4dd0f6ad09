"""Files of a venue's public archive: used whole, or not at all."""

import hashlib
import io
import zipfile
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.intervals import Interval
from marketd.model.timeframes import DAY, HOUR, timeframe
from marketd.model.times import ns_of_iso
from marketd.venues.bulk import BulkFile, Damaged, files_within, read_bulk

H1 = timeframe("1h")
START = ns_of_iso("2024-03-17T00:00:00Z")
FILE = BulkFile(Interval(START, START + DAY), "daily", "2024-03-17")
NAME = "BTCUSDT-1h-2024-03-17.zip"
BTC = Instrument("binance", "BTCUSDT", "BTCUSDT", "BTC", "USDT")


def row(number: int, unit: int = 10**6, **changes: str) -> str:
    opened = START + number * HOUR
    cells = {
        "open_time": str(opened // unit), "open": "65000.10", "high": "65100.00", "low": "64900.50", "close": "65050.00",
        "volume": "12.50000000", "close_time": str((opened + HOUR) // unit - 1), "quote": "1", "count": "5", "buy": "1",
        "buy_quote": "1", "ignore": "0",
    } | changes  # fmt: skip
    return ",".join(cells.values()) + "\n"


def zipped(text: str, name: str = "BTCUSDT-1h-2024-03-17.csv") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return content.getvalue()


def checksum(body: bytes, name: str = NAME) -> bytes:
    return f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()


def read(rows: Sequence[str]) -> list[Candle]:
    body = zipped("".join(rows))
    return read_bulk(FILE, NAME, body, checksum(body), BTC, H1, 7)


@pytest.mark.parametrize("unit", [10**6, 10**3])
def test_a_file_in_milliseconds_or_microseconds_is_the_same_candles(unit: int) -> None:
    candles = read([row(number, unit) for number in range(24)])

    assert [START + number * HOUR for number in range(24)] == [one.open_time for one in candles]
    assert ("65000.10", "12.50000000", True) == (candles[0].open, candles[0].volume, candles[0].closed)


def test_names_of_columns_and_missing_rows_are_no_damage() -> None:
    header = "open_time,open,high,low,close,volume,close_time,a,b,c,d,e\n"

    assert 20 == len(read([header, *(row(number) for number in range(24) if number % 6)]))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "it has no row"),
        ([row(0), row(0)], "comes after one of"),
        ([row(1), row(0)], "comes after one of"),
        ([row(24)], "is not of 2024-03-17"),
        ([row(-1)], "is not of 2024-03-17"),
        ([row(0, open_time=str(START // 10**6 + 1))], "no candle of 1h opens"),
        ([row(0, open_time=str(START // 10**9))], "no time in milli- or microseconds"),
        ([row(0, open_time=str(START))], "no time in milli- or microseconds"),
        ([row(0, close_time=str((START + HOUR) // 1000 - 1))], "ends at"),
        ([row(0, close_time=str((START + HOUR) // 10**6))], "ends at"),
        ([row(0, high="1")], "row 1"),
        ([row(0, close="NaN")], "row 1"),
        ([row(0, volume="-1")], "row 1"),
        (["1,2\n"], "2 columns, expected 12"),
        ([row(0) + "é\n"], "no plain text"),
        ([row(0), "x" * 20_000], "unzips to more than"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_not_used(rows: list[str], says: str) -> None:
    with pytest.raises(Damaged, match=says):
        read(rows)


def test_a_wrong_checksum_or_one_of_another_file_is_damage() -> None:
    body = zipped(row(0))
    for said in (checksum(b"other"), checksum(body, "ETHUSDT-1h-2024-03-17.zip"), b"", b"<html>"):
        with pytest.raises(Damaged, match="checksum"):
            read_bulk(FILE, NAME, body, said, BTC, H1, 7)


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04 nothing", zipped(row(0))[:-30], zipped(row(0), "other.csv")])
def test_what_is_no_zip_of_one_table_is_damage(body: bytes) -> None:
    with pytest.raises(Damaged):
        read_bulk(FILE, NAME, body, checksum(body), BTC, H1, 7)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_do_more_than_damage(noise: bytes, at: int) -> None:
    whole = zipped("".join(row(number) for number in range(24)))
    for body in (noise, whole[:at] + noise + whole[at + len(noise) :]):
        try:
            candles = read_bulk(FILE, NAME, body, checksum(body), BTC, H1, 7)
        except Damaged:
            continue
        assert all(one.open_time in range(*FILE.span) for one in candles)


def test_whole_months_and_days_that_hold_more_than_a_page() -> None:
    span = Interval(ns_of_iso("2024-01-30T12:00:00Z"), ns_of_iso("2024-03-02T12:00:00Z"))
    dates = ["2024-01-31", "2024-02", "2024-03-01"]

    assert dates == [file.date for file in files_within(span, timeframe("1m"), 1000)]
    assert ["2024-02"] == [file.date for file in files_within(span, timeframe("15m"), 1000)]
    assert [] == [file.date for file in files_within(span, H1, 1000)]
    assert [] == [file.date for file in files_within(span, timeframe("1w"), 1)]


def test_a_file_lies_where_the_venue_says() -> None:
    template = "spot/{period}/{symbol}/{timeframe}/{symbol}-{timeframe}-{date}.zip"

    assert "spot/daily/BTCUSDT/1h/BTCUSDT-1h-2024-03-17.zip" == FILE.path(template, BTC, H1)
