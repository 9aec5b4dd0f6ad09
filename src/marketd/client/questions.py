"""Questions to the server as data, and how their answers are read: the same for both clients, without a wire."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import msgspec

from marketd.client.errors import BadAddress, BadAnswer, BadRequest, ClientError, NotAllowed, NotFound, ServerFailed, TryLater
from marketd.client.shapes import Candle, Gap, Page, Status
from marketd.model.events import Trade

Time = datetime | date | str | int  # a datetime without a zone is UTC; a number is epoch s, ms, us or ns; text is ISO 8601
T = TypeVar("T")
PAGE = 5_000  # candles; the server takes up to 10,000

TRADES_PAGE = 1_000

_trades = msgspec.json.Decoder(list[Trade])
_candles = msgspec.json.Decoder(list[Candle])
_gaps = msgspec.json.Decoder(list[Gap])
_symbols = msgspec.json.Decoder(dict[str, list[str]])
_status = msgspec.json.Decoder(Status)


@dataclass(frozen=True)
class Question(Generic[T]):
    path: str
    read: Callable[[bytes, Mapping[str, str]], T]  # body and headers of a 200
    params: dict[str, str] = field(default_factory=dict)


class _Words(msgspec.Struct):
    """How the server refuses."""

    error: str
    parameter: str | None = None
    allowed: Any = None


def base_of(url: str) -> str:
    """The address of a server, if it is one. Raises BadAddress."""
    if url.startswith(("http://", "https://")):
        return url
    raise BadAddress(
        f"base_url: found {url!r}, expected an address with http:// or https://, as http://{url.rpartition('://')[2]}"
    )


def page(
    exchange: str, symbol: str, timeframe: str, start: Time, end: Time, include: Sequence[str], limit: int, cursor: str | None
) -> Question[Page]:
    names = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
    times = {"start": time_text(start), "end": time_text(end)}
    more = {"include": ",".join(include), "cursor": cursor or ""}
    return Question(
        "/candles",
        lambda body, headers: _page(body, headers.get("x-next-cursor"), (exchange.lower(), symbol.upper(), timeframe), cursor),
        {**names, **times, "limit": str(limit), **{key: value for key, value in more.items() if value}},
    )


def _page(body: bytes, following: str | None, series: tuple[str, str, str], cursor: str | None) -> Page:
    """Raises ValueError for candles of something else, numbers that are none, and a cursor that leads nowhere."""
    found = _candles.decode(body)
    for one in found:
        if (one.exchange, one.symbol, one.timeframe) != series:
            raise ValueError(f"candles of {one.exchange} {one.symbol} {one.timeframe}, not of {' '.join(series)}")
        if not all(number.is_finite() for number in (one.open, one.high, one.low, one.close, one.volume)):
            raise ValueError(f"a candle at {one.open_time} with a number that is none")
    if following is not None and (not found or (cursor is not None and _place(following) <= _place(cursor))):
        raise ValueError(f"the cursor {following!r} does not lead on from {cursor!r}")
    return Page(found, following)


def _place(cursor: str) -> int:
    return int(cursor) if cursor.isascii() and cursor.isdecimal() and len(cursor) < 20 else -1


def latest(symbol: str, timeframe: str, limit: int, exchange: str | None, include: Sequence[str]) -> Question[list[Candle]]:
    params = {"symbol": symbol, "timeframe": timeframe, "limit": str(limit)}
    more = {"exchange": exchange or "", "include": ",".join(include)}
    return Question("/candles/latest", lambda body, _: _candles.decode(body), {**params, **_given(more)})


class TradesPage(msgspec.Struct, frozen=True):
    trades: list[Trade]
    cursor: str | None


def trades(venue: str | None, symbol: str | None, start: int, cursor: str | None) -> Question[TradesPage]:
    """What is stored from `start` (ns) on."""
    given = _given({"symbol": symbol or "", "provider": venue or "", "cursor": cursor or ""})
    params = {"start": str(start), "limit": str(TRADES_PAGE), **given}
    return Question("/trades", lambda body, headers: TradesPage(_trades.decode(body), headers.get("x-next-cursor")), params)


def gaps(
    exchange: str | None, symbol: str | None, timeframe: str | None, state: str | None, open_only: bool
) -> Question[list[Gap]]:
    names = {"exchange": exchange or "", "symbol": symbol or "", "timeframe": timeframe or "", "state": state or ""}
    return Question("/gaps", lambda body, _: _gaps.decode(body), _given({**names, "open": "true" if open_only else ""}))


def symbols(exchange: str | None) -> Question[dict[str, list[str]]]:
    return Question("/symbols", lambda body, _: _symbols.decode(body), _given({"exchange": exchange or ""}))


def status() -> Question[Status]:
    return Question("/status", lambda body, _: _status.decode(body))


def _given(params: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if value}


def time_text(time: Time) -> str:
    """As the server takes it."""
    if isinstance(time, datetime):
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).isoformat()
    return time.isoformat() if isinstance(time, date) else str(time)


def answered(question: Question[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """The answer, or the error that the server gave in its place. Header names are in small letters."""
    if status != 200:
        raise refusal(question.path, status, headers, body)
    try:
        return question.read(body, headers)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadAnswer(f"{question.path}: {error}; is it marketd that listens there?") from error


def refusal(path: str, status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
    try:
        words = msgspec.json.decode(body, type=_Words)
    except (msgspec.DecodeError, UnicodeDecodeError):
        words = _Words(f"{path}: HTTP {status}")
    if status in (429, 503):
        return TryLater(words.error, _seconds(headers.get("retry-after"), headers.get("date")))
    if status in (401, 403):
        return NotAllowed(words.error)
    if status >= 500:
        return ServerFailed(words.error)
    if 300 <= status < 400:
        return BadAnswer(f"{path}: HTTP {status} to {headers.get('location', 'nowhere')}; give that as base_url")
    return (NotFound if status == 404 else BadRequest)(words.error, words.parameter, words.allowed)


def _seconds(text: str | None, date: str | None) -> float | None:
    """`Retry-After` is seconds or a time; a time is taken against the server's own clock."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(date or "")).total_seconds())
    except (ValueError, TypeError):
        return None
