"""A thread for what blocks (files, SQLite), fed from the event loop one call at a time and in order."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], Any], asyncio.Future[Any] | None, asyncio.AbstractEventLoop | None]


class Worker:
    """A daemon thread, so that a call that hangs on a dead disk cannot keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, call: Callable[[], T]) -> T:
        """The answer of `call`, or its exception. If the waiter is cancelled, a call already begun goes on to its end."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.put((call, answer, loop))
        return await answer

    def put(self, call: Callable[[], object]) -> None:
        """Have `call` done some time; it deals with its own errors."""
        self._jobs.put((call, None, None))

    def stop(self) -> None:
        """End after the calls already asked for; does not wait."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, answer, loop = job
            del job
            if answer is None or loop is None:
                call()
                continue
            if answer.cancelled():
                continue
            try:
                result, error = call(), None
            except BaseException as raised:
                result, error = None, raised
            try:
                loop.call_soon_threadsafe(_settle, answer, result, error)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
            del call, answer, result, error


def _settle(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.cancelled():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
