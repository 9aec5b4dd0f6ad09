"""The technical analysis of one series: ribbon, squeeze, stochastic RSI, and the signals that its last closed candle makes."""

from collections.abc import Callable, Mapping

import msgspec

from marketd.analysis.closed import CANDLES, Closed, Window
from marketd.analysis.indicators import ROUNDING, Ribbon, Squeeze, StochasticRsi, relative, ribbon, squeeze, stochastic_rsi
from marketd.analysis.scan import Quality, quality_of
from marketd.analysis.section import AnalysisConfig
from marketd.model.signals import Direction, RuleName, Signal, SignalQuality


class Reading(msgspec.Struct, frozen=True):
    """What is read from the last 500 closed candles. Times are ns since the epoch, UTC; every figure is None without them."""

    symbol: str
    venue: str = msgspec.field(name="provider")
    timeframe: str
    quality: Quality
    open_time: int | None = None  # of the last closed candle
    close_time: int | None = None
    close: str | None = None  # its close, with the venue's digits
    ribbon: Ribbon | None = None
    squeeze: Squeeze | None = None
    stochastic_rsi: StochasticRsi | None = None
    signals: tuple[Signal, ...] = ()  # of that candle, in the order of the rules


def analyse(window: Window, config: AnalysisConfig) -> Reading:
    """Pure: the same candles and settings give the same bytes."""
    venue, symbol, timeframe = window.series
    quality, text = quality_of(window), window.close_text
    if not isinstance(window, Closed):
        return Reading(symbol, venue, timeframe, quality, window.open_time, window.close_time, text)
    of = relative(window)
    reading = Reading(
        symbol, venue, timeframe, quality, window.open_time, window.close_time, text,
        ribbon(of, config.ribbon),
        squeeze(of, config.squeeze_period, config.squeeze_bollinger, config.squeeze_keltner),
        stochastic_rsi(
            of, config.stochastic_rsi_period, config.stochastic_period, config.stochastic_k, config.stochastic_d
        ),
    )  # fmt: skip
    asked = config.signals
    found = tuple(
        [
            _signal(window, direction, rule, reasons)
            for rule, (direction, ask) in RULES.items()
            if rule in asked and (reasons := ask(reading, config))
        ]
    )
    return msgspec.structs.replace(reading, signals=found) if found else reading


def _signal(window: Closed, direction: Direction, rule: str, reasons: tuple[str, ...]) -> Signal:
    venue, symbol, timeframe = window.series
    return Signal(
        symbol, venue, timeframe, direction, rule, reasons, window.close_text,
        window.open_time, window.close_time, window.close_time, SignalQuality(True, None, CANDLES),
    )  # fmt: skip


Reasons = tuple[str, ...]


def _ribbon_up(reading: Reading, config: AnalysisConfig) -> Reasons:
    return _ribbon(reading, "up")


def _ribbon_down(reading: Reading, config: AnalysisConfig) -> Reasons:
    return _ribbon(reading, "down")


def _ribbon(reading: Reading, order: str) -> Reasons:
    its = reading.ribbon
    if its is None or its.order != order or its.order_before in (order, None):
        return ()
    shown = ", ".join(f"{period}: {_figure(value)}" for period, value in zip(its.periods, its.values, strict=True))
    side = "above" if order == "up" else "below"
    reasons = (f"each shorter average is {side} the longer ones, which it was not a candle ago ({shown})",)
    crossed = ", ".join(f"{one.fast} through {one.slow} {one.direction}ward" for one in its.crossings)
    return (*reasons, f"crossed: {crossed}") if crossed else reasons


def _squeeze_up(reading: Reading, config: AnalysisConfig) -> Reasons:
    return _fired(reading, config, 1)


def _squeeze_down(reading: Reading, config: AnalysisConfig) -> Reasons:
    return _fired(reading, config, -1)


def _fired(reading: Reading, config: AnalysisConfig, sign: int) -> Reasons:
    its = reading.squeeze
    if its is None or its.on is not False or its.candles != 1 or (its.candles_before or 0) < config.squeeze_candles_min:
        return ()
    if its.momentum is None or its.momentum * sign <= 0:
        return ()
    return (
        f"a squeeze of {its.candles_before} candles ended: Bollinger {_figure(its.bollinger)} is no longer inside "
        f"Keltner {_figure(its.keltner)}",
        f"momentum {_figure(its.momentum)} is {'above' if sign > 0 else 'below'} zero",
    )


def _stochastic_up(reading: Reading, config: AnalysisConfig) -> Reasons:
    return _crossed(reading, 1, "below", config.stochastic_low)


def _stochastic_down(reading: Reading, config: AnalysisConfig) -> Reasons:
    return _crossed(reading, -1, "above", config.stochastic_high)


def _crossed(reading: Reading, sign: int, side: str, limit: float) -> Reasons:
    its = reading.stochastic_rsi
    if its is None or its.k is None or its.d is None or its.k_before is None or its.d_before is None:
        return ()
    was, now = sign * (its.k_before - its.d_before), sign * (its.k - its.d)
    if not (was < ROUNDING <= now and sign * (limit - its.k_before) > 0):
        return ()
    way = "above" if sign > 0 else "below"
    return (
        f"%K {_figure(its.k)} crossed {way} %D {_figure(its.d)}",
        f"%K was {_figure(its.k_before)}, {side} {limit:g}",
    )


RULES: Mapping[RuleName, tuple[Direction, Callable[[Reading, AnalysisConfig], Reasons]]] = {
    "ribbon_up": ("long", _ribbon_up),
    "ribbon_down": ("short", _ribbon_down),
    "squeeze_up": ("long", _squeeze_up),
    "squeeze_down": ("short", _squeeze_down),
    "stochastic_up": ("long", _stochastic_up),
    "stochastic_down": ("short", _stochastic_down),
}


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"
