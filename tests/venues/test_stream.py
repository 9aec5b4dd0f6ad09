"""One subscription as the operator sees it."""

from marketd.venues.stream import Stream
from marketd.venues.venue import Wanted


def test_it_begins_without_a_connection() -> None:
    stream = Stream(Wanted("trade", "BTCUSDT"), 5)

    assert ("dead", "not connected yet", 5) == (stream.state, stream.reason, stream.since_ns)


def test_a_change_is_dated_and_said_once() -> None:
    stream = Stream(Wanted("trade", "BTCUSDT"), 5)

    assert stream.become("live", "subscribed", 7)
    assert not stream.become("live", "data arrives", 9)
    assert ("live", "data arrives", 7) == (stream.state, stream.reason, stream.since_ns)
