"""Many clients at once, some of which do not read: those are let go with a reason, the others get every trade."""

import asyncio

import pytest

from bench.crowd import Member, crowd, serving, sizes, symbol_of
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


async def test_those_that_do_not_read_are_let_go_and_the_others_get_every_trade() -> None:
    await meet(50, 5, 10_000, 4)


@pytest.mark.soak
async def test_five_hundred_clients_of_which_fifty_do_not_read() -> None:
    await meet(500, 50, 10_000, 30)
