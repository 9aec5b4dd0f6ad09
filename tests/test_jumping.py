"""The clock that jumps."""

import asyncio

import pytest

from tests.jumping import JumpingClock

pytestmark = pytest.mark.jumping


async def test_hours_pass_in_order_while_nothing_else_happens() -> None:
    clock, woken = JumpingClock(), []

    async def wake(name: str, delay_s: float) -> None:
        await clock.sleep(delay_s)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(wake("late", 7200))
        group.create_task(wake("soon", 1.5))

    assert [("soon", 1.5), ("late", 7200.0)] == woken
    assert 1_700_007_323 == clock.now_ns() // 1_000_000_000


async def test_a_question_over_a_socket_takes_no_time() -> None:
    clock = JumpingClock()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, asyncio.TaskGroup() as group:
        other = group.create_task(clock.sleep(3600))
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        said, at_s = await reader.readline(), clock.monotonic()
        writer.close()
        await other

    assert (b"hello\n", 0.0) == (said, at_s)


async def test_it_stands_still_while_it_is_held() -> None:
    clock = JumpingClock()
    async with asyncio.TaskGroup() as group:
        sleeper = group.create_task(clock.sleep(1))
        with clock.held():
            await asyncio.sleep(0.02)  # the machine's: time enough to jump

            assert (False, 0.0) == (sleeper.done(), clock.monotonic())

    assert 1.0 == clock.monotonic()


async def test_who_waits_for_what_never_comes_is_told() -> None:
    with pytest.raises(AssertionError, match="did not come true within 5 s"):
        await JumpingClock().when(lambda: False, 5)
