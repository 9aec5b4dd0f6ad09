"""Signals as the trader takes them, live and in a back-test: those of its timeframe and rules, each under one identity."""

from collections.abc import Iterable

from marketd.model.signals import Signal
from marketd.model.timeframes import timeframe
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Advice


def advices_of(signals: Iterable[Signal], terms: PaperConfig) -> list[Advice]:
    """What the trader is to decide about."""
    return [advice_of(one) for one in signals if is_ours(one, terms)]


def is_ours(signal: Signal, terms: PaperConfig) -> bool:
    return signal.timeframe == terms.timeframe and (not terms.rules or signal.rule in terms.rules)


def advice_of(signal: Signal) -> Advice:
    doubt = "" if signal.quality.ok else (signal.quality.reason or "the signal says so itself")
    if signal.close_time != signal.open_time + timeframe(signal.timeframe).step:
        doubt = "its candle closes where none of its timeframe does"
    return Advice(
        ":".join(map(str, signal.id)), signal.venue, signal.symbol, signal.direction, signal.close_time, signal.rule,
        f"{signal.direction} by {signal.rule}: {'; '.join(signal.reasons)}", doubt,
    )  # fmt: skip
