"""The past of a simulated market: every trade since its listing as a pure function of seed and hour."""

from __future__ import annotations

import hashlib
import random
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain, pairwise
from operator import mul
from typing import NamedTuple

from marketd.sim.symbols import Listing

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
LISTED_MS = 1_577_836_800_000  # 2020-01-01T00:00Z: the first trade of every simulated market
TRADES_PER_HOUR = 120
GRID_MS = 300_000  # the price path is a straight line between two points of this grid
HOURS_KEPT = 20_000  # of a symbol: more than two years
QUIET = 0.1  # share of the minutes of an hour in which a usual market has no trade by its draw

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
        if later.high > self.high:
            self.high = later.high
        if later.low < self.low:
            self.low = later.low
        self.close = later.close
        self.lots += later.lots
        self.notional += later.notional
        self.buy_lots += later.buy_lots
        self.buy_notional += later.buy_notional
        self.count += later.count

    def copy(self) -> Bar:
        return Bar.of(self.numbers())

    def numbers(self) -> Sequence[int]:
        """All that it is, as numbers; `of` makes it again."""
        return (
            self.first, self.open, self.high, self.low, self.close, self.lots, self.notional, self.count,
            self.buy_lots, self.buy_notional,
        )  # fmt: skip

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Bar:
        bar = cls.__new__(cls)
        bar.first, bar.open, bar.high, bar.low, bar.close, bar.lots, bar.notional, bar.count = numbers[:8]
        bar.buy_lots, bar.buy_notional = numbers[8:]
        return bar


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
        count = HOUR_MS // GRID_MS + 1
        millionths = [1_000_000] * count
        for wave_seed, (period, height) in zip(self._seeds, WAVES, strict=True):
            k, past = divmod(start_ms, period)
            if period == GRID_MS:  # every point is one of the lattice
                millionths = [each + height * noise(wave_seed, k + i) // 1000 for i, each in enumerate(millionths)]
                continue
            left, right, whole = noise(wave_seed, k), noise(wave_seed, k + 1), period * 1000
            first, step = height * (left * (period - past) + right * past), height * (right - left) * GRID_MS
            millionths = [each + (first + i * step) // whole for i, each in enumerate(millionths)]
        start = self._start
        return [start * each // 1_000_000 for each in millionths]


class History:
    """
    Trades and candles of one symbol before the simulation started, made when asked for and always the same.

    In a `thin` market about that share of its minutes is without a trade, and a quarter of that share of its hours.
    """

    def __init__(self, seed: int, venue: str, listing: Listing, path: Path, index: int, stride: int, thin: float = 0.0) -> None:
        self._seed = seed_number(seed, venue, listing.symbol)
        self._listing = listing
        self._path = path
        self._index, self._stride = index, stride  # ids shared by all symbols: number * stride + index
        self._trades: OrderedDict[int, Columns] = OrderedDict()
        self._bars: OrderedDict[int, dict[int, Bar]] = OrderedDict()
        self._fives: OrderedDict[int, array[int]] = OrderedDict()  # by hour: its parts of five minutes, 11 numbers each
        self._last_fives: tuple[int, dict[int, Bar]] = (-1, {})
        self._hours: dict[int, Bar] = {}
        self._quiet_hours = thin / 4
        self._quiet_minutes = (thin - self._quiet_hours) / (1 - self._quiet_hours) if thin else QUIET
        self._busy = array("q", [0])  # thin: hours with trades between the listing and each hour after it

    def first_number(self, hour: int) -> int:
        """Number of the first trade of this hour (hours since the epoch)."""
        return 1 + self._busy_before(hour - LISTED_MS // HOUR_MS) * TRADES_PER_HOUR

    def hour_of(self, number: int) -> int:
        place = (number - 1) // TRADES_PER_HOUR
        if self._quiet_hours:
            while self._busy[-1] <= place:
                self._busy_before(len(self._busy) * 2)
            place = bisect_right(self._busy, place) - 1
        return LISTED_MS // HOUR_MS + place

    def _busy_before(self, hours: int) -> int:
        if not self._quiet_hours or hours < 0:
            return hours
        busy, first = self._busy, LISTED_MS // HOUR_MS
        for hour in range(first + len(busy) - 1, first + hours):
            busy.append(busy[-1] + (not self._is_quiet_hour(hour)))
        return busy[hours]

    def _is_quiet_hour(self, hour: int) -> bool:
        return self._quiet_hours > 0 and noise(self._seed, hour) + 1000 < self._quiet_hours * 2001

    def is_quiet(self, ts_ms: int) -> bool:
        """Whether a thin market does not trade in this minute, nor in another after its past has ended."""
        if not self._quiet_hours:
            return False
        hour, into = divmod(ts_ms, HOUR_MS)
        return self._is_quiet_hour(hour) or into // MINUTE_MS * MINUTE_MS not in self._busy_minutes(self._draw(hour))

    def id_of(self, number: int) -> int:
        return number if self._stride == 0 else number * self._stride + self._index

    def trades(self, hour: int) -> Columns:
        """All TRADES_PER_HOUR trades of that hour; some of its minutes have none. Nothing before the listing."""
        found = self._trades.get(hour)
        if found is None:
            is_empty = hour * HOUR_MS < LISTED_MS or self._is_quiet_hour(hour)
            found = self._trades[hour] = Columns() if is_empty else self._make(hour)
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
            self._sum_up(hour, found)
        return found

    def _sum_up(self, hour: int, minutes: dict[int, Bar]) -> None:
        """Keeps the hour and its fives, 1 kB, so that a year of longer candles need not be made from trades again."""
        fives: dict[int, Bar] = {}
        for minute, bar in minutes.items():
            five = fives.get(minute // 5 % 12)
            if five is None:
                fives[minute // 5 % 12] = bar.copy()
            else:
                five.join(bar)
        self._fives[hour] = array("q", chain.from_iterable((part, *bar.numbers()) for part, bar in fives.items()))
        if len(self._fives) > HOURS_KEPT:
            self._fives.popitem(last=False)
        whole: Bar | None = None
        for five in fives.values():
            if whole is None:
                whole = five
            else:
                whole.join(five)
        if whole is not None:
            self._hours[hour] = whole

    def five_bars(self, hour: int) -> dict[int, Bar]:
        """The parts of five minutes (0 to 11) of the hour that have a trade."""
        known, found = self._last_fives
        if known == hour:
            return found
        if hour not in self._fives:
            self._bars.pop(hour, None)
            self.minute_bars(hour)
        kept = self._fives[hour].tolist()
        found = {kept[at]: Bar.of(kept[at + 1 : at + 11]) for at in range(0, len(kept), 11)}
        self._last_fives = hour, found
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

    def _draw(self, hour: int) -> random.Random:
        return random.Random(self._seed ^ hour * 0x9E3779B97F4A7C15)

    def _busy_minutes(self, draw: random.Random) -> list[int]:
        """The minutes of an hour with trades (ms into it), by the first of its draws; at least one."""
        most, quiet = int(self._quiet_minutes * 256), draw.randbytes(60)
        return [minute * MINUTE_MS for minute in range(60) if quiet[minute] > most] or [quiet[0] % 60 * MINUTE_MS]

    def _make(self, hour: int) -> Columns:
        listing, count = self._listing, TRADES_PER_HOUR
        start = hour * HOUR_MS
        draw = self._draw(hour)
        busy = self._busy_minutes(draw)
        words = struct.unpack(f"<{count}H", draw.randbytes(2 * count))
        offsets = sorted(busy[word % len(busy)] + word * 60_000 // 65_536 for word in words)
        grid, step, most = self._path.hour(start), listing.step_ticks, listing.lots
        raw = struct.unpack(f"<{count}I", draw.randbytes(4 * count))
        first = self.first_number(hour)
        made = Columns()
        made.numbers = array("q", range(first, first + count))
        stride = self._stride or 1
        made.ids = array("q", range(self.id_of(first), self.id_of(first) + count * stride, stride))
        made.times = array("q", [start + offset for offset in offsets])
        made.buys = array("b", [bits & 1 for bits in raw])
        made.lots = array("q", [1 + (bits >> 8) % most for bits in raw])
        cells = [offset // GRID_MS for offset in offsets]
        rises = [(right - left, left) for left, right in pairwise(grid)]
        places = [
            (rise * (offset - cell * GRID_MS) // GRID_MS + left) // step + (bits >> 1 & 7) - 4 + (bits & 1)
            for (rise, left), cell, offset, bits in zip([rises[cell] for cell in cells], cells, offsets, raw, strict=True)
        ]
        made.ticks = array("q", [place * step for place in places] if min(places) > 0 else [max(p, 1) * step for p in places])
        return made
