"""Candles drawn with characters: bodies and wicks, time to the right, the price at the side."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from marketd.model.times import iso_of_ns
from marketd.stores.archive import Row

UP, DOWN, WICK = "█", "▒", "│"


class Bar(NamedTuple):
    """What is drawn in one column."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


def chart(rows: Sequence[Row], width: int, height: int) -> str:
    """At most `width` columns: a long stretch is drawn several candles to one. A rising body is solid, a falling one light."""
    if not rows:
        return "no candles\n"
    share = -(-len(rows) // width)
    bars = [_joined(rows[at : at + share]) for at in range(0, len(rows), share)]
    top, bottom = max(one.high for one in bars), min(one.low for one in bars)
    step = (top - bottom) / height or Decimal(1)

    def level(price: Decimal) -> int:
        return min(height - 1, int((price - bottom) / step))

    lines = []
    for y in reversed(range(height)):
        cells = []
        for bar in bars:
            low, high = sorted((level(bar.open), level(bar.close)))
            if low <= y <= high:
                cells.append(UP if bar.close >= bar.open else DOWN)
            else:
                cells.append(WICK if level(bar.low) <= y <= level(bar.high) else " ")
        price = bottom + step * (y + Decimal("0.5"))
        label = f"{price:>12.8g}" if y % 4 == 0 or y == height - 1 else " " * 12
        lines.append(f"{label} {''.join(cells)}".rstrip())
    first, last = (iso_of_ns(rows[at].open_time)[:16].replace("T", " ") for at in (0, -1))
    lines.append(f"{'':12} {first}{last:>{max(len(last) + 2, len(bars) - len(first))}}")
    if share > 1:
        lines.append(f"{'':12} {share} candles in a column")
    return "\n".join(lines) + "\n"


def _joined(rows: Sequence[Row]) -> Bar:
    return Bar(
        Decimal(rows[0].open),
        max(Decimal(row.high) for row in rows),
        min(Decimal(row.low) for row in rows),
        Decimal(rows[-1].close),
    )
