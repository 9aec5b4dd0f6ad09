"""The past of a simulated market: every trade since its listing as a pure function of seed and hour."""

from __future__ import annotations

import hashlib
import random
import struct
from array import array
from bisect import bisect_left
from collections import OrderedDict
from operator import mul
from typing import NamedTuple

from marketd.sim.symbols import Listing

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
LISTED_MS = 1_577_836_800_000  # 2020-01-01T00:00Z: the first trade of every simulated market
TRADES_PER_HOUR = 120
GRID_MS = 300_000  # the price path is a straight line between two points of this grid

# (period in ms, height in parts per million): slow tides with small waves on top. Every period is a multiple of GRID_MS.
WAVES = ((30 * 24 * HOUR_MS, 90_000), (3 * 24 * HOUR_MS, 30_000), (6 * HOUR_MS, 8_000), (HOUR_MS, 2_500), (GRID_MS, 500))
MASK = (1 << 64) - 1


class Trade(NamedTuple):
    """One trade, in ticks and lots. `number` counts from 1 per symbol; `trade_id` is numbered as the venue does."""

    number: int
    trade_id: int
    ts_ms: int
    ticks: int
    lots: int
    buy: bool  # the aggressor bought


class Bar:
    """What trades within one interval add up to, in ticks and lots; `notional` in ticks times lots."""

    __slots__ = ("buy_lots", "buy_notional", "close", "count", "first", "high", "lots", "low", "notional", "open")

    def __init__(self, number: int, ticks: int) -> None:
        self.first = number
        self.open = self.high = self.low = self.close = ticks
        self.lots = self.notional = self.buy_lots = self.buy_notional = self.count = 0

    def add(self, ticks: int, lots: int, buy: bool) -> None:
        if ticks > self.high:
            self.high = ticks
        elif ticks < self.low:
            self.low = ticks
        self.close = ticks
        self.lots += lots
        self.notional += ticks * lots
        self.count += 1
        if buy:
            self.buy_lots += lots
            self.buy_notional += ticks * lots

    def join(self, later: Bar) -> None:
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.notional += later.notional
        self.buy_lots += later.buy_lots
        self.buy_notional += later.buy_notional
        self.count += later.count

    def copy(self) -> Bar:
        twin = Bar(self.first, self.open)
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin


class Columns:
    """Trades as columns, oldest first: 41 bytes each, so that millions fit."""

    def __init__(self) -> None:
        self.numbers = array("q")
        self.ids = array("q")
        self.times = array("q")
        self.ticks = array("q")
        self.lots = array("q")
        self.buys = array("b")

    def __len__(self) -> int:
        return len(self.numbers)

    def append(self, number: int, trade_id: int, ts_ms: int, ticks: int, lots: int, buy: bool) -> None:
        self.numbers.append(number)
        self.ids.append(trade_id)
        self.times.append(ts_ms)
        self.ticks.append(ticks)
        self.lots.append(lots)
        self.buys.append(buy)

    def at(self, index: int) -> Trade:
        return Trade(
            self.numbers[index],
            self.ids[index],
            self.times[index],
            self.ticks[index],
            self.lots[index],
            bool(self.buys[index]),
        )

    def forget(self, count: int) -> None:
        for column in (self.numbers, self.ids, self.times, self.ticks, self.lots, self.buys):
            del column[:count]


