"""Running until someone says stop: Ctrl-C or SIGTERM once ends in order, twice at once."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

FORCED = 1
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a closed terminal is a wish to end, in order
SAME_S = 0.3  # programs that run ours (timeout, make) may pass one Ctrl-C on twice


def run_until_stopped(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run `work` on a loop of its own. The first signal sets the event it is given, a second one, not
    the same one passed on twice, ends the process at once."""

    async def guarded() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        is_heard = False  # as the only one

        def on_signal() -> None:
            if is_heard:
                _force()
            elif not stop.is_set():
                stop.set()
                loop.call_later(SAME_S / 2, loop.call_later, SAME_S / 2, hear)

        def hear() -> None:  # in two steps: what came while the loop was busy is looked at between them
            nonlocal is_heard
            is_heard = True

        for number in STOPS:
            loop.add_signal_handler(number, on_signal)
        try:
            await work(stop)
        finally:
            for number in STOPS:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # what has ended in order shall not look killed

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(guarded())
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)  # closing the loop has undone it


def until_told() -> threading.Event:
    """For work that waits without a loop: set by Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


async def until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Work until it is done or `stop` is set, whichever comes first."""
    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(work, name="work"), group.create_task(stop.wait(), name="stop")}
        _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()


def _force() -> None:
    print("marketd: stopped by force; what was not yet written is in the spill or repaired at the next start", file=sys.stderr)
    sys.stderr.flush()
    os._exit(FORCED)
