"""Stored candles as text for the wire: the venue's own digits, never through a float."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from marketd.model.digits import plain
from marketd.model.series import CandleSeries
from marketd.model.timeframes import SECOND
from marketd.stores.archive import Row

KEYS = ("exchange", "symbol", "timeframe", "open_time", "close_time", "open", "high", "low", "close", "volume")
EXTRA = ("closed", "revision", "source")  # what `include` adds, in this order
NUMBERS = KEYS[5:]
DAY_S = 86_400

_encode = msgspec.json.Encoder().encode
_MINUTES = tuple(f"T{at // 60:02d}:{at % 60:02d}:00+00:00" for at in range(1440))


def seconds_text(seconds: int) -> str:
    """`2024-11-14T17:30:00+00:00`."""
    day, rest = divmod(seconds, DAY_S)
    minute, second = divmod(rest, 60)
    text = _days.get(day) or _day(day)
    return text + _MINUTES[minute] if not second else f"{text}{_MINUTES[minute][:7]}{second:02d}+00:00"


def _texts(rows: Sequence[Row]) -> dict[int, str]:
    """Each time once: mostly one candle closes where the next one opens."""
    times = {row.open_time for row in rows}
    times.update([row.close_time for row in rows])
    return {time: seconds_text(time // SECOND) for time in times}


def _day(day: int) -> str:
    """Candles come many in one day, so days are remembered."""
    if len(_days) >= DAYS_MAX:
        _days.clear()
    found = _days[day] = datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%d")
    return found


DAYS_MAX = 4096
_days: dict[int, str] = {}


def json_rows(series: CandleSeries, rows: Sequence[Row], include: Iterable[str] = (), quoted: bool = False) -> bytes:
    """Objects with commas between them, without the brackets of the array. Numbers are literals, or `quoted` text."""
    names = "".join(f'"{key}":{_encode(value).decode()},' for key, value in zip(KEYS, series, strict=False))
    more = _more(include)
    mark = '"' if quoted else ""
    times = _texts(rows)
    texts = [
        f'{{{names}"open_time":"{times[row.open_time]}","close_time":"{times[row.close_time]}",'
        f'"open":{mark}{row.open}{mark},"high":{mark}{row.high}{mark},"low":{mark}{row.low}{mark},"close":{mark}{row.close}{mark},'
        f'"volume":{mark}{row.volume}{mark}'
        for row in rows
    ]
    if more is not None:
        texts = [text + more(row) for text, row in zip(texts, rows, strict=True)]
    body = f"{'},'.join(texts)}}}".encode() if texts else b""
    return body if quoted or _is_json(body) else json_rows(series, [_literal(row) for row in rows], include)


def _more(include: Iterable[str]) -> Callable[[Row], str] | None:
    wanted = [name for name in EXTRA if name in set(include)]
    if not wanted:
        return None
    return lambda row: "".join(f',"{name}":{_encode(getattr(row, name)).decode()}' for name in wanted)


def _is_json(body: bytes) -> bool:
    """Whether every number is a JSON literal: a row of before the archive checked them may hold `.5` or `007`."""
    try:
        msgspec.json.decode(b"[%b]" % body, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def _literal(row: Row) -> Row:
    return msgspec.structs.replace(row, **{name: _number(getattr(row, name)) for name in NUMBERS})


def _number(text: str) -> str:
    """The same number as JSON writes it: a digit before the point, one behind it, no nought in front."""
    text = plain(text)
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    return f"{sign}{whole.lstrip('0') or '0'}{point if fraction else ''}{fraction}"


def csv_head(include: Iterable[str] = ()) -> bytes:
    return (",".join((*KEYS, *(name for name in EXTRA if name in set(include)))) + "\n").encode()


def csv_rows(series: CandleSeries, rows: Sequence[Row], include: Iterable[str] = ()) -> bytes:
    """One line each. Nothing in them needs quoting: names and numbers hold neither commas nor quotes."""
    names = ",".join(series)
    times = _texts(rows)
    wanted = [name for name in EXTRA if name in set(include)]
    lines = [
        f"{names},{times[row.open_time]},{times[row.close_time]},{row.open},{row.high},{row.low},{row.close},{row.volume}"
        for row in rows
    ]
    if wanted:
        lines = [",".join([line, *(_cell(getattr(row, name)) for name in wanted)]) for line, row in zip(lines, rows, strict=True)]
    return "".join([f"{line}\n" for line in lines]).encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
