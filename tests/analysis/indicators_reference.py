"""The indicators once more, in the plainest way: Decimal with 60 digits, on the venue's text, formula by formula."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from tests.analysis.candles import Made

D = Decimal
DIGITS = 60
DAY = 86_400_000_000_000


def mean(values: Sequence[D]) -> D:
    return sum(values, D(0)) / len(values)


def deviation(values: Sequence[D]) -> D:
    """The population's."""
    middle = mean(values)
    return mean([(one - middle) ** 2 for one in values]).sqrt()


def ema(values: Sequence[D], period: int) -> list[D]:
    found = [mean(values[:period])]
    for value in values[period:]:
        found.append(found[-1] + (value - found[-1]) * 2 / (period + 1))
    return found


def rsi(closes: Sequence[D], period: int) -> list[D]:
    changes = [after - before for before, after in pairwise(closes)]
    gain, loss = mean([max(one, D(0)) for one in changes[:period]]), mean([max(-one, D(0)) for one in changes[:period]])
    found = [100 * gain / (gain + loss)]
    for one in changes[period:]:
        gain = (gain * (period - 1) + max(one, D(0))) / period
        loss = (loss * (period - 1) + max(-one, D(0))) / period
        found.append(100 * gain / (gain + loss))
    return found


def regression_end(values: Sequence[D]) -> D:
    """The value of the least squares line at the last of them."""
    middle, at = mean(values), Fraction(len(values) - 1, 2)
    shift = [D(2 * number - len(values) + 1) / 2 for number in range(len(values))]
    slope = sum((x * (y - middle) for x, y in zip(shift, values, strict=True)), D(0)) / sum(x * x for x in shift)
    return middle + slope * D(at.numerator) / D(at.denominator)


def true_ranges(rows: Sequence[Sequence[D]]) -> list[D]:
    """Of each candle but the first."""
    return [max(high, before[3]) - min(low, before[3]) for before, (_, high, low, _, _) in pairwise(rows)]


def momentum(rows: Sequence[Sequence[D]], period: int) -> D:
    """Of the last of `rows`."""
    found = []
    for end in range(len(rows) - period + 1, len(rows) + 1):
        part = rows[end - period : end]
        middle = (max(row[1] for row in part) + min(row[2] for row in part)) / 2
        found.append(part[-1][3] - (middle + mean([row[3] for row in part])) / 2)
    return regression_end(found)


def vwap(rows: Sequence[Sequence[D]]) -> D:
    return sum(((high + low + close) / 3 * size for _, high, low, close, size in rows), D(0)) / sum(row[4] for row in rows)


def everything(candles: Sequence[Made]) -> dict[str, float | bool | None]:
    """All figures of 500 candles with the default settings, by the names that the tests give them."""
    with localcontext(prec=DIGITS):
        rows = [[D(text) for text in one[1:6]] for one in candles]
        closes = [row[3] for row in rows]
        found: dict[str, D | bool | None] = {}

        for period in (8, 13, 21, 34, 55):
            found[f"ema_{period}"] = ema(closes, period)[-1]
        averages = [found[f"ema_{period}"] for period in (8, 13, 21, 34, 55)]
        found["width"] = 100 * (max(averages) - min(averages)) / closes[-1]  # type: ignore[type-var,operator]

        middle, reach = mean(closes[-20:]), 2 * deviation(closes[-20:])
        found |= {"upper": middle + reach, "middle": middle, "lower": middle - reach, "bandwidth": 2 * reach / middle}
        found["percent_b"] = (closes[-1] - middle + reach) / (2 * reach) if reach else None
        keltner = D("1.5") * mean(true_ranges(rows)[-20:])
        found |= {"squeeze_bollinger": reach, "squeeze_keltner": keltner, "on": reach < keltner}
        found |= {"momentum": momentum(rows, 20), "momentum_before": momentum(rows[:-1], 20)}

        strength = rsi(closes, 14)
        found["rsi"] = strength[-1]
        raw = []
        for end in range(len(strength) - 5, len(strength) + 1):
            part = strength[end - 14 : end]
            raw.append(100 * (part[-1] - min(part)) / (max(part) - min(part)))
        smooth = [mean(raw[at : at + 3]) for at in range(4)]
        found |= {"k": smooth[-1], "k_before": smooth[-2], "d": mean(smooth[1:]), "d_before": mean(smooth[:-1])}

        day = candles[-1].open_time - candles[-1].open_time % DAY
        today = [row for row, one in zip(rows, candles, strict=True) if one.open_time >= day]
        rolling = vwap(rows[-24:])
        reaches = candles[0].open_time <= day  # else the day began before the 500
        found |= {
            "vwap_day": vwap(today) if reaches else None,
            "vwap_rolling": rolling,
            "vwap_distance": 100 * (closes[-1] - rolling) / rolling,
        }
        return {name: float(value) if isinstance(value, D) else value for name, value in found.items()}
