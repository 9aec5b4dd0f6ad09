"""How the clients wait between two attempts, and what time it is: the one place of this room where time passes."""

import asyncio
import time


async def wait(delay_s: float) -> None:
    await asyncio.sleep(delay_s)


def wait_blocking(delay_s: float) -> None:
    time.sleep(delay_s)


def now_ns() -> int:
    """Integer nanoseconds since the epoch, UTC."""
    return time.time_ns()
