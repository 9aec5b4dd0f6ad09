"""Many clients at once, some of which do not read: those are let go with a reason, the others get every trade."""

import asyncio
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from bench.crowd import Book, Follower, Member, crowd, payloads, serving, sizes, symbol_of
from tests.daemons import eventually

SYMBOLS = 100
PER_CLIENT = 10
MIB = 1 << 20


def wanted(at: int) -> list[str]:
    """Each client asks for another part of the market."""
    return [symbol_of(at * 7 + number, SYMBOLS) for number in range(PER_CLIENT)]


async def meet(clients: int, stalled: int, rate: int, seconds: float) -> None:
    with serving(queue=1000, ping_s=600) as server:  # these clients answer no pings
        members = [Member(wanted(at), keeps=at % 25 == 0) for at in range(clients - stalled)]
        deaf = [Member(wanted(at)) for at in range(stalled)]
        async with crowd(server, members, deaf):
            before = server.told()

            assert before.clients == clients
            server.publish(rate, seconds, SYMBOLS)
            await eventually(server.told, 120, lambda told: told.slow == stalled)
            for member in deaf:
                member.transport.resume_reading()
            told = await eventually(server.told, seconds * 10 + 60, lambda told: told.done)
            of = await asyncio.to_thread(sizes, told.published, SYMBOLS)
            expected = [sum(of[symbol] for symbol in one.channels) for one in members]
            await eventually(lambda: [one.size for one in members], holds=lambda got: got == expected)
            async with asyncio.timeout(60):
                await asyncio.gather(*(one.ended.wait() for one in deaf))
            after = server.told()

    assert after.clients == clients - stalled
    assert {one.reason()[0] for one in deaf} == {1013}
    assert all("too slow" in one.reason()[1] for one in deaf)
    for member in members:
        if member.keeps:
            got = [(one["symbol"], one["pos"]) for one in member.events()]
            each = {symbol: [pos for name, pos in got if name == symbol] for symbol in member.channels}

            assert each == {symbol: list(range(1, told.published // SYMBOLS + 1)) for symbol in member.channels}
    assert after.rss - before.rss < 64 * MIB + clients * 256 * 1024


def read(members: Sequence[Follower]) -> Iterator[list[bytes]]:
    """What they got, unpacked: of those that got the same only once; nothing of who has not got what others have."""
    book = members[0].book
    same = [one for one in members if one.own is None]
    if same:
        yield list(payloads(bytes(book.data))) if all(one.alike == len(book.data) for one in same) else []
    for one in members:
        if one.own is not None:
            yield list(payloads(one.whole()))


async def meet_all(clients: int, stalled: int, rate: int, seconds: float) -> None:
    """Each wants the whole market."""
    symbols = 10
    everything = [symbol_of(number, symbols) for number in range(symbols)]
    book = Book()
    with serving(ping_s=600) as server:
        members = [Follower(everything, packs=True, book=book) for _ in range(clients - stalled)]
        deaf = [Member(everything, packs=True) for _ in range(stalled)]
        async with crowd(server, members, deaf):
            before = server.told()

            assert before.clients == clients
            server.publish(rate, seconds, symbols)
            await eventually(server.told, 120, lambda told: told.slow == stalled)
            for member in deaf:
                member.transport.resume_reading()
            await eventually(server.told, seconds * 10 + 60, lambda told: told.done)
            async with asyncio.timeout(60):
                await asyncio.gather(*(one.ended.wait() for one in deaf))
            await eventually(lambda: {len(got) for got in read(members)}, 120, lambda got: got == {server.told().published})
            after = server.told()

    each = {symbol: list(range(1, after.published // symbols + 1)) for symbol in everything}
    for messages in read(members):
        got: dict[str, list[int]] = {symbol: [] for symbol in everything}
        for message in messages:
            event = msgspec.json.decode(message)
            got[event["symbol"]].append(event["pos"])

        assert got == each
    assert after.clients == clients - stalled
    assert {one.reason()[0] for one in deaf} == {1013}
    assert after.rss - before.rss < 64 * MIB + clients * 256 * 1024


async def test_those_that_do_not_read_are_let_go_and_the_others_get_every_trade() -> None:
    await meet(50, 5, 10_000, 4)


@pytest.mark.soak
async def test_five_hundred_clients_of_which_fifty_do_not_read() -> None:
    await meet(500, 50, 10_000, 30)


async def test_the_whole_market_packed_goes_to_everyone_who_reads() -> None:
    await meet_all(50, 5, 10_000, 4)


@pytest.mark.soak
async def test_five_hundred_clients_that_each_want_the_whole_market() -> None:
    await meet_all(500, 50, 10_000, 30)
