"""A room of tasks: none outlives it."""

import asyncio

import pytest

from marketd.rooms import room, to_the_end


async def test_leaving_cancels_those_still_running() -> None:
    ended: list[str] = []
    running = asyncio.Event()

    async def forever() -> None:
        try:
            running.set()
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with room("writers") as here:
        task = here.start("one", forever())
        await running.wait()

    assert (["cancelled"], True) == (ended, task.cancelled())


async def test_tasks_carry_the_name_of_their_room() -> None:
    async with room("feeds") as here:
        task = here.start("one", asyncio.Event().wait())

    assert task.get_name() == "feeds.one"


async def test_what_is_done_stays_done() -> None:
    async def answer() -> int:
        return 42

    async with room("readers") as here:
        task = here.start("one", answer())
        await task

    assert task.result() == 42


async def test_a_task_that_fails_ends_the_room_and_its_neighbours() -> None:
    async def fail() -> None:
        raise ConnectionError("gone")

    async def enter() -> None:
        async with room("writers") as here:
            neighbour = here.start("two", asyncio.Event().wait())
            neighbours.append(neighbour)
            here.start("one", fail())
            await asyncio.Event().wait()

    neighbours: list[asyncio.Task[object]] = []
    with pytest.raises((ConnectionError, ExceptionGroup)) as failure:
        await enter()

    assert neighbours[0].cancelled()
    assert "gone" in str(getattr(failure.value, "exceptions", [failure.value])[0])


async def test_work_goes_on_to_its_end_when_whoever_waits_is_cancelled() -> None:
    began, may_end, ended = asyncio.Event(), asyncio.Event(), list[str]()

    async def work() -> str:
        began.set()
        await may_end.wait()
        ended.append("done")
        return "done"

    assert "done" == await to_the_end(asyncio.sleep(0, "done"))

    async with room("writers") as here:
        task = here.start("one", to_the_end(work()))
        await began.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        may_end.set()
        await asyncio.wait({task})

    assert (["done"], True) == (ended, task.cancelled())
