"""Packed messages: what is agreed on, that any client unpacks what was packed once for all, and what theirs may not do."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.api.stream.deflate import TAIL, TooLarge, Unpackable, agreed, deflated, inflated
from marketd.api.stream.frames import event_frame, text_frame
from tests.api.stream.conftest import Unpacker, text_frames
from tests.samples import trade

PLAIN = "permessage-deflate; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ("permessage-deflate", PLAIN),
        ("permessage-deflate; client_max_window_bits", PLAIN),
        ('permessage-deflate; client_max_window_bits="10"', PLAIN),
        ("Permessage-Deflate;client_no_context_takeover", PLAIN),
        ("permessage-deflate; server_max_window_bits=15", f"{PLAIN}; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", f"{PLAIN}; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=11", None),
        ("permessage-deflate; server_max_window_bits=11, permessage-deflate", PLAIN),
        ("permessage-deflate; server_no_context_takeover", None),
        ("permessage-deflate; server_no_context_takeover, permessage-deflate; client_max_window_bits", PLAIN),
        ("x-webkit-deflate-frame, permessage-deflate", PLAIN),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; unknown=1", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=012", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_no_context_takeover=1", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        ("permessage-deflate;", None),
        (",;=,", None),
        ("", None),
    ],
)
def test_an_offer_is_met_or_declined(offers: str, answer: str | None) -> None:
    assert agreed(offers) == answer


@given(st.text(alphabet='permessage-deflate;,= "_0123456789x', max_size=80))
def test_no_offer_breaks_it(offers: str) -> None:
    agreed(offers)


ALIKE = st.integers(0, 200).map(lambda number: b'{"pos":%d,"price":"1"}' % number)
PAYLOADS = st.lists(st.binary(max_size=300) | ALIKE, max_size=8)


@given(flushes=st.lists(st.tuples(PAYLOADS, st.booleans()), max_size=8))
def test_whatever_a_client_got_before_it_unpacks_each_flush(flushes: list[tuple[list[bytes], bool]]) -> None:
    unpacker = Unpacker()
    got = []
    for payloads, packs in flushes:
        frames = [text_frame(one) for one in payloads]
        got += unpacker.payloads(deflated(frames) if packs else b"".join(frames))

    assert got == [one for payloads, _ in flushes for one in payloads]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 5_000, 65_535, 65_536, 200_000])
def test_a_message_of_any_size_stays_one_message(size: int) -> None:
    payload = bytes(number * number * 31 % 251 for number in range(size))
    packed = deflated([text_frame(payload), text_frame(payload)])

    assert [first for first, _ in text_frames(packed)] == [0xC1, 0xC1]
    assert Unpacker().payloads(packed) == [payload, payload]


def test_trades_of_one_flush_become_a_fifth() -> None:
    frames = [event_frame(trade(number), number) for number in range(1, 51)]

    assert len(deflated(frames)) * 5 < sum(map(len, frames))


def pack(message: bytes, how: int = zlib.Z_SYNC_FLUSH) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(message) + packer.flush(how)).removesuffix(TAIL)


@pytest.mark.parametrize("packed", [pack(b"hello"), pack(b"hello", zlib.Z_FINISH), pack(b"hello", zlib.Z_FINISH) + b"\0"])
def test_a_message_of_a_client_unpacks_however_it_ends(packed: bytes) -> None:
    assert inflated(packed, 5) == b"hello"


def test_a_message_that_unpacks_to_more_than_it_may_is_not_unpacked_whole() -> None:
    bomb = pack(b"x" * 10_000_000)

    assert len(bomb) < 20_000
    with pytest.raises(TooLarge):
        inflated(bomb, 9_999)
    with pytest.raises(TooLarge):
        inflated(pack(b"hello"), 4)


@pytest.mark.parametrize("packed", [b"\xff\xff\xff", b"\x07", pack(b"hello", zlib.Z_FINISH) + b"more"])
def test_what_does_not_unpack_is_said(packed: bytes) -> None:
    with pytest.raises(Unpackable):
        inflated(packed, 1000)


@given(st.binary(max_size=200))
def test_garbage_unpacks_to_something_small_or_is_refused(packed: bytes) -> None:
    with suppress(TooLarge, Unpackable):
        assert len(inflated(packed, 100)) <= 100
