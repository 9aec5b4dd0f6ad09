"""How long is waited between tries."""

import random

from hypothesis import given
from hypothesis import strategies as st

from marketd.net.backoff import Backoff


@given(st.integers(0, 2**32), st.floats(0.01, 10), st.floats(10, 600))
def test_each_delay_lies_in_the_upper_half_of_a_doubling_bound(seed: int, first_s: float, max_s: float) -> None:
    backoff = Backoff(first_s, max_s, dice=random.Random(seed))
    for number in range(40):
        full = min(max_s, first_s * 2**number)
        assert full / 2 <= backoff.next_s() <= full


def test_a_thousand_tries_are_still_a_number_of_seconds() -> None:
    backoff = Backoff()
    delays = [backoff.next_s() for _ in range(2000)]

    assert 30.0 <= delays[-1] <= 60.0
    assert backoff.tries == 2000


def test_success_starts_again_from_the_shortest_delay() -> None:
    backoff = Backoff(1.0, 60.0)
    for _ in range(10):
        backoff.next_s()
    backoff.reset()

    assert backoff.tries == 0
    assert backoff.next_s() <= 1.0


def test_two_clients_do_not_come_back_together() -> None:
    one, other = Backoff(dice=random.Random(1)), Backoff(dice=random.Random(2))

    assert [one.next_s() for _ in range(5)] != [other.next_s() for _ in range(5)]
