"""
CoinGecko's ranking of coins by market capitalisation. No venue: it lists coins, not pairs, and nothing here is a price.

Hosts, keys and errors: https://docs.coingecko.com/v3.0.1/reference/authentication, .../common-errors-rate-limit;
pages: https://docs.coingecko.com/v3.0.1/reference/coins-markets (read 2026-11-21)
"""

from typing import Literal, NamedTuple

import msgspec

from marketd.errors import BadFrame, Refused
from marketd.venues.venue import UNREADABLE, Answer, Limits, Quota, Request

Plan = Literal["demo", "pro"]
PAGE = 250  # coins a page, the most there are
BASES: dict[Plan, str] = {"demo": "https://api.coingecko.com/api/v3", "pro": "https://pro-api.coingecko.com/api/v3"}
KEY_HEADERS: dict[Plan, str] = {"demo": "x-cg-demo-api-key", "pro": "x-cg-pro-api-key"}
# Requests a minute. Without a key the service allows 5 to 15, by its load; demo keys 30, the smallest paid plan 250.
KEYLESS, KEYED = 5, {"demo": 30, "pro": 250}
UNREADABLE_MAX = 0.5  # of a page's rows; with more of them it is no ranking
WORDS_MAX = 200  # characters of an answer that are repeated


class Coin(NamedTuple):
    """One coin of the ranking. Tickers are not unique, ids are."""

    id: str
    ticker: str  # upper case, as venues write it
    rank: int | None  # None where the service has no capitalisation


class CoinGecko:
    """The service's facts and questions. The key travels in a header, so that no address shows it."""

    name = "coingecko"

    def __init__(self, plan: Plan = "demo", key: str | None = None) -> None:
        self.rest_url = BASES[plan]
        self.limits = Limits(rest={"": Quota(KEYED[plan] if key else KEYLESS, 60.0)})
        self._headers = {KEY_HEADERS[plan]: key} if key else {}

    def page_request(self, page: int) -> Request:
        """A page of the ranking, from 1."""
        params = {"vs_currency": "usd", "order": "market_cap_desc", "per_page": str(PAGE), "page": str(page)}
        return Request("/coins/markets", params, headers=self._headers)

    def read_page(self, answer: Answer) -> list[Coin]:
        """The coins of a page in its order; empty after the last. Raises BadFrame."""
        try:
            rows = decode_rows(answer.body)
        except UNREADABLE as error:
            raise BadFrame(self.name, answer.body, f"expected a list of coins: {error}") from error
        coins = [coin for row in rows if (coin := read_coin(row)) is not None]
        if len(coins) < len(rows) * (1 - UNREADABLE_MAX):
            raise BadFrame(self.name, answer.body, f"{len(rows) - len(coins)} of {len(rows)} rows are no coins")
        return coins

    def read_refusal(self, answer: Answer) -> Exception | None:
        """Anything but 200, in the service's own words. A wrong key stays wrong until a person changes it."""
        if answer.status == 200:
            return None
        words = f"HTTP {answer.status}: {words_of(answer.body)}"
        permanent = answer.status in {400, 401, 404}
        return Refused(self.name, words, status=answer.status, retry_after_s=answer.retry_after_s, permanent=permanent)


class WireCoin(msgspec.Struct):
    id: str
    symbol: str
    market_cap_rank: float | None = None


class WireStatus(msgspec.Struct):
    error_message: str = ""


class WireError(msgspec.Struct):
    """Errors come in two shapes."""

    error: str | WireStatus = ""
    status: WireStatus | None = None


decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_coin = msgspec.json.Decoder(WireCoin).decode
decode_error = msgspec.json.Decoder(WireError).decode


def read_coin(row: msgspec.Raw) -> Coin | None:
    """None for a row without an id or a ticker that a venue could list."""
    try:
        wire = decode_coin(row)
    except UNREADABLE:
        return None
    ticker = wire.symbol.strip().upper()
    if not wire.id or not ticker.isalnum():
        return Coin(wire.id, "", None) if wire.id else None
    return Coin(wire.id, ticker, None if wire.market_cap_rank is None else int(wire.market_cap_rank))


def words_of(body: bytes) -> str:
    try:
        said = decode_error(body)
    except UNREADABLE:
        text = body.decode(errors="replace")
    else:
        status = said.error if isinstance(said.error, WireStatus) else said.status
        text = said.error if isinstance(said.error, str) and said.error else status.error_message if status else ""
    return " ".join(text.split())[:WORDS_MAX] or "no reason given"
