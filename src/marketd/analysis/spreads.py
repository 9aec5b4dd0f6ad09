"""What a quote says: which of two is the newer, the middle and the width of its market."""

from decimal import Decimal
from math import inf

from marketd.model.events import Quote

_BPS = Decimal(10_000)


def is_older(quote: Quote, other: Quote | None) -> bool:
    """Of two quotes of one moment, by the venue's numbers; without them the later to come is the newer."""
    return other is not None and quote.seq is not None and other.seq is not None and quote.seq < other.seq


def spread_of(quote: Quote) -> tuple[float, float, float] | tuple[()]:
    """Mid, ask less bid, and that in 1/10000 of the mid, each rounded once; nothing if a side is missing or they are crossed."""
    try:
        bid, ask = Decimal(quote.bid), Decimal(quote.ask)
        if not 0 < bid <= ask < inf:
            return ()
        mid = (bid + ask) / 2
        return float(mid), float(ask - bid), float((ask - bid) * _BPS / mid)
    except ArithmeticError:
        return ()
