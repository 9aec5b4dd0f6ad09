"""Indicators of closed candles: TA-Lib on prices relative to the last close. docs/analysis.md has every formula.

Prices are taken relative to the last close and multiplied by a power of two, both exact in doubles or nearly so: small
differences between large prices keep their digits, and TA-Lib, which takes anything below 1e-14 for zero, sees the
candles of a coin that costs 0.00001 as it sees those of one that costs 50,000.
"""

from collections.abc import Sequence
from math import frexp, fsum, isfinite, ldexp
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import talib

from marketd.analysis.closed import CLOSE, HIGH, VOLUME, Closed, Floats
from marketd.model.timeframes import DAY

Order = Literal["up", "down", "mixed"]

SCALE_BITS = 400  # 2^400: neither a product of two prices nor what is left of a change after 500 candles leaves the doubles
FLAT = 1e-6  # an RSI that moved by less in its window has no place in it: what is left is rounding
ROUNDING = 1e-9  # values of %K and %D closer than this are one: what lies between them is rounding
SQUEEZE_HISTORY = 100  # candles back to which the length of a squeeze is counted


class Bollinger(msgspec.Struct, frozen=True):
    """Bands around the mean of the closes; each None where there is not enough to say it."""

    upper: float | None = None
    middle: float | None = None
    lower: float | None = None
    percent_b: float | None = None  # 0 at the lower band, 1 at the upper one; None where they are one
    bandwidth: float | None = None  # (upper - lower) / middle


class Crossing(msgspec.Struct, frozen=True):
    """At the last candle the shorter of two averages went through the longer one."""

    fast: int
    slow: int
    direction: Literal["up", "down"]


class Ribbon(msgspec.Struct, frozen=True):
    """Exponential averages of the closes, shortest first."""

    periods: tuple[int, ...]
    values: tuple[float | None, ...]
    order: Order | None = None  # up: each shorter average above the longer ones; down: below
    order_before: Order | None = None  # at the candle before
    width: float | None = None  # from the lowest average to the highest, in percent of the close
    crossings: tuple[Crossing, ...] = ()


class Squeeze(msgspec.Struct, frozen=True):
    """Bollinger bands inside the Keltner channel, and the momentum beside it."""

    on: bool | None = None
    candles: int | None = None  # how many candles it has been so, the last one included, counted up to 100
    candles_before: int | None = None  # how many candles it was otherwise before that, likewise
    bollinger: float | None = None  # from the middle to a Bollinger band, in the quote currency
    keltner: float | None = None  # from the middle to a side of the Keltner channel
    momentum: float | None = None  # in the quote currency
    momentum_before: float | None = None  # at the candle before


class StochasticRsi(msgspec.Struct, frozen=True):
    """Where the RSI stands in its own range, 0 to 100."""

    rsi: float | None = None
    k: float | None = None
    d: float | None = None
    k_before: float | None = None  # at the candle before
    d_before: float | None = None


class Relative(NamedTuple):
    """Prices as TA-Lib gets them."""

    close: Floats
    high: Floats
    low: Floats
    last: float  # the last close
    unit: float  # price of 1 in the arrays

    def price(self, value: float) -> float | None:
        """What stands in the arrays, as a price."""
        return _known(self.last + value * self.unit)


def relative(closed: Closed) -> Relative:
    last = float(closed.ohlcv[CLOSE, -1])
    bits = SCALE_BITS - frexp(last)[1]
    high, low, close = (closed.ohlcv[HIGH : CLOSE + 1] - last) * ldexp(1.0, bits)
    return Relative(close, high, low, last, ldexp(1.0, -bits))


def rsi(closes: Floats, period: int) -> Floats:
    """Wilder's: the first averages of gains and losses are plain means of `period` changes. NaN where none was seen at all."""
    found = talib.RSI(closes, period)
    if found[-1] == 0 and not closes.any():  # every close is the last one: 0 of 0, which TA-Lib calls 0
        return np.full_like(closes, np.nan)
    return found


def bollinger(of: Relative, period: int, deviations: float) -> Bollinger:
    """Mean of the last `period` closes, and the population's deviation (divided by `period`) around it."""
    closes = of.close[-period:]
    if len(closes) < period:
        return Bollinger()
    mean, deviation = float(talib.SMA(closes, period)[-1]), float(talib.STDDEV(closes, period)[-1])
    reach = deviations * deviation
    middle = of.price(mean)
    return Bollinger(
        upper=of.price(mean + reach),
        middle=middle,
        lower=of.price(mean - reach),
        percent_b=_known((reach - mean) / (2 * reach)) if reach > 0 else None,  # the last close is 0 here
        bandwidth=_known(2 * reach * of.unit / middle) if middle else None,
    )


def vwap(closed: Closed, of: Relative, start: int) -> float | None:
    """From position `start` on: typical prices (high + low + close) / 3, weighted by volume. None where nothing was traded."""
    size = closed.ohlcv[VOLUME, start:]
    total = fsum(size.tolist())  # exact, so that it does not depend on where in memory the candles stand
    if not total > 0:
        return None
    worth = (of.high[start:] + of.low[start:] + of.close[start:]) * size
    return of.price(fsum(worth.tolist()) / (3 * total))


