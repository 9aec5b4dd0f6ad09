"""Times are read in every form that people and programs write, exactly, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.api.parameters import NS_MAX, ns_of_text
from marketd.model.times import iso_of_ns

TIME = 1_731_605_400_000_000_000  # 2024-11-14T17:30:00Z


@pytest.mark.parametrize(
    "text",
    [
        "2024-11-14T17:30:00",
        "2024-11-14T17:30",
        "2024-11-14 17:30:00",
        "2024-11-14T17:30:00Z",
        "2024-11-14T17:30:00+00:00",
        "2024-11-14T17:30:00 00:00",
        "2024-11-14T18:30:00+01:00",
        "2024-11-14T18:30:00 01:00",
        "2024-11-14T18:30:00 0100",
        "2024-11-14T17:30:00.000000000Z",
        "1731605400",
        "1731605400.0",
        "1731605400000",
        "1731605400000000",
        "1731605400000000000",
    ],
)
def test_one_moment_in_many_forms(text: str) -> None:
    assert ns_of_text(text) == TIME


def test_a_day_begins_at_midnight_utc() -> None:
    assert ns_of_text("2024-11-14") == TIME - (17 * 3600 + 1800) * 10**9


@pytest.mark.parametrize(
    "text",
    [
        "20261120",
        "202611201730",
        "2024-11-14T17:30:60",
        "2024-11-14T17:30:00+24:00",
        "2024-11-14T17:30:00+99:00",
        "2024-11-14T17:30:00-01:60",
        "1_731_605_400",
    ],
)
def test_digits_that_read_as_a_date_and_times_that_no_clock_shows_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ns_of_text(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("20261320", 20_261_320), ("20261120.0", 20_261_120), ("202613201730", 202_613_201.73)]
)
def test_digits_that_read_as_no_date_are_seconds_or_milliseconds(text: str, seconds: float) -> None:
    assert ns_of_text(text) == round(seconds * 100) * 10**7


@pytest.mark.parametrize(
    "text", ["", "now", "2024-13-01", "2024-02-30", "2024-11-14T25:00", "-5", "1e9", "9999-12-31", "1" * 20, "١٢"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ns_of_text(text)


@given(st.integers(0, NS_MAX))
def test_what_we_write_we_read(ts: int) -> None:
    assert ns_of_text(iso_of_ns(ts)) == ts


@given(st.text(max_size=40))
def test_no_text_is_anything_but_a_time_or_an_error(text: str) -> None:
    try:
        ts = ns_of_text(text)
    except ValueError:
        return

    assert 0 <= ts <= NS_MAX
