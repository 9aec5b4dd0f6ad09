"""Times as the venues write them, to integer nanoseconds UTC, exactly."""

import re
from calendar import monthrange, timegm
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

SECONDS_MAX = 1024  # that are remembered
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?")


def ns_of_ms(ms: int) -> int:
    return ms * 1_000_000


def ns_of_iso(text: str) -> int:
    """RFC 3339 text with up to nine fractional digits; no zone means UTC. Raises ValueError.

    Events come many in one second, so whole seconds are remembered: a third of a microsecond in place of 2.4.
    """
    fraction = text[20:-1]
    if text[-1:] == "Z" and len(fraction) < 10 and fraction.isdecimal():
        second = _seconds.get(text[:20])
        return (_ns_of_whole(text[:20]) if second is None else second) + int(fraction) * _SCALE[len(fraction)]
    return _ns_of_any_iso(text)


def _ns_of_whole(text: str) -> int:
    """Of `2024-11-14T17:30:00.`, the point included."""
    if text[19:] != ".":
        raise ValueError(f"{text!r} is not how an RFC 3339 time begins")
    if len(_seconds) >= SECONDS_MAX:
        _seconds.clear()
    second = _seconds[text] = _ns_of_any_iso(text[:19])
    return second


def _ns_of_any_iso(text: str) -> int:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if not (int(year) > 0 and 1 <= int(month) <= 12 and 1 <= int(day) <= monthrange(int(year), int(month))[1]):
        raise ValueError(f"{text!r} is not an RFC 3339 time: no such day")
    if not (int(hour) < 24 and int(minute) < 60 and int(second) < 61):
        raise ValueError(f"{text!r} is not an RFC 3339 time: no such time of day")
    seconds = timegm((int(year), int(month), int(day), int(hour), int(minute), int(second)))
    if zone and zone != "Z":
        if int(zone[1:3]) > 23 or int(zone[-2:]) > 59:
            raise ValueError(f"{text!r} is not an RFC 3339 time: no such zone")
        offset = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        seconds += offset if zone[0] == "-" else -offset
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


_seconds: dict[str, int] = {}
_SCALE: list[int] = [10 ** (9 - digits) for digits in range(10)]


def ns_of_decimal_seconds(text: str) -> int:
    """Seconds written as decimal text (`1700000040.1234567`), without a float in between. Raises ValueError."""
    whole, _, fraction = text.partition(".")
    if not (whole.isascii() and whole.isdecimal()) or (fraction and not (fraction.isascii() and fraction.isdecimal())):
        raise ValueError(f"{text!r} is not a time in seconds")
    return int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))


def ns_of_epoch(text: str) -> int:
    """A number that is seconds, milliseconds, microseconds or nanoseconds since the epoch, by its magnitude; exactly, what lies
    beyond nanoseconds is cut off. Raises ValueError.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a time") from None
    if not (number.is_finite() and 0 <= number < 10**20):
        raise ValueError(f"{text!r} is not a time since 1970")
    return int(number * next(factor for limit, factor in _UNITS if number < limit))


# Seconds until the year 5138, then milliseconds, microseconds, nanoseconds.
_UNITS = ((10**11, 1_000_000_000), (10**14, 1_000_000), (10**17, 1_000), (10**20, 1))


def iso_of_ns(ts: int) -> str:
    """`2024-11-14T17:30:00+00:00`, with as many fractional digits as the time has (0, 3, 6 or 9)."""
    seconds, fraction = divmod(ts, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not fraction:
        return f"{whole}+00:00"
    digits = f"{fraction:09d}"
    for length in (3, 6):
        if digits[length:].strip("0") == "":
            digits = digits[:length]
            break
    return f"{whole}.{digits}+00:00"
