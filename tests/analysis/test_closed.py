"""Exactly 500 closed candles without a hole, or a reason; the same from the cache and from the archive."""

import tracemalloc

import numpy as np
import pytest

from marketd.analysis.closed import CANDLES, Closed, NotClosed, of_cache, of_stored
from marketd.model.series import CandleSeries
from tests.analysis.candles import HOUR, SERIES, Made, cached, walk


def refused(window: Closed | NotClosed) -> str:
    assert isinstance(window, NotClosed)
    return window.reason


def test_the_cache_and_the_archive_give_the_same_500() -> None:
    rows = walk(501)
    live, stored = of_cache(SERIES, *cached(rows)), of_stored(SERIES, rows[:500]).window()

    assert isinstance(live, Closed)
    assert isinstance(stored, Closed)
    assert live.opens.tolist() == stored.opens.tolist() == [row.open_time for row in rows[:500]]
    assert (live.ohlcv == stored.ohlcv).all()
    assert (live.close_text, live.close_time) == (stored.close_text, stored.close_time) == (rows[499].close, rows[500].open_time)


def test_the_forming_candle_is_not_looked_at() -> None:
    rows = walk(501)
    rows[500] = rows[500]._replace(high="999999.00", close="999999.00", volume="0")
    window = of_cache(SERIES, *cached(rows))

    assert isinstance(window, Closed)
    assert window.open_time == rows[499].open_time
    assert window.ohlcv.max() < 999999


@pytest.mark.parametrize(
    ("text", "close"),
    [("0.00000001", "0.00000001"), ("37000.10", "37000.10"), ("100", "100"), ("0.10", "0.10"), ("1.250e-07", "0.0000001250")],
)
def test_the_last_close_keeps_its_digits(text: str, close: str) -> None:
    rows = [Made(row.open_time, text, text, text, text, "1.50") for row in walk(501)]
    windows = [of_cache(SERIES, *cached(rows)), of_stored(SERIES, rows[:500]).window()]

    assert [close, close] == [window.close_text for window in windows]


def test_499_closed_candles_are_not_enough() -> None:
    rows = walk(500)

    assert refused(of_cache(SERIES, *cached(rows))) == "499 closed candles, 500 are needed"
    assert refused(of_stored(SERIES, rows[:499]).window()) == "499 closed candles, 500 are needed"


def test_without_the_candle_before_the_array_there_are_too_few() -> None:
    _, array = cached(walk(501))

    assert refused(of_cache(SERIES, None, array)) == "499 closed candles, 500 are needed"


def test_a_key_that_is_gone_is_said() -> None:
    assert refused(of_cache(SERIES, None, None)) == "no candles in the cache: they are not polled, or not any more"


def test_an_empty_array_holds_no_closed_candle() -> None:
    assert refused(of_cache(SERIES, None, b"[]")) == "no closed candle, 500 are needed"
    assert refused(of_stored(SERIES, []).window()) == "no closed candle, 500 are needed"


def test_a_hole_is_named() -> None:
    rows = walk(502)
    del rows[100]
    reason = "candles are missing from 2023-11-19T04:00:00+00:00 to 2023-11-19T05:00:00+00:00"

    assert refused(of_cache(SERIES, *cached(rows))) == reason
    assert refused(of_stored(SERIES, rows[:500]).window()) == reason


def test_a_hole_before_the_500_does_no_harm() -> None:
    rows = walk(600)
    del rows[50]
    found = of_stored(SERIES, rows)

    assert isinstance(found.window(), Closed)
    assert isinstance(found.window(550), Closed)
    assert isinstance(found.window(549), NotClosed)


def test_a_candle_before_that_does_not_belong_to_the_array_is_a_hole() -> None:
    rows = walk(501)
    before, array = cached([rows[0]._replace(open_time=rows[0].open_time - HOUR), *rows[1:]])

    assert refused(of_cache(SERIES, before, array)).startswith("candles are missing from")


def test_a_forming_candle_that_does_not_follow_proves_nothing() -> None:
    rows = walk(502)
    del rows[500]

    assert refused(of_cache(SERIES, *cached(rows))) == "the forming candle in the cache does not follow the one before it"


@pytest.mark.parametrize(
    "array", [b"", b"{}", b"[1]", b'[{"open_time":1}]', b'[{"open_time":"x"}]', b"[1e999]", b"\xff", b"[" * 100_000]
)
def test_what_cannot_be_read_is_said(array: bytes) -> None:
    assert refused(of_cache(SERIES, None, array)).startswith("what is in the cache cannot be read: ")


@pytest.mark.parametrize("wrong", [{"high": "1"}, {"low": "0"}, {"volume": "-1"}, {"close": "-5"}, {"low": "99999"}])
def test_values_that_no_market_has_are_refused(wrong: dict[str, str]) -> None:
    rows = walk(501)
    rows[7] = rows[7]._replace(**wrong)

    assert "the candle of 2023-11-15T07:00:00+00:00 cannot be" in refused(of_cache(SERIES, *cached(rows)))
    with pytest.raises(ValueError, match="cannot be"):
        of_stored(SERIES, rows)


@pytest.mark.parametrize("number", ["nan", "inf", "ten"])
def test_stored_text_that_is_no_number_is_refused(number: str) -> None:
    rows = walk(3)
    rows[1] = rows[1]._replace(close=number)

    with pytest.raises(ValueError, match=r"cannot be|convert"):
        of_stored(SERIES, rows)


def test_every_candle_ends_a_window_of_its_own() -> None:
    rows = walk(520)
    found = of_stored(SERIES, rows)
    windows = [found.window(end) for end in range(CANDLES, 521)]

    assert [window.open_time for window in windows if isinstance(window, Closed)] == [row.open_time for row in rows[499:]]
    assert all(isinstance(one, Closed) and one.ohlcv.shape == (5, CANDLES) and len(one.opens) == CANDLES for one in windows)


def test_months_follow_each_other_though_their_lengths_differ() -> None:
    days = np.arange("1970-01", "2012-01", dtype="datetime64[M]").astype("datetime64[ns]").astype(np.int64)
    rows = [Made(int(opened), *row[1:]) for opened, row in zip(days, walk(len(days)), strict=True)]
    series = CandleSeries("made", "BTCUSDT", "1M")

    assert isinstance(of_stored(series, rows).window(), Closed)
    assert isinstance(of_stored(series, rows[:-3] + rows[-2:]).window(), NotClosed)


def test_a_number_of_a_hundred_million_zeros_is_refused_before_it_is_written_out() -> None:
    array = cached(walk(3))[1].replace(b'"close":', b'"close":1e-100000000,"was":', 1)
    tracemalloc.start()
    refusal = refused(of_cache(SERIES, None, array))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "cannot be" in refusal
    assert peak < 10_000_000
