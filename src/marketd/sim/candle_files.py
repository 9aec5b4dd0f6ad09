"""
Recorded candles as the source of a simulated venue: files, or directories of them, whose rows are served digit for digit.

Forms: `BTCUSDT-1h.csv` (also `.csv.gz`, more words after the timeframe), lines of open time in ms, open, high, low, close,
volume and perhaps turnover; and JSON lines of REST answers, `{"url", "body"}`, whose URL names symbol and timeframe.
"""

from __future__ import annotations

import gzip
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from marketd.sim.candles import CandleRow, Timeframe
from marketd.sim.wire import Request

if TYPE_CHECKING:
    from marketd.sim.venue import SimVenue

NAME = re.compile(r"(?P<symbol>.+?)-(?P<timeframe>\d+[smhdwM])(?:[-_.].*)?\.csv(?:\.gz)?")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
Series = tuple[str, str]  # our symbol, the venue's timeframe


class CandleFiles:
    """The rows of all files by symbol and timeframe; of two rows of one time the later read one counts."""

    def __init__(self) -> None:
        self._texts: dict[Series, dict[int, str]] = {}  # by open time: the rest of the line
        self._times: dict[Series, list[int]] = {}

    def add(self, symbol: str, timeframe: str, open_ms: int, numbers: Iterable[str]) -> None:
        self._texts.setdefault((symbol, timeframe), {})[open_ms] = ",".join(numbers)

    def sort(self) -> None:
        self._times = {series: sorted(rows) for series, rows in self._texts.items()}

    @property
    def symbols(self) -> list[str]:
        return list(dict.fromkeys(symbol for symbol, _ in self._times))

    @property
    def last_ms(self) -> int:
        """The open time of the newest candle of any series."""
        return max(times[-1] for times in self._times.values())

    def rows(self, symbol: str, timeframe: str) -> list[CandleRow]:
        """All rows of a series (timeframe as the venue names it), oldest first; none for one that no file has."""
        return [self._row(symbol, timeframe, at) for at in self._times.get((symbol, timeframe), [])]

    def page(self, symbol: str, timeframe: Timeframe, first_ms: int, last_ms: int, limit: int, newest: bool) -> list[CandleRow]:
        times = self._times.get((symbol, timeframe.name), [])
        start, stop = bisect_left(times, first_ms), bisect_right(times, last_ms)
        start, stop = (max(start, stop - limit), stop) if newest else (start, min(stop, start + limit))
        return [self._row(symbol, timeframe.name, at) for at in times[start:stop]]

    def _row(self, symbol: str, timeframe: str, open_ms: int) -> CandleRow:
        open_, high, low, close, volume, *turnover = self._texts[symbol, timeframe][open_ms].split(",")
        return CandleRow(open_ms, open_, high, low, close, volume, turnover[0] if turnover else "")


def is_candle_file(path: Path, venue: type[SimVenue]) -> bool:
    """Whether the file, or any of a directory, holds candles: by its name, or by the first REST answer in it."""
    if path.is_dir():
        return any(is_candle_file(each, venue) for each in sorted(path.iterdir()) if each.is_file())
    if ".csv" in path.name:
        return True
    if ".jsonl" not in path.name or path.suffix == ".zst":
        return False
    try:
        record = json.loads(next(_lines(path), "null"))
    except (OSError, ValueError, EOFError):
        return False
    return isinstance(record, dict) and "body" in record and venue.candle_mark in str(record.get("url"))


def read_candle_files(paths: Iterable[Path], venue: type[SimVenue]) -> CandleFiles:
    """Read files; of a directory those whose names say symbol and timeframe, or that hold answers of this venue's candles.

    Raises OSError where there is nothing, ValueError that names the file for anything else that cannot be read.
    """
    found = CandleFiles()
    for path in paths:
        chosen = [path]
        if path.is_dir():
            chosen = [each for each in sorted(path.iterdir()) if each.is_file() and _is_of_use(each, venue)]
        for each in chosen:
            if ".csv" in each.name:
                _read_csv(found, each, venue)
            else:
                _read_answers(found, each, venue)
    found.sort()
    if not found.symbols:
        raise ValueError(f"{', '.join(map(str, paths))}: no candles of {venue.name} in it")
    return found


def _is_of_use(path: Path, venue: type[SimVenue]) -> bool:
    match = NAME.fullmatch(path.name)
    if match is not None:
        return _timeframe(match["timeframe"], venue) is not None and venue.symbol_of(match["symbol"]) is not None
    return ".csv" not in path.name and is_candle_file(path, venue)


def _timeframe(ours: str, venue: type[SimVenue]) -> str | None:
    """What the venue calls a timeframe such as 1h or 1M."""
    length_ms = 0 if ours.endswith("M") else int(ours[:-1]) * SECONDS[ours[-1]] * 1000
    if ours.endswith("M") and ours != "1M":
        return None
    return next((name for name, each in venue.timeframes.items() if each.length_ms == length_ms), None)


def _read_csv(found: CandleFiles, path: Path, venue: type[SimVenue]) -> None:
    match = NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path}: the name should say symbol and timeframe, as BTCUSDT-1h.csv.gz")
    symbol, timeframe = venue.symbol_of(match["symbol"]), _timeframe(match["timeframe"], venue)
    if symbol is None:
        raise ValueError(f"{path}: {match['symbol']} is not a symbol whose quote is known")
    if timeframe is None:
        raise ValueError(f"{path}: {venue.name} has no candles of {match['timeframe']}")
    for number, line in enumerate(_lines(path), 1):
        open_ms, *numbers = line.split(",")
        if not open_ms.isdigit() and number == 1:
            continue  # the names of the columns
        if not open_ms.isdigit() or len(numbers) not in {5, 6}:
            raise ValueError(f"{path}, line {number}: not open_time_ms,open,high,low,close,volume[,turnover]")
        found.add(symbol, timeframe, int(open_ms), numbers)


def _read_answers(found: CandleFiles, path: Path, venue: type[SimVenue]) -> None:
    for number, line in enumerate(_lines(path), 1):
        try:
            record = json.loads(line)
            if venue.candle_mark not in str(record["url"]):
                continue
            parts = urlsplit(record["url"])
            request = Request("GET", parts.path, dict(parse_qsl(parts.query)), {}, record["url"])
            symbol, timeframe = venue.candle_series(request)
            body = record["body"] if isinstance(record["body"], str) else json.dumps(record["body"])
            for open_ms, *numbers in venue.candle_numbers(json.loads(body, parse_float=str, parse_int=str)):
                found.add(symbol, timeframe, int(open_ms), map(str, numbers))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ValueError(f"{path}, line {number}: not an answer of candles, as {{'url', 'body'}}") from None


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        yield from (line.rstrip("\r\n") for line in lines if line.strip())
