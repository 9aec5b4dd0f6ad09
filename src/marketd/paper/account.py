"""The paper account: cash, positions and results are a fold over the fills, exact, and nothing else."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Self

import msgspec

from marketd.model.exact import exact
from marketd.model.paper import Fill


class Position(msgspec.Struct, frozen=True):
    """What is held of a symbol since one fill opened it."""

    order: str  # that opened it
    venue: str
    symbol: str
    size: Decimal  # below zero: short
    price: Decimal  # at which it was opened
    fee: Decimal
    ts: int  # ns
    stop: Decimal | None
    take_profit: Decimal | None

    @property
    def is_long(self) -> bool:
        return self.size > 0

    @property
    @exact
    def cost(self) -> Decimal:
        return self.size * self.price

    @exact
    def unrealised(self, mark: Decimal) -> Decimal:
        """Won or lost since it was opened if it were closed at `mark` without costs."""
        return self.size * mark - self.cost


class Account(msgspec.Struct, frozen=True):
    """`cash + positions - start = realised + unrealised - fees`, always and exactly."""

    start: Decimal
    cash: Decimal
    positions: Mapping[str, Position]  # by symbol
    realised: Decimal = Decimal(0)  # of closed positions, before fees
    fees: Decimal = Decimal(0)
    fills: int = 0
    closed_at: Mapping[str, int] = {}  # by symbol: ns, when its last position was closed

    @classmethod
    def opened(cls, cash: Decimal) -> Self:
        return cls(cash, cash, {})

    @exact
    def after(self, fill: Fill) -> "Account":
        """The account with one fill more. Raises ValueError for a fill that fits no position of it."""
        assert fill.size > 0, "a fill has a size"
        assert fill.price > 0, "a fill has a price"
        held = self.positions.get(fill.symbol)
        positions = dict(self.positions)
        closed_at: Mapping[str, int] = self.closed_at
        realised = self.realised
        signed = fill.size if fill.side == "buy" else -fill.size
        if held is None:
            if fill.closes is not None:
                raise ValueError(f"fill {fill.order} closes {fill.closes}, and nothing is held of {fill.symbol}")
            positions[fill.symbol] = Position(
                fill.order, fill.venue, fill.symbol, signed, fill.price, fill.fee, fill.ts, fill.stop, fill.take_profit
            )
        else:
            if fill.closes != held.order or signed != -held.size:
                raise ValueError(f"fill {fill.order} of {fill.symbol} does not close what {held.order} opened")
            del positions[fill.symbol]
            closed_at = {**closed_at, fill.symbol: fill.ts}
            realised += held.unrealised(fill.price)
        return Account(self.start, self.cash + fill.cash, positions, realised, self.fees + fill.fee, self.fills + 1, closed_at)

    def folded(self, fills: Iterable[Fill]) -> "Account":
        account = self
        for fill in fills:
            account = account.after(fill)
        return account

    @exact
    def unrealised(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Of what is open, at these prices; a symbol without one stands at the price it was opened at."""
        return sum((one.unrealised(marks.get(name, one.price)) for name, one in self.positions.items()), Decimal(0))

    @exact
    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Cash and what the positions would bring at these prices, without costs."""
        return self.cash + sum((one.size * marks.get(name, one.price) for name, one in self.positions.items()), Decimal(0))

    @exact
    def held(self, marks: Mapping[str, Decimal]) -> Decimal:
        """What the positions would bring at these prices, without costs."""
        return self.equity(marks) - self.cash

    @exact
    def profit(self, marks: Mapping[str, Decimal]) -> Decimal:
        return self.equity(marks) - self.start

    @property
    @exact
    def free(self) -> Decimal:
        """Cash that may be spent. What a short sale brought stays put, and as much again as its collateral."""
        return self.cash - 2 * sum((-one.cost for one in self.positions.values() if not one.is_long), Decimal(0))
