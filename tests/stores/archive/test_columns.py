"""Nanoseconds and what the databases keep, there and back."""

from datetime import datetime

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from marketd.model.timeframes import SECOND
from marketd.stores.archive.columns import (
    NS_MAX,
    Moment,
    OpenTime,
    datetime_of,
    ns_of_datetime,
    second_text,
    whole_second_from,
    write_fraction,
)

DIALECTS = [postgresql.dialect(), sqlite.dialect()]  # type: ignore[no-untyped-call]
SECONDS = st.integers(0, NS_MAX // SECOND).map(lambda seconds: seconds * SECOND)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.name)
@given(ts=SECONDS)
def test_a_whole_second_comes_back_as_it_went(dialect: sa.Dialect, ts: int) -> None:
    kept = OpenTime().process_bind_param(ts, dialect)

    assert ts == OpenTime().process_result_value(kept, dialect)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.name)
@given(ts=st.integers(0, NS_MAX))
def test_a_moment_keeps_its_microseconds(dialect: sa.Dialect, ts: int) -> None:
    kept = Moment().process_bind_param(ts, dialect)

    assert ts // 1000 * 1000 == Moment().process_result_value(kept, dialect)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.name)
def test_a_candle_does_not_open_within_a_second(dialect: sa.Dialect) -> None:
    with pytest.raises(ValueError, match="no whole second"):
        OpenTime().process_bind_param(SECOND + 1, dialect)


def test_sqlite_writes_times_as_the_file_at_hand_does() -> None:
    dialect = sqlite.dialect()  # type: ignore[no-untyped-call]
    plain = OpenTime().process_bind_param(0, dialect)
    write_fraction(dialect, ".000000")

    assert ("1970-01-01 00:00:00", "1970-01-01 00:00:00.000000") == (plain, OpenTime().process_bind_param(0, dialect))
    assert 0 == OpenTime().process_result_value("1970-01-01 00:00:00.000000", dialect)


def test_times_are_utc_and_a_zone_is_honoured() -> None:
    assert "2023-11-14 22:13:20" == second_text(1_700_000_000 * SECOND)
    assert datetime.fromisoformat("2023-11-14 22:13:20.000001") == datetime_of(1_700_000_000 * SECOND + 1999)
    assert 0 == ns_of_datetime(datetime.fromisoformat("1970-01-01T02:00:00+02:00"))


@pytest.mark.parametrize(("ts", "second"), [(-5, 0), (0, 0), (1, 1), (SECOND, 1), (SECOND + 1, 2), (NS_MAX, NS_MAX // SECOND)])
def test_bounds_of_a_question_are_whole_seconds(ts: int, second: int) -> None:
    assert second * SECOND == whole_second_from(ts)


def test_nothing_stays_nothing() -> None:
    assert [None] * 4 == [
        way(None, DIALECTS[1]) for kind in (Moment(), OpenTime()) for way in (kind.process_bind_param, kind.process_result_value)
    ]