def day_start(closed: Closed) -> int | None:
    """The position of the first candle of the UTC day in which the last candle opened; None if it lies before the 500."""
    opened = closed.open_time
    start = len(closed.opens) - 1 - opened % DAY // (closed.close_time - opened)
    return start if start >= 0 else None


def ribbon(of: Relative, periods: Sequence[int]) -> Ribbon:
    """Factor 2 / (period + 1), begun with the plain mean of the first `period` of the 500 closes."""
    averages = [talib.EMA(of.close, period) for period in periods]
    before, now = [float(one[-2]) for one in averages], [float(one[-1]) for one in averages]
    last, unit = of.last, of.unit
    if not (isfinite(sum(now)) and isfinite(sum(before))):  # one that is not known makes the sum so
        return Ribbon(tuple(periods), tuple(map(of.price, now)))
    order, order_before = _order(now), _order(before)
    return Ribbon(
        tuple(periods),
        tuple([last + value * unit for value in now]),
        order,
        order_before,
        100 * (max(now) - min(now)) * unit / last,
        () if order == order_before != "mixed" else _crossings(periods, before, now),
    )


def _crossings(periods: Sequence[int], before: Sequence[float], now: Sequence[float]) -> tuple[Crossing, ...]:
    return tuple(
        Crossing(periods[fast], periods[slow], "up" if now[fast] > now[slow] else "down")
        for fast in range(len(now))
        for slow in range(fast + 1, len(now))
        if (before[fast] <= before[slow] and now[fast] > now[slow]) or (before[fast] >= before[slow] and now[fast] < now[slow])
    )


def squeeze(of: Relative, period: int, bollinger_factor: float, keltner_factor: float) -> Squeeze:
    """The middle of both is the mean of the closes, so one is inside the other exactly where its reach is smaller.

    Keltner's reach is the plain mean of the true ranges. Momentum: the end of the regression line through the last `period`
    values of close - ((highest high + lowest low) / 2 + mean close) / 2, each over `period` candles.
    """
    span = SQUEEZE_HISTORY + period + 1
    close, high, low = of.close[-span:], of.high[-span:], of.low[-span:]
    if len(close) < 2 * period + 1:
        return Squeeze()
    deviations = talib.STDDEV(close, period, bollinger_factor)
    ranges = talib.SMA(talib.TRANGE(high, low, close), period)
    inner = float(talib.STDDEV(close[-period:], period, bollinger_factor)[-1])  # without what earlier candles left of rounding
    outer = keltner_factor * float(ranges[-1])
    history = (deviations[-SQUEEZE_HISTORY:] < ranges[-SQUEEZE_HISTORY:] * keltner_factor).tolist()
    history[-1] = on = inner < outer
    candles = _run(history, len(history))
    reach = -2 * period - 1
    close, high, low = close[reach:], high[reach:], low[reach:]
    middle = talib.MAX(high, period) + talib.MIN(low, period) + 2 * talib.SMA(close, period)
    line = talib.LINEARREG(close - 0.25 * middle, period)
    unit = of.unit
    return Squeeze(
        on, candles, _run(history, len(history) - candles), inner * unit, outer * unit,
        float(line[-1]) * unit, float(line[-2]) * unit,
    )  # fmt: skip


def stochastic_rsi(of: Relative, rsi_period: int, period: int, k: int, d: int) -> StochasticRsi:
    """%K: plain mean of `k` values of 100 (RSI - lowest) / (highest - lowest); %D: plain mean of `d` values of %K."""
    strength = rsi(of.close, rsi_period)
    used = strength[-(period + k + d - 1) :]  # what the last two values of %D look at
    if not isfinite(used[-1]):
        return StochasticRsi()
    places = talib.STOCHF(used, used, used, period, 1)[0][period - 1 :].tolist()
    seen = used.tolist()
    core = seen[len(places) - 1 : period]  # what all of the ranges share
    if len(core) > 1 and max(core) - min(core) > FLAT:
        raw: list[float | None] = [_in_range(value) for value in places]
    else:
        raw = [None if _is_flat(seen[at : at + period]) else _in_range(value) for at, value in enumerate(places)]
    smooth = [_mean(raw[at : at + k]) for at in range(d + 1)]
    return StochasticRsi(seen[-1], smooth[-1], _mean(smooth[1:]), smooth[-2], _mean(smooth[:-1]))


def _in_range(value: float) -> float | None:
    """Where the close did not move the RSI did not either, but for rounding: its lowest and its highest value stay 0 and 100."""
    if ROUNDING < value < 100 - ROUNDING:
        return value
    return None if value != value else 0.0 if value < 50 else 100.0


def _is_flat(values: Sequence[float]) -> bool:
    """NaN is not flat, only unknown: what stands in it says so itself."""
    return max(values) - min(values) < FLAT


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one of them is."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total / len(values)


def _known(value: float) -> float | None:
    """As it goes out: JSON has no NaN, and null is not zero."""
    value = float(value)
    return value if isfinite(value) else None


def _order(values: list[float]) -> Order:
    rising = sorted(values)
    if rising == values:
        order: Order = "down"
    elif rising[::-1] == values:
        order = "up"
    else:
        return "mixed"
    return order if len(set(values)) == len(values) else "mixed"  # equal ones stand in no order


def _run(states: Sequence[bool], end: int) -> int:
    """How many of those before position `end` are as the last one before it."""
    at = end
    while at > 0 and states[at - 1] == states[end - 1]:
        at -= 1
    return end - at
