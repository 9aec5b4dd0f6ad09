"""A line repeated a thousand times is a few lines and a count."""

import pytest
import structlog

from marketd.clock import ManualClock
from marketd.log.repeats import KEYS_MAX, Repeats


def said(repeats: Repeats, **line: object) -> dict[str, object] | None:
    try:
        return dict(repeats(None, "warning", dict(line)))
    except structlog.DropEvent:
        return None


async def test_the_first_ones_are_written_and_the_rest_counted(clock: ManualClock) -> None:
    repeats = Repeats(3, 60.0, clock.monotonic)
    written = [line for _ in range(1000) if (line := said(repeats, event="kraken.bad_frame", venue="kraken"))]

    assert len(written) == 3
    await clock.advance(61)
    later = said(repeats, event="kraken.bad_frame", venue="kraken")

    assert later is not None
    assert later["left_out"] == 997


def test_another_venue_is_another_line(clock: ManualClock) -> None:
    repeats = Repeats(1, 60.0, clock.monotonic)

    assert said(repeats, event="feed.silent", venue="kraken")
    assert said(repeats, event="feed.silent", venue="bybit")
    assert said(repeats, event="feed.silent", venue="kraken") is None


def test_information_is_never_left_out(clock: ManualClock) -> None:
    repeats = Repeats(1, 60.0, clock.monotonic)

    for _ in range(5):
        repeats(None, "info", {"event": "started"})


def test_memory_of_lines_is_bounded(clock: ManualClock) -> None:
    repeats = Repeats(1, 60.0, clock.monotonic)
    for number in range(3 * KEYS_MAX):
        said(repeats, event=f"e{number}")

    assert len(repeats._seen) == KEYS_MAX


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_is_said_of_nothing_left_out(clock: ManualClock, count: int) -> None:
    repeats = Repeats(2, 0.0, clock.monotonic)

    assert [said(repeats, event="e") for _ in range(count)] == [{"event": "e"}] * count
