"""The eleven features as docs/features.md defines them, computed anew from all events: slow, plain, in decimals.

It shares no code with the engine. `as_of` takes the events that came so far, in any order, and makes one symbol's features.
"""

from collections.abc import Iterable
from decimal import Decimal, getcontext
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor, isclose
from typing import Any

from marketd.model.events import Event, Quote, Trade

getcontext().prec = 34
S = 1_000_000_000
NAMES = (
    "mid", "spread_abs", "spread_bps", "trade_vwap_10s", "trade_vwap_60s", "trade_count_10s", "trade_volume_10s", "return_10s",
    "realized_vol_60s", "latency_ms_p50", "latency_ms_p95",
)  # fmt: skip


def moment(event: Event) -> int:
    return event.ts_recv if event.ts_event is None else event.ts_event


def is_usable(event: Event) -> bool:
    """Not more than a minute ahead of its receive time, where there is a real one (since 2000)."""
    return event.ts_event is None or event.ts_event - event.ts_recv <= 60 * S or event.ts_recv <= 946_684_800 * S


def order(trade: Trade) -> tuple[int, int, str]:
    return (moment(trade), len(trade.trade_id), trade.trade_id) if trade.trade_id.isdecimal() else (moment(trade), 0, "")


def as_of(came: Iterable[Event], window_s: float = 60) -> dict[str, Any]:
    """Of events of one symbol and one venue, those too late left out by whoever calls."""
    events = [event for event in came if isinstance(event, Trade | Quote) and is_usable(event)]
    found: dict[str, Any] = dict.fromkeys(NAMES)
    if not events:
        return found
    now = max(map(moment, events))
    minute, short = min(60, window_s) * S, min(10, window_s) * S
    quotes = [event for event in events if isinstance(event, Quote) and moment(event) > now - minute]
    if quotes:
        last = max(enumerate(quotes), key=lambda one: (moment(one[1]), one[1].seq if one[1].seq is not None else one[0], one[0]))[
            1
        ]
        bid, ask = Decimal(last.bid), Decimal(last.ask)
        if 0 < bid <= ask:
            found["mid"] = (bid + ask) / 2
            found["spread_abs"] = ask - bid
            found["spread_bps"] = (ask - bid) / ((bid + ask) / 2) * 10_000
    once: dict[str, Trade] = {}
    for event in events:
        if isinstance(event, Trade):
            once.setdefault(event.trade_id, event)
    if not once:
        return found
    trades = sorted((trade for trade in once.values() if moment(trade) > now - minute), key=order)
    ten = [trade for trade in trades if moment(trade) > now - short]
    found["trade_count_10s"], found["trade_volume_10s"] = len(ten), sum((Decimal(one.size) for one in ten), Decimal(0))
    found["trade_vwap_10s"], found["trade_vwap_60s"] = vwap(ten), vwap(trades)
    before = trades[: len(trades) - len(ten)]
    if ten and (before or len(ten) > 1):
        opening = before[-1] if before else ten[0]
        found["return_10s"] = Decimal(ten[-1].price) / Decimal(opening.price) - 1
    prices = [Decimal(one.price) for one in trades]
    steps = [log_return(a, b) for a, b in pairwise(prices)]
    if len(steps) > 1:
        mean = sum(steps) / len(steps)
        found["realized_vol_60s"] = (sum((step - mean) ** 2 for step in steps) / (len(steps) - 1)).sqrt()
    known = [one for one in trades if one.ts_event is not None and not one.repaired]
    tenths = sorted(floor(Decimal(one.ts_recv - moment(one)) / 100_000) for one in known)
    if tenths:
        found["latency_ms_p50"] = Decimal(tenths[ceil(len(tenths) * Decimal("0.50")) - 1]) / 10
        found["latency_ms_p95"] = Decimal(tenths[ceil(len(tenths) * Decimal("0.95")) - 1]) / 10
    return found


@lru_cache(100_000)
def log_return(before: Decimal, after: Decimal) -> Decimal:
    return (after / before).ln()


def vwap(trades: list[Trade]) -> Decimal | None:
    size = sum((Decimal(one.size) for one in trades), Decimal(0))
    return sum((Decimal(one.price) * Decimal(one.size) for one in trades), Decimal(0)) / size if size else None


def differences(found: object, wanted: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Where the engine's values are not the reference's: exact but for the last digits of doubles.

    A price has 53 bits: a return is known to 1e-15 in itself, not of itself, and so is a deviation of returns.
    """
    wrong = {}
    for name, value in wanted.items():
        mine = getattr(found, name)
        if mine is None or value is None:
            same = mine is value
        elif name in ("return_10s", "realized_vol_60s"):
            same = isclose(mine, float(value), rel_tol=1e-9, abs_tol=1e-15)
        elif name in ("trade_vwap_10s", "trade_vwap_60s", "trade_volume_10s"):
            same = isclose(mine, float(value), rel_tol=1e-13)
        else:
            same = mine == float(value)
        if not same:
            wrong[name] = (mine, value)
    return wrong
