"""Percentiles by nearest rank, of tenths of a millisecond."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from marketd.analysis.latencies import NONE, Latencies

TENTHS = st.lists(st.one_of(st.integers(-300, 300), st.integers(-(10**9), 10**9)), max_size=60)


@given(TENTHS, st.integers(0, 60))
def test_what_is_left_is_what_sorting_says(came: list[int], gone: int) -> None:
    latencies = Latencies()
    latencies.add(came)
    latencies.remove(came[:gone])
    left = sorted(came[gone:])

    percents = (1, 50, 95, 95, 100)
    wanted = [left[ceil(len(left) * percent / 100) - 1] / 10 if left else None for percent in percents]

    assert latencies.percentiles(percents) == wanted


def test_a_trade_without_a_latency_is_not_counted() -> None:
    latencies = Latencies()
    latencies.add([NONE, 12])

    assert (latencies.count, latencies.percentiles([50])) == (1, [1.2])
