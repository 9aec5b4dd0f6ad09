"""JSON that any program may have put where we read: whatever is wrong with it is one kind of error."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")
BYTES_MAX = 2 * 1024 * 1024  # what is ours is a tenth of it; small values take fifty times their text in memory


def reader_of(kind: type[T]) -> Callable[[bytes | msgspec.Raw], T]:
    """Reads JSON as `kind`. It raises msgspec.DecodeError, also for what is no UTF-8, nested too deeply or beyond `BYTES_MAX`."""
    decode = msgspec.json.Decoder(kind).decode

    def read(value: bytes | msgspec.Raw) -> T:
        if len(size := memoryview(value)) > BYTES_MAX:
            raise msgspec.DecodeError(f"{len(size):,} bytes, expected at most {BYTES_MAX:,}")
        try:
            return decode(value)
        except RecursionError:
            raise msgspec.DecodeError("nested too deeply") from None
        except (ValueError, ArithmeticError) as error:  # msgspec's own is none of them
            raise msgspec.DecodeError(str(error)) from None

    return read
