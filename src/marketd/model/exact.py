"""Arithmetic of money: exact, or it fails; rounding happens in the two places here, and says which way."""

from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

FEE_UNIT = Decimal("0.00000001")  # to which a fee is rounded
NUMBER_DIGITS = 30  # of a price that is traded on: what has more is refused, so that every sum below stays exact
_EXACT = Context(prec=400, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])
_HALF_UP = Context(prec=400, rounding=ROUND_HALF_UP)
_DOWN = Context(prec=400, rounding=ROUND_DOWN)


def exact(work: Callable[P, T]) -> Callable[P, T]:
    """Inside of it nothing is rounded: a result that does not fit raises decimal.Inexact."""

    @wraps(work)
    def done(*args: P.args, **kwargs: P.kwargs) -> T:
        with localcontext(_EXACT):
            return work(*args, **kwargs)

    return done


def fee_of(value: Decimal, fee_bps: Decimal) -> Decimal:
    """The fee of a fill, rounded half up to eight digits after the point."""
    return _HALF_UP.quantize(_HALF_UP.multiply(value, _HALF_UP.scaleb(fee_bps, -4)), FEE_UNIT)


def size_for(budget: Decimal, unit_cost: Decimal, digits: int) -> Decimal:
    """How much `budget` buys at `unit_cost` each, rounded down to so many digits after the point."""
    return _DOWN.quantize(_DOWN.divide(budget, unit_cost), Decimal(1).scaleb(-digits))


def plain(value: Decimal) -> str:
    """The same number as plain text, without zeros at its end."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
