"""The candles of a simulated venue: timeframes, pages of rows for its REST, and the faults that spoil such a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from marketd.sim.history import LISTED_MS, MASK, Bar, noise, seed_number

if TYPE_CHECKING:
    from marketd.sim.candle_files import CandleFiles
    from marketd.sim.faults import Fault
    from marketd.sim.venue import SimVenue

Empty = Literal["no row", "zero volume", "either"]
SPOILING = ("half_page", "wrong_order", "duplicate_rows", "forming_last", "corrected")
DAY_MS = 86_400_000
TEXTS_MAX = 1 << 17  # about 15 MB
CORRECTED_EACH = 7  # of so many candles that were served one is corrected


@dataclass(frozen=True)
class Timeframe:
    """One candle length of a venue: its spelling and its grid."""

    name: str
    length_ms: int  # 0: calendar months
    offset_ms: int = 0  # of the grid against the epoch

    def open_of(self, ts_ms: int) -> int:
        if self.length_ms:
            return ts_ms - (ts_ms - self.offset_ms) % self.length_ms
        when = datetime.fromtimestamp(ts_ms // 1000, UTC)
        return _month(when.year, when.month)

    def after(self, open_ms: int, count: int = 1) -> int:
        """Where the `count`-th interval after this one opens; negative: before."""
        if self.length_ms:
            return open_ms + count * self.length_ms
        when = datetime.fromtimestamp(open_ms // 1000, UTC)
        months = when.year * 12 + when.month - 1 + count
        return _month(months // 12, months % 12 + 1)

    def opens(self, first_ms: int, last_ms: int) -> Iterable[int]:
        """Each open time within first..last, both inclusive."""
        if self.length_ms:
            return range(self.open_of(first_ms + self.length_ms - 1), last_ms + 1, self.length_ms)
        return self._months(first_ms, last_ms)

    def _months(self, first_ms: int, last_ms: int) -> Iterator[int]:
        at = self.open_of(first_ms)
        at = at if at >= first_ms else self.after(at)
        while at <= last_ms:
            yield at
            at = self.after(at)


def timeframes(lengths: Mapping[str, int], offsets: Mapping[str, int] | None = None) -> dict[str, Timeframe]:
    """By the venue's name, from seconds; 0 seconds are months."""
    return {name: Timeframe(name, s * 1000, (offsets or {}).get(name, 0) * 1000) for name, s in lengths.items()}


