"""Candles on the wire have the digits that the venue sent, whatever the form."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from marketd.api.rows import EXTRA, KEYS, csv_head, csv_rows, json_rows, seconds_text
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE, SECOND
from marketd.stores.archive import Row

SERIES = CandleSeries("bitfinex", "BTCUSD", "1m")
OPEN = 1_731_605_400 * SECOND
DIGITS = st.from_regex(r"(0|[1-9][0-9]{0,12})(\.[0-9]{1,18})?", fullmatch=True)


def row(**changes: object) -> Row:
    fields = {
        "open_time": OPEN, "close_time": OPEN + MINUTE, "open": "91.10", "high": "92", "low": "0.000000012000", "close": "91.0",
        "volume": "1.123456789012345678", "closed": True, "revision": 0, "source": "backfill",
    }  # fmt: skip
    return msgspec.convert({**fields, **changes}, Row)


def test_a_candle_has_its_ten_keys_and_the_venues_digits() -> None:
    text = json_rows(SERIES, [row()]).decode()

    assert text == (
        '{"exchange":"bitfinex","symbol":"BTCUSD","timeframe":"1m","open_time":"2024-11-14T17:30:00+00:00",'
        '"close_time":"2024-11-14T17:31:00+00:00","open":91.10,"high":92,"low":0.000000012000,"close":91.0,'
        '"volume":1.123456789012345678}'
    )


def test_more_keys_come_in_one_order_however_they_are_asked_for() -> None:
    found = json.loads(json_rows(SERIES, [row(source=None, revision=2)], ["source", "closed", "revision"]))

    assert [*KEYS, *EXTRA] == list(found)
    assert (True, 2, None) == (found["closed"], found["revision"], found["source"])


def test_numbers_may_be_text() -> None:
    assert json.loads(json_rows(SERIES, [row()], quoted=True))["volume"] == "1.123456789012345678"


def test_digits_that_json_does_not_know_are_written_as_it_does() -> None:
    text = json_rows(SERIES, [row(open=".50", high="007.5", low="1.", close="1e-7", volume="0")])
    found = json.loads(text, parse_float=str, parse_int=str)

    assert ["0.50", "7.5", "1", "0.0000001", "0"] == [found[name] for name in KEYS[5:]]


@given(st.lists(st.tuples(DIGITS, DIGITS, DIGITS, DIGITS, DIGITS), min_size=1, max_size=5))
def test_every_digit_survives_in_json_and_csv(numbers: list[tuple[str, ...]]) -> None:
    rows = [row(open_time=OPEN + at * MINUTE, **dict(zip(KEYS[5:], digits, strict=True))) for at, digits in enumerate(numbers)]
    as_json = json.loads(b"[%b]" % json_rows(SERIES, rows), parse_float=str, parse_int=str)
    as_csv = list(csv.DictReader(io.StringIO((csv_head() + csv_rows(SERIES, rows)).decode())))

    assert [list(digits) for digits in numbers] == [[one[name] for name in KEYS[5:]] for one in as_json]
    assert as_json == as_csv
    assert all(Decimal(one["open"]) >= 0 for one in as_csv)


@given(st.integers(0, 9_223_372_036))
def test_times_are_those_of_the_calendar(seconds: int) -> None:
    assert datetime.fromtimestamp(seconds, UTC).isoformat() == seconds_text(seconds)


def test_no_rows_are_no_bytes() -> None:
    assert (b"", b"") == (json_rows(SERIES, []), csv_rows(SERIES, []))


def test_csv_names_what_is_included() -> None:
    assert csv_head(["revision"]).decode().strip().split(",") == [*KEYS, "revision"]
    assert csv_rows(SERIES, [row(source=None)], EXTRA).endswith(b",true,0,\n")
