"""The answer of a venue to a REST question."""

import pytest

from marketd.venues.venue import Answer


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": ""}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({}, 0.0),
    ],
)
def test_a_retry_after_header_counts_when_it_is_a_number_of_seconds(headers: dict[str, str], wait_s: float) -> None:
    assert Answer(429, headers, b"").retry_after_s == wait_s
