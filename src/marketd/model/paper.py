"""What the books of paper trading consist of: orders, fills, and how the account stood. Nothing of it ever reached a venue."""

from decimal import Decimal
from typing import Literal

import msgspec

from marketd.model.events import Side
from marketd.model.exact import exact

Why = Literal["entry", "stop", "take_profit", "signal"]
Refusal = Literal[
    "stale",  # of an older candle, or nothing new came for a timeframe
    "doubtful",  # the signal or its candles are not to be trusted
    "contradicting",  # another rule says the opposite of the same candle
    "no_price",  # neither the next candle's open nor a fresh quote
    "other_venue",  # positions are open on another one
    "holding",  # the symbol is held that way already
    "no_short",  # nothing to close, and short positions are not allowed
    "cooldown",
    "positions_max",
    "cash",
]


class Fill(msgspec.Struct, frozen=True):
    """Something bought or sold on paper. It either opens a position of its symbol or closes one wholly."""

    order: str  # its order's identity; an order has one fill
    venue: str
    symbol: str
    side: Side
    why: Why
    price: Decimal  # with spread and slippage
    size: Decimal
    fee: Decimal
    ts: int  # ns, of the market
    closes: str | None = None  # the order that opened the position, where this one closes it
    stop: Decimal | None = None  # of what is opened: prices at which it is closed
    take_profit: Decimal | None = None

    @property
    @exact
    def value(self) -> Decimal:
        return self.price * self.size

    @property
    @exact
    def cash(self) -> Decimal:
        """What the fill does to the cash."""
        return (self.value if self.side == "sell" else -self.value) - self.fee


class Order(msgspec.Struct, frozen=True):
    """A decision: filled at once, or refused for a reason. Nothing rests."""

    id: str  # of the signal that caused it, or of the order whose position a level closes, with `:exit`
    venue: str
    symbol: str
    side: Side
    why: Why
    ts: int  # ns, of the market: where the candle closed
    refusal: Refusal | None
    detail: str  # for a person


class Seen(msgspec.Struct, frozen=True):
    """How far the candles of a symbol were judged."""

    open_time: int  # ns, of the last closed one
    mark: Decimal  # its close


class EquityPoint(msgspec.Struct, frozen=True):
    """The account at a boundary, after what closed up to it and before what its signals open."""

    ts: int  # ns
    cash: Decimal
    positions: Decimal  # their value at the last closes; a short position's is negative
    realised: Decimal  # of closed positions, before fees
    unrealised: Decimal
    fees: Decimal
    open: int  # positions

    @property
    @exact
    def equity(self) -> Decimal:
        return self.cash + self.positions
