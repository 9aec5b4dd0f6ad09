"""How a room of tasks opens and empties."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def room(name: str) -> AsyncIterator["Room"]:
    """A group of named tasks. Leaving it cancels those still running; a task that fails ends the room with its own error."""
    try:
        async with asyncio.TaskGroup() as group:
            here = Room(name, group)
            try:
                yield here
            finally:
                here.close()
    except BaseExceptionGroup as failures:
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from failures.exceptions[0].__cause__
        raise


class Room:
    """Where tasks live: none outlives its room."""

    def __init__(self, name: str, group: asyncio.TaskGroup) -> None:
        self.name = name
        self._group = group
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` in this room; a failure of it is a failure of the room."""
        task = self._group.create_task(work, name=f"{self.name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. Whoever is cancelled meanwhile waits for its end, and is cancelled then: it is never half done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody else will ask
        raise
