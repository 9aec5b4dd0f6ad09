"""JSON that any program may have put where we read: whatever is wrong with it is one kind of error."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")


def reader_of(kind: type[T]) -> Callable[[bytes | msgspec.Raw], T]:
    """Reads JSON as `kind`. It raises msgspec.DecodeError, also for text that is no UTF-8 and for what is nested too deeply."""
    decode = msgspec.json.Decoder(kind).decode

    def read(value: bytes | msgspec.Raw) -> T:
        try:
            return decode(value)
        except (ValueError, RecursionError, ArithmeticError) as error:  # msgspec's own is none of them
            raise msgspec.DecodeError(str(error)) from None

    return read
