"""The scanner's view of one coin: RSI, VWAP, Bollinger bands, a score made of them; and of all coins: who comes first."""

from collections.abc import Iterable

import msgspec

from marketd.analysis.closed import CANDLES, Closed, Window
from marketd.analysis.indicators import Bollinger, bollinger, day_start, relative, rsi, vwap
from marketd.analysis.section import AnalysisConfig


class Quality(msgspec.Struct, frozen=True):
    """Whether there are values, and if not why."""

    ok: bool
    reason: str | None = None
    candles: int = CANDLES  # closed ones that were there


class Parts(msgspec.Struct, frozen=True):
    """What the score is made of, each 0 to 100; None where its figure is."""

    rsi: float | None = None
    bollinger: float | None = None
    vwap: float | None = None


class Scan(msgspec.Struct, frozen=True):
    """One coin on its last 500 closed candles. Times are ns since the epoch, UTC; every figure is None without them."""

    symbol: str
    venue: str = msgspec.field(name="provider")
    timeframe: str
    quality: Quality
    open_time: int | None = None  # of the last closed candle
    close_time: int | None = None
    close: str | None = None  # its close, with the venue's digits
    rsi: float | None = None
    vwap_day: float | None = None  # since 00:00 UTC of the day in which the last closed candle opened
    vwap_rolling: float | None = None
    vwap_distance: float | None = None  # of the close from the rolling one, in percent of it
    bollinger: Bollinger = Bollinger()
    score: float | None = None  # 0 to 100; None where one of its parts with a weight is
    parts: Parts = Parts()


class Ranked(msgspec.Struct, frozen=True):
    """A coin's place: 1 is the highest score. None for one without a score, which come last."""

    rank: int | None
    scan: Scan


GOOD = Quality(True)


def quality_of(window: Window) -> Quality:
    return GOOD if isinstance(window, Closed) else Quality(False, window.reason, window.candles)


def scan(window: Window, config: AnalysisConfig) -> Scan:
    """Pure: the same candles and settings give the same bytes."""
    venue, symbol, timeframe = window.series
    quality, text = quality_of(window), window.close_text
    if not isinstance(window, Closed):
        return Scan(symbol, venue, timeframe, quality, window.open_time, window.close_time, text)
    of = relative(window)
    strength = float(rsi(of.close, config.rsi_period)[-1])
    bands = bollinger(of, config.bollinger_period, config.bollinger_deviations)
    day = day_start(window)
    rolling = vwap(window, of, -config.vwap_candles)
    distance = None if rolling is None else 100 * (of.last - rolling) / rolling
    known = None if strength != strength else strength
    parts = Parts(
        _part(known, config.score_rsi_full, config.score_rsi_none),
        _part(bands.percent_b, config.score_bollinger_full, config.score_bollinger_none),
        _part(distance, config.score_vwap_full, config.score_vwap_none),
    )
    return Scan(
        symbol, venue, timeframe, quality, window.open_time, window.close_time, text,
        rsi=known,
        vwap_day=None if day is None else vwap(window, of, day),
        vwap_rolling=rolling,
        vwap_distance=distance,
        bollinger=bands,
        score=_score(parts, config),
        parts=parts,
    )  # fmt: skip


def rank(scans: Iterable[Scan]) -> list[Ranked]:
    """Highest score first; equal scores in the order of symbols, each with a place of its own; those without one last."""
    found = sorted(scans, key=lambda one: (one.score is None, -(one.score or 0.0), one.symbol, one.venue))
    return [Ranked(None if one.score is None else place, one) for place, one in enumerate(found, 1)]


def _part(value: float | None, full: float, none: float) -> float | None:
    """100 at `full` and beyond, 0 at `none` and beyond, a straight line between."""
    return None if value is None else 100 * min(max((value - none) / (full - none), 0.0), 1.0)


def _score(parts: Parts, config: AnalysisConfig) -> float | None:
    weighted = [
        (parts.rsi, config.score_rsi_weight),
        (parts.bollinger, config.score_bollinger_weight),
        (parts.vwap, config.score_vwap_weight),
    ]
    total = sum(weight for _, weight in weighted)
    score = 0.0
    for part, weight in weighted:
        if weight and part is None:
            return None
        score += weight * (part or 0.0)
    return min(score / total, 100.0)
