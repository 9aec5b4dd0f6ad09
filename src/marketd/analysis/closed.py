"""The 500 closed candles that every value of the analysis is defined on: from the cache's bytes or from stored rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from marketd.model.foreign import reader_of
from marketd.model.series import CandleSeries
from marketd.model.timeframes import SECOND, Timeframe, timeframe
from marketd.model.times import iso_of_ns

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

CANDLES = 500
MS = 1_000_000
OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """Exactly 500 closed candles of one series, each the successor of the one before."""

    series: CandleSeries
    opens: Times  # open times, ns, oldest first
    ohlcv: Floats  # 5 rows of 500: open, high, low, close, volume
    close_text: str  # of the last candle, with the venue's digits
    close_time: int  # ns, of the last candle

    @property
    def open_time(self) -> int:
        """Of the last candle, ns."""
        return int(self.opens[-1])


@dataclass(frozen=True, slots=True)
class NotClosed:
    """There are no such 500, and why."""

    series: CandleSeries
    reason: str
    candles: int = 0  # closed ones that are there
    open_time: int | None = None  # ns, of the last closed one
    close_time: int | None = None
    close_text: str | None = None


Window = Closed | NotClosed


class StoredCandle(Protocol):
    """What is asked of a stored row; numbers are text."""

    @property
    def open_time(self) -> int: ...
    @property
    def open(self) -> str: ...
    @property
    def high(self) -> str: ...
    @property
    def low(self) -> str: ...
    @property
    def close(self) -> str: ...
    @property
    def volume(self) -> str: ...


class Candles:
    """Closed candles of one series, as many as there are, of which each one ends a window of 500."""

    def __init__(self, series: CandleSeries, opens: Sequence[int], ohlcv: Floats, closes: Sequence[str]) -> None:
        """`ohlcv` has five rows, `closes` is the text of the closes. Raises ValueError for values that cannot be."""
        self.series = series
        self.opens = np.array(opens, dtype=np.int64)
        self.ohlcv = ohlcv
        self.closes = closes
        self._timeframe = timeframe(series.timeframe)
        if wrong := _impossible(self.opens, ohlcv):
            raise ValueError(wrong)
        # Positions of candles that do not follow the one before them.
        self.breaks = _breaks(self.opens, self._timeframe)

    def __len__(self) -> int:
        return len(self.opens)

    def window(self, end: int | None = None) -> Window:
        """The 500 candles before position `end`: the last of them is `end - 1`. All there are by default."""
        stop = len(self.opens) if end is None else end
        if stop == 0:
            return NotClosed(self.series, f"no closed candle, {CANDLES} are needed")
        opened = int(self.opens[stop - 1])
        closed, text = self._timeframe.close_of(opened), self.closes[stop - 1]
        if stop < CANDLES:
            return NotClosed(self.series, f"{stop} closed candles, {CANDLES} are needed", stop, opened, closed, text)
        start = stop - CANDLES
        after = int(np.searchsorted(self.breaks, stop - 1, side="right"))
        if after and (at := int(self.breaks[after - 1])) > start:
            before, next_ = self._timeframe.close_of(int(self.opens[at - 1])), int(self.opens[at])
            reason = f"candles are missing from {iso_of_ns(before)} to {iso_of_ns(next_)}"
            return NotClosed(self.series, reason, CANDLES, opened, closed, text)
        return Closed(self.series, self.opens[start:stop], self.ohlcv[:, start:stop], text, closed)


def of_stored(series: CandleSeries, rows: Iterable[StoredCandle]) -> Candles:
    """Of closed rows, oldest first; `rows` must not hold forming ones. Raises ValueError for values that cannot be."""
    found = list(rows)
    numbers = [[row.open, row.high, row.low, row.close, row.volume] for row in found]
    return Candles(series, [row.open_time for row in found], _arrays(numbers), [_plain(row.close) for row in found])


def _plain(number: str) -> str:
    """The cache writes without exponents; some venues do not."""
    return f"{Decimal(number):f}" if "e" in number or "E" in number else number


class _Row(msgspec.Struct, gc=False):
    open_time: int  # ms
    open: float
    high: float
    low: float
    close: float
    volume: float


class _Exact(msgspec.Struct):
    close: Decimal


_row = reader_of(_Row)
_rows = reader_of(list[_Row])
_raws = reader_of(list[msgspec.Raw])
_exact = reader_of(_Exact)


def of_cache(series: CandleSeries, before: bytes | None, array: bytes | None, now: int | None = None) -> Window:
    """Of what stands under `market:before` and `market:ohlcv`; None for a key that is not there.

    The array's last candle is forming: it proves that the one before it is closed, and is not looked at otherwise. With `now`
    (ns), candles that are a whole one ahead of it prove nothing.
    """
    if array is None:
        return NotClosed(series, "no candles in the cache: they are not polled, or not any more")
    try:
        raws = _raws(array)[:-1]
        rows = _rows(array)
        forming = rows.pop() if rows else None
        if before is not None and rows:
            first = _row(before)
            rows.insert(0, first)
            raws.insert(0, msgspec.Raw(before))
        opens = [row.open_time * MS for row in rows]
        ohlcv = _arrays([(row.open, row.high, row.low, row.close, row.volume) for row in rows])
        found = Candles(series, opens, ohlcv, _OnlyLast(raws[-1] if raws else b""))
        if forming and rows and timeframe(series.timeframe).close_of(opens[-1]) != forming.open_time * MS:
            return NotClosed(series, "the forming candle in the cache does not follow the one before it", len(rows))
        window = found.window()
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        return NotClosed(series, f"what is in the cache cannot be read: {error}")
    ahead = 0 if now is None or window.close_time is None else window.close_time - now
    if now is not None and ahead > timeframe(series.timeframe).length_at(now):
        return NotClosed(series, f"its newest closed candle ends {ahead // SECOND} s from now")
    return window


class _OnlyLast(Sequence[str]):
    """The text of the last close stands for any: no other is asked for, and none of numbers that cannot be."""

    def __init__(self, row: msgspec.Raw | bytes) -> None:
        self._row = row

    def __getitem__(self, at: object) -> str:
        return f"{_exact(self._row).close:f}"

    def __len__(self) -> int:
        return 1


def _arrays(rows: Sequence[Sequence[float | str]]) -> Floats:
    """Five rows of as many numbers as there are candles; text becomes the nearest double."""
    return np.array(rows, dtype=np.float64).reshape(-1, 5).T.copy()


def _impossible(opens: Times, ohlcv: Floats) -> str | None:
    """What no market can have said: said with where it is."""
    if not len(opens):
        return None
    prices = ohlcv[:VOLUME]
    good = np.isfinite(ohlcv).all(axis=0) & (prices > 0).all(axis=0) & (ohlcv[VOLUME] >= 0)
    good &= (ohlcv[HIGH] >= prices.max(axis=0)) & (ohlcv[LOW] <= prices.min(axis=0))
    if not good.all():
        at = int(np.argmin(good))
        return f"the candle of {iso_of_ns(int(opens[at]))} cannot be: {', '.join(f'{value:.15g}' for value in ohlcv[:, at])}"
    return None


def _breaks(opens: Times, frame: Timeframe) -> npt.NDArray[np.int64]:
    """Positions of candles that are not the successor of the one before them."""
    if len(opens) < 2:
        return np.empty(0, dtype=np.int64)
    if frame.step:
        return np.flatnonzero(np.diff(opens) != frame.step) + 1
    follows = np.array([frame.close_of(int(one)) for one in opens[:-1]], dtype=np.int64)
    return np.flatnonzero(opens[1:] != follows) + 1