@lru_cache(maxsize=4096)
def _month(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


class CandleRow(NamedTuple):
    """A candle in the digits that go on the wire, or that stand in a file."""

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str = ""  # in quote units; "" where a file has none
    bar: Bar | None = None  # None for a row from a file


class Texts(dict[int, str]):
    """What numbers are as text, each spelled once: prices come again and again."""

    def __init__(self, spell: Callable[[int], str]) -> None:
        self._spell = spell

    def __missing__(self, units: int) -> str:
        if len(self) >= TEXTS_MAX:
            self.clear()
        text = self[units] = self._spell(units)
        return text


class Candles:
    """All candles of one venue, from its market or from files in the market's place."""

    def __init__(self, venue: SimVenue, files: CandleFiles | None) -> None:
        self._venue, self._files = venue, files
        self.corrections: dict[tuple[str, str, int], CandleRow] = {}  # what is served now, by symbol, timeframe, open time (ms)
        self._texts: dict[str, tuple[Texts, Texts]] = {}  # prices and sizes, by symbol
        self._served: dict[tuple[str, str], tuple[int, int]] = {}  # the oldest and newest candle that was over when served

    # -- the market's own -----------------------------------------------------------------------------------------

    def bars(self, symbol: str, timeframe: Timeframe, first_ms: int, last_ms: int) -> list[tuple[int, Bar | None]]:
        """Open time and content of each interval that opens within first..last, both inclusive; nothing of the future."""
        last_ms = min(last_ms, self._venue.now_ms())
        return self._venue.market.symbols[symbol].bars(timeframe, first_ms, last_ms)

    def filled(self, symbol: str, timeframe: Timeframe, first_ms: int, last_ms: int) -> list[tuple[int, Bar]]:
        """The same with an empty bar at the previous close where there was no trade."""
        rows, close = [], None
        for open_ms, bar in self.bars(symbol, timeframe, first_ms, last_ms):
            if bar is None:
                if close is None:
                    close = self._venue.market.symbols[symbol].close_before(open_ms)
                bar = Bar(-1, close)
            close = bar.close
            rows.append((open_ms, bar))
        return rows

    def _shown(self, symbol: str, timeframe: Timeframe, first_ms: int, last_ms: int) -> list[tuple[int, Bar]]:
        """As the venue shows intervals without a trade."""
        if self._venue.empty == "no row":
            pairs = self.bars(symbol, timeframe, first_ms, last_ms)
            return [pair for pair in pairs if pair[1] is not None]  # type: ignore[misc]  # taken over as they are: there are many
        rows = self.filled(symbol, timeframe, first_ms, last_ms)
        if self._venue.empty == "zero volume":
            return rows
        seed, running = seed_number(symbol, timeframe.name), timeframe.open_of(self._venue.now_ms())
        return [row for row in rows if row[1].count or row[0] == running or noise(seed, row[0]) > 0]

    # -- pages ----------------------------------------------------------------------------------------------------

    def page(
        self, symbol: str, timeframe: Timeframe, first_ms: int, last_ms: int, limit: int, *, newest: bool = False
    ) -> list[CandleRow]:
        """
        Rows that open within first..last, both inclusive, oldest first: at most `limit`, the first ones or the newest.

        The running candle is among them when the range reaches it. Faults have not been at work yet, but for corrections.
        """
        last_ms = min(last_ms, self._venue.now_ms())
        if self._files is not None:
            rows = self._file_page(self._files, symbol, timeframe, first_ms, last_ms, limit, newest)
        else:
            rows = self._market_page(symbol, timeframe, max(first_ms, LISTED_MS), last_ms, limit, newest)
        if self.corrections:
            rows = [self.corrections.get((symbol, timeframe.name, row.open_ms), row) for row in rows]
        return rows

    def _file_page(
        self, files: CandleFiles, symbol: str, timeframe: Timeframe, first_ms: int, last_ms: int, limit: int, newest: bool
    ) -> list[CandleRow]:
        """Of the running candle no more is shown than can have happened yet."""
        rows = files.page(symbol, timeframe, first_ms, last_ms, limit, newest)
        now_ms = self._venue.now_ms()
        if rows and (closes := timeframe.after(rows[-1].open_ms)) > now_ms:
            rows[-1] = begun(rows[-1], (now_ms - rows[-1].open_ms) / (closes - rows[-1].open_ms))
        return rows

    def _market_page(
        self, symbol: str, timeframe: Timeframe, first_ms: int, last_ms: int, limit: int, newest: bool
    ) -> list[CandleRow]:
        found: list[tuple[int, Bar]] = []
        # So many intervals may hold fewer rows: go on until the page is full or the range ends.
        while first_ms <= last_ms and len(found) < limit:
            missing = limit - len(found)
            if newest:
                start = max(first_ms, timeframe.after(timeframe.open_of(last_ms), 1 - missing))
                found = self._shown(symbol, timeframe, start, last_ms) + found
                last_ms = start - 1
            else:
                stop = min(last_ms, timeframe.after(timeframe.open_of(first_ms), missing))
                found += self._shown(symbol, timeframe, first_ms, stop)
                first_ms = stop + 1
        return self._rows(symbol, found[-limit:] if newest else found[:limit])

    def _rows(self, symbol: str, found: Iterable[tuple[int, Bar]]) -> list[CandleRow]:
        texts = self._texts.get(symbol)
        if texts is None:
            listing, venue = self._venue.listings[symbol], self._venue
            texts = Texts(partial(venue.candle_price, listing)), Texts(partial(venue.candle_size, listing))
            self._texts[symbol] = texts
        price, size = texts
        return [
            CandleRow(open_ms, price[bar.open], price[bar.high], price[bar.low], price[bar.close], size[bar.lots], "", bar)
            for open_ms, bar in found
        ]

    def day(self, symbol: str) -> CandleRow:
        """The last 24 hours as one row: of the files' shortest candles where there are files, else of the market's minutes."""
        venue, now_ms = self._venue, self._venue.now_ms()
        if self._files is None:
            return self._rows(symbol, [(now_ms - DAY_MS, venue.day_bar(venue.market.symbols[symbol], now_ms))])[0]
        for timeframe in sorted(venue.timeframes.values(), key=lambda one: one.length_ms or 31 * DAY_MS):
            first_ms = now_ms - max(DAY_MS, timeframe.length_ms)
            rows = self._file_page(self._files, symbol, timeframe, first_ms, now_ms, TEXTS_MAX, newest=True)
            if rows:
                high, low = max(rows, key=lambda row: Decimal(row.high)).high, min(rows, key=lambda row: Decimal(row.low)).low
                volume = f"{sum((Decimal(row.volume) for row in rows), Decimal(0)):f}"
                return CandleRow(rows[0].open_ms, rows[0].open, high, low, rows[-1].close, volume)
        return CandleRow(now_ms - DAY_MS, "0", "0", "0", "0", "0")

    # -- faults ---------------------------------------------------------------------------------------------------

    def served(self, symbol: str, timeframe: Timeframe, rows: list[CandleRow], *, newest_first: bool = False) -> list[CandleRow]:
        """The rows in the venue's order as they go out: what faults make of them, and what will count as served."""
        venue = self._venue
        if venue.deck.armed:
            rows = self._spoiled(symbol, timeframe, rows, newest_first)
        elif newest_first:
            rows = rows[::-1]
        over = timeframe.open_of(venue.now_ms()) - 1
        times = [row.open_ms for row in rows if row.open_ms <= over]
        if times:
            low, high = self._served.get((symbol, timeframe.name), (times[0], times[0]))
            self._served[symbol, timeframe.name] = min(low, *times), max(high, *times)
        return rows

    def _spoiled(self, symbol: str, timeframe: Timeframe, rows: list[CandleRow], newest_first: bool) -> list[CandleRow]:
        venue, now_ns = self._venue, self._venue.clock_ns()

        def fits(fault: Fault) -> bool:
            return fault.symbol in {None, symbol}

        met = {name for name in SPOILING if rows and name != "corrected" and venue.deck.first(name, now_ns, fits)}
        rows = self._corrected(symbol, timeframe, rows, now_ns)
        if "forming_last" in met:
            running = self.page(symbol, timeframe, rows[-1].open_ms + 1, venue.now_ms(), 1, newest=True)
            rows = rows + [row for row in running if row.open_ms == timeframe.open_of(venue.now_ms())]
        rows = rows[::-1] if newest_first else rows
        if "half_page" in met:
            rows = rows[: max(1, len(rows) // 2)]
        if "duplicate_rows" in met:
            rows = [row for at, row in enumerate(rows) for _ in range(1 + (at % 3 == 0))]
        if "wrong_order" in met:
            rows = venue.deck.shuffled(rows)
        return rows

    def _corrected(self, symbol: str, timeframe: Timeframe, rows: list[CandleRow], now_ns: int) -> list[CandleRow]:
        """Candles that are over and were served before, changed from now on: one of each few, drawn by its open time."""
        low, high = self._served.get((symbol, timeframe.name), (1, 0))
        seed, deck = seed_number(symbol, timeframe.name, "corrected") & MASK, self._venue.deck
        for row in rows:
            key = (symbol, timeframe.name, row.open_ms)
            is_drawn = low <= row.open_ms <= high and noise(seed, row.open_ms) % CORRECTED_EACH == 0
            if not is_drawn or key in self.corrections:
                continue
            if deck.first("corrected", now_ns, lambda fault: fault.symbol in {None, symbol}):
                self.corrections[key] = corrected(row)
        return [self.corrections.get((symbol, timeframe.name, row.open_ms), row) for row in rows]


def corrected(row: CandleRow) -> CandleRow:
    """The same candle after the venue found more trades: more volume, and it closes where it was highest."""
    more = Decimal(1).scaleb(Decimal(row.volume).as_tuple().exponent)  # type: ignore[arg-type]
    return row._replace(close=row.high, volume=f"{Decimal(row.volume) + 3 * more:f}", bar=None)


def begun(row: CandleRow, part: float) -> CandleRow:
    """A candle of which that part of the time has gone: the price goes from the open to the nearer end, then to the other one."""
    opened, ends = Decimal(row.open), (row.high, row.low)
    nearer, farther = sorted(ends, key=lambda end: abs(Decimal(end) - opened))
    passed = [row.open, nearer, farther][: 1 + int(3 * part)]
    return row._replace(
        high=max(passed, key=Decimal), low=min(passed, key=Decimal), close=passed[-1],
        volume=_share(row.volume, part), turnover=row.turnover and _share(row.turnover, part),
    )  # fmt: skip


def _share(number: str, part: float) -> str:
    """With the digits of the number, and of something always something."""
    whole = Decimal(number)
    unit = Decimal(1).scaleb(whole.as_tuple().exponent)  # type: ignore[arg-type]
    return f"{min(whole, max(unit, (whole * Decimal(part)).quantize(unit))):f}"
