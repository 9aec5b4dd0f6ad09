"""Attempts come less and less often, never sooner than asked for, and end."""

import pytest

from marketd.client.errors import TryLater, Unreachable
from marketd.client.retrying import Retry, Tries


def test_delays_double_up_to_a_bound_and_end() -> None:
    tries = Tries(Retry(attempts=6, delay_s_min=1, delay_s_max=4))
    error = Unreachable("nobody")
    delays = [tries.delay_s(error) for _ in range(5)]

    assert all(most / 2 <= delay <= most for most, delay in zip([1, 2, 4, 4, 4], delays, strict=True))
    with pytest.raises(Unreachable):
        tries.delay_s(error)


def test_a_server_is_waited_for_as_long_as_it_wants_within_reason() -> None:
    assert 9.0 == Tries(Retry()).delay_s(TryLater("busy", 9.0))
    with pytest.raises(TryLater):
        Tries(Retry()).delay_s(TryLater("banned", 3600.0))


def test_one_attempt_is_no_retry() -> None:
    with pytest.raises(Unreachable):
        Tries(Retry(attempts=1)).delay_s(Unreachable("nobody"))
