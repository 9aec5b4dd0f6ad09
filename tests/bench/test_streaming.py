"""The crowd of the streaming bench: what it asks for is what a client of `/ws` may ask, and its sizes are those of the frames."""

from bench.crowd import Member, sizes, symbol_of, trade
from marketd.api.stream.frames import event_frame
from marketd.api.stream.wire import Subscribe, read_request
from tests.api.stream.conftest import payloads


def test_a_member_asks_as_a_client_does() -> None:
    frame = Member([symbol_of(number, 10) for number in range(10)]).asked()
    request = read_request(frame[8:])

    assert isinstance(request, Subscribe)
    assert [one.symbol for one in request.channels] == [f"S{number}USDT" for number in range(10)]


def test_sizes_are_those_of_the_frames_of_each_symbol() -> None:
    first = [event_frame(trade(number, 10), number // 10 + 1) for number in range(0, 50, 10)]

    assert sizes(50, 10)["S0USDT"] == sum(map(len, first))


def test_a_member_reads_what_it_kept() -> None:
    member = Member([], keeps=True)
    frames = [event_frame(trade(number, 1), number + 1) for number in range(3)]
    member.data = [b"".join(frames)]

    assert [one["pos"] for one in member.events()] == [1, 2, 3]
    assert len(payloads(b"".join(frames))) == 3
