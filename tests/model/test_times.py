"""Times as the venues write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given

from marketd.model.times import iso_of_ns, ns_of_decimal_seconds, ns_of_epoch, ns_of_iso, ns_of_ms
from tests.model.strategies import times

TEN = int(datetime(2024, 11, 14, 10, 0, 0, tzinfo=UTC).timestamp()) * 1_000_000_000


@given(times)
def test_nanoseconds_survive_iso_text(ts: int) -> None:
    assert ts == ns_of_iso(iso_of_ns(ts))
    assert ts == ns_of_iso(iso_of_ns(ts).replace("+00:00", "Z"))


@given(times)
def test_nanoseconds_survive_decimal_seconds(ts: int) -> None:
    assert ts == ns_of_decimal_seconds(f"{ts // 1_000_000_000}.{ts % 1_000_000_000:09d}")


@pytest.mark.parametrize(
    ("text", "after_ten"),
    [
        ("2024-11-14T10:00:00Z", 0),
        ("2024-11-14 10:00:00", 0),
        ("2024-11-14T10:00:00.5Z", 500_000_000),
        ("2024-11-14T10:00:00.000000001Z", 1),
        ("2024-11-14T10:00:00.1234567899Z", 123_456_789),
        ("2024-11-14T12:00:00+02:00", 0),
        ("2024-11-14T05:30:00-0430", 0),
    ],
)
def test_iso_forms_of_venues_are_read(text: str, after_ten: int) -> None:
    assert TEN + after_ten == ns_of_iso(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-11-14",
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2024-11-14T25:00:00Z",
        "2024-11-14T10:00:00.Z",
        "noon",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        ns_of_iso(text)


@pytest.mark.parametrize("text", ["", "-1", "1.2.3", "1e9", "1.x", ".5"])
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="seconds"):
        ns_of_decimal_seconds(text)


def test_text_has_as_many_digits_as_the_time() -> None:
    texts = [iso_of_ns(TEN + rest) for rest in (0, 120_000_000, 123_456_000, 1)]

    assert [
        "2024-11-14T10:00:00+00:00",
        "2024-11-14T10:00:00.120+00:00",
        "2024-11-14T10:00:00.123456+00:00",
        "2024-11-14T10:00:00.000000001+00:00",
    ] == texts
    assert ns_of_ms(1_700_000_000_123) == 1_700_000_000_123_000_000


@pytest.mark.parametrize(
    "text",
    ["1700000000.123456789", "1700000000123.456789", "1700000000123456.789", "1700000000123456789", "17000000001234567.89e2"],
)
def test_an_epoch_is_read_by_its_magnitude_and_exactly(text: str) -> None:
    assert 1_700_000_000_123_456_789 == ns_of_epoch(text)


@pytest.mark.parametrize("text", ["", "-1", "NaN", "Infinity", "1e30", "soon"])
def test_what_is_no_epoch_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        ns_of_epoch(text)