def seed_number(*parts: object) -> int:
    text = ":".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def noise(seed: int, k: int) -> int:
    """A value in [-1000, 1000] for lattice point k (splitmix64)."""
    x = (seed + k * 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return (x ^ (x >> 31)) % 2001 - 1000


class Path:
    """Where the price belongs at any time. It depends on seed and base only: BTC is alike on every venue."""

    def __init__(self, seed: int, base: str, start_ticks: int) -> None:
        self._start = start_ticks
        self._seeds = [seed_number(seed, base, period) for period, _ in WAVES]

    def ticks(self, ts_ms: int) -> int:
        millionths = 1_000_000
        for wave_seed, (period, height) in zip(self._seeds, WAVES, strict=True):
            k, past = divmod(ts_ms, period)
            left, right = noise(wave_seed, k), noise(wave_seed, k + 1)
            millionths += height * (left * (period - past) + right * past) // (period * 1000)
        return self._start * millionths // 1_000_000

    def hour(self, start_ms: int) -> list[int]:
        """`ticks` at each grid point of the hour, both ends included, with less work than one by one."""
        points = range(start_ms, start_ms + HOUR_MS + 1, GRID_MS)
        millionths = [1_000_000] * len(points)
        for wave_seed, (period, height) in zip(self._seeds, WAVES, strict=True):
            lattice = range(start_ms // period, (start_ms + HOUR_MS) // period + 2)
            values = {k: noise(wave_seed, k) for k in lattice}
            for i, ts_ms in enumerate(points):
                k, past = divmod(ts_ms, period)
                millionths[i] += height * (values[k] * (period - past) + values[k + 1] * past) // (period * 1000)
        return [self._start * each // 1_000_000 for each in millionths]


class History:
    """Trades and candles of one symbol before the simulation started, made when asked for and always the same."""

    def __init__(self, seed: int, venue: str, listing: Listing, path: Path, index: int, stride: int) -> None:
        self._seed = seed_number(seed, venue, listing.symbol)
        self._listing = listing
        self._path = path
        self._index, self._stride = index, stride  # ids shared by all symbols: number * stride + index
        self._trades: OrderedDict[int, Columns] = OrderedDict()
        self._bars: OrderedDict[int, dict[int, Bar]] = OrderedDict()
        self._hours: dict[int, Bar] = {}

    def first_number(self, hour: int) -> int:
        """Number of the first trade of this hour (hours since the epoch)."""
        return 1 + (hour - LISTED_MS // HOUR_MS) * TRADES_PER_HOUR

    def hour_of(self, number: int) -> int:
        return LISTED_MS // HOUR_MS + (number - 1) // TRADES_PER_HOUR

    def id_of(self, number: int) -> int:
        return number if self._stride == 0 else number * self._stride + self._index

    def trades(self, hour: int) -> Columns:
        """All TRADES_PER_HOUR trades of that hour; some of its minutes have none. Nothing before the listing."""
        found = self._trades.get(hour)
        if found is None:
            found = self._trades[hour] = self._make(hour) if hour * HOUR_MS >= LISTED_MS else Columns()
            if len(self._trades) > 64:
                self._trades.popitem(last=False)
        return found

    def number_at(self, ts_ms: int) -> int:
        """Number of the first trade at or after this time."""
        hour = max(ts_ms, LISTED_MS) // HOUR_MS
        return self.first_number(hour) + bisect_left(self.trades(hour).times, ts_ms)

    def minute_bars(self, hour: int) -> dict[int, Bar]:
        found = self._bars.get(hour)
        if found is None:
            found = self._bars[hour] = {}
            made = self.trades(hour)
            for number, ts, ticks, lots, buy in zip(made.numbers, made.times, made.ticks, made.lots, made.buys, strict=True):
                bar = found.get(ts // MINUTE_MS)
                if bar is None:
                    bar = found[ts // MINUTE_MS] = Bar(number, ticks)
                bar.add(ticks, lots, bool(buy))
            if len(self._bars) > 256:
                self._bars.popitem(last=False)
        return found

    def hour_bar(self, hour: int) -> Bar | None:
        found = self._hours.get(hour)
        if found is None:
            made = self.trades(hour)
            if not made:
                return None
            ticks, lots = made.ticks, made.lots
            found = self._hours[hour] = Bar(made.numbers[0], ticks[0])
            found.close, found.high, found.low = ticks[-1], max(ticks), min(ticks)
            found.count, found.lots, found.notional = len(made), sum(lots), sum(map(mul, ticks, lots))
            found.buy_lots = sum(map(mul, lots, made.buys))
            found.buy_notional = sum(t * n for t, n, buy in zip(ticks, lots, made.buys, strict=True) if buy)
        return found

    def _make(self, hour: int) -> Columns:
        listing, count = self._listing, TRADES_PER_HOUR
        start = hour * HOUR_MS
        draw = random.Random(self._seed ^ hour * 0x9E3779B97F4A7C15)
        quiet = draw.randbytes(60)
        busy = [minute * MINUTE_MS for minute in range(60) if quiet[minute] > 25] or [0]
        words = struct.unpack(f"<{count}H", draw.randbytes(2 * count))
        offsets = sorted(busy[word % len(busy)] + word * 60_000 // 65_536 for word in words)
        grid, step, most = self._path.hour(start), listing.step_ticks, listing.lots
        raw = struct.unpack(f"<{count}I", draw.randbytes(4 * count))
        first = self.first_number(hour)
        made = Columns()
        made.numbers = array("q", range(first, first + count))
        made.ids = array("q", [self.id_of(number) for number in made.numbers])
        made.times = array("q", [start + offset for offset in offsets])
        made.buys = array("b", [bits & 1 for bits in raw])
        made.lots = array("q", [1 + (bits >> 8) % most for bits in raw])
        ticks = []
        for offset, bits in zip(offsets, raw, strict=True):
            cell, past = divmod(offset, GRID_MS)
            left = grid[cell]
            middle = left + (grid[cell + 1] - left) * past // GRID_MS
            ticks.append(max(middle // step + (bits >> 1 & 7) - 4 + (bits & 1), 1) * step)
        made.ticks = array("q", ticks)
        return made
