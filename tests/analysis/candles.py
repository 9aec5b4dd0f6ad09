"""Candles for the tests of the analysis: walks by seed, as arrays, as stored rows and as the cache's bytes."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from marketd.analysis.closed import Closed, of_stored
from marketd.model.series import CandleSeries

HOUR = 3_600_000_000_000
T0 = 1_700_006_400_000_000_000  # 2023-11-15T00:00:00 UTC
SERIES = CandleSeries("made", "BTCUSDT", "1h")


class Made(NamedTuple):
    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str


def walk(count: int, seed: int = 1, *, price: float = 100.0, start: int = T0, step: int = HOUR) -> list[Made]:
    chance = random.Random(seed)
    cents, rows = round(price * 100), []
    for number in range(count):
        opened = cents
        cents = max(10, cents + round(chance.gauss(0, cents * 0.01)))
        high, low = max(opened, cents) + chance.randint(0, 40), max(1, min(opened, cents) - chance.randint(0, 40))
        prices = (f"{one / 100:.2f}" for one in (opened, high, low, cents))
        rows.append(Made(start + number * step, *prices, f"{chance.randint(1, 10**6) / 1000:.3f}"))
    return rows


def closed(rows: Sequence[Made], series: CandleSeries = SERIES) -> Closed:
    """The last 500 of them."""
    window = of_stored(series, rows).window()
    assert isinstance(window, Closed), window
    return window


def flat(count: int = 500, price: str = "0.1", volume: str = "5") -> list[Made]:
    return [Made(T0 + number * HOUR, price, price, price, price, volume) for number in range(count)]


def literal(row: Made, step: int = HOUR) -> str:
    """As it stands in the cache: milliseconds, and numbers with their digits."""
    opened, closed = row.open_time // 1_000_000, (row.open_time + step) // 1_000_000
    numbers = ",".join(f'"{name}":{value}' for name, value in zip(Made._fields[1:], row[1:], strict=True))
    return f'{{"open_time":{opened},"close_time":{closed},{numbers}}}'


def cached(rows: Sequence[Made], step: int = HOUR) -> tuple[bytes, bytes]:
    """The candle before, and the array."""
    before, *array = (literal(row, step) for row in rows)
    return before.encode(), f"[{','.join(array)}]".encode()
