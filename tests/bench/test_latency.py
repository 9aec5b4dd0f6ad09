"""The bench of the latency from a frame to a feature: every message is found again, and nothing is lost on the way."""

from bench.latency import measure


def test_messages_are_dated_by_their_newest_event() -> None:
    measured = measure(500, 1.0)

    assert 0 == measured.lost
    assert len(measured.ms) > 2
    assert 0 < min(measured.ms)
    assert max(measured.ms) < 60_000
