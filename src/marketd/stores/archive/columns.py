"""Column types: the one place where nanoseconds become what the databases keep, and come back."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, UserDefinedType

from marketd.model.timeframes import SECOND

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (TIMESTAMP without zone, holding UTC)
MICROSECOND = 1000
NS_MAX = 2**63 - 1


class TimestampText(UserDefinedType[str]):
    """SQLite keeps times as text that sorts; the word TIMESTAMP stays in the table's definition."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TIMESTAMP"


class Moment(TypeDecorator[int]):
    """Nanoseconds in Python, TIMESTAMP without zone holding UTC in the database, to the microsecond."""

    impl = sa.TIMESTAMP
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(TimestampText() if dialect.name == "sqlite" else sa.TIMESTAMP())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        moment = datetime_of(value)
        return moment.isoformat(" ") if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        if value is None:
            return None
        return ns_of_datetime(datetime.fromisoformat(value) if dialect.name == "sqlite" else value)


class OpenTime(Moment):
    """Where a candle or a gap begins or ends: whole seconds only, so that nothing is rounded.

    On SQLite as the rows that are there already have it: `2024-11-14 17:30:00`, or with `.000000` behind it; two forms of
    one time in a key would be two keys.
    """

    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return second_text(value) + fraction_of(dialect)
        return EPOCH + timedelta(seconds=whole_seconds(value))


def datetime_of(ts: int) -> datetime:
    """Rounded down to the microsecond."""
    return EPOCH + timedelta(microseconds=ts // MICROSECOND)


def ns_of_datetime(moment: datetime) -> int:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    since = moment - EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * MICROSECOND


def second_text(ts: int) -> str:
    """`2024-11-14 17:30:00`. Raises ValueError for a time within a second."""
    day, second = divmod(whole_seconds(ts), 86_400)
    return f"{_day(day)} {_time_of_day(second)}"


@lru_cache(maxsize=1024)
def _day(days: int) -> str:
    return (EPOCH + timedelta(days=days)).date().isoformat()


@lru_cache(maxsize=4096)  # the minutes of a day and more
def _time_of_day(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).time().isoformat()


def whole_seconds(ts: int) -> int:
    """Raises ValueError for a time that is none: no candle opens within a second."""
    seconds, rest = divmod(ts, SECOND)
    if rest:
        raise ValueError(f"{ts} ns is no whole second; candles open at whole seconds")
    return seconds


def epoch_seconds(column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """What the database makes of a time in whole seconds: faster than a datetime that has to be made and taken apart here."""
    return sa.cast(sa.extract("epoch", column), sa.BigInteger)


def whole_second_from(ts: int) -> int:
    """The first whole second at or after `ts`, in ns, within what a database can keep."""
    return min(-(-max(ts, 0) // SECOND), NS_MAX // SECOND) * SECOND


FRACTIONS = ("", ".000000")  # what stands behind the seconds of candle times in a SQLite file
_FRACTION = "marketd_fraction"


def fraction_of(dialect: Dialect) -> str:
    """What stands behind the seconds in this SQLite file."""
    return str(getattr(dialect, _FRACTION, ""))


def write_fraction(dialect: Dialect, fraction: str) -> None:
    """From now on write times of candles with this behind the seconds."""
    assert fraction in FRACTIONS
    setattr(dialect, _FRACTION, fraction)


def digits() -> sa.types.TypeEngine[Any]:
    """Numbers as the venue wrote them: NUMERIC without bounds keeps every digit, on SQLite TEXT does."""
    return sa.Numeric().with_variant(sa.Text(), "sqlite")


def row_id(small: bool = False) -> sa.types.TypeEngine[int]:
    """SERIAL or BIGSERIAL; on SQLite the row's own number."""
    return sa.Integer() if small else sa.BigInteger().with_variant(sa.Integer(), "sqlite")
