"""Silence is judged by each stream's own pace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.venues.cadence import ODD, ODD_S_MAX, ODD_S_MIN, Cadence

T0 = 1_700_000_000 * 10**9


def lived(every_s: float, for_s: float, look_s: float = 1.0) -> tuple[Cadence, int]:
    """A stream with an event every so often, looked at once a second; and the time after it."""
    cadence, at, looked = Cadence(T0), every_s, 0.0
    while at <= for_s:
        while looked + look_s <= at:
            looked += look_s
            cadence.learn(T0 + int(looked * 1e9))
        cadence.count += 1
        cadence.last_ns = T0 + int(at * 1e9)
        at += every_s
    now = T0 + int(for_s * 1e9)
    cadence.learn(now)
    return cadence, now


@pytest.mark.parametrize(("every_s", "odd_after_s"), [(0.01, ODD_S_MIN), (1.0, 30.0), (20.0, 600.0), (400.0, ODD_S_MAX)])
def test_the_pace_is_learned_and_sparse_streams_have_patience(every_s: float, odd_after_s: float) -> None:
    cadence, now = lived(every_s, 4000)

    assert odd_after_s == pytest.approx(cadence.odd_after_s, rel=0.25)
    assert not cadence.is_odd(now)
    assert cadence.is_odd(cadence.last_ns + int(1.5 * ODD_S_MAX * 1e9))


def test_without_an_event_nothing_is_odd_for_an_hour() -> None:
    cadence = Cadence(T0)
    cadence.learn(T0 + 10**9)

    assert not cadence.is_odd(T0 + int(ODD_S_MAX * 1e9))
    assert cadence.is_odd(T0 + int(ODD_S_MAX * 1e9) + 10**9)


def test_silence_teaches_nothing() -> None:
    cadence, now = lived(0.5, 100)
    cadence.learn(now + 10**9)
    before = cadence.rate
    for second in range(2, 1000):
        cadence.learn(now + second * 10**9)

    assert before == cadence.rate


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_the_pace_stays_between_the_slowest_and_the_fastest_seen(counts: list[int]) -> None:
    cadence = Cadence(T0)
    for second, count in enumerate(counts, 1):
        cadence.count += count
        cadence.learn(T0 + second * 10**9)

    assert 0 <= cadence.rate <= max(counts)
    assert ODD_S_MIN <= cadence.odd_after_s <= ODD_S_MAX
    assert cadence.rate == 0 or cadence.odd_after_s <= max(ODD_S_MIN, ODD / cadence.rate)


def test_a_clock_that_steps_back_changes_nothing() -> None:
    cadence, now = lived(0.5, 100)
    before, cadence.count = cadence.rate, cadence.count + 5
    cadence.learn(now - 50 * 10**9)

    assert before == cadence.rate
