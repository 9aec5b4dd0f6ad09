"""At which price and in which size things happen on paper: pure answers from the settings."""

from decimal import Decimal
from typing import NamedTuple

from marketd.model.events import Side
from marketd.model.exact import FEE_UNIT, exact, fee_of, plain, size_for
from marketd.model.paper import Why
from marketd.paper.account import Account, Position
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Direction, Prices, Quoted


class Exit(NamedTuple):
    why: Why
    price: Decimal  # before costs


def side_of(direction: Direction) -> Side:
    return "buy" if direction == "long" else "sell"


@exact
def price_paid(price: Decimal, side: Side, terms: PaperConfig) -> Decimal:
    """A candle's price with half of the configured spread and the slippage, to our disadvantage."""
    return _worse(price, side, terms.spread_bps / 2 + terms.slippage_bps)


@exact
def quote_paid(quote: Quoted, side: Side, terms: PaperConfig) -> Decimal:
    """The quoted ask or bid with the slippage, to our disadvantage."""
    return _worse(quote.ask if side == "buy" else quote.bid, side, terms.slippage_bps)


def _worse(price: Decimal, side: Side, bps: Decimal) -> Decimal:
    part = price * bps.scaleb(-4)
    return price + part if side == "buy" else price - part


@exact
def levels(price: Decimal, direction: Direction, terms: PaperConfig) -> tuple[Decimal | None, Decimal | None]:
    """Stop and take-profit of a position opened at `price`."""
    sign = 1 if direction == "long" else -1
    stop, gain = terms.stop_percent, terms.take_profit_percent
    return (
        None if stop is None else price - sign * price * stop.scaleb(-2),
        None if gain is None else price + sign * price * gain.scaleb(-2),
    )


def exit_of(position: Position, candle: Prices) -> Exit | None:
    """What a closed candle does to a position.

    Its open came first: beyond a level, it is the price. Inside of the candle the stop is taken to have come before the
    take-profit, since nobody can tell.
    """
    is_long, stop, gain = position.is_long, position.stop, position.take_profit
    if stop is not None and (candle.open <= stop if is_long else candle.open >= stop):
        return Exit("stop", candle.open)
    if gain is not None and (candle.open >= gain if is_long else candle.open <= gain):
        return Exit("take_profit", candle.open)
    if stop is not None and (candle.low <= stop if is_long else candle.high >= stop):
        return Exit("stop", stop)
    if gain is not None and (candle.high >= gain if is_long else candle.low <= gain):
        return Exit("take_profit", gain)
    return None


@exact
def size_of(account: Account, equity: Decimal, price: Decimal, terms: PaperConfig) -> tuple[Decimal, str]:
    """The size of a position opened at `price`, so that with its fee it costs no more than it may and no more than is there;
    and why there is none, empty if there is one."""
    budget = equity * terms.position_percent.scaleb(-2) if terms.position_quote is None else terms.position_quote
    within = min(budget, account.free)
    if within <= 0:
        return Decimal(0), f"{plain(account.free)} of cash is free, the equity is {plain(equity)}"
    unit_cost = price * (1 + terms.fee_bps.scaleb(-4))
    size = size_for(within, unit_cost, terms.size_digits)
    if size * price + fee_of(size * price, terms.fee_bps) > within:  # by the fee's rounding
        size = size_for(within - FEE_UNIT, unit_cost, terms.size_digits)
    if size <= 0 or size * price < terms.order_quote_min:
        return Decimal(0), f"an order of {plain(size * price)} is below the smallest of {plain(terms.order_quote_min)}"
    return size, ""
