"""Candle timeframes on the UTC grid: fixed steps, three days from 1970-01-02, weeks from Monday, calendar months."""

from datetime import UTC, datetime
from typing import NamedTuple

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_MONDAY = 4 * DAY  # 1970-01-05, the first Monday of the epoch
_ANCHORS = {"3d": DAY}  # the grid of the one venue that has them, as its recorded candles of 2017 and 2018 show
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


class Timeframe(NamedTuple):
    name: str  # 1m, 5m, 1h, 1d, 1w, 1M
    step: int  # ns; 0 for months, whose length varies

    def open_of(self, ts: int) -> int:
        """The open time of the candle that holds `ts` (ns)."""
        if self.step == 0:
            when = datetime.fromtimestamp(ts // SECOND, UTC)
            return _month(when.year, when.month)
        anchor = _MONDAY if self.name.endswith("w") else _ANCHORS.get(self.name, 0)
        return ts - (ts - anchor) % self.step

    def close_of(self, open_time: int) -> int:
        """Where the candle ends and its successor opens (ns)."""
        if self.step:
            return open_time + self.step
        when = datetime.fromtimestamp(open_time // SECOND, UTC)
        return _month(when.year + when.month // 12, when.month % 12 + 1)

    def open_from(self, ts: int) -> int:
        """The first open time at or after `ts` (ns)."""
        opened = self.open_of(ts)
        return opened if opened == ts else self.close_of(opened)

    def length_at(self, ts: int) -> int:
        """How long the candle that holds `ts` is, ns."""
        opened = self.open_of(ts)
        return self.close_of(opened) - opened


def timeframe(name: str) -> Timeframe:
    """The timeframe of a name such as `5m`. Raises ValueError that says which forms are allowed."""
    count, unit = name[:-1], name[-1:]
    if name == "1M":
        return Timeframe(name, 0)
    if unit not in _UNITS or not (count.isascii() and count.isdecimal()) or int(count) == 0 or count.startswith("0"):
        raise ValueError(f"{name!r} is no timeframe; expected a count and one of s, m, h, d, w (1m, 5m, 1h, 1d), or 1M")
    return Timeframe(name, int(count) * _UNITS[unit])


def _month(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * SECOND
