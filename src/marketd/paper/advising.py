"""Signals as the trader takes them: those of its timeframe and its rules, each under an identity of its own."""

from collections.abc import Iterable

from marketd.model.signals import Signal
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Advice


def advices_of(signals: Iterable[Signal], terms: PaperConfig) -> list[Advice]:
    """What the trader is to decide about; the others are none of its business."""
    return [
        advice_of(one) for one in signals if one.timeframe == terms.timeframe and (not terms.rules or one.rule in terms.rules)
    ]


def advice_of(signal: Signal) -> Advice:
    quality = signal.quality
    return Advice(
        id=":".join(map(str, signal.id)),
        venue=signal.venue,
        symbol=signal.symbol,
        direction=signal.direction,
        close_time=signal.close_time,
        rule=signal.rule,
        reasons="; ".join(signal.reasons),
        doubt="" if quality.ok else quality.reason or "the signal says of itself that it is doubtful",
    )
