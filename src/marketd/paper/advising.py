"""Signals as the trader takes them, live and in a back-test: those of its timeframe and rules, each under one identity."""

import re
from collections.abc import Iterable

from marketd.model.signals import Signal
from marketd.model.timeframes import timeframe
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Advice

SYMBOL_MAX = 40  # letters
REASONS_MAX = 4_000  # letters, all together
_WORD = re.compile(r"[A-Za-z0-9_-]{1,40}")


def advices_of(signals: Iterable[Signal], terms: PaperConfig) -> list[Advice]:
    """What the trader is to decide about."""
    return [advice_of(one) for one in signals if is_ours(one, terms)]


def is_ours(signal: Signal, terms: PaperConfig) -> bool:
    return signal.timeframe == terms.timeframe and (not terms.rules or signal.rule in terms.rules)


def is_symbol(word: str) -> bool:
    return 0 < len(word) <= SYMBOL_MAX and word.isascii() and word.isalnum()


def wrong_with(signal: Signal) -> str:
    """What makes it none that a book could hold: others may publish too. Empty if it is one."""
    if not is_symbol(signal.symbol):
        return f"{signal.symbol[:SYMBOL_MAX]!r} is no symbol"
    for what, word in (("provider", signal.venue), ("rule", signal.rule)):  # parts of an order's identity
        if not _WORD.fullmatch(word):
            return f"{word[:SYMBOL_MAX]!r} is no {what}, expected at most 40 letters, digits, _ and -"
    if not 0 <= signal.open_time < signal.close_time:
        return "its candle opens before 1970 or closes before it opens"
    said = "".join((*signal.reasons, signal.quality.reason or ""))
    if len(said) > REASONS_MAX or not said.isprintable():
        return f"its reasons are no text of at most {REASONS_MAX:,} letters"
    return ""


def advice_of(signal: Signal) -> Advice:
    doubt = "" if signal.quality.ok else (signal.quality.reason or "the signal says so itself")
    if signal.close_time != signal.open_time + timeframe(signal.timeframe).step:
        doubt = "its candle closes where none of its timeframe does"
    return Advice(
        ":".join(map(str, signal.id)), signal.venue, signal.symbol, signal.direction, signal.close_time, signal.rule,
        f"{signal.direction} by {signal.rule}: {'; '.join(signal.reasons)}", doubt,
    )  # fmt: skip
