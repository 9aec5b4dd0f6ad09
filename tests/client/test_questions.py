"""Questions carry what was given and nothing else; refusals become errors with the server's words."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from marketd.client import MarketDataClient, SyncMarketDataClient, questions
from marketd.client.errors import BadAddress, BadAnswer, BadRequest, ClientError, NotAllowed, NotFound, ServerFailed, TryLater
from marketd.client.questions import Time, refusal, time_text


def test_what_is_not_given_is_not_asked() -> None:
    assert {"symbol": "BTCUSD", "timeframe": "1m", "limit": "5"} == questions.latest("BTCUSD", "1m", 5, None, ()).params
    assert {} == questions.gaps(None, None, None, None, False).params
    assert {"exchange": "binance", "open": "true"} == questions.gaps("binance", None, None, None, True).params
    assert "cursor" not in questions.page("binance", "BTCUSDT", "1m", 0, 1, (), 10, None).params
    assert {"symbol": "BTCUSDT", "start": "5", "limit": "1000"} == questions.trades(None, "BTCUSDT", 5, None).params
    assert "closed,source" == questions.page("binance", "BTCUSDT", "1m", 0, 1, ("closed", "source"), 10, "5").params["include"]


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2024, 11, 14, 17, 30), "2024-11-14T17:30:00+00:00"),  # noqa: DTZ001
        (datetime(2024, 11, 14, 17, 30, tzinfo=UTC), "2024-11-14T17:30:00+00:00"),
        (datetime(2024, 11, 14, 17, 30, tzinfo=timezone(timedelta(hours=1))), "2024-11-14T17:30:00+01:00"),
        (date(2024, 11, 14), "2024-11-14"),
        (1_731_605_400, "1731605400"),
        ("2024-11-14", "2024-11-14"),
    ],
)
def test_times_are_written_as_the_server_takes_them(time: Time, text: str) -> None:
    assert text == time_text(time)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (404, NotFound),
        (406, BadRequest),
        (401, NotAllowed),
        (403, NotAllowed),
        (429, TryLater),
        (500, ServerFailed),
    ],
)
def test_each_refusal_is_an_error_of_its_kind(status: int, kind: type[ClientError]) -> None:
    assert kind is type(refusal("/candles", status, {}, b'{"error":"no","parameter":"limit","allowed":[1]}'))
    assert "HTTP" in str(refusal("/candles", status, {}, b"\xff<html>"))


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "Thu, 14 Nov 2024 17:30:30 GMT", "date": "Thu, 14 Nov 2024 17:30:00 GMT"}, 30.0),
        ({"retry-after": "Thu, 14 Nov 2024 17:30:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_pause_is_read_in_both_forms(headers: dict[str, str], pause_s: float | None) -> None:
    found = refusal("/candles", 503, headers, b"{}")

    assert isinstance(found, TryLater)
    assert pause_s == found.retry_after_s


def test_an_address_without_its_scheme_is_refused_with_the_one_that_is_meant() -> None:
    assert "http://localhost:8100" == questions.base_of("http://localhost:8100")
    with pytest.raises(BadAddress, match=r"found 'localhost:8100', expected .*, as http://localhost:8100"):
        MarketDataClient("localhost:8100")
    with pytest.raises(BadAddress, match="as http://host"):
        SyncMarketDataClient("ftp://host")


CANDLE = (
    b'[{"exchange":"binance","symbol":"BTCUSDT","timeframe":"1m","open_time":"2024-01-01T00:00:00+00:00",'
    b'"close_time":"2024-01-01T00:01:00+00:00","open":1.0,"high":2.0,"low":1,"close":1.5,"volume":3}]'
)


@pytest.mark.parametrize(
    ("body", "cursor", "following", "says"),
    [
        (CANDLE, "5", "5", "does not lead on"),
        (CANDLE, "5", "4", "does not lead on"),
        (b"[]", None, "7", "does not lead on"),
        (CANDLE.replace(b"BTCUSDT", b"ETHUSDT"), None, None, "candles of binance ETHUSDT 1m, not of binance BTCUSDT 1m"),
        (CANDLE.replace(b"2.0", b'"NaN"'), None, None, "a number that is none"),
    ],
)
def test_a_page_that_leads_nowhere_or_is_of_something_else_is_a_bad_answer(
    body: bytes, cursor: str | None, following: str | None, says: str
) -> None:
    asked = questions.page("Binance", "btcusdt", "1m", 0, 1, (), 10, cursor)
    headers = {} if following is None else {"x-next-cursor": following}
    with pytest.raises(BadAnswer, match=says):
        questions.answered(asked, 200, headers, body)
    assert 1 == len(questions.page("binance", "BTCUSDT", "1m", 0, 1, (), 10, "5").read(CANDLE, {"x-next-cursor": "6"}).candles)
