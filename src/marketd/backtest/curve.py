"""The equity of a back-test as a picture: its curve, and below it how far it lies under its height so far."""

from collections.abc import Sequence
from math import floor, log10

from marketd.backtest.tables import minute
from marketd.model.paper import EquityPoint

WIDTH, HEIGHT, FALL = 1000, 320, 110  # of the curve and of the part below it
LEFT, TOP, GAP = 78, 12, 26
COLUMNS_MAX = 700  # points drawn; of each stretch its lowest and its highest


def curve(points: Sequence[EquityPoint]) -> str:
    """An <svg> element that needs nothing else; with fewer than two points, a sentence."""
    if len(points) < 2:
        return "<p>Too few candles for a curve.</p>"
    values = [float(point.equity) for point in points]
    falls, height = [], values[0]
    for value in values:
        height = max(height, value)
        falls.append(100 * (value - height) / height)
    kept = thinned(values, COLUMNS_MAX)
    start, span = points[0].ts, max(points[-1].ts - points[0].ts, 1)
    low, high = min(values), max(values)
    pad = (high - low) * 0.05 or max(abs(high) * 0.001, 1e-9)
    low, high, deepest = low - pad, high + pad, min(min(falls), -1e-9)

    def across(at: int) -> float:
        return LEFT + WIDTH * (points[at].ts - start) / span

    def up(value: float) -> float:
        return TOP + HEIGHT * (high - value) / (high - low)

    base = TOP + HEIGHT + GAP
    line = " ".join(f"{across(at):.1f},{up(values[at]):.1f}" for at in kept)
    under = " ".join(f"{across(at):.1f},{base + FALL * falls[at] / deepest:.1f}" for at in kept)
    first = f'<line class="start" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{up(values[0]):.1f}" y2="{up(values[0]):.1f}"/>'
    marks = [_level(up(value), f"{value:,.{_digits(high - low)}f}") for value in ticks(low, high)]
    marks += [_level(base + FALL * value / deepest, f"{value:.{_digits(-deepest)}f} %") for value in ticks(deepest, 0.0, 3)]
    bottom = base + FALL + 22
    days = [
        f'<text x="{LEFT + WIDTH * part / 4:.1f}" y="{bottom}" text-anchor="{anchor}">{minute(start + span * part // 4)}</text>'
        for part, anchor in enumerate(("start", "middle", "middle", "middle", "end"))
    ]
    return (
        f'<svg viewBox="0 0 {LEFT + WIDTH + 8} {bottom + 8}" role="img" aria-label="Equity and drawdown">'
        f"<title>Equity, and below it the drawdown in percent</title>{''.join(marks)}{first}"
        f'<polyline class="equity" points="{line}"/>'
        f'<polygon class="drawdown" points="{LEFT},{base} {under} {LEFT + WIDTH},{base}"/>{"".join(days)}</svg>'
    )


def thinned(values: Sequence[float], most: int) -> list[int]:
    """Positions to draw: all, or of each of `most` / 2 stretches the lowest and the highest, and the two ends."""
    if len(values) <= most:
        return list(range(len(values)))
    parts, kept = most // 2, {0, len(values) - 1}
    for part in range(parts):
        stretch = range(part * len(values) // parts, (part + 1) * len(values) // parts)
        kept |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    return sorted(kept)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between the two."""
    rough = (high - low) / about
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first = -floor(-low / step)
    return [step * number for number in range(first, floor(high / step) + 1)]


def _digits(span: float) -> int:
    return max(0, 1 - floor(log10(span / 5)))


def _level(y: float, text: str) -> str:
    return (
        f'<line class="level" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )
