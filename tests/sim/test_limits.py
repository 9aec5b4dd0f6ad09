"""Request limits on the simulated clock."""

from marketd.sim.limits import Bucket, Sliding, Window

S = 1_000_000_000


def test_a_window_opens_again_with_the_next_period() -> None:
    window = Window(3, 60)

    assert [window.take(3, 61 * S), window.take(1, 119 * S), window.take(1, 120 * S)] == [True, False, True]


def test_a_window_says_how_long_it_stays_shut() -> None:
    assert 20 <= Window(3, 60).left_s(100 * S) <= 21


def test_a_sliding_limit_counts_the_last_seconds() -> None:
    sliding = Sliding(2, 1.0)

    assert [sliding.take(t) for t in (5 * S, 5 * S + 1, 5 * S + 2, 6 * S)] == [True, True, False, True]


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(10, 15)

    assert sum(bucket.take(S) for _ in range(20)) == 15
    assert sum(bucket.take(S + S // 2) for _ in range(20)) == 5
