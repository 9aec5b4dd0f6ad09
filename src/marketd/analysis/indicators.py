"""Indicators of closed candles: TA-Lib on prices relative to the last close. docs/analysis.md has every formula.

Prices are taken relative to the last close and multiplied by a power of two, both exact in doubles or nearly so: small
differences between large prices keep their digits, and TA-Lib, which takes anything below 1e-14 for zero, sees the
candles of a coin that costs 0.00001 as it sees those of one that costs 50,000.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import frexp, fsum, isfinite, ldexp
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import talib

from marketd.analysis.closed import CLOSE, HIGH, LOW, VOLUME, Closed, Floats
from marketd.model.timeframes import DAY

Order = Literal["up", "down", "mixed"]

SCALE_BITS = 400  # 2^400: neither a product of two prices nor what is left of a change after 500 candles leaves the doubles
FLAT = 1e-6  # an RSI that moved by less in its window has no place in it: what is left is rounding
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

    def distance(self, value: float) -> float | None:
        """What is a difference of two prices in the arrays."""
        return _known(value * self.unit)


def relative(closed: Closed) -> Relative:
    last = float(closed.ohlcv[CLOSE, -1])
    bits = SCALE_BITS - frexp(last)[1]
    high, low, close = (closed.ohlcv[HIGH : CLOSE + 1] - last) * ldexp(1.0, bits)
    return Relative(close, high, low, last, ldexp(1.0, -bits))


def rsi(closes: Floats, period: int) -> Floats:
    """Wilder's: the first averages of gains and losses are plain means of `period` changes. NaN where none was seen at all."""
    if not closes.any():  # every close is the last one, and 0 of 0 is no figure
        return np.full_like(closes, np.nan)
    return talib.RSI(closes, period)


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


def vwap(closed: Closed, start: int) -> float | None:
    """From position `start` on: typical prices (high + low + close) / 3, weighted by volume. None where nothing was traded."""
    part = closed.ohlcv[:, start:]
    high, low, close, size = part[HIGH], part[LOW], part[CLOSE], part[VOLUME]
    total = fsum(size.tolist())  # exact, so that it does not depend on where in memory the candles stand
    if not total > 0:
        return None
    last = float(close[-1])
    return _known(last + fsum((((high - last) + (low - last) + (close - last)) * size).tolist()) / (3 * total))


def day_start(closed: Closed) -> int | None:
    """The position of the first candle of the UTC day in which the last candle opened; None if it lies before the 500."""
    day = closed.open_time - closed.open_time % DAY
    if closed.opens[0] > day:
        return None
    return int(np.searchsorted(closed.opens, day))


def ribbon(of: Relative, periods: Sequence[int]) -> Ribbon:
    """Factor 2 / (period + 1), begun with the plain mean of the first `period` of the 500 closes."""
    ends = [talib.EMA(of.close, period)[-2:].tolist() for period in periods]
    before, now = [end[0] for end in ends], [end[1] for end in ends]
    values = tuple(map(of.price, now))
    if None in values or not all(map(isfinite, before)):
        return Ribbon(tuple(periods), values)
    crossings = tuple(
        Crossing(periods[fast], periods[slow], "up" if now[fast] > now[slow] else "down")
        for fast in range(len(now))
        for slow in range(fast + 1, len(now))
        if (before[fast] <= before[slow] and now[fast] > now[slow]) or (before[fast] >= before[slow] and now[fast] < now[slow])
    )
    width = 100 * (max(now) - min(now)) * of.unit / of.last
    return Ribbon(tuple(periods), values, _order(now), _order(before), _known(width), crossings)


def squeeze(of: Relative, period: int, bollinger_factor: float, keltner_factor: float) -> Squeeze:
    """The middle of both is the mean of the closes, so one is inside the other exactly where its reach is smaller.

    Keltner's reach is the plain mean of the true ranges. Momentum: the end of the regression line through the last `period`
    values of close - ((highest high + lowest low) / 2 + mean close) / 2, each over `period` candles.
    """
    close, high, low = (one[-(SQUEEZE_HISTORY + 2 * period) :] for one in (of.close, of.high, of.low))
    if len(close) < 2 * period:
        return Squeeze()
    inner = bollinger_factor * talib.STDDEV(close, period)
    outer = keltner_factor * talib.SMA(talib.TRANGE(high, low, close), period)
    inner[-1] = bollinger_factor * talib.STDDEV(close[-period:], period)[-1]  # without what earlier candles left of rounding
    on = (inner < outer)[-SQUEEZE_HISTORY:].tolist()
    candles = _run(on)
    reach = 2 * period + 1
    close, high, low = close[-reach:], high[-reach:], low[-reach:]
    middle = (talib.MAX(high, period) + talib.MIN(low, period)) * 0.5
    line = talib.LINEARREG(close - (middle + talib.SMA(close, period)) * 0.5, period)
    return Squeeze(
        on=on[-1],
        candles=candles,
        candles_before=_run(on[:-candles]),
        bollinger=of.distance(inner[-1]),
        keltner=of.distance(outer[-1]),
        momentum=of.distance(line[-1]),
        momentum_before=of.distance(line[-2]),
    )


def stochastic_rsi(of: Relative, rsi_period: int, period: int, k: int, d: int) -> StochasticRsi:
    """%K: plain mean of `k` values of 100 (RSI - lowest) / (highest - lowest); %D: plain mean of `d` values of %K."""
    strength = rsi(of.close, rsi_period)
    used = strength[-(period + k + d - 1) :]  # what the last two values of %D look at
    fast, _ = talib.STOCHF(used, used, used, period, 1)
    seen = used.tolist()
    raw = [
        value if isfinite(value) and not _is_flat(seen[at : at + period]) else None
        for at, value in enumerate(fast[period - 1 :].tolist())
    ]
    smooth = [_mean(raw[at : at + k]) for at in range(len(raw) - k + 1)]
    slow = [_mean(smooth[at : at + d]) for at in range(len(smooth) - d + 1)]
    return StochasticRsi(_known(strength[-1]), smooth[-1], slow[-1], smooth[-2], slow[-2])


def _is_flat(values: Sequence[float]) -> bool:
    return max(values) - min(values) < FLAT


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _known(value: float) -> float | None:
    """As it goes out: JSON has no NaN, and null is not zero."""
    value = float(value)
    return value if isfinite(value) else None


def _order(values: Sequence[float]) -> Order:
    pairs = list(pairwise(values))
    if all(fast > slow for fast, slow in pairs):
        return "up"
    return "down" if all(fast < slow for fast, slow in pairs) else "mixed"


def _run(states: Sequence[bool]) -> int:
    """How many of the last are as the last one."""
    for count, state in enumerate(reversed(states)):
        if state != states[-1]:
            return count
    return len(states)
