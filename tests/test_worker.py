"""A thread for what blocks."""

import asyncio
import threading

import pytest

from marketd.worker import Worker


async def test_calls_are_made_in_order_in_one_thread_and_answered() -> None:
    worker = Worker("w")
    made: list[int] = []
    answers = await asyncio.gather(*(worker.run(lambda n=n: (made.append(n), threading.get_ident())[1]) for n in range(50)))  # type: ignore[misc]
    worker.stop()

    assert list(range(50)) == made
    assert 1 == len(set(answers))
    assert threading.get_ident() not in answers


async def test_an_error_reaches_who_asked_and_the_next_call_is_made() -> None:
    worker = Worker("w")
    with pytest.raises(ValueError, match="invalid literal"):
        await worker.run(lambda: int("x"))

    assert 7 == await worker.run(lambda: 7)
    worker.stop()


async def test_a_waiter_that_goes_away_does_not_stop_the_thread() -> None:
    worker, may_go = Worker("w"), threading.Event()
    hanging = asyncio.gather(worker.run(may_go.wait))
    await asyncio.sleep(0)
    hanging.cancel()
    may_go.set()

    assert 7 == await worker.run(lambda: 7)
    worker.stop()


async def test_what_was_put_is_done_before_what_is_asked_later() -> None:
    worker, made = Worker("w"), []
    worker.put(lambda: made.append(1))
    await worker.run(lambda: made.append(2))
    worker.stop()

    assert [1, 2] == made
