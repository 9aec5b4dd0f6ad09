"""A venue's public archive of candles: zip files of whole months and days, read in whole or not at all.

Layout, checksums, and the change from milliseconds to microseconds in 2025: https://github.com/binance/binance-public-data
(read 2026-11-21). Files have had wrong checksums and missing rows there, so each is proved before a row of it is used.
"""

import csv
import hashlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from marketd.model.digits import number_text
from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.intervals import Interval
from marketd.model.timeframes import DAY, SECOND, Timeframe
from marketd.model.timeframes import timeframe as named
from marketd.model.times import iso_of_ns
from marketd.model.vet import impossible

ROW_BYTES_MAX = 512
COLUMNS = 12  # open time, open, high, low, close, volume, close time, and five more
UNITS = ((10**12, 10**13, 1_000_000), (10**15, 10**16, 1_000))  # from, below, ns: milli- and microseconds of 2001 to 2286
_MONTHS = named("1M")
# All that unzipping bytes from anywhere can raise.
NOT_ZIPPED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, LookupError, ValueError,
)  # fmt: skip


class Damaged(ValueError):
    """A file that cannot be used, and why."""


class BulkFile(NamedTuple):
    """One file: a month or a day, UTC."""

    span: Interval  # ns
    period: str  # monthly, daily
    date: str  # 2024-03, 2024-03-17

    def path(self, template: str, instrument: Instrument, timeframe: Timeframe) -> str:
        """Where it lies below the archive's address; `template` is the venue's `bulk_path`."""
        return template.format(
            period=self.period, symbol=instrument.venue_symbol, timeframe=timeframe.name, date=self.date
        )  # fmt: skip


def files_within(span: Interval, timeframe: Timeframe, rows_min: int) -> Iterator[BulkFile]:
    """The months that lie wholly in `span` (ns), and the days that do where the month does not; each only if it holds at least
    `rows_min` candles: REST gives fewer in one answer."""
    if not timeframe.step or DAY % timeframe.step:
        return
    at = -(-span.start // DAY) * DAY
    while at + DAY <= span.stop:
        when = datetime.fromtimestamp(at // SECOND, UTC)
        month = Interval(at, _MONTHS.close_of(at))
        if when.day == 1 and month.stop <= span.stop:
            file = BulkFile(month, "monthly", f"{when:%Y-%m}")
        else:
            file = BulkFile(Interval(at, at + DAY), "daily", f"{when:%Y-%m-%d}")
        if file.span.length >= rows_min * timeframe.step:
            yield file
        at = file.span.stop


def read_bulk(
    file: BulkFile, name: str, body: bytes, checksum: bytes, instrument: Instrument, timeframe: Timeframe, ts_recv: int
) -> list[Candle]:
    """All candles of a file, oldest first, closed. `name`: how it is called, as `X.zip`. Raises Damaged for anything that is
    not as it should be: checksum, zip, size, unit, number of rows, order, repetition, grid, period, values."""
    _prove(name, body, checksum)
    expected = file.span.length // timeframe.step
    text = _unzipped(name, body, (expected + 1) * ROW_BYTES_MAX)
    candles = [_candle(row, number, instrument, timeframe, ts_recv) for number, row in _rows(text)]
    if not candles:
        raise Damaged("it has no row")
    at = None
    for candle in candles:
        if not file.span.start <= candle.open_time < file.span.stop:
            raise Damaged(f"a candle of {iso_of_ns(candle.open_time)} is not of {file.date}")
        if at is not None and candle.open_time <= at:
            raise Damaged(f"a candle of {iso_of_ns(candle.open_time)} comes after one of {iso_of_ns(at)}")
        at = candle.open_time
    if len(candles) > expected:
        raise Damaged(f"{len(candles):,} rows, expected at most {expected:,}")
    return candles


def _prove(name: str, body: bytes, checksum: bytes) -> None:
    said, _, of = checksum.decode("ascii", "replace").strip().partition(" ")
    if len(said) != 64 or of.strip().lstrip("*") != name:
        raise Damaged(f"its checksum file says {checksum[:100]!r}, expected 64 digits and {name}")
    if hashlib.sha256(body).hexdigest() != said.lower():
        raise Damaged(f"its checksum is {hashlib.sha256(body).hexdigest()[:12]}..., expected {said[:12]}...")


def _unzipped(name: str, body: bytes, bytes_max: int) -> str:
    """The one text in it, never more than `bytes_max` of it, whatever the file says of itself."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            names = archive.namelist()
            if names != [name.removesuffix(".zip") + ".csv"]:
                raise Damaged(f"it holds {names[:3]}, expected {name.removesuffix('.zip')}.csv")
            with archive.open(names[0]) as member:
                content = member.read(bytes_max + 1)
    except Damaged:
        raise
    except NOT_ZIPPED as error:
        raise Damaged(f"it cannot be unzipped: {error}") from error
    if len(content) > bytes_max:
        raise Damaged(f"it unzips to more than {bytes_max:,} bytes")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        raise Damaged("it is no plain text") from error


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their number; some files begin with names of columns."""
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
            if number > 1 or not row or row[0] != "open_time":
                yield number, row
    except csv.Error as error:
        raise Damaged(f"it is no table: {error}") from error


def _candle(row: list[str], number: int, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> Candle:
    if len(row) != COLUMNS:
        raise Damaged(f"row {number} has {len(row)} columns, expected {COLUMNS}")
    opened, unit = _time(row[0], number)
    ends, unit_of_end = _time(row[6], number)
    if timeframe.open_of(opened) != opened:
        raise Damaged(f"row {number}: no candle of {timeframe.name} opens at {iso_of_ns(opened)}")
    closes = timeframe.close_of(opened)
    if unit != unit_of_end or ends != closes - unit:  # the last moment inside
        raise Damaged(f"row {number} ends at {iso_of_ns(ends)}, expected just before {iso_of_ns(closes)}")
    try:
        open_, high, low, close, volume = map(number_text, row[1:6])
    except ValueError as error:
        raise Damaged(f"row {number}: {error}") from error
    candle = Candle(
        instrument.venue, instrument.symbol, None, ts_recv, timeframe.name, opened, closes, open_, high, low, close, volume, True
    )
    why = impossible(candle)
    if why is not None:
        raise Damaged(f"row {number}: {why}")
    return candle


def _time(text: str, number: int) -> tuple[int, int]:
    """ns, and the unit it was said in."""
    if text.isascii() and text.isdecimal() and len(text) < 20:
        for low, high, unit in UNITS:
            if low <= int(text) < high:
                return int(text) * unit, unit
    raise Damaged(f"row {number}: {text[:30]!r} is no time in milli- or microseconds")
