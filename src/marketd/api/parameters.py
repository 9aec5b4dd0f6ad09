"""The parameters of queries: symbols, venues, times. What is not understood is refused, never guessed."""

import re
from collections import Counter
from datetime import date
from typing import Annotated

from fastapi import Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from marketd.api.answers import refuse
from marketd.model.instruments import neutral
from marketd.model.timeframes import timeframe
from marketd.model.times import ns_of_decimal_seconds, ns_of_iso

NS_MAX = 2**63 - 1
TIMES = "ISO 8601 (2024-11-14, not 20241114; 2024-11-14T17:30:00Z, without a zone UTC) or epoch s, ms, us, ns; from 1970 to 2262"

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_NO_SECONDS = re.compile(r"([T ]\d\d:\d\d)(?=Z|[+-]|$)")
_BARE_DATE = re.compile(r"(19|20|21)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])[0-5]\d)?")
_LOST_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")  # `+` in a query is a space


def ns_of_text(text: str) -> int:
    """A time as people and programs write it, in ns. Raises ValueError."""
    text = text.strip()
    if _BARE_DATE.fullmatch(text):
        raise ValueError(f"{text!r} may be a date or a number; a date is {text[:4]}-{text[4:6]}-{text[6:8]}")
    if re.fullmatch(r"[0-9]{1,19}", text):
        number = int(text)
        ns = number * next(factor for limit, factor in _UNITS if number < limit)
    elif re.fullmatch(r"[0-9]{1,11}\.[0-9]+", text):
        ns = ns_of_decimal_seconds(text)
    else:
        ns = _ns_of_iso(text)
    if not 0 <= ns <= NS_MAX:
        raise ValueError(f"{text!r} is out of range")
    return ns


# By magnitude: seconds until the year 5138, then milliseconds, microseconds, nanoseconds.
_UNITS = ((10**11, 1_000_000_000), (10**14, 1_000_000), (10**17, 1_000), (10**20, 1))


def _ns_of_iso(text: str) -> int:
    day = _DATE.match(text)
    if day is None:
        raise ValueError(f"{text!r} is no time")
    date(*map(int, day.groups()))  # the 31st of February is none
    if day.end() == len(text):
        text += "T00:00:00"
    text = _LOST_PLUS.sub(r"\1+\2", text)
    if re.search(r":60(?!\d*$)|:\d\d:60", text):
        raise ValueError(f"{text!r} is no time: no clock shows a second 60")
    return ns_of_iso(_NO_SECONDS.sub(r"\1:00", text))


def _time(value: object) -> int:
    try:
        return ns_of_text(str(value))
    except ValueError:
        raise ValueError(f"expected {TIMES}") from None


def _venue(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,40}", text):
        raise ValueError("the name of a venue, as binance: letters, digits and _")
    return text.lower()


def _count(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,18}", value):
        raise ValueError("expected a whole number")
    return value


SYMBOL = Annotated[str, Field(min_length=1, max_length=40, description="as BTCUSDT"), AfterValidator(neutral)]
VENUE = Annotated[
    str,
    Field(description="name of a venue, as binance", json_schema_extra={"pattern": r"^[A-Za-z0-9_]{1,40}$"}),
    AfterValidator(_venue),
]
COUNT = Annotated[int, BeforeValidator(_count)]
TIME = Annotated[int, BeforeValidator(_time), WithJsonSchema({"type": "string", "examples": ["2024-11-14T17:30:00Z"]})]


TIMEFRAMES = "a count and one of s, m, h, d, w (1m, 5m, 1h, 1d), or 1M"


def _timeframe(text: str) -> str:
    try:
        return timeframe(text).name
    except ValueError:
        raise ValueError(f"expected {TIMEFRAMES}") from None


TIMEFRAME = Annotated[str, Field(min_length=1, max_length=5, description=f"as 1m: {TIMEFRAMES}"), AfterValidator(_timeframe)]


def one_timeframe(timeframe: str | None, tf: str | None) -> str:
    """`tf` is another name of `timeframe`; one of them is needed, both are one too many."""
    found = timeframe or tf
    if found is None:
        refuse("timeframe is required", "timeframe", TIMEFRAMES)
    if timeframe is not None and tf is not None:
        refuse("tf is another name of timeframe; both are given", "tf", "one of the two")
    return found


def given_once(request: Request) -> None:
    """A parameter given twice is refused: one of the two would be ignored."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in counts.items():
        if count > 1:
            refuse(f"{name} is given {count} times", name, "one value")


class NoQuery(BaseModel):
    """For paths that take no parameters: any is refused."""

    model_config = ConfigDict(extra="forbid")
