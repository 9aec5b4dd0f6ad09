"""The ranking of coins: what is asked, and what is made of whatever comes back."""

import json
from typing import Any

import pytest

from marketd.errors import BadFrame, Refused
from marketd.venues.coingecko import PAGE, Coin, CoinGecko
from marketd.venues.venue import Answer


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def test_a_page_is_asked_for_whole_and_by_capitalisation() -> None:
    request = CoinGecko().page_request(3)

    assert (request.path, dict(request.params), dict(request.headers)) == (
        "/coins/markets",
        {"vs_currency": "usd", "order": "market_cap_desc", "per_page": str(PAGE), "page": "3"},
        {},
    )


def test_each_plan_has_its_host_its_header_and_its_pace() -> None:
    plans = [CoinGecko("demo"), CoinGecko("demo", "k"), CoinGecko("pro", "k")]

    assert [
        ("https://api.coingecko.com/api/v3", {}, 5),
        ("https://api.coingecko.com/api/v3", {"x-cg-demo-api-key": "k"}, 30),
        ("https://pro-api.coingecko.com/api/v3", {"x-cg-pro-api-key": "k"}, 250),
    ] == [(one.rest_url, dict(one.page_request(1).headers), one.limits.rest[""].weight) for one in plans]


def test_coins_are_read_with_what_is_missing_and_what_is_too_much() -> None:
    rows = [
        {"id": "one-coin", "symbol": "one", "market_cap_rank": 1, "current_price": 1e-7, "roi": None},
        {"id": "two-coin", "symbol": "Two", "market_cap_rank": None},
        {"id": "odd-coin", "symbol": "$", "market_cap_rank": 3},
        {"id": "sum-coin", "symbol": "sum", "market_cap_rank": 4.0},
        {"id": None, "symbol": "none"},
    ]

    assert [
        Coin("one-coin", "ONE", 1),
        Coin("two-coin", "TWO", None),
        Coin("odd-coin", "", None),
        Coin("sum-coin", "SUM", 4),
    ] == CoinGecko().read_page(answer(rows))


def test_a_page_after_the_last_is_empty() -> None:
    assert CoinGecko().read_page(answer([])) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"<html></html>",
        b'[{"id":"bitc',
        {"coins": []},
        [1, 2, 3],
        [{"id": "a", "symbol": 7}, None],
        b"[" * 10_000,
    ],
)
def test_what_is_no_ranking_is_a_bad_frame(body: Any) -> None:
    with pytest.raises(BadFrame, match="coingecko"):
        CoinGecko().read_page(answer(body))


@pytest.mark.parametrize(
    ("given", "words", "permanent", "retry_after_s"),
    [
        (
            answer({"status": {"error_code": 429, "error_message": "too many"}}, 429, retry_after="17"),
            "HTTP 429: too many",
            False,
            17,
        ),
        (answer({"error": "coin not found"}, 404), "HTTP 404: coin not found", True, 0),
        (answer({"error": {"error_message": "nested"}}, 403), "HTTP 403: nested", False, 0),
        (
            answer({"status": {"error_code": 10002, "error_message": "API Key Missing"}}, 401),
            "HTTP 401: API Key Missing",
            True,
            0,
        ),
        (answer(b"<html>\n <b>Bad gateway</b></html>", 502), "HTTP 502: <html> <b>Bad gateway</b></html>", False, 0),
        (answer(b"", 500), "HTTP 500: no reason given", False, 0),
        (answer(b"", 301), "HTTP 301: no reason given", False, 0),
    ],
)
def test_a_refusal_has_the_services_own_words(given: Answer, words: str, permanent: bool, retry_after_s: float) -> None:
    refusal = CoinGecko().read_refusal(given)

    assert isinstance(refusal, Refused)
    assert (words, permanent, retry_after_s) == (refusal.words, refusal.permanent, refusal.retry_after_s)


def test_an_answer_is_no_refusal() -> None:
    assert CoinGecko().read_refusal(answer([])) is None
