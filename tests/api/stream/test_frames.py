"""What goes out, byte by byte."""

import msgspec
import pytest

from marketd.api.stream.frames import answer_frame, close_reason, event_frame, text_frame
from marketd.api.stream.wire import Pong
from marketd.model.wire import decode
from tests.api.stream.conftest import payloads
from tests.samples import book, trade


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_frame_says_its_size_in_the_shortest_form(size: int) -> None:
    frame = text_frame(b"x" * size)

    assert len(frame) - size == (2 if size < 126 else 4 if size < 65_536 else 10)
    assert payloads(frame + text_frame(b"y")) == [b"x" * size, b"y"]


def test_an_event_is_what_it_is_on_every_wire_with_its_position() -> None:
    (payload,) = payloads(event_frame(trade(3), 17))
    found = msgspec.json.decode(payload)

    assert decode(payload) == trade(3)
    assert found["pos"] == 17
    assert "snapshot" not in found


def test_a_snapshot_is_marked() -> None:
    (payload,) = payloads(event_frame(book(3), 2**53, snapshot=True))
    found = msgspec.json.decode(payload)

    assert (found["pos"], found["snapshot"], found["seq"]) == (2**53, True, 3)


def test_what_a_venue_said_word_for_word_stays_here() -> None:
    (payload,) = payloads(event_frame(trade(1, raw='{"p": "1"}'), 1))

    assert b"raw" not in payload


def test_an_answer_is_one_text_message() -> None:
    assert payloads(answer_frame(Pong(id="a", ts=5))) == [b'{"op":"pong","ts":5,"id":"a"}']


def test_a_reason_fits_into_a_close_frame_in_whole_characters() -> None:
    assert close_reason("short") == b"short"
    assert close_reason("é" * 100) == ("é" * 61).encode()
