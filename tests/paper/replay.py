"""The account worked out anew from nothing but fills and candles, in plain sums: what the trader's own must be equal to."""

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal, localcontext

from marketd.model.paper import EquityPoint, Fill

LEVELS = ("stop", "take_profit")
EXACT = Context(prec=1000)


def replayed(start: Decimal, fills: Sequence[Fill], marks: Mapping[int, Mapping[str, Decimal]]) -> list[EquityPoint]:
    """How the account stood at each boundary of `marks`, whose prices are the newest closes by symbol.

    What a level closed at a boundary counts there; what a signal caused at it comes after. Each position is taken apart
    into what was paid and what was got, so that nothing here knows of positions as the account does.
    """
    with localcontext(EXACT):
        return [_point(start, [one for one in fills if _is_by(one, ts)], ts, prices) for ts, prices in sorted(marks.items())]


def _is_by(fill: Fill, ts: int) -> bool:
    return fill.ts < ts or (fill.ts == ts and fill.why in LEVELS)


def _point(start: Decimal, fills: Sequence[Fill], ts: int, prices: Mapping[str, Decimal]) -> EquityPoint:
    closed = {one.closes for one in fills if one.closes is not None}
    cash, fees, realised, held, paid = start, Decimal(0), Decimal(0), Decimal(0), Decimal(0)
    for one in fills:
        value = one.price * one.size * (1 if one.side == "sell" else -1)
        cash += value - one.fee
        fees += one.fee
        if one.closes is not None or one.order in closed:
            realised += value
        else:
            held += prices[one.symbol] * one.size * (1 if one.side == "buy" else -1)
            paid -= value
    opens = sum(1 for one in fills if one.closes is None and one.order not in closed)
    return EquityPoint(ts, cash, held, realised, held - paid, fees, opens)
