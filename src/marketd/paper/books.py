"""What the trader knows between two looks: the account, how far each symbol was judged, which signals were decided."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from marketd.model.paper import EquityPoint, Fill, Order, Seen
from marketd.paper.account import Account


class Books(msgspec.Struct, frozen=True):
    account: Account
    boundary: int = 0  # ns, the newest that was stepped over; 0: none
    equity: Decimal = Decimal(0)  # there, by which the orders of its signals are sized
    seen: Mapping[str, Seen] = {}
    decided: frozenset[str] = frozenset()  # orders of the boundary

    @property
    def marks(self) -> dict[str, Decimal]:
        return {name: one.mark for name, one in self.seen.items()}


class Step(msgspec.Struct, frozen=True):
    """What one look changed, all of it to be kept in one transaction."""

    books: Books  # afterwards
    orders: list[Order]
    fills: list[Fill]
    points: list[EquityPoint]
    seen: dict[str, Seen]  # those that moved
    troubles: list[str]  # for a person: candles that were missing while something was held

    @property
    def is_empty(self) -> bool:
        return not (self.orders or self.fills or self.points or self.seen)
