"""The log of one channel, against a plain list of what happened."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from marketd.api.stream.channel import Channel, Key
from tests.api.stream.conftest import payloads
from tests.samples import candle, quote, trade


def opened(kind: str = "trade") -> Channel:
    channel = Channel(Key(kind, "binance", "BTCUSDT"))
    channel.open()
    return channel


def positions(frames: list[bytes]) -> list[int]:
    return [msgspec.json.decode(one)["pos"] for one in payloads(b"".join(frames))]


def test_without_readers_it_counts_and_keeps_the_newest() -> None:
    channel = Channel(Key("trade", "binance", "BTCUSDT"))
    for number in range(1, 4):
        channel.take(trade(number))

    assert (channel.held_bytes, channel.pos, len(channel), channel.fresh) == (0, 3, 0, [])
    assert positions(list(channel.snapshot())) == [3]
    assert Channel(channel.key).snapshot() == ()


def test_a_late_repair_is_not_what_is_newest() -> None:
    channel = opened()
    channel.take(trade(5))
    channel.take(trade(2, repaired=True))

    assert positions(list(channel.snapshot())) == [1]
    assert positions(channel.after(0, 10)[0]) == [1, 2]


def test_a_correction_of_an_old_candle_is_not_what_is_newest() -> None:
    channel = opened("candle")
    channel.take(candle(5, closed=False))
    channel.take(candle(3, closed=True, revision=1))

    assert positions(list(channel.snapshot())) == [1]


def test_of_what_is_replaced_only_the_newest_waits() -> None:
    channel = opened("quote")
    for number in range(1, 6):
        channel.take(quote(number))

    assert positions(channel.after(0, 10)[0]) == [5]
    assert channel.after(5, 10) == ([], 5)
    assert channel.waiting(0) == 0


def test_what_was_forgotten_is_not_held() -> None:
    channel = opened()
    for number in range(1, 11):
        channel.take(trade(number))
    taken = channel.held_bytes
    freed = channel.forget(4)

    assert (channel.holds(3), channel.holds(4), channel.holds(10), channel.holds(11)) == (False, True, True, False)
    assert positions(channel.after(4, 100)[0]) == [5, 6, 7, 8, 9, 10]
    assert channel.held_bytes == taken - freed
    channel.close()
    assert channel.held_bytes == 0


@given(firm=st.lists(st.booleans(), max_size=40), limit=st.integers(1, 7))
def test_who_reads_in_pieces_gets_all_that_is_firm_and_the_newest_of_the_rest_in_order(firm: list[bool], limit: int) -> None:
    channel = opened("candle")
    for number, closed in enumerate(firm, 1):
        channel.take(candle(number, closed=closed))
    cursor, got = 0, []
    while cursor < channel.pos:
        frames, reached = channel.after(cursor, limit)

        assert reached > cursor
        cursor = reached
        got += positions(frames)
    loose = [pos for pos, closed in enumerate(firm, 1) if not closed][-1:]

    assert got == sorted([pos for pos, closed in enumerate(firm, 1) if closed] + loose)
    assert channel.waiting(0) == sum(firm)
